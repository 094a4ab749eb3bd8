# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Where the money of a move went, to the last ngonka; what is not known is never zero."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.move_account import (
    move_account,
)

NOTES = {"balance": 10_000, "temp_escrow_ids": [7], "main_escrow_ids": [8]}
BEFORE = 10_000
# 2 x 3000 locked and 10 + 11 of fees; 900 + 500 came back, and settling took 2 + 0
AFTER = BEFORE - 6000 - 21 + 1400 - 2


def created(number: int, fee: int | None) -> dict[str, t.Any]:
    register = {"kind": "import", "fee": None}
    ledger = [{"kind": "create", "fee": fee}, register]
    return {"id": str(number), "amount": 3000, "ledger": ledger}


def settled(**given: t.Any) -> dict[str, t.Any]:
    return {"spent": 95, "fees": 5, "refund": 900, "tx_fee": 2, **given}


NEW = [created(7, 10), created(8, 11), created(99, None)]
OLD = [settled(), settled(spent=480, fees=20, refund=500, tx_fee=0)]


def test_every_ngonka_of_a_move_is_accounted_for() -> None:
    found = move_account(NOTES, NEW, OLD, AFTER)
    text = found.pop("text")
    assert found == {
        "locked": 6000,
        "spent": 575,
        "protocol_fees": 25,
        "refunded": 1400,
        "tx_fees": 23,
        "unaccounted": 0,
    }
    assert text[0] == "locked in the new escrows: 6000 ngonka"
    assert text[-1] == "0 ngonka are unaccounted for"


def test_an_escrow_in_both_lists_is_locked_once() -> None:
    found = move_account({**NOTES, "main_escrow_ids": [7, 8]}, NEW, OLD, AFTER)
    assert (found["locked"], found["unaccounted"]) == (6000, 0)


@pytest.mark.parametrize("missing", [1, -1, 5000])
def test_a_difference_is_named(missing: int) -> None:
    found = move_account(NOTES, NEW, OLD, AFTER - missing)
    assert found["unaccounted"] == missing
    assert found["text"][-1].startswith(f"{missing} ngonka are unaccounted for: the creator had")


@pytest.mark.parametrize(
    ("notes", "new", "old", "unknown"),
    [
        (NOTES, [created(7, 10)], OLD, {"locked", "tx_fees"}),
        (NOTES, [created(7, 10), created(8, None)], OLD, {"tx_fees"}),
        (NOTES, [created(7, 10), {**created(8, 1), "ledger": []}], OLD, {"tx_fees"}),
        (NOTES, [created(7, 10), {**created(8, 1), "amount": None}], OLD, {"locked"}),
        (NOTES, NEW, [settled(refund=None)], {"refunded"}),
        (NOTES, NEW, [settled(tx_fee=None)], {"tx_fees"}),
        ({**NOTES, "balance": None}, NEW, OLD, set()),
        ({"temp_escrow_ids": [7]}, NEW, OLD, set()),
    ],
)
def test_what_is_not_known_makes_the_difference_unknown(
    notes: dict[str, t.Any],
    new: list[dict[str, t.Any]],
    old: list[dict[str, t.Any]],
    unknown: set[str],
) -> None:
    found = move_account(notes, new, old, AFTER)
    assert {name for name, value in found.items() if value is None} == {*unknown, "unaccounted"}
    assert found["text"][-1] == "whether anything is unaccounted for is not known"
    assert "not known ngonka" not in " ".join(found["text"])


def test_the_spent_of_earlier_escrows_is_only_told() -> None:
    """Balance and refund prove the sum; a settlement that was made by hand may not say what was used."""
    found = move_account(NOTES, NEW, [settled(spent=None, refund=1400, tx_fee=2)], AFTER)
    assert (found["spent"], found["unaccounted"]) == (None, 0)
    assert "spent by their requests: not known" in found["text"]


def test_the_notes_of_a_swap_are_needed() -> None:
    with pytest.raises(AnsibleFilterError, match="the notes of the swap are needed"):
        move_account(None, NEW, OLD, AFTER)
