# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name once and shows on the terminal that it waits.

Its failure is that sessions are lost, which counts only at the end of the whole wait.
"""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import Result, WholeAction


class ActionModule(WholeAction):
    """See the documentation of module gonka.devshard.swap_sessions."""

    MODULE = "gonka.devshard.swap_sessions"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 60}
    WHAT: t.ClassVar[str] = "waits until all sessions are served"

    def _what(self, _args: Result) -> str:
        # the other states are read once
        return self.WHAT if _args.get("state") == "intact" else ""
