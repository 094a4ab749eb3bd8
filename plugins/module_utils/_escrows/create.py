# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Pays for one escrow, and finishes a create that an earlier run left open."""

from __future__ import annotations

import secrets
import typing as t
from datetime import timedelta

from .._chain.fees import CREATE_TYPE
from .._core.errors import ChainRejectedError, DevshardError, UnsafeError, WaitTimeoutError
from .._core.files import stamp
from .._core.reader import parse_time
from . import transactions as tx
from .create_guards import pending_creates_text
from .create_window import next_create
from .gateway_replies import read_create_failure
from .ledger.states import Event, Intent, Kind, State, Subject, Via
from .mint_terms import MintTerms
from .payment import FEE_OPTION, refuse_fee

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._chain.models import CreatedEvent, EscrowParams
    from .adopt import Adoption
    from .claims import Claims
    from .ensure_options import PoolRun

GAS_MARKS: t.Final = 4096
"""How many gas limits a create that goes to the gateway may have."""


class Creates:
    """Every create is an intent first; only what the chain says ends it."""

    def __init__(self, run: PoolRun, claims: Claims, adoption: Adoption) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._claims = claims
        self._adoption = adoption
        self._last = 0
        """The block after which this run registered its newest create."""

    def create(self, made: Iterable[CreatedEvent]) -> None:
        """``made`` are the escrows that the creator had when the run looked."""
        ledger, options = self._ports.record(), self._options
        self._keep_apart(max((event.height for event in made), default=0))
        head = self._ports.chain.signing_head()
        params, gas = self._ports.chain.escrow_params(), self._gas()
        terms = MintTerms.of(
            params,
            release=self._ports.chain.release,
            version=self._ports.settlement_tag,
            epoch=self._ports.chain.effective_epoch(),
        )
        intent = ledger.plan(
            Kind.CREATE,
            options.create_via,
            Subject(
                gateway=self._ports.gateway_id,
                chain_id=self._ports.chain_id,
                creator=self._run.creator,
                model=options.model_id,
                amount=options.amount,
                fee=self.offered_fee(params, gas),
                gas=gas,
                seen_height=head.height,
                seen_time=stamp(head.time),
                terms=terms.to_ledger(),
            ),
        )
        if options.create_via is Via.SIGNED:
            intent = self._sign_and_send(intent)
        else:
            intent = self._ask_gateway(intent)
        _refuse_failed(intent)
        self._adoption.register(intent, created=True)
        self._last = self._ports.chain.head().height

    def _keep_apart(self, last: int) -> None:
        """Wait until the pause after the newest create is over, whichever gateway asked for it."""
        pause, chain, deadline = self._options.create_pause, self._ports.chain, self._ports.deadline
        last = max(last, self._last)
        if not pause or not last:
            return
        first = next_create(last, pause, chain.block_seconds())
        while (height := chain.head().height) < first:
            if not deadline.pause(self._ports.interval):
                raise WaitTimeoutError(
                    f"no other escrow was created: the last one is of block {last}, creates are"
                    f" {pause} s apart (escrow_create_pause), and the chain is at block {height}. Run"
                    " this again"
                )

    def _gas(self) -> int:
        """The gas limit. One that goes to the gateway is lowered by a random little.

        The gateway signs a transaction of its own and the reply may be lost: then this limit is
        what distinguishes it from those of other gateways and of rotation.
        """
        limit = self._options.gas_limit
        if self._options.create_via is Via.SIGNED:
            return limit
        return limit - 1 - secrets.randbelow(min(GAS_MARKS, limit // 50))

    def offered_fee(self, params: EscrowParams, gas: int) -> int:
        """What this transaction offers, by the price that the chain asks now."""
        fees, options = params.fees, self._options
        need = fees.required(CREATE_TYPE, gas)
        if (reason := refuse_fee(options.fee_amount, gas, need, FEE_OPTION)) is not None:
            raise UnsafeError(f"no escrow is created: {reason}")
        offer = fees.offer(CREATE_TYPE, gas, options.fee_amount)
        return offer if options.create_via is Via.SIGNED else tx.fee_for_gateway(offer)

    def _sign_and_send(self, intent: Intent) -> Intent:
        lifetime = timedelta(seconds=self._options.tx_lifetime)
        return tx.sign_and_send(
            self._ports, intent, lambda: tx.sign_create(self._ports, intent, lifetime)
        )

    def _ask_gateway(self, intent: Intent) -> Intent:
        ledger, options = self._ports.record(), self._options
        intent = ledger.apply(intent, Event.ASK, timeout_at=tx.gateway_timeout(self._ports.now()))
        try:
            made = self._ports.gateway.create_escrow(
                model_id=options.model_id,
                amount=options.amount,
                private_key_env=options.private_key_env,
                chain_id=self._ports.chain_id,
                fee_amount=options.fee_amount if intent.fee is None else intent.fee,
                gas_limit=intent.gas or options.gas_limit,
            )
        except DevshardError as exc:
            answer = read_create_failure(exc)
            detail = {"why": str(exc)[:300], "escrow_id": answer.escrow_id}
            if answer.nothing_sent:
                ledger.apply(intent, Event.DROP, detail)
                raise
            known = {} if answer.tx_hash is None else {"tx_hash": answer.tx_hash}
            ended = {"call_ended": stamp(self._ports.now())}
            intent = ledger.apply(intent, Event.NOTE, detail, result=ended, **known)
            return self._resolve_asked(intent)
        intent = ledger.apply(
            intent,
            Event.NOTE,
            {"escrow_id": made.escrow_id},
            tx_hash=made.tx_hash.upper(),
            result={"call_ended": stamp(self._ports.now())},
        )
        return self._resolve_asked(intent)

    # finishing what an earlier run left open

    def carry_on(self, intent: Intent) -> None:
        """Bring one create as far as it can go now; raises if its outcome is not known yet."""
        ledger, actions = self._ports.record(), self._run.result.actions
        if intent.state is State.PLANNED:
            ledger.apply(intent, Event.DROP, {"why": "the run ended before anything was sent"})
            return
        if intent.state is State.SIGNED:
            intent = tx.deliver(self._ports, intent)
        elif intent.state is State.ASKED:
            intent = self._resolve_asked(intent)
        if intent.state is State.INCLUDED:
            self._adoption.register(intent)
        elif intent.state is State.REJECTED:
            actions.append(f"transaction {intent.tx_hash} was refused by the chain")
        elif intent.state is State.EXPIRED:
            actions.append(f"intent {intent.id} is void: it never was included")

    def _resolve_asked(self, intent: Intent) -> Intent:
        """Find out what the gateway did when its answer did not say."""
        if intent.tx_hash is not None:
            return tx.await_outcome(self._ports, intent)
        ends = tx.lifetime_end(intent)
        while True:
            # before the looks below: what came later than this block is not proved absent
            head = self._ports.chain.head()
            if (found := self._found(intent)) is not None:
                return found
            if ends is not None and head.time > ends:
                tx.refuse_young_node(self._ports.chain, intent)
                return self._ports.record().apply(intent, Event.EXPIRE, {"height": head.height})
            if not self._ports.deadline.pause(self._ports.interval):
                raise WaitTimeoutError(pending_creates_text([intent]), intent=intent.to_result())

    def _found(self, intent: Intent) -> Intent | None:
        """The intent with its escrow, where the gateway or the chain shows one that is its own."""
        ledger = self._ports.record()
        if (recorded := self._recorded_since(intent)) is not None:
            facts = {"found": "gateway record"}
            return ledger.apply(intent, Event.INCLUDE, facts, escrow_id=recorded, result=facts)
        found = self._claims.fitting(intent, self._ports.chain.created_by(self._run.creator))
        if len(found) > 1:
            numbers = ", ".join(str(event.escrow_id) for event in found)
            raise UnsafeError(
                f"escrows {numbers} all fit the create that the gateway never answered"
                f" (intent {intent.id}); name those of other gateways in"
                " escrow_other_gateway_ids (other_gateway_escrow_ids) and run this again",
                intent=intent.to_result(),
            )
        if not found:
            return None
        (event,) = found
        seen = {"height": event.height, "found": "create event"}
        return ledger.apply(
            intent,
            Event.INCLUDE,
            seen,
            escrow_id=event.escrow_id,
            tx_hash=event.tx_hash,
            result=seen,
        )

    def _recorded_since(self, intent: Intent) -> int | None:
        """The one record of this gateway that can only come from this create, if there is one."""
        taken = self._claims.claimed_ids(intent)
        fitting = []
        for item in self._ports.gateway.state().devshards:
            number = int(item.id)
            if (
                number in taken
                or item.model != intent.model
                or item.rotation_role is not None
                or parse_time(item.created_at) < parse_time(intent.created_at)
            ):
                continue
            escrow = self._ports.chain.escrow(number)
            if escrow and (escrow.creator, escrow.amount) == (intent.creator, intent.amount):
                fitting.append(number)
        return fitting[0] if len(fitting) == 1 else None


def _refuse_failed(intent: Intent) -> None:
    """A create of this run that locked no deposit is a failure, and the next run may try again."""
    if intent.state is State.REJECTED:
        refusal = intent.result or {}
        raise ChainRejectedError(
            f"the chain refused to create the escrow: {refusal.get('raw_log')}. No deposit was"
            f" locked, the fee is spent (transaction {intent.tx_hash})",
            tx_hash=intent.tx_hash,
            code=refusal.get("code"),
            codespace=refusal.get("codespace"),
            raw_log=refusal.get("raw_log"),
        )
    if intent.state is State.EXPIRED:
        raise WaitTimeoutError(
            f"transaction {intent.tx_hash} was not included within its lifetime; no deposit"
            " was locked. Run again to sign a new one",
            intent=intent.to_result(),
        )
