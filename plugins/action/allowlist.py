# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name in slices and shows on the terminal that it waits for the vote."""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import (
    Result,
    WatchingAction,
    kind_of,
)


class ActionModule(WatchingAction):
    """See the documentation of module gonka.devshard.allowlist."""

    MODULE = "gonka.devshard.allowlist"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 300}
    # a node that does not answer is waited for like the vote
    PASSING: t.ClassVar[frozenset[str]] = frozenset({"not_listed", "unknown"})

    def _describe(self, part: Result) -> str:
        if kind_of(part) != "not_listed":
            return super()._describe(part)
        address = (part.get("failure") or {}).get("address", "the creator")
        return f"{address} is not on the allowlist yet"
