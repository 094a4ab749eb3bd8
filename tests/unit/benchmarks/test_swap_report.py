# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The numbers of a benchmark say what the clients saw."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.benchmarks.swap.report import (
    Swap,
    percentile,
    results,
    summarize,
    table,
)
from ansible_collections.gonka.devshard.tests.swap.load import Exchange


def exchange(begin: float, **given: t.Any) -> Exchange:
    wanted: dict[str, t.Any] = {
        "kind": "reuse",
        "first_byte": begin + 0.1,
        "end": begin + 5,
        "status": 200,
        "slot": "main",
        "outcome": "ok",
    }
    return Exchange(client=1, begin=begin, **{**wanted, **given})


SWAP = Swap(begin=10, switched=20, drained=30, end=50)


def test_everything_that_did_not_end_well_is_counted() -> None:
    row = summarize(
        "x",
        2,
        [
            exchange(1),
            exchange(12, first_byte=12.4),
            exchange(21, slot="temp", outcome="cut"),
            exchange(22, slot="", outcome="failed", first_byte=None),
            exchange(60),
        ],
        [SWAP],
    )
    assert (row.requests, row.streams_cut, row.requests_failed) == (5, 1, 1)
    assert (row.before_p50_ms, row.drain_s, row.total_s) == (100.0, 10.0, 40.0)
    assert row.p99_ms == 400.0


def test_the_last_request_on_the_old_slot_after_the_switch_is_found() -> None:
    late = [exchange(19.9), exchange(20.25), exchange(20.1, slot="temp"), exchange(40)]
    assert summarize("x", 1, late, [SWAP]).late_s == 0.25


def test_slow_uploads_do_not_count_as_latency() -> None:
    slow = exchange(12, kind="slow", first_byte=40)
    assert summarize("x", 1, [slow], [SWAP]).p50_ms is None


def test_without_a_switch_nothing_is_said_of_it() -> None:
    row = summarize("x", 1, [exchange(1)], [Swap(begin=10, switched=None, drained=None, end=12)])
    assert (row.drain_s, row.late_s) == (None, 0.0)


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([], 0.5, None), ([1], 0.99, 1), ([3, 1, 2], 0.5, 2), (list(range(1, 101)), 0.99, 99)],
)
def test_percentile(values: list[float], share: float, found: float | None) -> None:
    assert percentile(values, share) == found


def test_table_has_a_line_for_each_row() -> None:
    row = summarize("flag file", 1, [exchange(1)], [SWAP])
    lines = table([row, row]).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| flag file | 1 | 1 | 1 | 0 | 0 |")


def test_a_run_replaces_the_rows_of_its_generation_and_mode() -> None:
    row = summarize("flag file", 1, [exchange(1)], [SWAP])
    kept = [{"mode": "flag file", "swaps": 10}, {"mode": "reload", "swaps": 1}]
    found = results(kept, [row], "v4.1")
    assert [(one["profile"], one["mode"]) for one in found] == [
        ("v2", "flag file"),
        ("v2", "reload"),
        ("v4.1", "flag file"),
    ]
    again = results(found, [row], "v2")
    assert [(one["profile"], one["mode"], one["swaps"]) for one in again] == [
        ("v2", "reload", 1),
        ("v2", "flag file", 1),
        ("v4.1", "flag file", 1),
    ]
