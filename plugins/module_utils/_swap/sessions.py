# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a swap asks of a gateway's sessions: where they stand, and whether it may be stopped."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    DevshardError,
    UnknownStateError,
    UnsafeError,
)
from .._escrows.ledger.states import Kind, Via
from .._escrows.observe import shown_escrow
from .._gateway.rotation_settings import rotation_of
from .session_rules import (
    NotedSession,
    ServedSession,
    handed_over,
    is_past,
    served_before,
    session_losses,
)
from .steps import Step

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from .._core.timer import WaitBudget
    from .._escrows.ledger.store import Ledger
    from .._escrows.ports import ChainPorts
    from .._gateway.models import GatewayState
    from .._gateway.ports import GatewayPort
    from .journal_model import Journal


def marks_of(state: GatewayState) -> dict[str, ServedSession]:
    """Every loaded session, where it stands."""
    return {
        item.id: ServedSession(
            nonce=item.runtime.nonce, balance=item.runtime.balance, active=item.active
        )
        for item in state.devshards
        if item.runtime is not None
    }


def active_only(marks: Mapping[str, ServedSession]) -> dict[str, ServedSession]:
    return {number: mark for number, mark in marks.items() if mark.active}


def noted_sessions(journal: Journal, step: Step) -> list[NotedSession]:
    """The sessions that the journal holds for a step, to be served by the gateway again."""
    data = journal.data
    if step is Step.CHECK_MAIN:
        return served_before(_of_main(journal))
    return handed_over(data.left or (), data.temp_sessions or {})


def _of_main(journal: Journal) -> Mapping[str, ServedSession]:
    """A gateway of another generation takes over none, and they were settled."""
    if journal.moves and not journal.rolling_back:
        return {}
    return journal.data.main_sessions or {}


def expected_sessions(journal: Journal, step: Step) -> dict[str, ServedSession]:
    """The same, as :func:`compare_sessions` takes them."""
    if step is Step.CHECK_MAIN:
        return active_only(_of_main(journal))
    # served requests since its import may have changed the balance
    return {
        str(item.id): ServedSession(nonce=item.nonce, balance=None)
        for item in noted_sessions(journal, step)
    }


def refuse_stop(
    ports: ChainPorts,
    gateway_id: str,
    state: GatewayState,
    *,
    idle: bool = False,
    in_swap: bool = False,
    known_env: Collection[str] | None = None,
) -> None:
    """Refuse to stop a gateway that could not start again, or that is working on something.

    With ``idle`` one that serves a request is refused as well; a swap has drained it before. One
    with active escrows exits when the chain does not answer for each of them, and takes one
    that the chain does not have out of service permanently. With ``in_swap`` the advice is one that
    works while a swap is open. ``known_env`` are the names in the environment that it would start
    with: it takes an escrow whose key is not there out of service.
    """
    busy = [
        f"escrow {item.id} is in phase {item.runtime.phase}"
        for item in state.devshards
        if item.runtime is not None and item.runtime.phase == "finalizing"
    ]
    busy += [
        f"escrow {item.id} is recorded as active but not loaded"
        for item in state.devshards
        if item.active and item.runtime is None
    ]
    busy += [
        f"the environment file has no {item.private_key_env}, the key of escrow {item.id}, so a gateway"
        " that starts would take it out of service"
        for item in state.devshards
        if item.active
        and item.private_key_env
        and known_env is not None
        and item.private_key_env not in known_env
    ]
    busy += open_intents(ports.ledger, ports.chain_id, gateway_id, in_swap=in_swap)
    if rotation_is_on(state):
        busy.append(
            "its rotation is on, so it may create or settle an escrow at any moment; "
            + (
                "it was switched on since this swap froze it. Run this again: the swap freezes it once"
                " more, and restores it in the end as it is now"
                if in_swap
                else "switch it off with the playbook gonka.devshard.rotation"
            )
        )
    if idle and state.work:
        after = state.work - state.active_requests
        what = f" and does {after} of work after replies" if after else ""
        busy.append(
            f"it serves {state.active_requests} request(s){what}; send clients elsewhere with the playbook"
            " gonka.devshard.redirect, and run this again when they have ended"
        )
    if busy:
        raise UnsafeError(f"the gateway must not be stopped now: {'; '.join(busy)}", reasons=busy)
    ports.chain.head()
    for item in state.devshards:
        if not item.active:
            continue
        try:
            escrow = shown_escrow(ports, int(item.id))
        except UnknownStateError as exc:
            raise UnsafeError(
                f"the gateway must not be stopped now: {exc}", escrow_id=item.id
            ) from exc
        except DevshardError as exc:
            raise UnsafeError(
                f"the gateway must not be stopped now: the chain does not answer for escrow"
                f" {item.id} ({exc}), so a gateway that starts would exit. What serves goes on"
                " serving; run this again once the chain answers",
                escrow_id=item.id,
            ) from exc
        if escrow is None:
            raise UnsafeError(
                f"the gateway must not be stopped now: the chain does not have escrow {item.id}, so"
                " a gateway that starts would take it out of service permanently. Check it with "
                "gonka.devshard.escrow_info, and deactivate it if it is settled and pruned",
                escrow_id=item.id,
            )


def refuse_unsettled(
    ports: ChainPorts, state: GatewayState, given_up: Collection[int] = ()
) -> None:
    """Refuse to remove a gateway while an escrow that it has a record of is not settled.

    No gateway of another generation can settle it. One that the chain has pruned has no deposit.
    """
    open_ones, unknown = [], []
    for item in state.devshards:
        if int(item.id) in given_up:
            continue
        try:
            ports.chain.head()
            escrow = shown_escrow(ports, int(item.id))
        except DevshardError as exc:
            unknown.append(f"it is not known whether escrow {item.id} is settled ({exc})")
            continue
        if escrow is not None and not escrow.settled:
            open_ones.append(f"escrow {item.id} is not settled")
    if open_ones or unknown:
        advice = (
            "Settle it, or give it up with hot_swap_given_up"
            if open_ones
            else "Run this again when the chain shows it"
        )
        raise UnsafeError(
            f"the gateway of the earlier generation must not be removed: {'; '.join(open_ones + unknown)}."
            f" {advice}",
            reasons=open_ones + unknown,
        )


def on_chain(ports: ChainPorts, number: str) -> tuple[bool | None, bool | None]:
    """Whether an escrow is settled, and whether the chain has it; None is not known."""
    try:
        ports.chain.head()
        escrow = shown_escrow(ports, int(number))
    except DevshardError:
        return None, None
    return (None, False) if escrow is None else (escrow.settled, True)


def over_on_chain(ports: ChainPorts) -> Callable[[str, str | None], bool]:
    """Return whether no gateway can serve an escrow any more, given its phase in the gateway."""

    def is_over(number: str, phase: str | None) -> bool:
        settled, there = on_chain(ports, number)
        return is_past(settled=settled, on_chain=there, phase=phase)

    return is_over


def phases_of(state: GatewayState) -> dict[str, str]:
    return {item.id: item.runtime.phase for item in state.devshards if item.runtime is not None}


def past_escrows(ports: ChainPorts, state: GatewayState, ids: Iterable[int]) -> list[int]:
    """Those of ``ids`` that are settled, pruned or finalized, so that a swap leaves them out."""
    is_over, phases = over_on_chain(ports), phases_of(state)
    return [number for number in ids if is_over(str(number), phases.get(str(number)))]


def rotation_is_on(state: GatewayState) -> bool:
    return bool(rotation_of(state.settings)["enabled"])


def open_intents(
    ledger: Ledger | None, chain_id: str, gateway_id: str, *, in_swap: bool = False
) -> list[str]:
    """Creates and settles that the gateway itself was asked for and whose outcome is open."""
    if ledger is None:
        return []
    # the playbooks that finish it are refused while a swap is open
    first = "go back with hot_swap_rollback=true, then " if in_swap else ""
    return [
        f"intent {intent.id} in the ledger, a {intent.kind.value} by this gateway, is open ({first}"
        f"finish it with the playbook gonka.devshard.{_PLAYBOOK[intent.kind]})"
        for intent in ledger.intents(gateway=gateway_id, chain_id=chain_id, only_open=True)
        if intent.via is Via.GATEWAY
    ]


_PLAYBOOK: t.Final = {
    Kind.CREATE: "escrow",
    Kind.SETTLE: "settle",
    Kind.DELETE: "retire",
    Kind.IMPORT: "hot_swap",
}


def compare_sessions(
    gateway: GatewayPort,
    expected: Mapping[str, ServedSession],
    *,
    until: WaitBudget,
    interval: float,
    is_over: Callable[[str, str | None], bool],
) -> dict[str, ServedSession]:
    """Wait until every expected session is loaded, active and not behind. Return all sessions.

    A gateway that was just started may still load; a loss that stays is a loss. An escrow that was
    settled or pruned meanwhile is none: no gateway can serve it any more.
    """
    asked = False
    phases: dict[str, str] = {}
    while True:
        losses: list[str]
        try:
            state = gateway.state()
            found, phases = marks_of(state), phases_of(state)
            losses = session_losses(expected, {key: found.get(key) for key in expected})
        except DevshardError as exc:
            found, losses = {}, [str(exc)]
        if not losses:
            return found
        if not asked:
            asked = True
            expected = {
                key: mark for key, mark in expected.items() if not is_over(key, phases.get(key))
            }
            continue
        if not until.pause(interval):
            raise UnsafeError(
                "the gateway does not serve what it served before: " + "; ".join(losses),
                losses=losses,
            )
