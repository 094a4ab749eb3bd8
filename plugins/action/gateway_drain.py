# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name in slices and shows on the terminal how the drain goes.

A module cannot print while it runs. Each slice is a complete call of the module with a shorter
deadline; its time-out is the progress report, only the last slice's time-out is a failure.
"""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

NUMBERS = {
    "wait_timeout": 1800,
    "wait_interval": 2,
    "progress_interval": 10,
    "polls": 5,
    "unknown_timeout": 60,
}
"""The defaults of the module's options that the slices depend on."""

display = Display()

Result = dict[str, t.Any]


def describe(host: str, failure: Result, left: float) -> str:
    """One line of progress for a slice that timed out."""
    last = failure.get("last") or {}
    if last.get("verdict") == "unknown":
        what = f"unknown: {last.get('reason') or 'no answer'}"
    else:
        what = f"{last.get('requests')} requests left"
        if last.get("workers"):
            what += f", {last['workers']} nginx workers of before the reload"
        if last.get("edge"):
            what += ", the edge still holds requests for it"
    return f"gateway_drain [{host}]: {what}, {max(0, round(left))} s until the deadline"


class ActionModule(ActionBase):
    """See the documentation of module gonka.devshard.gateway_drain."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        task_vars = task_vars or {}
        result: Result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        numbers = self._numbers(args)
        if numbers is None or self._task.check_mode:
            # without usable numbers the module itself says what is wrong with them
            return {**result, **self._call(args, task_vars)}
        return {**result, **self._in_slices(args, numbers, task_vars)}

    def _in_slices(self, args: Result, numbers: dict[str, int], task_vars: Result) -> Result:
        start = time.monotonic()
        budget = numbers["wait_timeout"]
        # a slice must be able to hold a full row of looks
        length = max(
            numbers["progress_interval"], (numbers["polls"] + 1) * numbers["wait_interval"]
        )
        host = str(task_vars.get("inventory_hostname", ""))
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
            if not part.get("failed") or failure.get("kind") != "timeout" or left <= 0:
                break
            unknown_for = float(failure.get("unknown_for") or 0)
            # unknown for the whole slice goes on from the slice before
            whole = unknown_for > 0 and unknown_for >= slice_args["wait_timeout"] - 1
            blind = blind + (now - began) if whole else unknown_for
            if (failure.get("last") or {}).get("verdict") == "drained":
                # the row was cut off by the end of the slice; a slow gateway needs a longer one
                length *= 2
            display.display(describe(host, failure, left))
        if "drain" in part:
            part["drain"]["elapsed"] = round(time.monotonic() - start, 1)
        return part

    def _call(self, args: Result, task_vars: Result) -> Result:
        part: Result = self._execute_module(
            module_name="gonka.devshard.gateway_drain", module_args=args, task_vars=task_vars
        )
        return part

    @staticmethod
    def _numbers(args: Result) -> dict[str, int] | None:
        try:
            found = {name: int(args.get(name, default)) for name, default in NUMBERS.items()}
        except (TypeError, ValueError):
            return None
        return found if min(found.values()) > 0 else None
