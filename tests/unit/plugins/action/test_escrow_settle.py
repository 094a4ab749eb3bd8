# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Settling in slices: live lines, one deadline, and nothing is tried again that failed."""

from __future__ import annotations

import typing as t
from datetime import datetime
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.action import escrow_settle
from ansible_collections.gonka.devshard.plugins.action.escrow_settle import ActionModule
from ansible_collections.gonka.devshard.plugins.plugin_utils import _slices

Result = dict[str, t.Any]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


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
        self.clock.now += args["wait_timeout"] if isinstance(args["wait_timeout"], int) else 0
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def escrow(number: int, kind: str | None = None, **problem: t.Any) -> Result:
    told = None if kind is None else {"kind": kind, "message": f"{number} {kind}", **problem}
    return {"id": number, "settled": kind is None, "problem": told}


def part(*escrows: Result, actions: tuple[str, ...] = ()) -> Result:
    problems = [item["problem"] for item in escrows if item["problem"]]
    found: Result = {"escrows": list(escrows), "actions": list(actions), "changed": bool(actions)}
    if problems:
        found |= {"failed": True, "msg": problems[0]["message"], "failure": problems[0]}
    return found


class Run(t.NamedTuple):
    result: Result
    calls: list[Result]
    lines: list[str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Run]:
    def call(answers: list[Result], check: bool = False, **args: t.Any) -> Run:
        clock = Clock()
        lines: list[str] = []
        monkeypatch.setattr(escrow_settle, "time", clock)
        monkeypatch.setattr(escrow_settle, "now", lambda: datetime(2026, 1, 2, 3, 50, 0))
        monkeypatch.setattr(_slices, "display", SimpleNamespace(display=lines.append))
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        action = Slices(clock, answers, {"select": "all", **args}, check)
        return Run(action.run(None, {"inventory_hostname": "h1"}), action.calls, lines)

    return call


def test_only_what_waits_is_asked_again_and_all_results_are_kept(
    run: t.Callable[..., Run],
) -> None:
    found = run(
        [
            part(escrow(1), escrow(2, "busy", active_requests=3), actions=("settled escrow 1",)),
            part(escrow(2), actions=("settled escrow 2",)),
        ]
    )
    assert "failed" not in found.result
    assert [item["settled"] for item in found.result["escrows"]] == [True, True]
    assert found.result["actions"] == ["settled escrow 1", "settled escrow 2"]
    assert found.calls[0] == {"select": "all", "wait_timeout": 15}
    assert found.calls[1] == {"ids": [2], "wait_timeout": 15}
    assert found.lines == [
        "escrow_settle [h1]: escrow 2: 3 requests left, 29 min 45 s until the deadline"
    ]


def test_what_failed_for_good_is_not_tried_again_and_fails_in_the_end(
    run: t.Callable[..., Run],
) -> None:
    found = run(
        [part(escrow(1, "chain_rejected"), escrow(2, "timeout")), part(escrow(2), actions=("x",))]
    )
    assert found.calls[1]["ids"] == [2]
    assert found.result["failed"]
    assert found.result["failure"]["kind"] == "chain_rejected"
    assert found.result["changed"]


def test_a_busy_escrow_says_since_when_it_is_waited_for_and_until_when_that_can_last(
    run: t.Callable[..., Run],
) -> None:
    busy = escrow(1, "busy", active_requests=2, longest_request=1200)
    found = run([part(busy)], wait_timeout=20)
    told = "this run has waited since 03:50:00 UTC, and they end at 04:10:00 UTC at the latest"
    assert found.result["msg"] == f"1 busy ({told})"
    assert found.result["escrows"][0]["problem"]["message"] == found.result["msg"]
    assert "escrow 1: 2 requests left, gone at 04:10:00 UTC at the latest" in found.lines[0]


def test_the_deadline_is_the_operators(run: t.Callable[..., Run]) -> None:
    found = run([part(escrow(1, "busy", active_requests=1))], wait_timeout=40)
    assert found.result["failed"]
    assert [call["wait_timeout"] for call in found.calls] == [15, 15, 10]


def test_escrows_of_other_accounts_are_kept_from_the_slice_that_selected(
    run: t.Callable[..., Run],
) -> None:
    other = {"id": 24, "creator": "gonka1x"}
    found = run([{**part(escrow(1, "busy")), "foreign": [other]}, part(escrow(1))])
    assert found.result["foreign"] == [other]


def test_another_run_on_the_host_is_waited_for(run: t.Callable[..., Run]) -> None:
    locked: Result = {"failed": True, "msg": "x", "failure": {"kind": "busy"}}
    found = run([locked, part(escrow(1))])
    assert "failed" not in found.result
    assert "another run" in found.lines[0]
    assert found.calls[1]["select"] == "all"


def test_any_other_failure_ends_it_at_once(run: t.Callable[..., Run]) -> None:
    found = run([{"failed": True, "msg": "x", "failure": {"kind": "configuration"}}])
    assert len(found.calls) == 1
    assert found.result["msg"] == "x"


@pytest.mark.parametrize(("check", "timeout"), [(True, 100), (False, "soon"), (False, 0)])
def test_check_mode_and_bad_numbers_are_the_modules_own(
    run: t.Callable[..., Run], check: bool, timeout: t.Any
) -> None:
    found = run([part(escrow(1, "busy"))], check=check, wait_timeout=timeout)
    assert [call["wait_timeout"] for call in found.calls] == [timeout]


def test_defaults_are_those_of_the_module() -> None:
    from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow_settle import (
        SPEC,
    )

    numbers = ActionModule.NUMBERS
    assert {name: SPEC.options[name]["default"] for name in numbers} == numbers
