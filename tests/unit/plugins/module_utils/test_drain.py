# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._drain import (
    Record,
    Row,
    Sample,
    Verdict,
    judge,
    unknown,
)


@pytest.mark.parametrize(
    ("records", "limiter", "workers", "verdict"),
    [
        ([], 0, 0, Verdict.DRAINED),
        ([Record("1", True, 0)], 0, 0, Verdict.DRAINED),
        ([Record("1", True, 1)], 0, 0, Verdict.BUSY),
        ([Record("1", False, 1)], 0, 0, Verdict.BUSY),
        ([Record("1", True, 0), Record("2", True, 0)], 1, 0, Verdict.BUSY),
        ([Record("1", True, 0)], 0, 2, Verdict.BUSY),
        ([Record("1", False, None)], 0, 0, Verdict.DRAINED),
        ([Record("1", True, None)], 0, 0, Verdict.UNKNOWN),
        ([Record("1", True, 0), Record("2", True, None)], 3, 0, Verdict.UNKNOWN),
    ],
)
def test_judge(records: list[Record], limiter: int, workers: int, verdict: Verdict) -> None:
    assert judge(records, limiter, workers).verdict is verdict


def test_busy_names_the_escrows() -> None:
    sample = judge([Record("1", True, 0), Record("2", False, 3)], 1)
    assert sample.per_escrow == {"2": 3}
    assert sample.requests == 3


@given(st.lists(st.sampled_from(list(Verdict)), max_size=30), st.integers(1, 5))
def test_only_an_unbroken_row_is_full(verdicts: list[Verdict], needed: int) -> None:
    row = Row(needed)
    for verdict in verdicts:
        row = row.add(Sample(verdict))
    tail = verdicts[-needed:]
    assert row.full == (len(tail) == needed and set(tail) == {Verdict.DRAINED})


def test_unknown_is_never_drained() -> None:
    sample = unknown("HTML instead of JSON")
    assert sample.verdict is Verdict.UNKNOWN
    assert not Row(1).add(sample).full
