# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""What a swap asks of the two gateways: settings, rotation, sessions, and whether now is the time."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from . import _settings
from ._errors import (
    DevshardError,
    ProtocolError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ._escrow_observe import read_clock
from ._escrow_rules import SETTLE_GAS, deadline
from ._funding import deposits_needed, gnk
from ._ledger import Kind, Via
from ._models import Reader
from ._payment import Answer, Facts, Payment, payment_checks, refuse_fee
from ._rotation import patch_for, rotation_of
from ._settings import Settings, SettingsWish, send
from ._swap import SessionMark, Window, is_past, session_losses, window_refusals

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ._chain_api import ChainApi
    from ._gateway_api import GatewayApi
    from ._ledger import Ledger
    from ._models import GatewayState, RotationStatus
    from ._money import ChainPorts, Ports
    from ._profiles import Profile
    from ._wait import Deadline

# settings


_OWN: t.Final = ("disabled", "escrow_rotation", "model_limits")


def settings_wish(source: Mapping[str, t.Any]) -> SettingsWish:
    """Everything of one gateway that another one needs to serve the same clients.

    Not its rotation, since two rotators on one wallet pay twice, and not its redirect.
    """
    plain: Settings = {}
    for name, value in source.items():
        if name in _OWN:
            continue
        plain[name] = (
            {
                part: held
                for part, held in value.items()
                if (name, part) not in _settings.NOT_SETTABLE
            }
            if isinstance(value, dict)
            else value
        )
    return SettingsWish(
        settings=plain,
        model_limits=source.get("model_limits") or [],
        purge_model_limits=True,
        disabled={"enabled": False},
    )


def copy_settings(source: GatewayApi, target: GatewayApi, *, check_mode: bool) -> dict[str, t.Any]:
    """Makes the target's settings those of the source; compares first, reads back after."""
    wish = settings_wish(source.settings())
    current = target.settings()
    plan = _settings.plan(current, wish)
    patch = dict(plan.patch)
    if rotation_of(current)["enabled"]:
        patch["escrow_rotation"] = {"enabled": False}
    if patch and not check_mode:
        lost = send(target, patch)
        held = target.settings()
        try:
            _settings.check_applied(held, wish)
        except ProtocolError as exc:
            raise (lost or exc) from exc
        if rotation_of(held)["enabled"]:
            raise lost or UnknownStateError(
                "the gateway accepted the settings but still rotates escrows"
            )
    return {
        "changed": bool(patch),
        "set": sorted(patch),
        "before": plan.before,
        "after": plan.after,
    }


def refuse_foreign(gateway: GatewayApi, profile: Profile) -> None:
    """Refuses a gateway that behaves like another generation; no answer says which it is."""
    signs = [path for path in profile.foreign_paths if gateway.has(path)]
    held = gateway.settings()
    signs += [f"the setting {name}" for name in profile.foreign_settings if name in held]
    if signs:
        raise UnsafeError(
            f"the gateway at {gateway.url} is of another generation than {profile.name}: it has"
            f" {', '.join(signs)}. It could not open the sessions of this directory, and the"
            " deposits of their escrows would be stranded. Deploy the other generation side by"
            " side, with a directory, ports and escrows of its own",
            signs=signs,
        )


# rotation


def freeze_rotation(gateway: GatewayApi, *, check_mode: bool) -> dict[str, t.Any]:
    """Switches rotation off and tells what it was. The answer comes after a running pass ended."""
    before = rotation_of(gateway.settings())
    wanted = {**before, "enabled": False}
    changed = before != wanted
    if changed and not check_mode:
        patch = {"escrow_rotation": {"enabled": False}}
        lost = send(gateway, patch)
        if rotation_of(gateway.settings())["enabled"]:
            raise lost or UnknownStateError(
                "the gateway accepted the settings but still rotates escrows"
            )
        if lost is not None:
            # It is off, and only an answer proves that no pass runs any more. Sent again it changes
            # nothing.
            gateway.post_settings(patch)
    return {"changed": changed, "before": before, "after": wanted}


def restore_rotation(
    gateway: GatewayApi, saved: Mapping[str, t.Any], *, check_mode: bool
) -> dict[str, t.Any]:
    """Puts back exactly what was there before, field by field."""
    wanted = rotation_of({"escrow_rotation": dict(saved)})
    before = rotation_of(gateway.settings())
    patch = patch_for(before, wanted)
    if patch and not check_mode:
        lost = send(gateway, {"escrow_rotation": patch})
        found = rotation_of(gateway.settings())
        if differs := patch_for(found, wanted):
            raise lost or UnknownStateError(
                "the gateway accepted the rotation settings but shows others:"
                f" {', '.join(sorted(differs))}",
                wanted=wanted,
                found=found,
            )
    return {"changed": bool(patch), "before": before, "after": wanted}


# sessions


def marks_of(state: GatewayState) -> dict[str, SessionMark]:
    """Every loaded session, where it stands."""
    return {
        item.id: SessionMark(
            nonce=item.runtime.nonce, balance=item.runtime.balance, active=item.active
        )
        for item in state.devshards
        if item.runtime is not None
    }


def active_only(marks: Mapping[str, SessionMark]) -> dict[str, SessionMark]:
    return {number: mark for number, mark in marks.items() if mark.active}


def refuse_stop(
    ports: ChainPorts, gateway_id: str, state: GatewayState, *, idle: bool = False
) -> None:
    """Refuses to stop a gateway that could not start again, or that is in the middle of something.

    With ``idle`` one that serves a request is refused as well; a swap has drained it before. One
    with active escrows exits when the chain does not answer for each of them, and takes one
    that the chain does not have out of service for ever.
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
    busy += _open_intents(ports.ledger, ports.chain_id, gateway_id)
    if rotation_of(state.settings)["enabled"]:
        busy.append(
            "its rotation is on, so it may create or settle an escrow at any moment; switch it off"
            " with the playbook gonka.devshard.rotation (a swap freezes it and restores what it was"
            " before, so in a swap it was switched on since)"
        )
    if idle and state.active_requests:
        busy.append(
            f"it serves {state.active_requests} request(s); send clients elsewhere with the playbook"
            " gonka.devshard.redirect, and run this again when they have ended"
        )
    if busy:
        raise UnsafeError(f"the gateway must not be stopped now: {'; '.join(busy)}", reasons=busy)
    ports.chain.head()
    for item in state.devshards:
        if not item.active:
            continue
        try:
            escrow = ports.chain.escrow(int(item.id))
        except DevshardError as exc:
            raise UnsafeError(
                f"the gateway must not be stopped now: the chain does not answer for escrow"
                f" {item.id} ({exc}), so a gateway that starts would exit. What serves goes on"
                " serving; run the same again once the chain answers",
                escrow_id=item.id,
            ) from exc
        if escrow is None:
            raise UnsafeError(
                f"the gateway must not be stopped now: the chain does not have escrow {item.id}, so"
                " a gateway that starts would take it out of service for ever. Look at it with"
                " gonka.devshard.escrow_info, and deactivate it if it is settled and pruned",
                escrow_id=item.id,
            )


def on_chain(chain: ChainApi, number: str) -> tuple[bool | None, bool | None]:
    """Whether an escrow is settled, and whether the chain has it; None is not known."""
    try:
        chain.head()
        escrow = chain.escrow(int(number))
    except DevshardError:
        return None, None
    return (None, False) if escrow is None else (escrow.settled, True)


def over_on_chain(chain: ChainApi) -> Callable[[str, str | None], bool]:
    """Tells whether no gateway can serve an escrow any more, given its phase in the gateway."""

    def is_over(number: str, phase: str | None) -> bool:
        settled, there = on_chain(chain, number)
        return is_past(settled=settled, on_chain=there, phase=phase)

    return is_over


def phases_of(state: GatewayState) -> dict[str, str]:
    return {item.id: item.runtime.phase for item in state.devshards if item.runtime is not None}


def past_escrows(chain: ChainApi, state: GatewayState, ids: Iterable[int]) -> list[int]:
    """Those of ``ids`` that are settled, pruned or finalized, so that a swap leaves them out."""
    is_over, phases = over_on_chain(chain), phases_of(state)
    return [number for number in ids if is_over(str(number), phases.get(str(number)))]


def _open_intents(ledger: Ledger | None, chain_id: str, gateway_id: str) -> list[str]:
    """Creates and settles that the gateway itself was asked for and whose outcome is open."""
    if ledger is None:
        return []
    return [
        f"intent {intent.id} in the ledger, a {intent.kind.value} by this gateway, is open (finish"
        f" it with the playbook gonka.devshard.{_PLAYBOOK[intent.kind]})"
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
    gateway: GatewayApi,
    expected: Mapping[str, SessionMark],
    *,
    until: Deadline,
    interval: float,
    is_over: Callable[[str, str | None], bool],
) -> dict[str, SessionMark]:
    """Waits until every expected session is loaded, active and not behind. Returns all sessions.

    A gateway that was just started may still load; a loss that stays is a loss. An escrow that was
    settled or pruned meanwhile is none: nobody can serve it any more.
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


# the window


@dataclass(frozen=True, kw_only=True, slots=True)
class TempNeed:
    """Escrows that the swap will create for one model."""

    model_id: str
    amount: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowWish:
    min_blocks: int
    needs: Sequence[TempNeed]
    fee_amount: int
    creator: str | None
    wait: bool
    settle: bool = False
    """Whether the escrows of the temporary gateway are settled within the swap."""


def cost_of(wish: WindowWish) -> dict[str, t.Any]:
    """What the temporary gateway's escrows lock and cost, in ngonka, and in words."""
    amounts = [need.amount for need in wish.needs for _each in range(need.count)]
    escrows, deposits = len(amounts), sum(amounts)
    fees = deposits_needed(amounts, wish.fee_amount) - deposits
    text = (
        f"{escrows} escrow(s) for the temporary gateway, {gnk(deposits)} of deposits (what is not"
        f" spent comes back when they are settled) and up to {gnk(fees)} of fees"
        if escrows
        else "no escrow, no fee"
    )
    return {"escrows": escrows, "deposits": deposits, "fees": fees, "text": text}


def window_of(status: RotationStatus, state: GatewayState) -> Window:
    """Unknown is None: the gateway shows zeros and blanks before its first successful poll."""
    known = status.polled
    return Window(
        phase=status.phase if known else None,
        confirmation_poc_phase=status.confirmation_poc_phase if known else None,
        blocks_to_epoch_switch=status.blocks_to_epoch_switch if known else None,
        blocks_until_next_rotation=status.blocks_until_next_rotation if known else None,
        rotation_enabled=Reader(dict(status.settings), "rotation.settings").flag("enabled"),
        phases=phases_of(state),
        active_without_runtime=tuple(
            item.id for item in state.devshards if item.active and item.runtime is None
        ),
    )


_SETTLING: t.Final = 30.0
"""Seconds for which a gateway may show no chain data after its settings were changed."""


class SwapWindow:
    """Whether a swap may begin now."""

    def __init__(self, ports: Ports, wish: WindowWish) -> None:
        self._p = ports
        self._w = wish

    def run(self) -> dict[str, t.Any]:
        lasting = self._lasting()
        if lasting:
            raise UnsafeError(f"no swap: {'; '.join(lasting)}", reasons=lasting)
        looks = 0
        while True:
            reasons, unknown = self._passing()
            looks += 1
            if not reasons and looks > 1 and (lasting := self._lasting()):
                # it was long ago that they were looked at
                raise UnsafeError(f"no swap: {'; '.join(lasting)}", reasons=lasting)
            if not reasons:
                return {
                    "open": True,
                    "looks": looks,
                    "waited": round(self._p.deadline.elapsed, 1),
                    "cost": cost_of(self._w),
                }
            if self._p.check_mode and self._w.wait and not unknown:
                # the run would wait; what waiting does not heal was refused above
                waited = round(self._p.deadline.elapsed, 1)
                shown = {"looks": looks, "waited": waited, "reasons": reasons}
                return {"open": False, **shown, "cost": cost_of(self._w)}
            patient = self._w.wait or (unknown and self._p.deadline.elapsed < _SETTLING)
            if not patient or not self._p.deadline.pause(self._p.interval):
                text = "; ".join(reasons)
                if self._w.wait:
                    raise WaitTimeoutError(
                        f"no swap, the window did not open: {text}", reasons=reasons
                    )
                raise UnsafeError(
                    f"no swap now: {text}. Run it again later, or let it wait"
                    " with hot_swap_wait_for_window=true",
                    reasons=reasons,
                )

    def _passing(self) -> tuple[list[str], bool]:
        """Reasons that pass with time, and whether they are only that nothing is known yet."""
        try:
            status, state = self._p.gateway.rotation(), self._p.gateway.state()
        except DevshardError as exc:
            return [f"the gateway does not report where the chain stands ({exc})"], True
        window = window_of(status, state)
        reasons = window_refusals(window, min_blocks=self._w.min_blocks)
        ledger = self._p.ledger
        reasons += _open_intents(ledger, self._p.chain_id, self._p.gateway_id)
        known = replace(
            window,
            phase="Inference",
            confirmation_poc_phase="",
            blocks_to_epoch_switch=self._w.min_blocks,
            blocks_until_next_rotation=self._w.min_blocks,
        )
        only_unknown = not status.polled and not window_refusals(
            known, min_blocks=self._w.min_blocks
        )
        return reasons, only_unknown

    def _lasting(self) -> list[str]:
        """Reasons that waiting does not heal."""
        state = self._p.gateway.state()
        reasons: list[str] = []
        if Reader(dict(state.settings), "state.settings").child("disabled").flag("enabled"):
            reasons.append(
                "the gateway redirects its clients, so there is nothing to swap under; replace it"
                " with gateway_allow_recreate=true once it is drained"
            )
        clock = read_clock(self._p.chain)
        for item in state.devshards:
            if not item.active:
                continue
            escrow = self._p.chain.escrow(int(item.id))
            if escrow is None:
                reasons.append(f"the chain does not have active escrow {item.id}")
                continue
            left = deadline(escrow.epoch_index, clock).blocks_left
            if left < self._w.min_blocks:
                reasons.append(
                    f"escrow {item.id} must be settled within {max(0, left)} blocks, settle it first"
                )
        return reasons + self._unaffordable()

    def _unaffordable(self) -> list[str]:
        """Why the escrows of the temporary gateway could not be created."""
        if not self._w.needs:
            return []
        chain = self._p.chain
        creator = self._p.creator(self._w.creator)
        payments = [
            Payment(model=need.model_id, amount=need.amount, count=need.count, create=need.count)
            for need in self._w.needs
        ]
        facts = Facts(
            creator=creator,
            terms=chain.escrow_params(),
            active_models=chain.active_models(),
            balance=chain.balance(creator),
            settlement_tag=self._p.settlement_tag,
            fee=self._w.fee_amount,
        )
        reasons = [
            check.text
            for check in payment_checks(payments, facts)
            if check.answer is not Answer.YES
        ]
        if self._w.settle and (reason := self._unsettleable()) is not None:
            reasons.append(reason)
        return reasons

    def _unsettleable(self) -> str | None:
        """List, version and wallet are asked for the create; the settle has a fee of its own."""
        price = self._p.chain.escrow_params().min_gas_price
        return refuse_fee(self._w.fee_amount, SETTLE_GAS, price, "hot_swap_fee_amount")
