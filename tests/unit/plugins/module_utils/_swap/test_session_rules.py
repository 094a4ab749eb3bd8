# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A session that a swap moved is the one that it was, or the swap says what was lost."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    LeftSession,
    NotedSession,
    ServedSession,
    handed_over,
    is_past,
    served_before,
    session_losses,
)

BEFORE = ServedSession(nonce=7, balance=50)


def test_only_sessions_in_use_are_brought_back_in_the_order_of_their_escrows() -> None:
    sessions = {
        "10": BEFORE,
        "9": ServedSession(nonce=3, balance=None),
        "8": ServedSession(nonce=1, balance=5, active=False),
    }
    assert served_before(sessions) == [
        NotedSession(id=9, nonce=3, balance=None),
        NotedSession(id=10, nonce=7, balance=50),
    ]


@pytest.mark.parametrize(
    ("asked", "balance"),
    [
        ({"4": BEFORE}, 50),
        # background work went on after the balance was asked
        ({"4": ServedSession(nonce=6, balance=50)}, None),
        ({}, None),
    ],
)
def test_a_balance_counts_only_at_its_nonce(
    asked: dict[str, ServedSession], balance: int | None
) -> None:
    left = LeftSession(id=4, nonce=7, storage_path="/s/4")
    (noted,) = handed_over([left], asked)
    assert noted == NotedSession(id=4, nonce=7, balance=balance, storage_path="/s/4")
    assert noted.to_result() == {**left.to_result(), "balance": balance}


@pytest.mark.parametrize(
    ("after", "loss"),
    [
        (BEFORE, None),
        (ServedSession(nonce=8, balance=40), None),
        (None, "not loaded any more"),
        (ServedSession(nonce=7, balance=50, active=False), "was deactivated"),
        (ServedSession(nonce=6, balance=50), "is at nonce 6, it was at 7"),
        (ServedSession(nonce=7, balance=49), "has balance 49 ngonka at nonce 7, it had 50"),
    ],
)
def test_losses(after: ServedSession | None, loss: str | None) -> None:
    found = session_losses({"4": BEFORE}, {"4": after})
    assert len(found) == (loss is not None)
    assert loss is None or loss in found[0]


@pytest.mark.parametrize(
    ("settled", "on_chain", "phase", "past"),
    [
        (True, True, "active", True),
        (None, False, None, True),
        (None, None, "finalizing", True),
        (None, None, "settlement", True),
        (None, None, None, False),
        (False, True, "active", False),
    ],
)
def test_what_is_unknown_does_not_make_an_escrow_past(
    settled: bool | None, on_chain: bool | None, phase: str | None, past: bool
) -> None:
    assert is_past(settled=settled, on_chain=on_chain, phase=phase) is past
