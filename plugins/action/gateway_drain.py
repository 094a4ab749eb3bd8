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

DEFAULT_TIMEOUT = 1800
DEFAULT_PROGRESS = 10

display = Display()


def describe(host: str, result: dict[str, t.Any], left: float) -> str:
    """One line of progress for a slice that timed out."""
    last = (result.get("failure") or {}).get("last") or {}
    if last.get("verdict") == "busy":
        what = f"{last.get('requests')} requests left"
    else:
        what = f"unknown: {last.get('reason', 'no answer')}"
    return f"gateway_drain [{host}]: {what}, {max(0, round(left))} s until the deadline"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See the documentation of module gonka.devshard.gateway_drain."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        validated, arguments = self._budget(args)
        if not validated:
            # the module itself says what is wrong with them
            return {**result, **self._call(args, task_vars)}
        budget, progress = arguments
        host = str(task_vars.get("inventory_hostname", ""))
        start = time.monotonic()
        while True:
            left = budget - (time.monotonic() - start)
            part = self._call(
                {**args, "wait_timeout": max(1, round(min(progress, left)))}, task_vars
            )
            left = budget - (time.monotonic() - start)
            timed_out = part.get("failed") and (part.get("failure") or {}).get("kind") == "timeout"
            if not timed_out or left <= 0:
                break
            display.display(describe(host, part, left))
        if "drain" in part:
            part["drain"]["elapsed"] = round(time.monotonic() - start, 1)
        return {**result, **part}

    def _call(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        part: dict[str, t.Any] = self._execute_module(
            module_name="gonka.devshard.gateway_drain", module_args=args, task_vars=task_vars
        )
        return part

    @staticmethod
    def _budget(args: dict[str, t.Any]) -> tuple[bool, tuple[int, int]]:
        try:
            budget = int(args.get("wait_timeout", DEFAULT_TIMEOUT))
            progress = int(args.get("progress_interval", DEFAULT_PROGRESS))
        except (TypeError, ValueError):
            return False, (0, 0)
        return budget > 0 and progress > 0, (budget, progress)
