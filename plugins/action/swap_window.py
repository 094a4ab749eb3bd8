# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name in slices and shows on the terminal what closes the window."""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import Result, WatchingAction


class ActionModule(WatchingAction):
    """See the documentation of module gonka.devshard.swap_window."""

    MODULE = "gonka.devshard.swap_window"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 21_600}
    PASSING: t.ClassVar[frozenset[str]] = frozenset({"timeout"})
    RESUMED: t.ClassVar[Result] = {"resumed": True}
    RESULT: t.ClassVar[str] = "window"

    def _describe(self, part: Result) -> str:
        reasons = (part.get("failure") or {}).get("reasons") or [part.get("msg", "")]
        return "the window is closed: " + "; ".join(map(str, reasons))
