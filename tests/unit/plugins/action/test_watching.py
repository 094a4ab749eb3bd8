# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Waits of hours that only read: lines that get rarer, one deadline, and a module's own answer."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.action import allowlist, swap_window
from ansible_collections.gonka.devshard.plugins.module_utils._core import errors
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.allowlist import (
    SPEC as ALLOWLIST,
)
from ansible_collections.gonka.devshard.plugins.modules.swap_window import SPEC as WINDOW
from ansible_collections.gonka.devshard.plugins.plugin_utils import _slices
from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import (
    Result,
    WatchingAction,
    progress,
    span,
)

ACTIONS = [swap_window.ActionModule, allowlist.ActionModule]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def closed(*reasons: str) -> Result:
    failure = {"kind": "timeout", "reasons": list(reasons)}
    return {"failed": True, "msg": "no swap, the window did not open", "failure": failure}


def fails(kind: str, **details: t.Any) -> Result:
    return {"failed": True, "msg": f"it is {kind}", "failure": {"kind": kind, **details}}


OPEN: Result = {"changed": False, "window": {"open": True, "waited": 0.1}}


class Run(t.NamedTuple):
    result: Result
    waits: list[int]
    lines: list[str]
    slept: list[float]
    resumed: list[object]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Run]:
    def call(
        action: type[WatchingAction],
        answers: list[Result],
        check: bool = False,
        **args: t.Any,
    ) -> Run:
        clock = Clock()
        lines: list[str] = []
        waits: list[t.Any] = []
        resumed: list[object] = []

        class Slices(action):  # type: ignore[misc, valid-type]
            """A slice that runs out of time takes it; any other answer comes at once."""

            def __init__(self) -> None:
                self._task: t.Any = SimpleNamespace(
                    args=args, check_mode=check, async_val=0, no_log=False
                )
                self._templar: t.Any = SimpleNamespace(template=lambda value: value)

            def _call(self, args: Result, task_vars: Result) -> Result:
                waits.append(args.get("wait_timeout"))
                resumed.append(args.get("resumed"))
                part = answers.pop(0) if len(answers) > 1 else answers[0]
                failure = part.get("failure") or {}
                if failure.get("kind") in self.PASSING and not failure.get("early"):
                    clock.now += args["wait_timeout"]
                return part

        monkeypatch.setattr(_slices, "time", clock)
        monkeypatch.setattr(_slices, "display", SimpleNamespace(display=lines.append))
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        result = Slices().run(None, {"inventory_hostname": "h1"})
        return Run(result, waits, lines, clock.slept, resumed)

    return call


def test_lines_of_a_window_get_rarer(run: t.Callable[..., Run]) -> None:
    answers = [*[closed("a PoC phase", "an open settle")] * 3, OPEN]
    found = run(swap_window.ActionModule, answers, wait=True)
    assert found.waits == [15, 30, 60, 120]
    told = "swap_window [h1]: the window is closed: a PoC phase; an open settle"
    assert found.lines == [
        f"{told}, 5 h 59 min until the deadline",
        f"{told}, 5 h 59 min until the deadline",
        f"{told}, 5 h 58 min until the deadline",
    ]
    assert found.result["window"] == {"open": True, "waited": 105.0}
    assert sum(found.slept) == 0


def test_an_open_window_shows_nothing(run: t.Callable[..., Run]) -> None:
    found = run(swap_window.ActionModule, [OPEN], wait=True)
    assert (found.waits, found.lines) == ([15], [])


@pytest.mark.parametrize("action", ACTIONS)
def test_the_deadline_is_the_operators(
    run: t.Callable[..., Run], action: type[WatchingAction]
) -> None:
    answer = closed("x") if action is swap_window.ActionModule else fails("not_listed")
    found = run(action, [answer], wait="yes", wait_timeout=1000)
    assert found.result == answer
    assert found.waits == [15, 30, 60, 120, 240, 300, 235]
    assert len(found.lines) == len(found.waits) - 1


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("args", [{}, {"wait": False}, {"wait": True, "wait_timeout": "soon"}])
def test_without_a_wait_the_module_runs_once(
    run: t.Callable[..., Run], action: type[WatchingAction], args: Result
) -> None:
    found = run(action, [{"failed": True}], **args)
    assert found.waits == [args.get("wait_timeout")]
    assert found.lines == []


@pytest.mark.parametrize("action", ACTIONS)
def test_check_mode_looks_once(run: t.Callable[..., Run], action: type[WatchingAction]) -> None:
    assert run(action, [OPEN], check=True, wait=True).waits == [None]


@pytest.mark.parametrize("kind", ["unsafe", "configuration", "transport", "unknown"])
def test_a_window_that_waiting_does_not_open_ends_it_at_once(
    run: t.Callable[..., Run], kind: str
) -> None:
    found = run(swap_window.ActionModule, [fails(kind)], wait=True)
    assert found.result == fails(kind)
    assert found.waits == [15]


def test_a_refusal_at_the_open_window_ends_a_wait(run: t.Callable[..., Run]) -> None:
    answers = [closed("x"), fails("unsafe")]
    found = run(swap_window.ActionModule, answers, wait=True)
    assert found.result == fails("unsafe")
    assert found.waits == [15, 30]


def test_only_the_first_slice_begins_the_wait(run: t.Callable[..., Run]) -> None:
    found = run(swap_window.ActionModule, [closed("x"), closed("x"), OPEN], wait=True)
    assert found.resumed == [None, True, True]
    found = run(allowlist.ActionModule, [fails("unknown"), OPEN], wait=True)
    assert found.resumed == [None, None]


def test_a_slice_that_ends_early_is_waited_for(run: t.Callable[..., Run]) -> None:
    """Otherwise it would be called over and over."""
    found = run(allowlist.ActionModule, [fails("unknown", early=True)] * 2 + [OPEN], wait=True)
    assert [round(slept) for slept in found.slept] == [15, 30]


def test_a_crash_is_no_cause_to_wait(run: t.Callable[..., Run]) -> None:
    crash: Result = {"failed": True, "msg": "MODULE FAILURE"}
    for action in ACTIONS:
        assert run(action, [closed("x"), crash], wait=True).result["failed"]
        assert run(action, [crash], wait=True).waits == [15]


def test_the_vote_is_waited_for(run: t.Callable[..., Run]) -> None:
    listed: Result = {"changed": False, "allowlist": {"membership": "listed"}}
    answers = [fails("not_listed", address="gonka1x"), fails("unknown"), listed]
    found = run(allowlist.ActionModule, answers, wait=True, wait_timeout=3600)
    assert found.result == listed
    assert found.lines == [
        "allowlist [h1]: gonka1x is not on the allowlist yet, 59 min 45 s until the deadline",
        "allowlist [h1]: it is unknown, 59 min 15 s until the deadline",
    ]


@pytest.mark.parametrize(
    ("action", "options"),
    [(swap_window.ActionModule, WINDOW.options), (allowlist.ActionModule, ALLOWLIST.options)],
)
def test_defaults_are_those_of_the_module(
    action: type[WatchingAction], options: t.Mapping[str, t.Any]
) -> None:
    assert {name: options[name]["default"] for name in action.NUMBERS} == action.NUMBERS
    assert options["wait"]["default"] is False


def test_the_kinds_exist() -> None:
    known = {kind.kind for kind in vars(errors).values() if hasattr(kind, "kind")}
    for action in ACTIONS:
        assert action.PASSING - {"not_listed"} <= known


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-3, "0 s"),
        (0.6, "1 s"),
        (599, "599 s"),
        (600, "10 min 0 s"),
        (7199, "119 min 59 s"),
        (7200, "2 h 0 min"),
        (21_585, "5 h 59 min"),
    ],
)
def test_the_time_that_is_left(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_a_line_is_one_line() -> None:
    line = progress("x [h]", "a\n\tb " + "c" * 300, 5)
    assert line.startswith("x [h]: a b ccc")
    assert line.endswith("c…, 5 s until the deadline")
    assert len(line) < 200
