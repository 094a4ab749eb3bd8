# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""An action that runs the module of its name in slices, so that a wait shows on the terminal.

A module cannot print while it runs. Each slice is a complete call of the module with a shorter
deadline; what a slice that only ran out of time says is the progress.
"""

from __future__ import annotations

import abc
import typing as t

from ansible.plugins.action import ActionBase

Result = dict[str, t.Any]


class SlicedAction(ActionBase, abc.ABC):
    """What the actions that work in slices share."""

    TRANSFERS_FILES = False
    MODULE: t.ClassVar[str]
    NUMBERS: t.ClassVar[dict[str, float]]
    """The defaults of the module's options that the slices depend on."""

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

    @abc.abstractmethod
    def _in_slices(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        """Call the module until it is done, has failed, or the time is over."""

    def _call(self, args: Result, task_vars: Result) -> Result:
        part: Result = self._execute_module(
            module_name=self.MODULE, module_args=args, task_vars=task_vars
        )
        return part

    def _numbers(self, args: Result) -> dict[str, float] | None:
        try:
            found = {name: float(args.get(name, value)) for name, value in self.NUMBERS.items()}
        except (TypeError, ValueError):
            return None
        return found if min(found.values()) > 0 else None
