# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What can be decided about escrows from what was observed. Pure: no clock, no network, no file."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .absence import WHY, Absence
from .deadlines import UNKNOWN_DEADLINE, SettleDeadline

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from .._chain.models import CreatedEvent
    from .._gateway.profiles import Profile
    from .ledger.states import Intent


INACTIVE = "inactive in the gateway"


UNLOADED = "active in the records but not loaded, so it serves nothing until it is activated again"


UNRECORDED = "the gateway has no record of it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a session is too near its end to be counted on (data of the gateway's generation)."""

    min_balance: int
    max_nonce: int
    min_blocks_left: int = 0
    longest_request: int = 1_200
    """Seconds for which a request stays active at most, also when its client is gone."""
    reloads: bool = False
    """Whether the gateway unloads what is out of service, and can load it again."""
    protocol: str | None = None
    """That of the sessions that are wanted; None where it does not matter."""

    @classmethod
    def of_generation(cls, profile: Profile, *, min_blocks_left: int = 0) -> Limits:
        return cls(
            min_balance=profile.min_balance,
            max_nonce=profile.nonce_limit,
            min_blocks_left=min_blocks_left,
            longest_request=profile.longest_request,
            reloads=profile.settle_unloaded,
            protocol=profile.settlement_tag or None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EscrowView:
    """One escrow as gateway, chain and ledger together show it."""

    id: int
    model: str | None
    # the gateway
    recorded: bool
    active: bool
    loaded: bool
    phase: str | None = None
    nonce: int | None = None
    balance: int | None = None
    active_requests: int | None = None
    background: int = 0
    """Work after replies that were sent; it counts as busy."""
    loadable: bool = False
    """Recorded and not loaded, and the gateway can load it again."""
    settle_queued: bool = False
    """The gateway means to settle it by itself."""
    held_since: str | None = None
    """Not served although it is active: its balance waits for reservations to come back."""
    protocol: str | None = None
    """That its session is bound to; None where the gateway does not show it."""
    storage_path: str | None = None
    rotation_role: str | None = None
    # the chain
    on_chain: bool = False
    absence: Absence | None = None
    """The outcome of one that the chain does not have."""
    creator: str | None = None
    amount: int | None = None
    epoch: int | None = None
    settled: bool | None = None
    """True also for one that the chain has pruned, where it is proved."""
    deadline: SettleDeadline | None = None
    terms: Mapping[str, int] = field(default_factory=dict)
    """What the chain keeps in it of the parameters it was made with."""
    # the verdict
    why_not: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return not self.why_not

    @property
    def work(self) -> int:
        """Everything that keeps it from being finalized or unloaded, as far as it is shown."""
        return (self.active_requests or 0) + self.background

    @property
    def held(self) -> bool:
        return self.active and self.held_since is not None

    @property
    def unsettled(self) -> bool:
        return self.on_chain and not self.settled

    def to_result(self) -> dict[str, t.Any]:
        return {
            "id": self.id,
            "model": self.model,
            "recorded": self.recorded,
            "active": self.active,
            "loaded": self.loaded,
            "phase": self.phase,
            "nonce": self.nonce,
            "balance": self.balance,
            "active_requests": self.active_requests,
            "background": self.background,
            "loadable": self.loadable,
            "settle_queued": self.settle_queued,
            "held_since": self.held_since,
            "protocol": self.protocol,
            "storage_path": self.storage_path,
            "rotation_role": self.rotation_role,
            "on_chain": self.on_chain,
            "absence": None if self.absence is None else self.absence.value,
            "creator": self.creator,
            "amount": self.amount,
            "epoch": self.epoch,
            "settled": self.settled,
            "deadline": None if self.deadline is None else self.deadline.to_result(),
            "usable": self.usable,
            "why_not": list(self.why_not),
        }


def why_not_usable(view: EscrowView, limits: Limits) -> tuple[str, ...]:
    """Every reason why no request should be counted on this escrow; empty means usable."""
    return (
        *_why_not_served(view, limits),
        *_why_not_bound(view, limits),
        *_why_not_on_chain(view, limits),
    )


def spent(view: EscrowView, limits: Limits) -> list[str]:
    """Why the session can take no more requests, empty while it can."""
    reasons = []
    if (view.nonce or 0) >= limits.max_nonce:
        reasons.append(f"nonce {view.nonce} reached the limit {limits.max_nonce}")
    if (view.balance or 0) < limits.min_balance:
        reasons.append(f"balance {view.balance or 0} ngonka is below {limits.min_balance}")
    return reasons


def _why_not_served(view: EscrowView, limits: Limits) -> list[str]:
    reasons: list[str] = []
    if not view.recorded:
        reasons.append(UNRECORDED)
    elif not view.active:
        reasons.append(INACTIVE)
    elif not view.loaded:
        reasons.append(UNLOADED if view.loadable else "recorded but not loaded in the gateway")
    if view.held:
        reasons.append(
            f"its gateway holds it back since {view.held_since}: its balance is too low until"
            " reservations come back"
        )
    known = view.loaded or view.phase is not None
    if known and view.phase != "active":
        reasons.append(f"its session is in phase {view.phase}")
    if known and view.phase == "active":
        reasons += spent(view, limits)
    return reasons


def _why_not_bound(view: EscrowView, limits: Limits) -> list[str]:
    """What serves another protocol is for clients of that one, until it is settled."""
    if limits.protocol is None or view.protocol in (None, limits.protocol):
        return []
    return [f"its session is bound to protocol {view.protocol}, not to {limits.protocol}"]


def _why_not_on_chain(view: EscrowView, limits: Limits) -> list[str]:
    reasons: list[str] = []
    if not view.on_chain:
        reasons.append(WHY[view.absence or Absence.UNKNOWN])
    elif view.settled:
        reasons.append("settled on the chain")
    elif view.deadline is None:
        reasons.append(UNKNOWN_DEADLINE)
    elif view.deadline.blocks_left < limits.min_blocks_left:
        reasons.append(
            f"its deadline is {view.deadline.blocks_left} blocks away, less than"
            f" {limits.min_blocks_left}"
            if view.deadline.blocks_left >= 0
            else "its deadline has passed"
        )
    return reasons


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolWish:
    """The pool that a run of the escrow module is to reach."""

    model: str
    amount: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolPlan:
    """What has to be done for one model."""

    usable: tuple[int, ...]
    adopt: tuple[int, ...]
    create: int
    unclaimed: tuple[int, ...] = field(default=())
    reactivate: tuple[int, ...] = field(default=())
    """Paid escrows that are only switched off, where some are missing."""
    foreign: tuple[int, ...] = field(default=())
    """Escrows in this gateway that another account owns."""


def plan_pool(
    wish: PoolWish,
    views: Sequence[EscrowView],
    *,
    ours: Collection[int],
    adoptable: Collection[int],
    creator: str | None = None,
    unable: Collection[int] = (),
) -> PoolPlan:
    """Adopt and reactivate what is paid for and able to serve, then create what is still missing.

    ``views`` holds the gateway's records of the model and the creator's other live escrows.
    ``ours`` are escrows that something explains, such as other gateways of this host or of the
    fleet. ``unable`` are inactive ones that must stay so.
    """
    fitting = [
        view for view in views if view.model == wish.model and (view.amount or 0) >= wish.amount
    ]
    usable = tuple(view.id for view in fitting if view.usable)
    adopt = tuple(
        view.id for view in views if view.id in adoptable and not view.recorded and view.unsettled
    )
    fresh = sum(1 for view in fitting if view.id in adopt)
    # one that is held back serves again by itself, so none is paid for in its place
    held = sum(1 for view in fitting if view.held and view.unsettled)
    missing = max(0, wish.count - len(usable) - fresh - held)
    idle = [view for view in fitting if is_idle(view) and view.id not in unable]
    idle.sort(key=_time_left, reverse=True)
    reactivate = tuple(view.id for view in idle[:missing])
    return PoolPlan(
        usable=usable,
        adopt=adopt,
        create=missing - len(reactivate),
        unclaimed=tuple(
            view.id
            for view in views
            if view.unsettled and not view.recorded and view.id not in ours and view.id not in adopt
        ),
        reactivate=reactivate,
        foreign=tuple(
            view.id
            for view in views
            if view.recorded and view.unsettled and creator not in (None, view.creator)
        ),
    )


def is_idle(view: EscrowView) -> bool:
    """Paid for, able to serve, and only switched off, or unloaded although it is active.

    What rotation switched off it has replaced, so that is to be settled.
    """
    return view.why_not in ((INACTIVE,), (UNLOADED,)) and view.rotation_role is None


def surplus_of(views: Sequence[EscrowView], plan: PoolPlan, count: int) -> tuple[int, ...]:
    """Usable escrows beyond the wanted number, those that must be settled first at the front.

    Rotation keeps more than the wanted number at times, and settles its own.
    """
    own = [view for view in views if view.id in plan.usable and view.rotation_role is None]
    own.sort(key=_time_left)
    return tuple(view.id for view in own[: max(0, len(plan.usable) - count)])


def _time_left(view: EscrowView) -> tuple[int, int]:
    return (0 if view.deadline is None else view.deadline.height, view.id)


def match_create(
    intent: Intent,
    created: Iterable[CreatedEvent],
    *,
    taken: Collection[int],
    window: tuple[datetime, datetime] | None,
) -> tuple[CreatedEvent, ...]:
    """Create events that may be what the gateway did for this intent.

    The gateway signs its own transaction, so without a hash only circumstances speak: the gas
    limit, which is the intent's mark, model, amount, not before the intent, signed within the call
    (its lifetime is fixed, so the end of the lifetime shows when it was signed), and not known to
    be anything else's.
    """
    if intent.tx_hash is not None:
        return tuple(event for event in created if event.tx_hash == intent.tx_hash)
    return tuple(
        event
        for event in created
        if event.model_id == intent.model
        and event.amount == intent.amount
        and event.gas_wanted == intent.gas
        and event.height > (intent.seen_height or 0)
        and event.escrow_id not in taken
        and (
            window is None or event.timeout_at is None or window[0] <= event.timeout_at <= window[1]
        )
    )
