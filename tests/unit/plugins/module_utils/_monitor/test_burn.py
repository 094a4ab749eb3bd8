# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The burn rate: measured between samples of one session, unknown where nothing was measured."""

from __future__ import annotations

import json
import stat
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.burn import (
    HOUR,
    Rate,
    Sample,
    SessionSample,
    horizon,
    rates,
    sample_of,
    total,
)
from ansible_collections.gonka.devshard.plugins.module_utils._monitor.samples import (
    add_sample,
    boot_id,
    read_samples,
)

if t.TYPE_CHECKING:
    from pathlib import Path

NUMBER = 4711
START = 1_800_000_000.0


def sample(
    minute: float, balance: int | None, nonce: int = 0, *, boot: str = "a", clock: float = 0.0
) -> Sample:
    """One sample; ``clock`` is by how many seconds the wall clock is wrong then."""
    sessions = {} if balance is None else {NUMBER: SessionSample(balance=balance, nonce=nonce)}
    return Sample(at=START + minute * 60 + clock, boot=boot, uptime=minute * 60, sessions=sessions)


def rate(*samples: Sample, window: float = 6 * HOUR) -> Rate | None:
    return rates(samples, window)[NUMBER]


def test_spent_per_hour() -> None:
    found = rate(sample(0, 1000, 10), sample(5, 900, 12), sample(30, 500, 20))
    assert found == Rate(ngonka_per_hour=1000.0, nonces_per_hour=20.0, seconds=1800.0)


def test_nothing_spent_is_a_rate_of_zero() -> None:
    found = rate(sample(0, 1000, 10), sample(5, 1000, 10))
    assert found == Rate(ngonka_per_hour=0.0, nonces_per_hour=0.0, seconds=300.0)


@pytest.mark.parametrize(
    "samples",
    [
        [sample(0, 1000)],
        [sample(0, None), sample(5, 1000)],
        # two starts within a minute
        [sample(0, 1000), sample(0.5, 900, 5)],
        # another boot, and the clock went back meanwhile
        [sample(0, 1000), sample(5, 900, 1, boot="b", clock=-900)],
        # another session under the same number
        [sample(0, 1000, 50), sample(5, 2000, 3)],
    ],
    ids=["one", "one with it", "too short", "clock went back over a restart", "reset"],
)
def test_unknown(samples: list[Sample]) -> None:
    assert rates(samples) == {NUMBER: None}


def test_no_samples() -> None:
    assert rates([]) == {}


def test_what_the_newest_sample_lacks_has_no_rate() -> None:
    assert rates([sample(0, 1000), sample(5, 900, 2), sample(10, None)]) == {}


@pytest.mark.parametrize("clock", [-86400.0, 86400.0])
def test_a_jump_of_the_clock_changes_nothing(clock: float) -> None:
    found = rate(sample(0, 1000, 0), sample(30, 500, 5, clock=clock))
    assert found is not None
    assert found.ngonka_per_hour == 1000.0


def test_a_restart_of_the_host_is_measured_by_the_clock() -> None:
    after = Sample(
        at=START + 1800,
        boot="b",
        uptime=20.0,
        sessions={NUMBER: SessionSample(balance=500, nonce=4)},
    )
    assert rate(sample(0, 1000, 0), after) == Rate(
        ngonka_per_hour=1000.0, nonces_per_hour=8.0, seconds=1800.0
    )


def test_a_missing_sample_is_bridged() -> None:
    found = rate(sample(0, 1000, 0), sample(15, None), sample(30, 500, 2))
    assert found is not None
    assert (found.ngonka_per_hour, found.seconds) == (1000.0, 1800.0)


def test_after_a_reset_only_what_follows_counts() -> None:
    found = rate(sample(0, 9000, 90), sample(5, 1000, 1), sample(35, 800, 3))
    assert found == Rate(ngonka_per_hour=400.0, nonces_per_hour=4.0, seconds=1800.0)


def test_only_the_window_counts() -> None:
    found = rate(sample(0, 9000, 0), sample(60, 1000, 80), sample(90, 500, 85), window=0.5 * HOUR)
    assert found == Rate(ngonka_per_hour=1000.0, nonces_per_hour=10.0, seconds=1800.0)


def test_a_reservation_that_came_back_is_no_income() -> None:
    found = rate(sample(0, 1000, 5), sample(30, 1200, 5))
    assert found is not None
    assert found.ngonka_per_hour == 0.0


@pytest.mark.parametrize(
    ("balance", "reserve", "per_hour", "seconds"),
    [
        (1000, 400, 100.0, 6 * HOUR),
        (400, 400, 100.0, 0.0),
        (100, 400, 0.0, 0.0),
        (1000, 400, 0.0, float("inf")),
    ],
)
def test_horizon(balance: int, reserve: int, per_hour: float, seconds: float) -> None:
    assert horizon(balance, reserve, per_hour) == seconds


def test_total_is_unknown_where_one_is() -> None:
    known = Rate(ngonka_per_hour=5.0, nonces_per_hour=1.0, seconds=600.0)
    assert total({1: known, 2: known}) == 10.0
    assert total({1: known, 2: None}) is None
    assert total({}) == 0


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"at": "1", "boot": "a", "uptime": 1, "sessions": {}},
        {"at": 1, "boot": 7, "uptime": 1, "sessions": {}},
        {"at": 1, "boot": "a", "uptime": True, "sessions": {}},
        {"at": 1, "boot": "a", "uptime": 1, "sessions": []},
        {"at": 1, "boot": "a", "uptime": 1, "sessions": {"x": [1, 2]}},
        {"at": 1, "boot": "a", "uptime": 1, "sessions": {"1": [1]}},
        {"at": 1, "boot": "a", "uptime": 1, "sessions": {"1": [1, None]}},
    ],
)
def test_what_is_no_sample(body: object) -> None:
    assert sample_of(body) is None


def test_the_file_is_private_bounded_and_survives_damage(tmp_path: Path) -> None:
    file = tmp_path / "monitoring" / "samples.jsonl"
    for minute in range(5):
        add_sample(file, sample(minute, 1000 - minute, minute), keep=3)
    assert read_samples(file) == [sample(minute, 1000 - minute, minute) for minute in (2, 3, 4)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    text = file.read_text()
    assert all(json.loads(line) for line in text.splitlines())
    file.write_text("{cut o\n" + text + '{"at": 1')
    assert len(add_sample(file, sample(9, 1), keep=10)) == 4


def test_no_file_yet(tmp_path: Path) -> None:
    assert read_samples(tmp_path / "none") == []


def test_this_boot_has_a_name() -> None:
    assert len(boot_id()) == 36
