# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a gateway answers, as frozen objects."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.reader import Reader

if t.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """A session in the gateway's memory. The gateway leaves out what is zero or empty."""

    active: bool
    phase: str
    nonce: int
    balance: int
    active_requests: int
    requests_blocked: bool
    block_reason: str
    chain_phase: str
    background: int = 0
    """Work after replies that were sent, and refunds; it counts as busy. Generations that show none
    may have some all the same."""
    protocol: str | None = None
    """That the session is bound to for life; None where the generation does not show it."""

    shows_hold: bool = False
    """Whether the gateway has a word for a session that is held back."""

    @property
    def work(self) -> int:
        """Everything that keeps the session from being finalized, unloaded or stopped."""
        return self.active_requests + self.background

    @classmethod
    def from_api(cls, body: Reader) -> Runtime:
        return cls(
            active=body.flag("active"),
            phase=body.text("phase", ""),
            nonce=body.whole("nonce", 0),
            balance=body.whole("balance", 0),
            active_requests=body.number("active_requests"),
            requests_blocked=body.flag("requests_blocked"),
            block_reason=body.text("block_reason", ""),
            chain_phase=body.text("chain_phase", ""),
            background=body.whole("pending_race_cleanup", 0),
            protocol=body.text_or_none("session_version"),
            shows_hold=body.has("on_hold"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Devshard:
    """A record of the gateway; ``runtime`` is None when its session is not loaded.

    The plain key that an old record may hold is never kept here, only that it is there.
    """

    id: str
    active: bool
    model: str | None
    storage_path: str | None
    private_key_env: str | None
    has_plain_key: bool
    rotation_role: str | None
    rotation_epoch: int | None
    created_at: str
    runtime: Runtime | None
    settle_queued: bool = False
    """Whether the gateway means to settle it by itself, when its work has ended."""
    held_since: str | None = None
    """Not served although it is active: its balance waits for reservations to come back."""
    route: str | None = None
    """Where its hosts serve it, if the record says so; else the environment of each start does."""

    @classmethod
    def from_api(cls, body: Reader) -> Devshard:
        return cls(
            id=body.digits("id"),
            active=body.flag("active"),
            model=body.text_or_none("model"),
            storage_path=body.text_or_none("storage_path"),
            private_key_env=body.text_or_none("private_key_env"),
            has_plain_key=body.has("private_key"),
            rotation_role=body.text_or_none("rotation_role"),
            rotation_epoch=body.whole("rotation_epoch") if body.has("rotation_epoch") else None,
            created_at=body.text("created_at"),
            runtime=Runtime.from_api(body.child("runtime")) if body.has("runtime") else None,
            settle_queued=body.flag("settlement_pending")
            if body.has("settlement_pending")
            else False,
            held_since=body.text_or_none("on_hold_since"),
            route=body.text_or_none("route_prefix"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayState:
    """``GET /v1/admin/state``: the same for 0, 1 and N escrows, also when redirected."""

    devshards: tuple[Devshard, ...]
    in_flight_requests: int
    settings: Mapping[str, t.Any]
    capacity: Mapping[str, t.Any]

    @classmethod
    def from_api(cls, body: Reader) -> GatewayState:
        return cls(
            devshards=tuple(Devshard.from_api(item) for item in body.children("devshards")),
            in_flight_requests=body.child("limiter").number("in_flight_requests"),
            settings=body.child("settings").raw(),
            capacity=body.child("capacity").raw(),
        )

    @property
    def active_requests(self) -> int:
        return sum(item.runtime.active_requests for item in self.devshards if item.runtime)

    @property
    def work(self) -> int:
        """The requests, and the work after them."""
        return sum(item.runtime.work for item in self.devshards if item.runtime)


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationStatus:
    """``GET /v1/debug/rotation``. Zeros and empty texts mean that no poll has succeeded yet."""

    block_height: int
    epoch_index: int
    phase: str
    confirmation_poc_phase: str
    blocks_to_epoch_switch: int
    blocks_until_next_rotation: int
    settings: Mapping[str, t.Any]
    latest: tuple[Mapping[str, t.Any], ...] = field(default=())

    @property
    def polled(self) -> bool:
        return self.block_height > 0 and self.phase != ""

    @classmethod
    def from_api(cls, body: Reader) -> RotationStatus:
        chain = body.child("chain")
        return cls(
            block_height=chain.whole("block_height"),
            epoch_index=chain.whole("epoch_index"),
            phase=chain.text("phase", ""),
            confirmation_poc_phase=chain.text("confirmation_poc_phase", ""),
            # below zero when a switch is late
            blocks_to_epoch_switch=chain.whole("blocks_to_epoch_switch", signed=True),
            blocks_until_next_rotation=chain.whole("blocks_until_next_rotation", signed=True),
            settings=body.child("settings").raw(),
            latest=tuple(item.raw() for item in body.children("latest", [])),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateReply:
    escrow_id: int
    tx_hash: str
    creator: str
    registered: bool

    @classmethod
    def from_api(cls, body: Reader) -> CreateReply:
        return cls(
            escrow_id=body.whole("escrow_id"),
            tx_hash=body.text("tx_hash"),
            creator=body.text("creator"),
            registered=body.flag("registered"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleReply:
    """The gateway's 200 to a settle: accepted for sending, not executed."""

    escrow_id: int
    tx_hash: str
    settler: str

    @classmethod
    def from_api(cls, body: Reader) -> SettleReply:
        return cls(
            escrow_id=body.whole("escrow_id"),
            tx_hash=body.text("tx_hash"),
            settler=body.text("settler"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStatus:
    """``/devshard/{id}/v1/status``: nonce and balance are always there in this view."""

    escrow_id: str
    nonce: int
    balance: int
    phase: str

    @classmethod
    def from_api(cls, body: Reader) -> SessionStatus:
        return cls(
            escrow_id=body.text("escrow_id"),
            nonce=body.number("nonce"),
            balance=body.number("balance"),
            phase=body.text("phase"),
        )
