# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Why a transaction does not pass the checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Refused(Exception):
    """A transaction that the checks refuse: code, codespace and log of the answer."""

    code: int
    log: str
    codespace: str = "sdk"
