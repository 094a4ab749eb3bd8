# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""How an escrow comes home: the settlement document, the next step, what forbids it. Pure."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

from .._chain.models import quorum
from .._core.errors import ProtocolError
from .absence import Absence
from .payment import is_listed

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._chain.models import EscrowParams, Voices
    from .mint_terms import MintTerms
    from .pool_rules import EscrowView


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
        return quorum(self.slots)

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
    LOAD = "load"
    DEACTIVATE = "deactivate"
    WAIT_IDLE = "wait until idle"
    FINALIZE = "finalize"
    SETTLE = "settle"
    STUCK = "stuck"
    NOT_SHOWN = "not shown"
    QUEUED = "left to the gateway"
    NO_SOURCE = "no source"


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleView:
    """Everything that the next step depends on."""

    view: EscrowView
    settlement: Settlement | None


def next_step(seen: SettleView, *, reloads: bool = False) -> SettleStep:
    """The next thing to do for one escrow; asked again after each step.

    ``reloads``: taking it out of service would unload it. So an idle one is finalized as it serves,
    which the gateway refuses if a request comes first; one that is unloaded is loaded for it. That
    is also what repairs a settle that failed: until its signatures are collected again, each
    further one is answered as if it were sent well, and its transaction fails.
    """
    view = seen.view
    if view.settled:
        return SettleStep.DONE
    if not view.on_chain:
        hidden = view.absence is Absence.NOT_SHOWN
        return SettleStep.NOT_SHOWN if hidden else SettleStep.LOST
    if view.deadline is not None and view.deadline.blocks_left < 0:
        return SettleStep.TOO_LATE
    return _step_of_session(view, seen.settlement, reloads=reloads)


def gateway_will_settle(view: EscrowView) -> bool:
    """Whether the gateway still has to begin what it means to do: a second settle would only cost
    its fee. The wish alone proves nothing: it outlives a restart and a settle, and then nothing in
    the gateway acts on it."""
    waits = view.settle_queued and view.loaded and not view.active
    return waits and (view.work > 0 or view.phase != "settlement")


def _step_of_session(
    view: EscrowView, settlement: Settlement | None, *, reloads: bool
) -> SettleStep:
    """What leads to the settlement of a session, and to the chain with it."""
    if gateway_will_settle(view):
        return SettleStep.QUEUED
    if view.loaded and view.active and (view.work or not reloads):
        return SettleStep.DEACTIVATE
    if view.loaded and view.work:
        return SettleStep.WAIT_IDLE
    if settlement is not None and settlement.has_quorum:
        return SettleStep.SETTLE
    if not view.loaded:
        return SettleStep.LOAD if view.loadable else SettleStep.NO_SOURCE
    if view.phase == "finalizing":
        return SettleStep.STUCK
    return SettleStep.FINALIZE


ObjectionKind = t.Literal[
    "foreign",
    "too_late",
    "not_listed",
    "version",
    "nonce",
    "stuck",
    "held",
    "no_session",
    "deadline",
    "last_epoch",
    "changed",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Objection:
    """Why an escrow cannot be settled now, or soon cannot be, and what can still be done."""

    kind: ObjectionKind
    reason: str
    advice: str

    @property
    def text(self) -> str:
        return f"{self.reason}. {self.advice}"

    def to_result(self) -> dict[str, str]:
        return {"kind": self.kind, "reason": self.reason, "advice": self.advice}


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleTerms:
    """What every settle depends on beside the escrow itself."""

    creator: str | None
    """Whose key signs; None where nothing names it."""
    params: EscrowParams | None
    """The chain's; None when they could not be asked."""
    settlement_tag: str
    """The version that this gateway's settlements name, for an escrow that has none yet."""
    minted: Mapping[int, MintTerms] = field(default_factory=dict)
    """What the ledger noted when it paid for escrows, by their numbers."""


_KEEP = "keep the gateway and its storage until then, and settle the escrow after the vote"


def objections(
    view: EscrowView, terms: SettleTerms, settlement: Settlement | None = None
) -> tuple[Objection, ...]:
    """Everything known that forbids to settle this escrow.

    It asks for nothing that exists only after finalizing, so it can be asked before the escrow is
    taken out of service. A settlement that was kept counts more than the gateway's generation.
    """
    if not view.unsettled:
        return ()
    if terms.creator is not None and view.creator != terms.creator:
        return (
            Objection(
                kind="foreign",
                reason=(
                    f"its creator on the chain is {view.creator}, and the key in use belongs to"
                    f" {terms.creator}"
                ),
                advice=f"Only {view.creator} can settle it. Settle it where that key is",
            ),
        )
    if view.deadline is not None and view.deadline.blocks_left < 0:
        return (
            Objection(
                kind="too_late",
                reason="its deadline has passed",
                advice="Its deposit goes to the hosts of the network, which cannot be changed any "
                "more",
            ),
        )
    found = () if terms.params is None else _by_params(view, terms, terms.params, settlement)
    return (*found, *_by_session(view, settlement))


def _by_params(
    view: EscrowView, terms: SettleTerms, params: EscrowParams, settlement: Settlement | None
) -> t.Iterator[Objection]:
    allowed, approved = params.allowed_creator_addresses, params.approved
    if not is_listed(view.creator, allowed):
        yield Objection(
            kind="not_listed",
            reason=(
                f"{view.creator} is no longer on the chain's list of allowed creators, which also"
                " stops settling"
            ),
            advice=(
                "Request that governance lists it again "
                "(devshard_escrow_params.allowed_creator_addresses)"
                f" before the deadline, {_KEEP}"
            ),
        )
    version = _version_of(view, terms, settlement)
    if version is not None and approved.takes(version) is False:
        yield Objection(
            kind="version",
            reason=(
                f'settlement version "{version}" is not approved on the chain'
                f" (approved: {approved})"
            ),
            advice=(
                "Request that governance approves it again "
                "(devshard_escrow_params.approved_versions)"
                f" before the deadline, {_KEEP}"
            ),
        )
    nonce = _last_nonce(view, params, settlement)
    if nonce is not None and nonce > params.max_nonce:
        yield Objection(
            kind="nonce",
            reason=(
                f"its settlement has nonce {nonce}, above the chain's max_nonce {params.max_nonce}"
                if settlement
                else f"its session is at nonce {view.nonce} and its settlement would have nonce"
                f" {nonce}, above the chain's max_nonce {params.max_nonce}"
            ),
            advice=(
                "Request that governance raises the limit (devshard_escrow_params.max_nonce) "
                "before the"
                f" deadline, {_KEEP}"
            ),
        )


def _version_of(view: EscrowView, terms: SettleTerms, settlement: Settlement | None) -> str | None:
    """What its settlement names. Another gateway, perhaps of another generation, has what is not
    recorded here."""
    if settlement is not None:
        return settlement.version
    if found := view.protocol or (terms.settlement_tag if view.recorded else None):
        return found
    noted = terms.minted.get(view.id)
    return None if noted is None else noted.version


def version_unknown(
    view: EscrowView, terms: SettleTerms, settlement: Settlement | None = None
) -> bool:
    """Whether the chain could not be asked if it takes this escrow's version."""
    version = _version_of(view, terms, settlement)
    return (
        version is not None
        and terms.params is not None
        and terms.params.approved.takes(version) is None
    )


def _last_nonce(
    view: EscrowView, params: EscrowParams, settlement: Settlement | None
) -> int | None:
    """The nonce that the chain will be asked to take; finalizing adds a round and one per slot."""
    if settlement is not None:
        return settlement.nonce
    if not (view.loaded or view.loadable) or view.nonce is None:
        return None
    return view.nonce + (params.group_size + 1 if view.phase == "active" else 0)


def _by_session(view: EscrowView, settlement: Settlement | None) -> t.Iterator[Objection]:
    if settlement is not None and settlement.has_quorum:
        return
    if view.held:
        yield Objection(
            kind="held",
            reason=(
                f"its gateway holds it back since {view.held_since}, until reservations of its balance"
                " come back"
            ),
            advice=(
                "It then serves again by itself. To settle it now, take it out of service first"
                " (gonka.devshard.devshard with state: inactive)"
            ),
        )
    if view.recorded and not view.loaded and not view.loadable:
        yield Objection(
            kind="no_session",
            reason="the gateway has a record of it but has not loaded its session",
            advice=(
                "Find the reason in the gateway's log, correct it, and start the gateway again, or "
                "restore the session from a backup that is at its newest nonce"
            ),
        )
    if view.loaded and view.phase == "finalizing":
        yield Objection(
            kind="stuck",
            reason="its session is in phase finalizing",
            advice=(
                "Wait some minutes, a finalize may be running. If the phase does not change, keep "
                "the session directory, do not delete the record, and contact the network's "
                "developers"
            ),
        )


def refuse_quorum(voices: Voices) -> str | None:
    """Why too few hosts would sign now, or None."""
    if voices.enough:
        return None
    named = [
        f"{what} {', '.join(hosts)}"
        for what, hosts in (
            ("no answer from", voices.silent),
            ("the chain did not name the address of", voices.unknown),
        )
        if hosts
    ]
    return (
        f"the hosts of only {voices.answering} of its {voices.slots} slots answer, and"
        f" {voices.quorum} must sign ({'; '.join(named)})"
    )


def may_settle(
    view: EscrowView, terms: SettleTerms, settlement: Settlement | None = None
) -> bool | None:
    """Whether nothing known forbids to settle it; None when something could not be asked."""
    if not view.unsettled or objections(view, terms, settlement):
        return False
    if terms.creator is None or terms.params is None or view.deadline is None:
        return None
    if version_unknown(view, terms, settlement):
        return None
    return view.loaded or view.loadable or settlement is not None


def dangers(
    view: EscrowView,
    terms: SettleTerms,
    deadline_blocks: int,
    settlement: Settlement | None = None,
) -> tuple[Objection, ...]:
    """Why the deposit of an open escrow may be lost, each with what can still be done."""
    found = (*objections(view, terms, settlement), *_changed(view, terms))
    left = None if view.deadline is None else view.deadline.blocks_left
    if not view.unsettled or left is None or left < 0:
        return found
    if left < deadline_blocks:
        reason, advice = f"its deadline is {left} blocks away", _settle_now(view, settlement)
        return (Objection(kind="deadline", reason=reason, advice=advice), *found)
    if _forgotten(view, settlement):
        reason, advice = f"{LAST_EPOCH}, and it serves nothing", _settle_now(view, settlement)
        return (*found, Objection(kind="last_epoch", reason=reason, advice=advice))
    return found


LAST_EPOCH: t.Final = "the last epoch to settle it has begun"


def _forgotten(view: EscrowView, settlement: Settlement | None) -> bool:
    """Whether it only waits to be settled, in the last epoch in which that is possible, and the
    gateway does not mean to."""
    if view.deadline is None or not view.deadline.last_epoch or view.active:
        return False
    return (view.recorded or settlement is not None) and not gateway_will_settle(view)


def _settle_now(view: EscrowView, settlement: Settlement | None) -> str:
    if view.loaded or view.loadable or settlement is not None:
        return f"Settle it now with the playbook gonka.devshard.settle (settle_ids={view.id})"
    if view.recorded:
        return "It can be settled as soon as the gateway has loaded its session"
    return (
        "This gateway has no session of it. Settle it where it serves. If no gateway serves it, adopt"
        " it with the playbook gonka.devshard.escrow (escrow_adopt) and settle it then"
    )


def _changed(view: EscrowView, terms: SettleTerms) -> t.Iterator[Objection]:
    """What governance changed since it was paid for. It can be settled, but perhaps not for long."""
    noted = terms.minted.get(view.id)
    if not view.unsettled or noted is None or terms.params is None:
        return
    changed = noted.changes(terms.params.terms, view.terms)
    if lowered := noted.lowered_nonce(terms.params.terms):
        changed = (lowered, *changed)
    if changed:
        yield Objection(
            kind="changed",
            reason=(
                f"the chain's parameters changed since it was created ({'; '.join(changed)}), so what"
                " its gateway signs may not be accepted"
            ),
            advice=(
                "Settle it early with the playbook gonka.devshard.settle"
                f" (settle_ids={view.id}), and create another one"
            ),
        )


def refuse_settlement(settlement: Settlement, view: EscrowView, terms: SettleTerms) -> str | None:
    """Why the chain would refuse this settlement (and burn the fee), or None."""
    if settlement.escrow_id != view.id:
        return f"the settlement is for escrow {settlement.escrow_id}, not {view.id}"
    if not settlement.has_quorum:
        return (
            f"insufficient quorum: {settlement.signatures} of {settlement.slots} slots signed,"
            f" {settlement.quorum} are needed"
        )
    found = objections(view, terms, settlement)
    if found:
        return found[0].text
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
    raise ProtocolError(f"{where}.{key}: expected a whole number, got '{value}'")
