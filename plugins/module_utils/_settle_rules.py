# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""How an escrow comes home: the settlement document and the next step. Pure."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from ._errors import ProtocolError

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ._escrow_rules import EscrowView


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """What finalize answers, and what the chain needs to pay everybody."""

    escrow_id: int
    version: str
    nonce: int
    fees: int
    cost: int
    slots: int
    signatures: int
    document: Mapping[str, t.Any]

    @property
    def quorum(self) -> int:
        return 2 * self.slots // 3 + 1

    @property
    def has_quorum(self) -> bool:
        return self.slots > 0 and self.signatures >= self.quorum

    def refund(self, deposit: int) -> int:
        return deposit - self.cost - self.fees

    @classmethod
    def parse(cls, document: object, where: str) -> Settlement:
        """Read a settlement strictly: a half-read one could settle for the wrong sum."""
        body = _mapping(document, where)
        hosts = [
            _mapping(entry, f"{where}.host_stats") for entry in _list(body, "host_stats", where)
        ]
        signed = [
            _mapping(entry, f"{where}.signatures") for entry in _list(body, "signatures", where)
        ]
        held = [(body, "state_root"), (body, "rest_hash"), *((one, "signature") for one in signed)]
        for part, name in held:
            if not _text(part, name, where):
                raise ProtocolError(f"{where}.{name} is empty")
        signers = {_whole(entry, "slot_id", f"{where}.signatures") for entry in signed}
        slots = {_whole(entry, "slot_id", f"{where}.host_stats") for entry in hosts}
        if len(slots) != len(hosts) or not signers <= slots:
            raise ProtocolError(f"{where}: slots of host_stats and signatures do not fit together")
        return cls(
            escrow_id=_whole(body, "escrow_id", where),
            version=_text(body, "version", where),
            nonce=_whole(body, "nonce", where),
            fees=_whole(body, "fees", where),
            cost=sum(_whole(entry, "cost", f"{where}.host_stats") for entry in hosts),
            slots=len(slots),
            signatures=len(signers),
            document=body,
        )


class SettleStep(enum.Enum):
    DONE = "done"
    LOST = "lost"
    TOO_LATE = "too late"
    DEACTIVATE = "deactivate"
    WAIT_IDLE = "wait until idle"
    FINALIZE = "finalize"
    SETTLE = "settle"
    STUCK = "stuck"
    NO_SOURCE = "no source"


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleView:
    """Everything that the next step depends on."""

    view: EscrowView
    settlement: Settlement | None
    settled_before: bool = False
    """The chain's event or our own included transaction proves that it was settled."""


def next_step(seen: SettleView) -> SettleStep:
    """The next thing to do for one escrow; asked again after each step."""
    view = seen.view
    if view.settled or (not view.on_chain and seen.settled_before):
        return SettleStep.DONE
    if not view.on_chain:
        return SettleStep.LOST
    if view.deadline is not None and view.deadline.blocks_left < 0:
        return SettleStep.TOO_LATE
    if view.loaded and view.active:
        return SettleStep.DEACTIVATE
    if view.loaded and (view.active_requests or 0) > 0:
        return SettleStep.WAIT_IDLE
    if seen.settlement is not None and seen.settlement.has_quorum:
        return SettleStep.SETTLE
    if not view.loaded:
        return SettleStep.NO_SOURCE
    if view.phase == "finalizing":
        return SettleStep.STUCK
    return SettleStep.FINALIZE


def refuse_settlement(
    settlement: Settlement,
    view: EscrowView,
    *,
    creator: str,
    allowed: Collection[str],
    approved_versions: Collection[str],
    max_nonce: int,
) -> str | None:
    """Why the chain would refuse this settlement (and burn the fee), or None."""
    if settlement.escrow_id != view.id:
        return f"the settlement is for escrow {settlement.escrow_id}, not {view.id}"
    if not settlement.has_quorum:
        return (
            f"insufficient quorum: {settlement.signatures} of {settlement.slots} slots signed,"
            f" {settlement.quorum} are needed"
        )
    if view.creator != creator:
        return f"escrow {view.id} belongs to {view.creator}, the key in use is {creator}'s"
    if allowed and creator not in allowed:
        return (
            f"{creator} is no longer on the chain's list of allowed creators, which also stops"
            " settling; the list must be changed by governance before the deadline"
        )
    if approved_versions and settlement.version not in approved_versions:
        return (
            f'settlement version "{settlement.version}" is not approved on the chain'
            f" ({', '.join(sorted(approved_versions))})"
        )
    if settlement.nonce > max_nonce:
        return f"nonce {settlement.nonce} is above the chain's max_nonce {max_nonce}"
    if view.amount is not None and settlement.refund(view.amount) < 0:
        return (
            f"costs {settlement.cost} and fees {settlement.fees} exceed the deposit {view.amount}"
        )
    return None


def _mapping(value: object, where: str) -> Mapping[str, t.Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: expected an object, got {type(value).__name__}")
    return value


def _list(body: Mapping[str, t.Any], key: str, where: str) -> list[t.Any]:
    value = body.get(key)
    if not isinstance(value, list):
        raise ProtocolError(f"{where}.{key}: expected a list, got {type(value).__name__}")
    return value


def _text(body: Mapping[str, t.Any], key: str, where: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f"{where}.{key}: expected a string, got {type(value).__name__}")
    return value


def _whole(body: Mapping[str, t.Any], key: str, where: str) -> int:
    value = body.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ProtocolError(f"{where}.{key}: expected a whole number, got {value!r}")
