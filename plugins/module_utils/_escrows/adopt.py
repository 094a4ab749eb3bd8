# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Gives the gateway an escrow that is paid for: one just made, an orphan, or one switched off."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    ConflictError,
    DevshardError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from .absence import Absence
from .ledger.states import Event, Intent, Kind, State
from .observe import look_for_absent, shown_escrow
from .record_options import DevshardOptions
from .records import SetDevshard
from .session_guards import SessionGuards

if t.TYPE_CHECKING:
    from .._chain.models import Escrow
    from .claims import Claims
    from .ensure_options import PoolRun
    from .pool_rules import EscrowView


class Adoption:
    """Two gateways that serve one escrow lose its deposit, so its hosts are asked first."""

    def __init__(self, run: PoolRun, claims: Claims) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._claims = claims

    # paid for by an intent of the ledger

    def register(self, intent: Intent, *, created: bool = False) -> None:
        """Give a paid escrow to the gateway and prove that it serves it."""
        escrow_id = intent.escrow_id
        if escrow_id is None:
            raise ProtocolError(f"intent {intent.id} is included but names no escrow")
        escrow = self._await_shown(escrow_id)
        if escrow is None or escrow.settled:
            self._close_gone(intent, escrow_id, settled=escrow is not None)
            return
        if (escrow.creator, escrow.amount, escrow.model_id) != (
            intent.creator,
            intent.amount,
            intent.model,
        ):
            raise UnsafeError(
                f"escrow {escrow_id} is not what intent {intent.id} asked for: the chain has"
                f" {escrow.amount} ngonka for {escrow.model_id} by {escrow.creator}"
            )
        if not created and self._served_elsewhere(intent, escrow):
            return
        try:
            fresh = self._put_into_gateway(escrow_id, intent.model)
        except DevshardError as exc:
            exc.details.setdefault("escrow_id", escrow_id)
            exc.details.setdefault("tx_hash", intent.tx_hash)
            self._ports.warn(
                f"escrow {escrow_id} is paid for but the gateway does not serve it yet. Nothing is "
                f"lost: run this again, it will be registered and no other is created"
            )
            raise
        self._ports.record().apply(intent, Event.FINISH, {"registered_now": fresh})
        self._report(intent, escrow_id, created=created, fresh=fresh)

    def _await_shown(self, escrow_id: int) -> Escrow | None:
        """The escrow; a node that is some blocks behind is asked again until the deadline."""
        while True:
            try:
                return shown_escrow(self._ports, escrow_id)
            except UnknownStateError:
                if not self._ports.deadline.pause(self._ports.interval):
                    raise

    def _report(self, intent: Intent, escrow_id: int, *, created: bool, fresh: bool) -> None:
        result = self._run.result
        if created:
            result.created.append(
                {
                    "id": escrow_id,
                    "model": intent.model,
                    "amount": intent.amount,
                    "fee": intent.fee,
                    "tx_hash": intent.tx_hash,
                    "height": (intent.result or {}).get("height"),
                }
            )
            result.actions.append(f"created escrow {escrow_id}")
        elif fresh:
            result.adopted.append(escrow_id)
            result.actions.append(f"registered escrow {escrow_id}, paid for by an earlier run")

    def _served_elsewhere(self, intent: Intent, escrow: Escrow) -> bool:
        """Whether another gateway took what an earlier run paid for; its intent is closed then."""
        if self._recorded(escrow.id):
            return False
        known = self._ports.hosts_nonce(escrow, 0)
        if not known.nonce:
            return False
        self._ports.record().apply(intent, Event.FINISH, {"served_elsewhere": known.nonce})
        self._ports.warn(
            f"escrow {escrow.id}, paid for by an earlier run, has a session up to nonce"
            f" {known.nonce} already, so another gateway took it. It is not registered here:"
            " a second session would lose its deposit"
        )
        return True

    def _close_gone(self, intent: Intent, escrow_id: int, *, settled: bool) -> None:
        ledger, chain = self._ports.record(), self._ports.chain
        absence = Absence.SETTLED
        if not settled:
            # that the chain cannot have pruned it yet was ruled out before
            absence = look_for_absent(chain, escrow_id, self._claims.intents(), None)
        if absence is Absence.SETTLED:
            ledger.apply(intent, Event.FINISH, {"settled": True})
            return
        ledger.apply(intent, Event.LOSE, {"why": "pruned before it was registered or settled"})
        self._ports.warn(
            f"escrow {intent.escrow_id} was never registered and the chain has pruned it: its"
            f" deposit of {intent.amount} ngonka went to the hosts"
        )

    def _put_into_gateway(self, escrow_id: int, model: str | None) -> bool:
        """Register and activate; False when the gateway already has the record."""
        if self._recorded(escrow_id):
            return False
        try:
            self._ports.gateway.add(
                str(escrow_id),
                private_key_env=self._options.private_key_env,
                model=model,
            )
        except (TransportError, ConflictError):
            # The answer is lost or somebody was faster: only the record tells.
            while not self._recorded(escrow_id):
                if not self._ports.deadline.pause(self._ports.interval):
                    raise
        if not self._recorded(escrow_id):
            raise ProtocolError(f"the gateway registered escrow {escrow_id} but does not list it")
        return True

    def _recorded(self, escrow_id: int) -> bool:
        return any(item.id == str(escrow_id) for item in self._ports.gateway.state().devshards)

    # an orphan

    def adopt(self, view: EscrowView) -> None:
        escrow = self._ports.chain.escrow(view.id)
        if escrow is None:
            raise UnsafeError(f"escrow {view.id} cannot be adopted: the chain does not have it")
        known = self._ports.hosts_nonce(escrow, 0)
        if known.nonce:
            raise UnsafeError(
                f"escrow {view.id} cannot be adopted: its hosts know a session up to nonce"
                f" {known.nonce}, so a gateway serves or served it. A new session would lose its"
                f" deposit of {view.amount} ngonka; import the old one with gonka.devshard.devshard",
                escrow_id=view.id,
                nonce=known.nonce,
            )
        if known.nobody_told:
            raise UnknownStateError(
                f"escrow {view.id} is not adopted: none of its hosts could be asked whether a"
                " gateway serves it",
                escrow_id=view.id,
            )
        if known.silent:
            self._ports.warn(
                f"escrow {view.id}: {len(known.silent)} of {known.asked} hosts did not report whether"
                " a gateway serves it; the others know of none"
            )
        if not self._ports.check_mode:
            # first, for a run that is cut off in between must not leave it to two gateways
            self._close_others(view.id)
            self._put_into_gateway(view.id, view.model)
        self._run.result.adopted.append(view.id)
        self._run.result.actions.append(f"adopted escrow {view.id}")

    def _close_others(self, escrow_id: int) -> None:
        """The gateway that it was paid for must not register it too, should it come back."""
        for intent in self._claims.intents():
            if (intent.kind, intent.state, intent.escrow_id) == (
                Kind.CREATE,
                State.INCLUDED,
                escrow_id,
            ):
                why = {"adopted_by": self._ports.gateway_id}
                self._ports.record().apply(intent, Event.FINISH, why)

    # inactive, but paid for

    def must_stay_inactive(self, view: EscrowView) -> bool:
        """Whether activating would risk the deposit; said, since another one is paid instead."""
        try:
            SessionGuards(self._ports, self._activation(view.id)).refuse_activation(view)
        except UnsafeError as exc:
            self._ports.warn(
                f"escrow {view.id} is out of service in the gateway and stays so: {exc}"
            )
            return True
        return False

    def reactivate(self, escrow_id: int) -> None:
        """One that is paid for serves again before another one is paid for."""
        SetDevshard(self._ports, self._activation(escrow_id)).run()
        self._run.result.reactivated.append(escrow_id)
        self._run.result.actions.append(
            f"activated escrow {escrow_id}, which was out of service, paid for and able to serve"
        )

    def _activation(self, escrow_id: int) -> DevshardOptions:
        return DevshardOptions(
            id=escrow_id,
            state="active",
            model_id=self._options.model_id,
            private_key_env=self._options.private_key_env,
            storage_path=None,
            perf_path=None,
            expected_nonce=None,
            expected_balance=None,
            force=None,
        )
