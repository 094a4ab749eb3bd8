# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Why a settle did not happen."""

from __future__ import annotations


class BusyError(Exception):
    """The devshard has active requests."""

    def __init__(self, devshard_id: str) -> None:
        super().__init__(f"devshard {devshard_id} has active requests")


class SettleError(Exception):
    """Settling failed; the record stays inactive."""


class AlreadySettledError(SettleError):
    """The chain has settled it already; the answer is an error all the same."""
