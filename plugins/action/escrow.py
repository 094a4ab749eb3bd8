# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name once and shows on the terminal that it works.

It pays: what it has sent it also sees through, in the same call.
"""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import Result, WholeAction


class ActionModule(WholeAction):
    """See the documentation of module gonka.devshard.escrow."""

    MODULE = "gonka.devshard.escrow"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 300}
    WHAT: t.ClassVar[str] = "ensures the escrows of"

    def _what(self, _args: Result) -> str:
        return f"{self.WHAT} {_args.get('model_id')}"
