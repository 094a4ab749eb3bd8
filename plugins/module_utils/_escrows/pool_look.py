# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One look at the pool: the gateway's records, the creator's escrows on the chain, the ledger."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from .._core.errors import UnknownStateError
from .absence import Absence, absence_of
from .deadlines import not_pruned
from .observe import read_clock, session_of, view_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._chain.models import CreatedEvent, Escrow
    from .claims import Claims
    from .ensure_options import PoolRun
    from .pool_rules import EscrowView


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSeen:
    """What one look at gateway and chain found."""

    views: dict[int, EscrowView]
    created: list[CreatedEvent] | None
    """What this creator ever made; None where the chain did not answer."""
    why_unknown: str
    records: frozenset[int]
    hidden: tuple[int, ...] = ()
    """What the chain does not show although it cannot have pruned it yet."""


def look_at_pool(run: PoolRun, claims: Claims) -> PoolSeen:
    """The gateway's state is read once, and the chain is asked once for each escrow."""
    ports, options = run.ports, run.options
    clock = read_clock(ports.chain)
    records = {int(item.id): item for item in ports.gateway.state().devshards}
    on_chain = functools.cache(ports.chain.escrow)
    created: list[CreatedEvent] | None = None
    why = ""
    try:
        created = ports.chain.created_by(run.creator)
    except UnknownStateError as exc:
        why = str(exc)
    wanted = {
        number
        for number, item in records.items()
        if item.active and item.model in (options.model_id, None)
    }
    if created is not None and (missed := _not_in_index(wanted, created, on_chain, run.creator)):
        created = None
        why = (
            f"its index of transactions lacks the creation of escrow {missed}, which the chain"
            " has, so it may lack others too"
        )
    live = {event.escrow_id for event in created or () if not_pruned(event.epoch_index, clock)}
    mine = {intent.escrow_id for intent in claims.open_creates() if intent.escrow_id is not None}
    intents = claims.intents()
    views = {
        number: view_of(
            number,
            records.get(number),
            on_chain(number),
            clock,
            ports.limits,
            creator=run.creator,
            session=session_of(
                ports.gateway, records.get(number), on_chain(number), ports.limits, ports.warn
            ),
            absence=absence_of(number, intents, clock, born=number in live),
        )
        for number in sorted(wanted | live | mine | set(options.adopt))
    }
    hidden = tuple(view.id for view in views.values() if view.absence is Absence.NOT_SHOWN)
    return PoolSeen(
        views=views,
        created=created,
        why_unknown=why,
        records=frozenset(records),
        hidden=hidden,
    )


def _not_in_index(
    recorded: set[int],
    created: list[CreatedEvent],
    on_chain: Callable[[int], Escrow | None],
    creator: str,
) -> str:
    """Escrows of this creator that the chain has and the node's index does not."""
    known = {event.escrow_id for event in created}
    missed = []
    for number in sorted(recorded - known):
        escrow = on_chain(number)
        if escrow is not None and escrow.creator == creator:
            missed.append(str(number))
    return ", ".join(missed)
