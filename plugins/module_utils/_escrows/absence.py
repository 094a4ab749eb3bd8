# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What it means that the chain has no row of an escrow. Pure.

The chain deletes the row two epochs after the escrow's own, settled or not. So its absence proves
nothing: the ledger or the settle event of the chain shows where the deposit went.
"""

from __future__ import annotations

import enum
import typing as t

from .ledger.states import Kind, State
from .mint_terms import must_be_on_chain

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._chain.models import SettledEvent
    from .deadlines import EpochClock
    from .ledger.states import Intent


class Absence(enum.Enum):
    SETTLED = "settled"
    LOST = "lost"
    """The ledger has it that the chain paid the deposit to the hosts."""
    NOT_SHOWN = "not_shown"
    """The chain cannot have pruned it yet, so the deposit is out and the node does not show it."""
    UNKNOWN = "unknown"


WHY: t.Final = {
    Absence.SETTLED: "settled on the chain, which has pruned it since",
    Absence.LOST: "the chain has pruned it unsettled, and its deposit went to the hosts",
    Absence.NOT_SHOWN: (
        "not known on the chain, which does not show it and cannot have pruned it yet: the node is"
        " behind, or it is another chain (use another devshard_chain_rest)"
    ),
    Absence.UNKNOWN: (
        "not known whether it was settled: the chain does not have it, and neither the ledger of this"
        " host nor a settle event of the chain proves it (use a devshard_chain_rest whose index of"
        " transactions has its epoch)"
    ),
}
"""Why no request can be counted on it."""


def not_shown_text(escrow_id: int) -> str:
    return (
        f"the chain does not show escrow {escrow_id}, and it cannot have pruned it yet by what"
        " the ledger noted when it was paid for: the node is behind, or it is another chain."
        " Use another devshard_chain_rest and run this again"
    )


def settled_by(escrow_id: int, intents: Iterable[Intent]) -> Intent | None:
    """Our own settle that the chain executed, if there is one; the newest."""
    done = (State.INCLUDED, State.DONE)
    found = [
        intent
        for intent in intents
        if intent.kind is Kind.SETTLE and intent.escrow_id == escrow_id and intent.state in done
    ]
    return found[-1] if found else None


def absence_of(
    escrow_id: int,
    intents: Iterable[Intent],
    clock: EpochClock | None,
    event: SettledEvent | None = None,
    *,
    born: bool = False,
) -> Absence:
    """The outcome of an escrow that the chain does not have, by ledger and settle event.

    ``born``: the chain's index has its create, so late that it cannot have been pruned. The ledger
    has none of what a rotation makes.
    """
    mine = [intent for intent in intents if intent.escrow_id == escrow_id]
    if event is not None or settled_by(escrow_id, mine) is not None:
        return Absence.SETTLED
    if any(intent.kind is Kind.CREATE and intent.state is State.LOST for intent in mine):
        return Absence.LOST
    if born or (clock is not None and must_be_on_chain(escrow_id, mine, clock)):
        return Absence.NOT_SHOWN
    return Absence.UNKNOWN


def needs_event(found: Absence) -> bool:
    """Whether the settle event of the chain could still change the answer."""
    return found in (Absence.NOT_SHOWN, Absence.UNKNOWN)
