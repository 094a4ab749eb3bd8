# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A swap that is disturbed at each step comes to every step, also when the one before left it nothing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.swap import faults
from ansible_collections.gonka.devshard.tests.swap.lab import Run

KILLED = -9


class Scripted:
    """A swap whose runs are given beforehand."""

    def __init__(self, *runs: Run) -> None:
        self.lab = None
        self.runs = list(runs)
        self.ended: list[str] = []

    def run(self, **_given: t.Any) -> Run:
        return self.runs.pop(0)

    def again(self) -> None:
        self.ended.append("again")

    def done(self) -> None:
        self.ended.append("done")


def disturbed(swap: Scripted) -> object:
    """The swap that goes on."""
    return faults.disturbed(t.cast("faults.Swap", swap), "drain_temp")[0]


def run(rc: int, *steps: str) -> Run:
    return Run(rc, [(0.0, f"TASK [Run step {step}] ***") for step in steps])


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The swap that is begun after the first one."""
    swap = Scripted(run(KILLED, "switch_back", "drain_temp", "stop_temp"))
    monkeypatch.setattr(faults, "Swap", lambda _lab, _before: swap)
    monkeypatch.setattr(faults, "look", lambda _lab: None)
    return swap


def test_a_run_that_comes_to_the_step_goes_on(following: Scripted) -> None:
    swap = Scripted(run(KILLED, "drain_temp", "stop_temp"))
    assert disturbed(swap) is swap
    assert swap.ended == []


@pytest.mark.parametrize(
    ("rc", "ended"), [(0, ["done"]), (KILLED, ["again", "done"])], ids=["ended", "killed later"]
)
def test_a_step_without_work_is_reached_by_the_next_swap(
    following: Scripted, rc: int, ended: list[str]
) -> None:
    swap = Scripted(run(rc, "switch_back", "stop_temp"))
    assert disturbed(swap) is following
    assert swap.ended == ended


def test_a_run_that_failed_before_the_step_is_a_fault(following: Scripted) -> None:
    swap = Scripted(run(2, "switch_back"))
    with pytest.raises(faults.Broken, match="drain_temp was never reached"):
        disturbed(swap)
