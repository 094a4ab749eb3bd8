# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name in slices and shows on the terminal how the drain goes.

A slice's time-out is the progress report, only the last slice's time-out is a failure.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import (
    Result,
    SlicedAction,
    kind_of,
    requests_left,
)


def slot_of(args: Result) -> str:
    """The slot that is drained, where the edge is asked for it."""
    slot = str(args.get("edge_busy_url") or "").rpartition("/")[2]
    return f" slot {slot}" if slot in ("main", "temp") else ""


def describe(failure: Result) -> str:
    """What a slice that timed out has seen last."""
    last = failure.get("last") or {}
    if last.get("verdict") == "unknown":
        return f"unknown: {last.get('reason') or 'no answer'}"
    what = requests_left(last.get("requests"))
    if last.get("workers"):
        what += f", {last['workers']} nginx workers from before the reload"
    if last.get("edge"):
        what += ", the edge still holds requests for it"
    return what


class ActionModule(SlicedAction):
    """See the documentation of module gonka.devshard.gateway_drain."""

    MODULE = "gonka.devshard.gateway_drain"
    NUMBERS: t.ClassVar[dict[str, float]] = {
        "wait_timeout": 1800,
        "wait_interval": 2,
        "progress_interval": 10,
        "polls": 5,
        "unknown_timeout": 60,
    }

    def _in_slices(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        start = time.monotonic()
        budget = numbers["wait_timeout"]
        # a slice must be able to hold a full row of looks
        length = max(
            numbers["progress_interval"], (numbers["polls"] + 1) * numbers["wait_interval"]
        )
        blind = 0.0
        while True:
            began = time.monotonic()
            left = budget - (began - start)
            slice_args = {
                **args,
                "wait_timeout": max(1, round(min(length, left))),
                "unknown_timeout": max(1, round(numbers["unknown_timeout"] - blind)),
            }
            part = self._call(slice_args, task_vars)
            now = time.monotonic()
            left = budget - (now - start)
            failure = part.get("failure") or {}
            if kind_of(part) != "timeout" or left <= 0:
                break
            unknown_for = float(failure.get("unknown_for") or 0)
            # unknown for the whole slice goes on from the slice before
            whole = unknown_for > 0 and unknown_for >= slice_args["wait_timeout"] - 1
            blind = blind + (now - began) if whole else unknown_for
            if (failure.get("last") or {}).get("verdict") == "drained":
                # the row was cut off by the end of the slice; a slow gateway needs a longer one
                length *= 2
            self._say(describe(failure), left, task_vars, slot_of(args))
        if "drain" in part:
            part["drain"]["elapsed"] = round(time.monotonic() - start, 1)
        return part
