# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Pays an escrow out once, and reads from the chain what came back."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .._chain.fees import SETTLE_TYPE
from .._core.errors import (
    BusyError,
    ChainRejectedError,
    DevshardError,
    UnknownStateError,
    WaitTimeoutError,
)
from .._core.files import stamp
from . import transactions as tx
from .gateway_replies import read_settle_failure
from .ledger.states import Event, Intent, Kind, State, Subject, Via

if t.TYPE_CHECKING:
    from .._chain.models import SettledEvent
    from .settle_guards import SettleGuards
    from .settle_look import SettleLook
    from .settle_options import SettledEscrow, SettleRun
    from .settle_rules import SettleView


class Payout:
    """Done only when the chain says settled; the gateway's answer is a hint."""

    def __init__(self, run: SettleRun, look: SettleLook, guards: SettleGuards) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._look = look
        self._guards = guards

    def pay_out(self, outcome: SettledEscrow, seen: SettleView) -> None:
        self._guards.refuse_pay_out(outcome, seen)
        head = self._ports.chain.head()
        intent = self._ports.record().plan(
            Kind.SETTLE,
            self._options.settle_via,
            Subject(
                gateway=self._ports.gateway_id,
                chain_id=self._ports.chain_id,
                creator=self._run.creator,
                model=seen.view.model,
                amount=seen.view.amount,
                escrow_id=outcome.id,
                fee=self._fee(),
                gas=self._options.gas_limit,
                seen_height=head.height,
                seen_time=stamp(head.time),
            ),
        )
        if self._options.settle_via is Via.SIGNED:
            intent = self._sign_and_send(intent)
        else:
            intent = self._ask_gateway(intent)
        self._close(intent, outcome, now=True)

    def _fee(self) -> int:
        """What this transaction offers, by the price that the chain asks now."""
        options, fees = self._options, self._ports.chain.escrow_params().fees
        return fees.offer(SETTLE_TYPE, options.gas_limit, options.fee_amount)

    def _sign_and_send(self, intent: Intent) -> Intent:
        path = self._run.files.path(intent.escrow_id or 0)
        lifetime = timedelta(seconds=self._options.tx_lifetime)
        return tx.sign_and_send(
            self._ports, intent, lambda: tx.sign_settle(self._ports, intent, path, lifetime)
        )

    def _ask_gateway(self, intent: Intent) -> Intent:
        ledger = self._ports.record()
        intent = ledger.apply(intent, Event.ASK, timeout_at=tx.gateway_timeout(self._ports.now()))
        try:
            reply = self._ports.gateway.settle(
                str(intent.escrow_id),
                private_key_env=self._options.private_key_env,
                chain_id=self._ports.chain_id,
                # a settle that offers this little is exempt, so none of it is charged
                fee_amount=tx.fee_for_gateway(intent.fee or 0),
                gas_limit=self._options.gas_limit,
            )
        except DevshardError as exc:
            why = {"why": str(exc)[:300]}
            answer = read_settle_failure(exc)
            if answer.busy and self._queued(intent):
                raise self._left_to_gateway(ledger.apply(intent, Event.NOTE, why)) from exc
            if answer.nothing_sent:
                ledger.apply(intent, Event.DROP, why)
                raise
            ended = {"call_ended": stamp(self._ports.now())}
            known = {} if answer.tx_hash is None else {"tx_hash": answer.tx_hash}
            return self._resolve_asked(ledger.apply(intent, Event.NOTE, why, result=ended, **known))
        ended = {"call_ended": stamp(self._ports.now())}
        told = reply.tx_hash.upper()
        return self._resolve_asked(ledger.apply(intent, Event.NOTE, tx_hash=told, result=ended))

    def _queued(self, intent: Intent) -> bool:
        """Whether a settle that was refused as busy was taken as a wish all the same.

        Some generations do nothing, others take the escrow out of service and settle it later. The
        record says which; where it cannot be asked, it may be either.
        """
        try:
            found = [
                one
                for one in self._ports.gateway.state().devshards
                if one.id == str(intent.escrow_id)
            ]
        except DevshardError:
            return True
        return any(one.settle_queued for one in found)

    @staticmethod
    def _left_to_gateway(intent: Intent) -> BusyError:
        return BusyError(
            f"escrow {intent.escrow_id} was busy. It is out of service, and its gateway settles it by"
            " itself when its work has ended. Nothing is sent a second time. Run this again to see its"
            " refund",
            escrow_id=intent.escrow_id,
            intent=intent.to_result(),
        )

    def _resolve_asked(self, intent: Intent) -> Intent:
        """What the gateway's settle came to; without a hash only the escrow itself shows it."""
        ledger = self._ports.record()
        if intent.tx_hash is not None:
            return tx.await_outcome(self._ports, intent)
        ends = tx.lifetime_end(intent)
        while True:
            head = self._ports.chain.head()
            number = intent.escrow_id or 0
            escrow = self._ports.chain.escrow(number)
            if escrow is None:
                # Pruned: only its settle event still tells, and whether that could be asked.
                event = self._ports.chain.settled_event(number)
            else:
                event = self._event(number) if escrow.settled else None
            if (escrow is not None and escrow.settled) or event is not None:
                return self._found_settled(intent, event)
            if ends is not None and head.time > ends:
                return ledger.apply(intent, Event.EXPIRE, {"height": head.height})
            if not self._ports.deadline.pause(self._ports.interval):
                raise WaitTimeoutError(tx.pending_text(intent), intent=intent.to_result())

    def _found_settled(self, intent: Intent, event: SettledEvent | None) -> Intent:
        """Settled by what the gateway sent, unless another intent is known to have done it."""
        ledger = self._ports.record()
        if event is None:
            return ledger.apply(intent, Event.INCLUDE, {"found": "the escrow is settled"})
        if any(other.tx_hash == event.tx_hash for other in self._look.intents()):
            return ledger.apply(intent, Event.EXPIRE, {"settled_by": event.tx_hash})
        facts = {"height": event.height, **event.accounts}
        return ledger.apply(intent, Event.INCLUDE, facts, tx_hash=event.tx_hash, result=facts)

    def finish_open(self, outcome: SettledEscrow) -> None:
        """Continue what an earlier run left open, before anything new is decided."""
        for intent in self._look.of_escrow(outcome.id):
            if not intent.open:
                continue
            if intent.state is State.PLANNED:
                why = {"why": "the run ended before anything was sent"}
                self._ports.record().apply(intent, Event.DROP, why)
                continue
            if intent.state is State.SIGNED:
                intent = tx.deliver(self._ports, intent)
            elif intent.state is State.ASKED:
                intent = self._resolve_asked(intent)
            if intent.state is not State.REJECTED:
                self._close(intent, outcome, now=False)

    def _close(self, intent: Intent, outcome: SettledEscrow, *, now: bool) -> None:
        """Done only when the chain says settled; a refusal claims no refund."""
        ledger = self._ports.record()
        outcome.tx_hash = intent.tx_hash
        if intent.state is State.REJECTED:
            self._close_refused(intent, outcome)
            return
        if intent.state is State.EXPIRED:
            if not now:
                return
            raise WaitTimeoutError(
                f"the settle of escrow {intent.escrow_id} was not included within its lifetime;"
                " nothing was paid. Run again to sign a new one",
                escrow_id=intent.escrow_id,
                intent=intent.to_result(),
            )
        self._await_settled(intent)
        self.account(outcome)
        known = {"spent": outcome.spent, "fees": outcome.fees, "refund": outcome.refund}
        ledger.apply(intent, Event.FINISH, result=None if outcome.refund is None else known)
        outcome.settled_now = True
        self._run.result.actions.append(f"settled escrow {outcome.id}")

    def _close_refused(self, intent: Intent, outcome: SettledEscrow) -> None:
        """A refusal because it is settled already is as good as a success of our own."""
        refusal = intent.result or {}
        raw_log = str(refusal.get("raw_log"))
        escrow = self._ports.chain.escrow(outcome.id)
        if f"escrow {outcome.id} already settled" in raw_log:
            # the node that is asked may lag the one that refused
            self._await_settled(intent)
        elif escrow is None or not escrow.settled:
            spent = " and the fee is spent" if intent.fee else ""
            raise ChainRejectedError(
                f"the chain refused to settle escrow {intent.escrow_id}: {raw_log}."
                f" Nothing was paid back{spent} (transaction {intent.tx_hash})",
                escrow_id=intent.escrow_id,
                tx_hash=intent.tx_hash,
                code=refusal.get("code"),
                codespace=refusal.get("codespace"),
                raw_log=refusal.get("raw_log"),
            )
        spent = " and its fee is spent" if intent.fee else ""
        self._ports.warn(
            f"another transaction settled escrow {outcome.id} first: our transaction"
            f" {intent.tx_hash} was refused{spent}"
        )
        outcome.tx_hash = None
        self.account(outcome)

    def _await_settled(self, intent: Intent) -> None:
        while True:
            escrow = self._ports.chain.escrow(intent.escrow_id or 0)
            if escrow is None or escrow.settled:
                return
            if not self._ports.deadline.pause(self._ports.interval):
                raise WaitTimeoutError(
                    f"the transaction {intent.tx_hash} is included but the chain does not show"
                    f" escrow {intent.escrow_id} as settled yet; run this again",
                    escrow_id=intent.escrow_id,
                )

    def account(self, outcome: SettledEscrow) -> None:
        """Deposit, spent, fees and refund, by the chain's own settle event.

        The ledger has the event of our own transaction; for anybody else's the node's index is
        asked, and what it does not report stays unknown.
        """
        outcome.settled = True
        kept = self._look.paid_by_us(outcome.id)
        saved: dict[str, t.Any] = {}
        if kept is not None:
            saved = kept.result or {}
            outcome.tx_hash = kept.tx_hash or outcome.tx_hash
            outcome.deposit = outcome.deposit or kept.amount
            outcome.tx_fee = kept.fee
        if "refund" not in saved and (event := self._event(outcome.id)) is not None:
            saved = event.accounts
            outcome.tx_hash = event.tx_hash
            outcome.deposit = outcome.deposit or sum(saved.values())
        outcome.spent, outcome.fees = saved.get("spent"), saved.get("fees")
        outcome.refund = saved.get("refund")
        if outcome.refund is None:
            self._ports.warn(
                f"escrow {outcome.id} is settled, but the event that names its refund could not"
                " be read"
            )

    def _event(self, escrow_id: int) -> SettledEvent | None:
        """Informs only: a node without an index must not turn a settled escrow into a failure."""
        try:
            return self._ports.chain.settled_event(escrow_id)
        except UnknownStateError as exc:
            self._ports.warn(
                f"the settle event of escrow {escrow_id} could not be looked up: {exc}"
            )
            return None
