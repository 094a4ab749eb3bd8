# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: where the money of a move to another generation went."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Entry = Mapping[str, t.Any]


def total(amounts: Iterable[int | None]) -> int | None:
    """The sum; None as soon as one of them is not known."""
    found = list(amounts)
    return None if None in found else sum(amount for amount in found if amount is not None)


def _create_fees(escrow: Entry) -> int | None:
    """What was paid to create it. None where the ledger does not know it."""
    creates = [intent for intent in escrow["ledger"] if intent["kind"] == "create"]
    return total(intent["fee"] for intent in creates) if creates else None


def move_account(
    notes: object, escrows: Iterable[Entry], settled: Iterable[Entry], balance: int
) -> dict[str, t.Any]:
    """Add up the money of a move, and compare it with the creator's balance."""
    if not isinstance(notes, dict):
        raise AnsibleFilterError("move_account: the notes of the swap are needed")
    known = {int(escrow["id"]): escrow for escrow in escrows}
    ids = [*notes.get("temp_escrow_ids", ()), *notes.get("main_escrow_ids", ())]
    new = [known.get(int(number)) for number in dict.fromkeys(ids)]
    old = list(settled)
    locked = total(None if one is None else one["amount"] for one in new)
    created = total(None if one is None else _create_fees(one) for one in new)
    found = {
        "locked": locked,
        "spent": total(one["spent"] for one in old),
        "protocol_fees": total(one["fees"] for one in old),
        "refunded": total(one["refund"] for one in old),
        "tx_fees": total((created, *(one["tx_fee"] for one in old))),
    }
    gone = total((found["locked"], found["tx_fees"], balance))
    came = total((notes.get("balance"), found["refunded"]))
    unaccounted = None if came is None or gone is None else came - gone
    return {**found, "unaccounted": unaccounted, "text": _text(found, unaccounted)}


_WORDS: t.Final = {
    "locked": "locked in the new escrows: {} ngonka",
    "refunded": "refunded from the earlier ones: {} ngonka",
    "spent": "spent by their requests: {} ngonka",
    "protocol_fees": "fees of the protocol: {} ngonka",
    "tx_fees": "fees of transactions: {} ngonka",
}


def _text(found: Mapping[str, int | None], unaccounted: int | None) -> list[str]:
    lines = [
        words.format("not known" if found[name] is None else found[name]).replace(
            "not known ngonka", "not known"
        )
        for name, words in _WORDS.items()
    ]
    if unaccounted is None:
        return [*lines, "whether anything is unaccounted for is not known"]
    end = (
        ""
        if unaccounted == 0
        else ": the creator had other transactions meanwhile, or they are missing"
    )
    return [*lines, f"{unaccounted} ngonka are unaccounted for{end}"]
