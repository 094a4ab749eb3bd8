# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a swap may begin now: the look and the refusals."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._chain.fees import SETTLE_TYPE
from .._core.errors import (
    DevshardError,
    UnsafeError,
    WaitTimeoutError,
)
from .._core.reader import Reader
from .._escrows.deadlines import SETTLE_GAS, settle_deadline
from .._escrows.funding import deposits_needed, gnk
from .._escrows.observe import locked_deposits, read_clock, upgrade_ahead
from .._escrows.payment import Facts, Payment, PaymentAnswer, payment_checks, refuse_fee
from .sessions import open_intents, phases_of, rotation_is_on
from .window_rules import (
    ModelsWish,
    Window,
    disk_refusals,
    model_refusals,
    window_refusals,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._escrows.deadlines import EpochClock
    from .._escrows.ports import Ports
    from .._gateway.models import Devshard, GatewayState, RotationStatus


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
    resumed: bool = False
    """Whether an earlier call has begun the wait, and has looked at what waiting does not heal."""
    rotation_danger: str | None = None
    """What the rotation of the new image does, where it must not be on."""
    payee: str = "temporary gateway"
    """What the escrows are for, in words."""
    settle: bool = False
    """Whether the escrows of the temporary gateway are settled within the swap."""
    max_total_locked: int | None = None
    """``escrow_max_total_locked``, in ``ngonka``."""
    models: ModelsWish | None = None
    """None where another gateway serves meanwhile and has its own."""
    min_free_mb: int = 0
    disks: Callable[[], Sequence[Mapping[str, t.Any]]] = tuple
    """What is free where the swap writes."""


def cost_of(wish: WindowWish) -> dict[str, t.Any]:
    """What the temporary gateway's escrows lock and cost, in ngonka, and in words."""
    amounts = [need.amount for need in wish.needs for _each in range(need.count)]
    escrows, deposits = len(amounts), sum(amounts)
    fees = deposits_needed(amounts, wish.fee_amount) - deposits
    text = (
        f"{escrows} escrow(s) for the {wish.payee}, {gnk(deposits)} of deposits (what is not"
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


def model_of(item: Devshard) -> str:
    return item.model or "a model that the gateway does not name"


_SETTLING: t.Final = 30.0
"""Seconds for which a gateway may show no chain data after its settings were changed."""


class SwapWindow:
    """Whether a swap may begin now."""

    def __init__(self, ports: Ports, wish: WindowWish) -> None:
        self._p = ports
        self._w = wish

    def run(self) -> dict[str, t.Any]:
        resumed = self._w.resumed and self._w.wait
        if not resumed and (lasting := self._lasting()):
            raise UnsafeError(f"no swap: {'; '.join(lasting)}", reasons=lasting)
        looks = 0
        while True:
            reasons, unknown = self._passing()
            looks += 1
            if not reasons and (resumed or looks > 1) and (lasting := self._lasting()):
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
        reasons += open_intents(ledger, self._p.chain_id, self._p.gateway_id)
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
        if self._w.rotation_danger is not None and rotation_is_on(state):
            reasons.append(
                f"the rotation is on, and {self._w.rotation_danger}. Set gateway_image to a later"
                " release, or switch the rotation off first (rotation_enabled: false)"
            )
        clock = read_clock(self._p.chain)
        for item in state.devshards:
            if not item.active:
                continue
            escrow = self._p.chain.escrow(int(item.id))
            if escrow is None:
                reasons.append(f"the chain does not have active escrow {item.id}")
                continue
            left = settle_deadline(escrow.epoch_index, clock).blocks_left
            if left < self._w.min_blocks:
                reasons.append(
                    f"escrow {item.id} must be settled within {max(0, left)} blocks, settle it first"
                )
        if self._w.models is not None:
            active = [item for item in state.devshards if item.active]
            reasons += model_refusals(
                self._w.models,
                loaded={model_of(item) for item in active if item.runtime is not None},
                active={model_of(item) for item in active},
            )
        reasons += disk_refusals(self._w.disks(), min_free_mb=self._w.min_free_mb)
        if (reason := upgrade_ahead(self._p.chain, clock.height)) is not None:
            reasons.append(reason)
        return reasons + self._unaffordable(clock)

    def _unaffordable(self, clock: EpochClock) -> list[str]:
        """Why the escrows of the temporary gateway could not be created."""
        if not self._w.needs:
            return []
        chain = self._p.chain
        creator = self._p.creator(self._w.creator)
        limit = self._w.max_total_locked
        payments = [
            Payment(model=need.model_id, amount=need.amount, count=need.count, create=need.count)
            for need in self._w.needs
        ]
        facts = Facts(
            creator=creator,
            terms=chain.escrow_params(),
            active_models=chain.active_models(),
            balance=chain.spendable(creator),
            settlement_tag=self._p.settlement_tag,
            fee=self._w.fee_amount,
            locked=None if limit is None else locked_deposits(chain, creator, clock),
            max_total_locked=limit,
        )
        reasons = [
            check.reason
            for check in payment_checks(payments, facts)
            if check.answer is not PaymentAnswer.YES
        ]
        if self._w.settle and (reason := self._unsettleable()) is not None:
            reasons.append(reason)
        return reasons

    def _unsettleable(self) -> str | None:
        """List, version and wallet are asked for the create; the settle has a fee of its own."""
        need = self._p.chain.escrow_params().fees.required(SETTLE_TYPE, SETTLE_GAS)
        return refuse_fee(self._w.fee_amount, SETTLE_GAS, need, "hot_swap_fee_amount")
