# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""Actions that run the module of their name so that a wait shows on the terminal.

A module cannot print while it runs. Where a wait may be divided, each slice is a complete call of
the module with a shorter deadline; what a slice that only ran out of time says is the progress. A
call that must stay whole is made once, and the lines beside it only show the time.
"""

from __future__ import annotations

import abc
import threading
import time
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

Result = dict[str, t.Any]

SWITCH: t.Final = "devshard_progress"
"""The variable that switches the lines off; the calls are the same."""

FIRST: t.Final = 15
LONGEST: t.Final = 300
"""Seconds between two lines. They double, since a wait of hours needs no line every few seconds."""

SHOWN: t.Final = 160
"""Characters of a line that say what is waited for."""

display = Display()


def span(seconds: float) -> str:
    """The time that is left, as exact as it matters."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if minutes < 10:
        return f"{whole} s"
    return f"{minutes} min {whole % 60} s" if hours < 2 else f"{hours} h {minutes % 60} min"


def progress(where: str, what: str, left: float) -> str:
    """One line, also of a text with line breaks in it."""
    flat = " ".join(what.split())
    short = flat if len(flat) <= SHOWN else flat[: SHOWN - 1] + "…"
    return f"{where}: {short}, {span(left)} until the deadline"


class ShowingAction(ActionBase, abc.ABC):
    """What the actions that show lines share."""

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
        return {**result, **self._watched(args, numbers, task_vars)}

    @abc.abstractmethod
    def _watched(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        """Call the module, and show lines while it waits."""

    def _shows(self, task_vars: Result) -> bool:
        wanted = boolean(self._templar.template(task_vars.get(SWITCH, True)), strict=False)
        # what the user hides of the task's result is in its lines too
        return wanted and not self._task.no_log

    def _say(self, what: str, left: float, task_vars: Result, place: str = "") -> None:
        if self._shows(task_vars):
            self._show(what, left, task_vars, place)

    def _show(self, what: str, left: float, task_vars: Result, place: str = "") -> None:
        """Show a line. It has no escape codes, and Ansible writes it whole, also with many forks."""
        host = task_vars.get("inventory_hostname", "")
        name = self.MODULE.rpartition(".")[2]
        display.display(progress(f"{name} [{host}]{place}", what, left))

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


def requests_left(count: t.Any) -> str:
    return f"{count} {'request' if count == 1 else 'requests'} left"


def kind_of(part: Result) -> str:
    """Why a call of the module failed, or nothing."""
    failure = part.get("failure") or {}
    return str(failure.get("kind", "failed")) if part.get("failed") else ""


class SlicedAction(ShowingAction):
    """A module that is called in slices."""

    def _watched(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        return self._in_slices(args, numbers, task_vars)

    @abc.abstractmethod
    def _in_slices(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        """Call the module until it is done, has failed, or the time is over."""


class WholeAction(ShowingAction):
    """A module that is called once, as without lines: it pays, or what it proves counts from its start."""

    WHAT: t.ClassVar[str]
    """What is waited for."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        if self._task.async_val:
            # no wait is watched that goes on in the background
            found: Result = ActionBase.run(self, tmp, task_vars)
            part: Result = self._execute_module(
                module_name=self.MODULE, task_vars=task_vars, wrap_async=True
            )
            return {**found, **part}
        return super().run(tmp, task_vars)

    def _watched(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        what = self._what(args)
        if not what or not self._shows(task_vars):
            return self._call(args, task_vars)
        over = threading.Event()
        lines = threading.Thread(
            target=self._show_until,
            args=(over, what, numbers["wait_timeout"], task_vars),
            daemon=True,
        )
        lines.start()
        try:
            return self._call(args, task_vars)
        finally:
            over.set()
            lines.join()

    def _show_until(
        self, over: threading.Event, what: str, budget: float, task_vars: Result
    ) -> None:
        start, pause = time.monotonic(), FIRST
        while not over.wait(pause):
            self._show(what, budget - (time.monotonic() - start), task_vars)
            pause = min(2 * pause, LONGEST)

    def _what(self, _args: Result) -> str:
        """What is waited for; nothing where the module does not wait."""
        return self.WHAT


class WatchingAction(SlicedAction):
    """A module that only reads until what it waits for is there, where ``wait`` asks for it."""

    PASSING: t.ClassVar[frozenset[str]]
    """Kinds of failures at the end of a slice after which the wait goes on."""
    RESUMED: t.ClassVar[Result] = {}
    """Options of all slices but the first."""
    RESULT: t.ClassVar[str] = ""
    """What of the module's result says how long it waited, if it does."""

    def _in_slices(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        if not boolean(args.get("wait", False), strict=False):
            return self._call(args, task_vars)
        start = time.monotonic()
        length = FIRST
        while True:
            began = time.monotonic()
            left = numbers["wait_timeout"] - (began - start)
            allowed = max(1, round(min(length, left)))
            part = self._call({**args, "wait_timeout": allowed}, task_vars)
            now = time.monotonic()
            left = numbers["wait_timeout"] - (now - start)
            if kind_of(part) not in self.PASSING or left <= 0:
                break
            self._say(self._describe(part), left, task_vars)
            # one that failed before the slice was over did not wait
            time.sleep(max(0.0, min(began + allowed - now, left)))
            length = min(2 * length, LONGEST)
            args = {**args, **self.RESUMED}
        if self.RESULT in part:
            part[self.RESULT]["waited"] = round(time.monotonic() - start, 1)
        return part

    def _describe(self, part: Result) -> str:
        """What is waited for."""
        return str(part.get("msg", ""))
