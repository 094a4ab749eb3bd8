# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Reads gateway and chain and joins them into the views that the rules decide on."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._core.errors import DevshardError, UnknownStateError
from .absence import Absence, absence_of, needs_event, not_shown_text
from .deadlines import EpochClock, not_pruned, refuse_upgrade, settle_deadline
from .ledger.states import Kind
from .pool_rules import EscrowView, Limits, why_not_usable

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._chain.models import ChainHead, Epoch, Escrow
    from .._chain.ports import ChainPort
    from .._gateway.models import Devshard, SessionStatus
    from .._gateway.ports import GatewayPort
    from .ledger.states import Intent
    from .ports import ChainPorts

MAX_LAG: t.Final = 60
"""Blocks by which public API and chain may differ: they are asked one after the other, and the
API polls. More means that one of them is stale, and every deadline would be wrong."""


def read_clock(chain: ChainPort) -> EpochClock:
    """Where the chain stands, by its own head and epoch; the stages come from the public API."""
    epoch, head = chain.epoch(), chain.head()
    return clock_of(epoch, head, chain.effective_epoch(), chain.block_seconds)


def unsettled_of(chain: ChainPort, creator: str, clock: EpochClock) -> list[Escrow]:
    """The creator's escrows whose deposits are out, whichever gateway serves them.

    Raises where that is not known, as of one that the chain does not show and cannot have pruned.
    """
    made = chain.created_by(creator)
    live = sorted({event.escrow_id for event in made if not_pruned(event.epoch_index, clock)})
    found = [chain.escrow(number) for number in live]
    shown = [escrow for escrow in found if escrow is not None]
    if len(shown) < len(found):
        raise UnknownStateError(
            f"the chain does not show each of the escrows {', '.join(map(str, live))} that its"
            " index of transactions has, and it cannot have pruned one yet: the node is behind"
        )
    return [escrow for escrow in shown if not escrow.settled]


def locked_deposits(chain: ChainPort, creator: str, clock: EpochClock) -> int | None:
    """The sum of the creator's unsettled deposits, in ``ngonka``; None where it is not known."""
    try:
        return sum(escrow.amount for escrow in unsettled_of(chain, creator, clock))
    except UnknownStateError:
        return None


def clock_of(
    epoch: Epoch,
    head: ChainHead,
    effective: int | None,
    block_seconds: Callable[[], float | None],
) -> EpochClock:
    """The same from answers that are there; the pace is asked for last.

    The index of the epoch rises when PoC starts, but escrows get the epoch that is effective, and
    that one changes only at ``set_new_validators``. Where the chain does not say it, it follows
    from the stages.
    """
    if abs(head.height - epoch.height) > MAX_LAG:
        raise UnknownStateError(
            f"the public API is at block {epoch.height}, the chain at {head.height}: one of them is"
            " stale, so no deadline is known. Use another devshard_public_api or devshard_chain_rest",
            public_api_height=epoch.height,
            height=head.height,
        )
    height = max(head.height, epoch.height)
    switch, following = (
        stages["set_new_validators"] for stages in (epoch.stages, epoch.next_stages)
    )
    # A chain that is a little ahead of the API may have passed a switch that the API has not seen.
    by_stages = epoch.index - 1 + sum(1 for block in (switch, following) if height >= block)
    if effective is None:
        effective = by_stages
    elif abs(effective - by_stages) > 1:
        raise UnknownStateError(
            f"the chain is in epoch {effective}, and by the public API it is in {by_stages}: one of"
            " them is stale or of another chain, so no deadline is known. Use another"
            " devshard_public_api or devshard_chain_rest",
            epoch=effective,
            public_api_epoch=by_stages,
        )
    length = following - switch
    return EpochClock(
        effective=effective,
        height=height,
        next_switch=switch + (effective + 1 - epoch.index) * length,
        epoch_length=length,
        block_seconds=block_seconds(),
        poc_blocks=following - epoch.stages["next_poc_start"],
    )


def shown_escrow(ports: ChainPorts, number: int) -> Escrow | None:
    """An escrow; None only where nothing proves that the chain still must have it.

    Nodes behind one address may differ by some blocks, and one of them may not have it yet.
    """
    escrow = ports.chain.escrow(number)
    if escrow is None and ports.ledger is not None:
        intents = ports.ledger.intents(chain_id=ports.chain_id, escrow_id=number)
        # the clock needs the public API too, and is asked only where it decides
        may_be_young = absence_of(number, intents, None) is Absence.UNKNOWN and any(
            intent.kind is Kind.CREATE for intent in intents
        )
        if (
            may_be_young
            and absence_of(number, intents, read_clock(ports.chain)) is Absence.NOT_SHOWN
        ):
            raise UnknownStateError(not_shown_text(number), escrow_id=number)
    return escrow


def upgrade_ahead(chain: ChainPort, height: int) -> str | None:
    """Why nothing is signed now because of a scheduled upgrade of the chain, or None."""
    plan = chain.upgrade_plan()
    return None if plan is None else refuse_upgrade(plan, height, chain.block_seconds())


def clock_or_none(chain: ChainPort, warn: Callable[[str], None]) -> EpochClock | None:
    """For work that may go on without deadlines: settling must not wait for the public API."""
    try:
        return read_clock(chain)
    except DevshardError as exc:
        warn(f"no deadline is known: {exc}")
        return None


def session_of(
    gateway: GatewayPort,
    devshard: Devshard | None,
    escrow: Escrow | None,
    limits: Limits,
    warn: Callable[[str], None],
) -> SessionStatus | None:
    """What the folder of an unloaded session says; None where nothing is to be known or can be."""
    unloaded = devshard is not None and devshard.runtime is None and limits.reloads
    if devshard is None or not unloaded or escrow is None or escrow.settled:
        return None
    try:
        return gateway.session(devshard.id)
    except DevshardError as exc:
        warn(f"the session of escrow {devshard.id} is not loaded and cannot be read: {exc}")
        return None


def look_for_absent(
    chain: ChainPort,
    escrow_id: int,
    intents: Iterable[Intent],
    clock: EpochClock | None,
    *,
    born: bool = False,
) -> Absence:
    """The outcome of an escrow that the chain does not have, see :func:`absence_of`. The chain's
    index is asked only where the ledger does not prove it, and a node without one is an error."""
    known = list(intents)
    found = absence_of(escrow_id, known, clock, born=born)
    if not needs_event(found):
        return found
    return absence_of(escrow_id, known, clock, chain.settled_event(escrow_id), born=born)


def _protocol_of(devshard: Devshard | None) -> str | None:
    """The end of its route is the name that the session is bound to, also while it is not loaded."""
    if devshard is None:
        return None
    if devshard.runtime is not None and devshard.runtime.protocol is not None:
        return devshard.runtime.protocol
    return devshard.route.rsplit("/", 1)[-1] if devshard.route else None


def view_of(
    escrow_id: int,
    devshard: Devshard | None,
    escrow: Escrow | None,
    clock: EpochClock | None,
    limits: Limits,
    *,
    creator: str | None = None,
    session: SessionStatus | None = None,
    absence: Absence | None = None,
) -> EscrowView:
    """One escrow as gateway and chain show it, with the verdict; ``creator`` is who should own it.

    ``session`` is what is known of one that is not loaded, see :func:`session_of`; ``absence`` of
    one that the chain does not have, see :func:`look_for_absent`.
    """
    runtime = None if devshard is None else devshard.runtime
    stands = runtime or session
    gone = None if escrow is not None else absence or Absence.UNKNOWN
    view = EscrowView(
        id=escrow_id,
        model=escrow.model_id if escrow else (devshard.model if devshard else None),
        recorded=devshard is not None,
        active=devshard is not None and devshard.active,
        loaded=runtime is not None,
        phase=stands.phase if stands else None,
        nonce=stands.nonce if stands else None,
        balance=stands.balance if stands else None,
        active_requests=runtime.active_requests if runtime else None,
        background=runtime.background if runtime else 0,
        loadable=devshard is not None and runtime is None and limits.reloads,
        settle_queued=devshard is not None and devshard.settle_queued,
        held_since=devshard.held_since if devshard else None,
        protocol=_protocol_of(devshard),
        storage_path=devshard.storage_path if devshard else None,
        rotation_role=devshard.rotation_role if devshard else None,
        on_chain=escrow is not None,
        absence=gone,
        creator=escrow.creator if escrow else None,
        amount=escrow.amount if escrow else None,
        epoch=escrow.epoch_index if escrow else None,
        settled=escrow.settled if escrow else (gone is Absence.SETTLED or None),
        deadline=settle_deadline(escrow.epoch_index, clock) if escrow and clock else None,
        terms=escrow.terms if escrow else {},
    )
    reasons = why_not_usable(view, limits)
    if devshard is not None and escrow is not None and devshard.model != escrow.model_id:
        reasons += (f"the gateway has it for model {devshard.model}",)
    if escrow is not None and creator not in (None, escrow.creator):
        reasons += (f"it belongs to {escrow.creator}, not to {creator}",)
    return replace(view, why_not=reasons)
