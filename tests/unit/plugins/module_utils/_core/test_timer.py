# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_last_look_is_at_the_deadline(clock: Clock) -> None:
    deadline = WaitBudget(5, clock=clock, sleep=clock.sleep)
    looks = [deadline.elapsed]
    while deadline.pause(2):
        looks.append(deadline.elapsed)
    assert looks == [0, 2, 4, 5]
    assert deadline.expired()
    assert deadline.left == 0


def test_work_between_the_looks_counts(clock: Clock) -> None:
    deadline = WaitBudget(5, clock=clock, sleep=clock.sleep)
    clock.now += 4.5
    assert deadline.left == 0.5
    assert deadline.pause(2)
    assert clock.slept == [0.5]
    clock.now += 100
    assert not deadline.pause(2)
    assert deadline.left == 0
    assert deadline.elapsed == 105


def test_no_time_at_all(clock: Clock) -> None:
    deadline = WaitBudget(0, clock=clock, sleep=clock.sleep)
    assert deadline.expired()
    assert not deadline.pause(1)
    assert clock.slept == []


@given(
    st.floats(min_value=0, max_value=1000),
    st.floats(min_value=0.5, max_value=1000),
    st.lists(st.floats(min_value=0, max_value=50), max_size=20),
)
def test_it_never_sleeps_past_the_end(budget: float, interval: float, work: list[float]) -> None:
    clock = Clock()
    deadline = WaitBudget(budget, clock=clock, sleep=clock.sleep)
    for seconds in work:
        clock.now += seconds
        before = clock.now
        if not deadline.pause(interval):
            break
        assert clock.now <= 1000.0 + budget + 1e-6
        assert clock.now - before <= interval + 1e-6
