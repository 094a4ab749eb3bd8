# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The gateway's records: registered, active, inactive, imported or gone, each guarded.

A record is money as long as its escrow is unsettled: deleting it wipes the session that settling
needs, and a session that begins anew or from an older copy cannot be settled at all.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import (
    BusyError,
    ConfigurationError,
    ConflictError,
    DevshardError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from .._host.storage import require_absolute
from .ledger.states import Event, Intent, Kind, State, Via
from .observe import clock_or_none, view_of

if t.TYPE_CHECKING:
    from .._chain.participants import HostsNonce
    from .._gateway.models import Devshard
    from .deadlines import EpochClock
    from .pool_rules import EscrowView
    from .ports import Ports

LOOKS: t.Final = 5
"""How often the records are looked at after an answer was lost; these calls take moments."""

Wanted = t.Literal["present", "active", "inactive", "imported", "absent"]


class Risk(t.NamedTuple):
    """What would be lost with a session, and why; ``unknown`` when the chain could not tell."""

    amount: int
    why: str
    unknown: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DevshardOptions:
    id: int
    state: Wanted
    model_id: str | None
    private_key_env: str
    storage_path: str | None
    perf_path: str | None
    expected_nonce: int | None
    expected_balance: int | None
    force: int | None

    def check(self) -> None:
        if self.id <= 0:
            raise ConfigurationError(f"id must be the number of an escrow, got {self.id}")
        if self.expected_balance is not None and self.expected_nonce is None:
            raise ConfigurationError("expected_balance needs expected_nonce")
        for option in ("storage_path", "perf_path"):
            path = getattr(self, option)
            if path is not None:
                require_absolute(path, option)


class SetDevshard:
    """One run of the module for one escrow."""

    def __init__(self, ports: Ports, options: DevshardOptions) -> None:
        self._p = ports
        self._o = options
        self._clock: EpochClock | None = None
        self._actions: list[str] = []

    def run(self) -> dict[str, t.Any]:
        self._o.check()
        self._p.chain.head()
        self._clock = clock_or_none(self._p.chain, self._p.warn)
        before = self._view()
        if not self._p.check_mode:
            self._close_open_intents()
        view = self._view()
        reach: dict[Wanted, t.Callable[[EscrowView], None]] = {
            "present": self._present,
            "active": self._active,
            "inactive": self._inactive,
            "imported": self._imported,
            "absent": self._absent,
        }
        reach[self._o.state](view)
        after = self._predict(before) if self._p.check_mode else self._view()
        return {
            "changed": bool(self._actions),
            "devshard": _shown(after)
            if self._p.check_mode and self._actions
            else after.to_result(),
            "actions": self._actions,
            "before": _shown(before),
            "after": _shown(after),
        }

    # looking

    def _record(self) -> Devshard | None:
        wanted = str(self._o.id)
        found = [item for item in self._p.gateway.state().devshards if item.id == wanted]
        return found[0] if found else None

    def _view(self) -> EscrowView:
        return view_of(
            self._o.id,
            self._record(),
            self._p.chain.escrow(self._o.id),
            self._clock,
            self._p.limits,
        )

    def _predict(self, before: EscrowView) -> EscrowView:
        """What is known without doing it: whether there is a record, and whether it is active."""
        wanted = self._o.state
        if not self._actions:
            return before
        return replace(before, recorded=wanted != "absent", active=wanted in ("present", "active"))

    def _intents(self, *kinds: Kind) -> list[Intent]:
        ledger = self._p.ledger
        if ledger is None:
            return []
        found = ledger.intents(chain_id=self._p.chain_id, escrow_id=self._o.id)
        return [intent for intent in found if intent.kind in kinds]

    def _close_open_intents(self) -> None:
        """What an earlier run left open in this gateway: only the record tells what became of it."""
        for intent in self._intents(Kind.DELETE, Kind.IMPORT):
            if not intent.open or intent.gateway != self._p.gateway_id:
                continue
            there = self._record() is not None
            done = there is (intent.kind is Kind.IMPORT)
            if intent.state is State.ASKED and done:
                self._p.record().apply(intent, Event.FINISH, {"found": "by the next run"})
            else:
                self._p.record().apply(intent, Event.DROP, {"why": "it did not happen"})

    # registered and active

    def _present(self, view: EscrowView) -> None:
        if view.recorded:
            return
        self._refuse_new_session(view)
        self._do(f"registered escrow {view.id}", self._register)

    def _active(self, view: EscrowView) -> None:
        if not view.recorded:
            self._present(view)
            return
        if view.active and view.loaded:
            return
        self._refuse_activation(view)
        self._do(f"activated escrow {view.id}", self._activate)
        if not view.loaded and not self._p.check_mode:
            self._check_loaded()

    def _check_loaded(self) -> None:
        """A session that was loaded only now may turn out to be an empty or an older one."""
        view = self._view()
        try:
            self._compare_with_hosts(view)
        except UnsafeError as exc:
            try:
                self._p.gateway.deactivate(str(view.id))
            except DevshardError as lost:
                if not self._await(lambda record: record is not None and not record.active):
                    exc.details["still_active"] = str(lost)
                    self._p.warn(
                        f"escrow {view.id} may still be active with a session that hosts do not"
                        f" accept. Deactivate it with state=inactive before clients use it: {lost}"
                    )
            raise

    def _register(self) -> None:
        model = self._o.model_id or self._must_be_on_chain(self._view()).model
        self._p.gateway.add(str(self._o.id), private_key_env=self._o.private_key_env, model=model)

    def _activate(self) -> None:
        self._p.gateway.activate(str(self._o.id))

    def _must_be_on_chain(self, view: EscrowView) -> EscrowView:
        if not view.on_chain:
            raise UnsafeError(
                f"the chain does not have escrow {view.id}: pruned two epochs after its own, or"
                " never made",
                escrow_id=view.id,
            )
        if view.settled:
            raise UnsafeError(f"escrow {view.id} is settled on the chain", escrow_id=view.id)
        return view

    def _refuse_new_session(self, view: EscrowView) -> None:
        """Registering begins a session at nonce 0, which must be the escrow's first one."""
        self._must_be_on_chain(view)
        if self._o.model_id is not None and self._o.model_id != view.model:
            raise UnsafeError(
                f"escrow {view.id} is for model {view.model} on the chain, not for"
                f" {self._o.model_id}",
                escrow_id=view.id,
            )
        known = self._hosts(0)
        newest = max(known.nonce, self._marked_nonce())
        if newest > 0:
            raise UnsafeError(
                f"escrow {view.id} has a session up to nonce {newest} somewhere. A new one would"
                f" lose its deposit of {view.amount} ngonka: import the old one (state=imported)",
                escrow_id=view.id,
                nonce=newest,
                amount=view.amount,
            )
        if len(known.silent) == known.asked:
            raise UnknownStateError(
                f"escrow {view.id} is not registered: none of its hosts could be asked whether it"
                " has a session already",
                escrow_id=view.id,
            )
        self._name_silent(view, known)

    def _refuse_activation(self, view: EscrowView) -> None:
        self._must_be_on_chain(view)
        if view.loaded and view.phase != "active":
            raise UnsafeError(
                f"escrow {view.id} cannot serve any more: its session is in phase {view.phase}."
                " Settle it",
                escrow_id=view.id,
                phase=view.phase,
            )
        if view.loaded:
            # loaded once and never again: what served elsewhere since then is not in it
            self._compare_with_hosts(view)

    def _hosts(self, since: int) -> HostsNonce:
        escrow = self._p.chain.escrow(self._o.id)
        if escrow is None:
            raise UnsafeError(f"the chain does not have escrow {self._o.id}")
        return self._p.hosts_nonce(escrow, since)

    def _marked_nonce(self) -> int:
        """The newest nonce that this host's ledger ever saw of this escrow."""
        ledger = self._p.ledger
        marks = [] if ledger is None else ledger.session_marks(self._o.id)
        return max((mark.nonce for mark in marks), default=0)

    def _compare_session(self, view: EscrowView) -> None:
        """The loaded session must be the one that the source last told of, never an older one."""
        nonce, balance = view.nonce or 0, view.balance or 0
        wanted_nonce, wanted_balance = self._o.expected_nonce, self._o.expected_balance
        risk = f"Do not activate it: its deposit of {view.amount} ngonka would be lost"
        if wanted_nonce is not None and nonce != wanted_nonce:
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {nonce}, its source was at"
                f" {wanted_nonce}. {risk}",
                escrow_id=view.id,
                nonce=nonce,
                expected_nonce=wanted_nonce,
                amount=view.amount,
            )
        if wanted_balance is not None and balance != wanted_balance:
            raise UnsafeError(
                f"the session of escrow {view.id} has a balance of {balance}, its source had"
                f" {wanted_balance} at the same nonce. {risk}",
                escrow_id=view.id,
                balance=balance,
                expected_balance=wanted_balance,
                amount=view.amount,
            )
        if (marked := self._marked_nonce()) > nonce:
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {nonce}, but the ledger saw it at"
                f" {marked}. {risk}",
                escrow_id=view.id,
                nonce=nonce,
                ledger_nonce=marked,
                amount=view.amount,
            )

    # inactive

    def _inactive(self, view: EscrowView) -> None:
        if not view.recorded:
            raise ConfigurationError(
                f"the gateway has no record of escrow {view.id} that could be inactive",
                escrow_id=view.id,
            )
        if not view.active:
            return
        if not view.loaded:
            raise UnknownStateError(
                f"escrow {view.id} is active in the records but its session is not loaded; the"
                " gateway only deactivates what it has loaded",
                escrow_id=view.id,
            )
        self._do(f"deactivated escrow {view.id}", self._deactivate)

    def _deactivate(self) -> None:
        self._mark()
        self._p.gateway.deactivate(str(self._o.id))

    def _mark(self) -> None:
        record = self._record()
        if record is not None and record.runtime is not None:
            runtime = record.runtime
            self._p.record().mark_session(
                self._o.id, self._p.gateway_id, runtime.nonce, runtime.balance, runtime.phase
            )

    # imported

    def _imported(self, view: EscrowView) -> None:
        path = self._o.storage_path
        if path is None:
            raise ConfigurationError("state=imported needs storage_path")
        if view.recorded:
            if view.storage_path != path:
                raise UnsafeError(
                    f"the gateway already has escrow {view.id} with its session in"
                    f" {view.storage_path}, not in {path}. If it was never activated and that"
                    " folder holds no session, delete the record and import again",
                    escrow_id=view.id,
                    storage_path=view.storage_path,
                )
            self._compare_with_hosts(view)
            return
        self._must_be_on_chain(view)
        if self._o.expected_nonce is None and self._marked_nonce() == 0:
            raise ConfigurationError(
                "state=imported needs expected_nonce, what the source last said: the gateway"
                " answers 200 also for a folder without a session"
            )
        self._do(f"imported escrow {view.id}", lambda: self._import(view, path))
        if not self._p.check_mode:
            self._compare_with_hosts(self._view())

    def _import(self, view: EscrowView, path: str) -> None:
        model = self._o.model_id or view.model
        if model is None:
            raise ProtocolError(f"escrow {view.id} has no model")
        ledger = self._p.record()
        intent = ledger.plan(
            Kind.IMPORT,
            Via.GATEWAY,
            gateway=self._p.gateway_id,
            chain_id=self._p.chain_id,
            creator=view.creator or "",
            model=model,
            amount=view.amount,
            escrow_id=view.id,
        )
        intent = ledger.apply(intent, Event.ASK, {"storage_path": path})
        try:
            self._p.gateway.import_session(
                str(view.id),
                storage_path=path,
                private_key_env=self._o.private_key_env,
                model=model,
                perf_path=self._o.perf_path,
            )
        except (TransportError, ProtocolError) as exc:
            self._after_failure(intent, exc, there=True)
        else:
            ledger.apply(intent, Event.FINISH)

    def _compare_with_hosts(self, view: EscrowView) -> None:
        if not view.loaded:
            raise UnknownStateError(
                f"escrow {view.id} has a record but its session is not loaded", escrow_id=view.id
            )
        self._compare_session(view)
        if not view.unsettled:
            return
        known = self._hosts(view.nonce or 0)
        # its own background work may have gone on while the hosts were asked
        if known.nonce > (view.nonce or 0) and known.nonce > (self._view().nonce or 0):
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {view.nonce or 0}, but a"
                f" host knows nonce {known.nonce}: it is an older copy, or something still serves"
                f" it. Do not activate it: its deposit of {view.amount} ngonka would be lost",
                escrow_id=view.id,
                nonce=view.nonce,
                hosts_nonce=known.nonce,
                amount=view.amount,
            )
        self._name_silent(view, known)

    def _name_silent(self, view: EscrowView, known: HostsNonce) -> None:
        if known.silent:
            self._p.warn(
                f"escrow {view.id}: {len(known.silent)} of {known.asked} hosts did not report which"
                " nonce they know"
            )

    # absent

    def _absent(self, view: EscrowView) -> None:
        if not view.recorded:
            return
        if (risk := self._at_risk(view)) is not None:
            self._refuse_loss(view, risk)
        if view.active and view.loaded:
            self._do(f"deactivated escrow {view.id}", self._deactivate)
        if (view.active_requests or 0) > 0:
            raise BusyError(
                f"escrow {view.id} still has {view.active_requests} active request(s)",
                escrow_id=view.id,
                active_requests=view.active_requests,
            )
        self._do(f"deleted escrow {view.id}", lambda: self._delete(view))

    def _at_risk(self, view: EscrowView) -> Risk | None:
        """What would be lost with the session, or None when it is proved settled."""
        if view.on_chain:
            return (
                None if view.settled else Risk(view.amount or 0, "it is not settled on the chain")
            )
        done = (State.INCLUDED, State.DONE)
        if any(intent.state in done for intent in self._intents(Kind.SETTLE)):
            return None
        amounts = [
            intent.amount
            for intent in self._intents(Kind.CREATE, Kind.SETTLE, Kind.IMPORT)
            if intent.amount is not None
        ]
        amount = amounts[-1] if amounts else view.balance or 0
        try:
            if self._p.chain.settled_event(view.id) is not None:
                return None
        except UnknownStateError as exc:
            why = f"the chain does not have it, and its settle event could not be looked up: {exc}"
            return Risk(amount, why, unknown=True)
        why = (
            "the chain does not have it and nothing proves that it was settled: either it was"
            " pruned with its deposit gone to the hosts, or this is another chain"
        )
        return Risk(amount, why)

    def _refuse_loss(self, view: EscrowView, risk: Risk) -> None:
        amount = risk.amount
        if self._o.force == amount:
            self._p.warn(f"escrow {view.id} is deleted by force, {amount} ngonka are given up")
            return
        given = "" if self._o.force is None else f" (force names {self._o.force})"
        way = (
            "Settle it with gonka.devshard.escrow_settle"
            if view.on_chain
            else "Use a node with its transaction index on and more history"
        )
        raise (UnknownStateError if risk.unknown else UnsafeError)(
            f"escrow {view.id} is not deleted: {risk.why}. With the record its session goes, and"
            f" {amount} ngonka would be lost. {way}, or give force={amount}{given}",
            escrow_id=view.id,
            amount=amount,
        )

    def _delete(self, view: EscrowView) -> None:
        ledger = self._p.record()
        intent = ledger.plan(
            Kind.DELETE,
            Via.GATEWAY,
            gateway=self._p.gateway_id,
            chain_id=self._p.chain_id,
            creator=view.creator or "",
            model=view.model,
            amount=view.amount,
            escrow_id=view.id,
        )
        intent = ledger.apply(intent, Event.ASK)
        try:
            self._p.gateway.delete(str(view.id))
        except (TransportError, ProtocolError) as exc:
            self._after_failure(intent, exc, there=False)
            if exc.details.get("http_status") == 500:
                self._p.warn(
                    f"the record of escrow {view.id} is deleted, its folder {view.storage_path} was"
                    f" left: {exc}"
                )
        else:
            ledger.apply(intent, Event.FINISH)

    # doing

    def _do(self, what: str, act: t.Callable[[], object]) -> None:
        self._actions.append(what)
        if self._p.check_mode:
            return
        try:
            act()
        except (TransportError, ConflictError) as exc:
            if not self._reached(exc):
                raise

    def _reached(self, exc: TransportError | ConflictError) -> bool:
        """Whether a call whose answer was lost, or that came second, had its effect."""
        wanted = self._o.state
        if wanted in ("present", "active"):
            return self._await(lambda record: record is not None and record.active)
        if wanted == "inactive":
            return self._await(lambda record: record is not None and not record.active)
        return False

    def _after_failure(
        self, intent: Intent, exc: TransportError | ProtocolError, *, there: bool
    ) -> None:
        """Done all the same if the record came or went; else raise what the call said."""
        why = {"why": str(exc)[:300]}
        lost = isinstance(exc, TransportError) and exc.details.get("sent") is not False
        if self._await(lambda record: (record is not None) is there, looks=LOOKS if lost else 1):
            self._p.record().apply(intent, Event.FINISH, why)
            return
        if not lost:
            self._p.record().apply(intent, Event.DROP, why)
        raise exc

    def _await(self, reached: t.Callable[[Devshard | None], bool], looks: int = LOOKS) -> bool:
        for _unused in range(looks - 1):
            if reached(self._record()):
                return True
            if not self._p.deadline.pause(self._p.interval):
                return False
        return reached(self._record())


def _shown(view: EscrowView) -> dict[str, t.Any]:
    return {"id": view.id, "recorded": view.recorded, "active": view.active}
