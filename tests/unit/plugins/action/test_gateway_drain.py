# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The drain in slices: live lines, one deadline, and a blindness that is counted across slices."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.action import gateway_drain
from ansible_collections.gonka.devshard.plugins.action.gateway_drain import ActionModule, describe
from ansible_collections.gonka.devshard.plugins.plugin_utils import _slices

Result = dict[str, t.Any]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Slices(ActionModule):
    """Runs no module: each call takes its whole wait_timeout and answers what it is told to."""

    def __init__(self, clock: Clock, answers: list[Result], args: Result, check: bool) -> None:
        self._task: t.Any = SimpleNamespace(args=args, check_mode=check, async_val=0, no_log=False)
        self._templar: t.Any = SimpleNamespace(template=lambda value: value)
        self.clock = clock
        self.answers = answers
        self.calls: list[Result] = []

    def _call(self, args: Result, task_vars: Result) -> Result:
        self.calls.append(args)
        self.clock.now += int(args.get("wait_timeout", 0))
        return self.answers.pop(0) if len(self.answers) > 1 else dict(self.answers[0])


def timed_out(verdict: str = "busy", unknown_for: float = 0) -> Result:
    last = {"verdict": verdict, "requests": 3, "reason": "got 500"}
    return {
        "failed": True,
        "failure": {"kind": "timeout", "last": last, "unknown_for": unknown_for},
    }


DONE: Result = {"changed": False, "drain": {"drained": True, "elapsed": 1.0}}


class Run(t.NamedTuple):
    result: Result
    calls: list[Result]
    lines: list[str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Run]:
    def call(
        answers: list[Result], check: bool = False, shown: object = True, **args: t.Any
    ) -> Run:
        clock = Clock()
        lines: list[str] = []
        monkeypatch.setattr(gateway_drain, "time", clock)
        monkeypatch.setattr(_slices, "display", SimpleNamespace(display=lines.append))
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        action = Slices(clock, answers, args, check)
        found = {"inventory_hostname": "h1", "devshard_progress": shown}
        return Run(action.run(None, found), action.calls, lines)

    return call


def test_a_line_for_each_slice(run: t.Callable[..., Run]) -> None:
    found = run([timed_out(), timed_out(), DONE], wait_timeout=100, progress_interval=20)
    assert found.result["drain"]["drained"]
    assert found.result["drain"]["elapsed"] == 60.0
    assert found.lines == [
        "gateway_drain [h1]: 3 requests left, 80 s until the deadline",
        "gateway_drain [h1]: 3 requests left, 60 s until the deadline",
    ]


def test_the_last_slice_ends_at_the_deadline_and_fails(run: t.Callable[..., Run]) -> None:
    found = run([timed_out()], wait_timeout=50, progress_interval=20)
    assert found.result["failed"]
    assert [call["wait_timeout"] for call in found.calls] == [20, 20, 10]


def test_any_other_failure_ends_it_at_once(run: t.Callable[..., Run]) -> None:
    found = run([{"failed": True, "failure": {"kind": "configuration"}}], wait_timeout=50)
    assert found.result["failed"]
    assert len(found.calls) == 1


def test_a_slice_can_hold_a_full_row(run: t.Callable[..., Run]) -> None:
    found = run([DONE], progress_interval=1, polls=5, wait_interval=3)
    assert found.calls[0]["wait_timeout"] == 18


def test_a_slow_gateway_gets_slices_that_can_hold_its_row(run: t.Callable[..., Run]) -> None:
    answers = [timed_out(), timed_out("drained"), timed_out("drained"), DONE]
    found = run(answers, wait_timeout=900, progress_interval=20)
    assert [call["wait_timeout"] for call in found.calls] == [20, 20, 40, 80]


def test_blindness_goes_on_from_slice_to_slice(run: t.Callable[..., Run]) -> None:
    blind = timed_out("unknown", unknown_for=20)
    found = run([blind, blind, timed_out(), DONE], wait_timeout=900, progress_interval=20)
    assert [call["unknown_timeout"] for call in found.calls] == [60, 40, 20, 60]
    assert "unknown: got 500" in found.lines[0]


@pytest.mark.parametrize("args", [{"polls": "many"}, {"wait_timeout": 0}])
def test_unusable_numbers_are_left_to_the_module(run: t.Callable[..., Run], args: Result) -> None:
    found = run([{"failed": True}], **args)
    assert found.calls == [args]


def test_check_mode_looks_once(run: t.Callable[..., Run]) -> None:
    found = run([DONE], check=True, wait_timeout=100)
    assert found.calls == [{"wait_timeout": 100}]
    assert found.lines == []


def test_defaults_are_those_of_the_module() -> None:
    from ansible_collections.gonka.devshard.plugins.modules.gateway_drain import SPEC

    numbers = ActionModule.NUMBERS
    assert {name: SPEC.options[name]["default"] for name in numbers} == numbers


def test_workers_are_told() -> None:
    line = describe({"last": {"verdict": "busy", "requests": 0, "workers": 2, "edge": True}})
    assert "0 requests left, 2 nginx workers" in line
    assert line.endswith(", the edge still holds requests for it")
    assert describe({"last": {"verdict": "busy", "requests": 1}}) == "1 request left"


def test_the_slot_is_told(run: t.Callable[..., Run]) -> None:
    found = run([timed_out(), DONE], edge_busy_url="http://127.0.0.1:80/-/busy/temp")
    assert found.lines == [
        "gateway_drain [h1] slot temp: 3 requests left, 29 min 48 s until the deadline"
    ]


@pytest.mark.parametrize("shown", [False, "false", "no"])
def test_the_lines_can_be_switched_off(run: t.Callable[..., Run], shown: object) -> None:
    found = run([timed_out(), timed_out(), DONE], shown=shown, wait_timeout=100)
    assert found.lines == []
    assert len(found.calls) == 3


def test_a_fraction_of_a_second_between_looks_is_sliced_too(run: t.Callable[..., Run]) -> None:
    found = run([timed_out(), DONE], wait_interval=0.5, wait_timeout=60)
    assert [call["wait_timeout"] for call in found.calls] == [10, 10]
    assert len(found.lines) == 1
