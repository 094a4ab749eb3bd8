# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Brings deposits home: deactivate, wait, finalize, keep the settlement, settle, see the refund."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import timedelta

from .._core.errors import (
    BusyError,
    ChainRejectedError,
    ConfigurationError,
    ConflictError,
    DevshardError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from .._core.files import stamp
from . import transactions as tx
from .ledger.states import Event, Intent, Kind, State, Via
from .observe import clock_or_none, view_of
from .payment import refuse_fee, refuse_wallet
from .settle_rules import (
    Settlement,
    SettleStep,
    SettleTerms,
    SettleView,
    next_step,
    objections,
    refuse_quorum,
    refuse_settlement,
)
from .settlement_files import SettlementFiles

if t.TYPE_CHECKING:
    from pathlib import Path

    from .._chain.models import SettledEvent
    from .._gateway.models import Devshard
    from .deadlines import EpochClock
    from .pool_rules import EscrowView
    from .ports import Ports
    from .settle_rules import Objection

_FEE: t.Final = "settlement_fee_amount (in a swap hot_swap_fee_amount)"
Select = t.Literal["expiring", "depleted", "inactive_unsettled", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleOptions:
    ids: tuple[int, ...]
    select: Select | None
    model_id: str | None
    deadline_blocks: int
    settle_via: Via
    private_key_env: str
    creator: str | None
    fee_amount: int
    gas_limit: int
    tx_lifetime: int
    ask_hosts: bool = True
    leave_foreign: bool = False
    known_env: frozenset[str] | None = None
    """Names in the gateway's environment file, where it could be read."""

    def check(self) -> None:
        if bool(self.ids) == (self.select is not None):
            raise ConfigurationError("give either ids or select")
        if not 30 <= self.tx_lifetime <= 600:
            raise ConfigurationError(
                f"tx_lifetime must lie between 30 and 600 seconds, got {self.tx_lifetime}"
            )


@dataclass(kw_only=True, slots=True)
class SettledEscrow:
    """What became of one deposit. ``refund`` is what the chain says it paid back, or None."""

    id: int
    settled: bool
    deposit: int | None = None
    spent: int | None = None
    fees: int | None = None
    refund: int | None = None
    tx_fee: int | None = None
    tx_hash: str | None = None
    settled_now: bool = False
    predicted: bool = False
    problem: dict[str, t.Any] | None = None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "id": self.id,
            "settled": self.settled,
            "deposit": self.deposit,
            "spent": self.spent,
            "fees": self.fees,
            "refund": self.refund,
            "tx_fee": self.tx_fee,
            "tx_hash": self.tx_hash,
            "predicted": self.predicted,
            "problem": self.problem,
        }


@dataclass(kw_only=True, slots=True)
class SettleResult:
    escrows: list[SettledEscrow] = field(default_factory=list)
    foreign: list[dict[str, t.Any]] = field(default_factory=list)
    """Open escrows in the gateway that belong to other accounts."""
    actions: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    @property
    def before(self) -> dict[str, t.Any]:
        return {"unsettled": [e.id for e in self.escrows if not e.settled or e.settled_now]}

    @property
    def after(self) -> dict[str, t.Any]:
        return {"unsettled": [e.id for e in self.escrows if not e.settled and not e.predicted]}

    def to_result(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "escrows": [escrow.to_result() for escrow in self.escrows],
            "foreign": self.foreign,
            "actions": self.actions,
        }


@dataclass(kw_only=True, slots=True)
class Work:
    """One escrow on its way home."""

    outcome: SettledEscrow
    finalized: bool = False
    """The gateway finalized it in this run, so it holds the signatures in memory."""
    cleared: bool = False
    """Everything that can be refused beforehand was asked in this run."""

    @property
    def id(self) -> int:
        return self.outcome.id


class SettleEscrows:
    """Settles escrows; one that cannot be settled, or has to wait, does not hold up the others."""

    def __init__(self, ports: Ports, options: SettleOptions, folder: Path) -> None:
        self._p = ports
        self._o = options
        self._files = SettlementFiles(folder, ports.chain_id)
        self._result = SettleResult()
        self._creator = ""
        self._gateway_gone = False
        self._clock: EpochClock | None = None

    def run(self) -> SettleResult:
        self._o.check()
        self._p.chain.head()
        self._creator = self._p.creator(self._o.creator)
        self._clock = clock_or_none(self._p.chain, self._p.warn)
        todo = [Work(outcome=SettledEscrow(id=number, settled=False)) for number in self._chosen()]
        self._result.escrows = [work.outcome for work in todo]
        problems: list[DevshardError] = []
        while todo:
            waiting: list[tuple[Work, DevshardError]] = []
            for work in todo:
                try:
                    reason = self._get_on(work)
                except DevshardError as exc:
                    work.outcome.problem = exc.to_failure()
                    problems.append(exc)
                else:
                    if reason is not None:
                        waiting.append((work, reason))
            todo = [work for work, _unused in waiting]
            if todo and not self._p.deadline.pause(self._p.interval):
                for work, reason in waiting:
                    work.outcome.problem = reason.to_failure()
                    problems.append(reason)
                break
        if problems:
            first = problems[0]
            first.details["result"] = self._result.to_result()
            raise first
        return self._result

    # choosing and looking

    def _records(self) -> dict[int, Devshard]:
        if self._gateway_gone:
            return {}
        try:
            return {int(item.id): item for item in self._p.gateway.state().devshards}
        except TransportError as exc:
            # A settlement that was kept needs no gateway; without one the chosen escrow says so.
            self._gateway_gone = True
            self._p.warn(f"the gateway does not answer, only kept settlements can be used: {exc}")
            return {}

    def _chosen(self) -> list[int]:
        if self._o.ids:
            return list(dict.fromkeys(self._o.ids))
        views = [self._view(number, record) for number, record in self._records().items()]
        if self._gateway_gone:
            raise UnknownStateError(
                "the gateway does not answer, so which escrows it has is not known. Start it with"
                " gonka.devshard.site, or name escrows whose settlement is kept (settle_ids)"
            )
        # One that an earlier run began may be settled by now, but its intent is still open.
        begun = {
            intent.escrow_id
            for intent in self._all_intents()
            if intent.open and intent.escrow_id is not None and intent.creator == self._creator
        }
        # One whose session is gone from the gateway can still be settled from what was kept.
        known = {view.id for view in views} | {
            intent.escrow_id
            for intent in self._all_intents()
            if intent.state in (State.INCLUDED, State.DONE)
        }
        views += [self._view(number, None) for number in self._files.kept() if number not in known]
        return sorted(begun | {view.id for view in views if self._selected(view)})

    def _selected(self, view: EscrowView) -> bool:
        if not view.unsettled:
            return False
        if view.creator != self._creator:
            self._result.foreign.append(
                {
                    "id": view.id,
                    "creator": view.creator,
                    "amount": view.amount,
                    "deadline": None if view.deadline is None else view.deadline.to_result(),
                }
            )
            return self._o.select == "all" and not self._o.leave_foreign
        if self._o.model_id is not None and view.model != self._o.model_id:
            return False
        if self._o.select == "expiring":
            if view.deadline is None:
                raise UnknownStateError("select=expiring needs the deadlines, and none is known")
            return view.deadline.blocks_left < self._o.deadline_blocks
        if self._o.select == "depleted":
            return view.loaded and (
                (view.nonce or 0) >= self._p.limits.max_nonce
                or (view.balance or 0) < self._p.limits.min_balance
            )
        if self._o.select == "inactive_unsettled":
            return not view.active
        return True

    def _view(self, escrow_id: int, record: Devshard | None) -> EscrowView:
        escrow = self._p.chain.escrow(escrow_id)
        return view_of(escrow_id, record, escrow, self._clock, self._p.limits)

    def _look(self, escrow_id: int) -> SettleView:
        view = self._view(escrow_id, self._records().get(escrow_id))
        before = False
        if not view.on_chain:
            before = self._paid_by_us(escrow_id) is not None or (
                self._p.chain.settled_event(escrow_id) is not None
            )
        return SettleView(view=view, settlement=self._files.read(escrow_id), settled_before=before)

    def _all_intents(self) -> list[Intent]:
        ledger = self._p.ledger
        if ledger is None:
            return []
        return ledger.intents(kind=Kind.SETTLE, chain_id=self._p.chain_id)

    def _intents(self, escrow_id: int) -> list[Intent]:
        return [intent for intent in self._all_intents() if intent.escrow_id == escrow_id]

    def _paid_by_us(self, escrow_id: int) -> Intent | None:
        """Our own settle that the chain executed, if there is one."""
        done = (State.INCLUDED, State.DONE)
        found = [intent for intent in self._intents(escrow_id) if intent.state in done]
        return found[-1] if found else None

    # one escrow

    def _get_on(self, work: Work) -> DevshardError | None:
        """As far as it goes now: settled, or why it has to wait."""
        outcome, number = work.outcome, work.id
        if not self._p.check_mode:
            self._finish_open(outcome)
        taken: set[SettleStep] = set()
        while not outcome.settled:
            seen = self._look(number)
            view = seen.view
            outcome.deposit = outcome.deposit or view.amount
            step = self._step(work, seen)
            if step is SettleStep.DONE:
                self._account(outcome)
                return None
            if view.creator is not None and view.creator != self._creator:
                raise self._refusal(view, self._objections(seen)[0])
            self._refuse(step, seen)
            if not work.cleared and step is not SettleStep.STUCK:
                if (reason := self._ask_first(step, seen)) is not None:
                    return reason
                work.cleared = True
            if self._p.check_mode:
                if step is SettleStep.STUCK:
                    raise self._stuck(view)
                if step is SettleStep.SETTLE:
                    self._refuse_pay_out(outcome, seen)
                self._predict(outcome, seen)
                return None
            if step in taken:
                return UnknownStateError(
                    f"escrow {number} does not get on: after '{step.value}' the same is to be done"
                    " again; something else works on it too",
                    escrow_id=number,
                )
            taken.add(step)
            if (reason := self._take(step, work, seen)) is not None:
                return reason
        return None

    def _step(self, work: Work, seen: SettleView) -> SettleStep:
        step = next_step(seen)
        if step is SettleStep.SETTLE and self._o.settle_via is Via.GATEWAY and not work.finalized:
            # A restart costs the gateway the signatures it has in memory, and it would settle
            # without them and answer 200. Finalizing again brings them back.
            return SettleStep.FINALIZE
        return step

    def _take(self, step: SettleStep, work: Work, seen: SettleView) -> DevshardError | None:
        view, number = seen.view, work.id
        if step is SettleStep.DEACTIVATE:
            self._mark(view)
            try:
                self._p.gateway.deactivate(str(number))
            except TransportError as exc:
                if exc.details.get("sent") is False:
                    raise
                # The next look tells whether it was done.
                return exc
            self._result.actions.append(f"deactivated escrow {number}")
        elif step is SettleStep.WAIT_IDLE:
            limit = self._p.limits.longest_request
            return BusyError(
                f"escrow {number} still has {view.active_requests} active request(s); it is"
                " deactivated and gets no new ones. The gateway ends each of them at the latest"
                f" {limit // 60} minutes after it began, also one whose client is gone. Run again"
                " to continue",
                escrow_id=number,
                active_requests=view.active_requests,
                longest_request=limit,
            )
        elif step is SettleStep.STUCK:
            return self._stuck(view)
        elif step is SettleStep.FINALIZE:
            self._mark(view)
            return self._finalize(work)
        elif step is SettleStep.SETTLE:
            self._pay_out(work.outcome, seen)
        return None

    def _mark(self, view: EscrowView) -> None:
        if view.nonce is not None:
            self._p.record().mark_session(
                view.id, self._p.gateway_id, view.nonce, view.balance, view.phase
            )

    # refusing

    def _refuse(self, step: SettleStep, seen: SettleView) -> None:
        view = seen.view
        if step is SettleStep.LOST:
            raise UnsafeError(
                f"the chain does not have escrow {view.id}, and nothing proves that it was settled:"
                " either it was pruned two epochs after its own and its deposit went to the hosts,"
                " or it never existed on this chain",
                escrow_id=view.id,
            )
        if step is SettleStep.TOO_LATE:
            now = None if self._clock is None else self._clock.effective
            raise UnsafeError(
                f"escrow {view.id} is of epoch {view.epoch}, the chain is in epoch {now} and"
                " settles only the current and the previous one: its deposit of"
                f" {view.amount} ngonka goes to the hosts",
                escrow_id=view.id,
                epoch=view.epoch,
                current_epoch=now,
            )
        if step is SettleStep.FINALIZE and not view.loaded:
            raise UnsafeError(
                f"the gateway has not loaded the session of escrow {view.id}, so it cannot settle"
                f" it. Its settlement is kept in {self._files.path(view.id)}: settle it with"
                " settlement_via: signed",
                escrow_id=view.id,
            )
        if step is SettleStep.NO_SOURCE:
            raise UnsafeError(
                f"escrow {view.id} ({view.amount} ngonka) has no settlement in"
                f" {self._files.path(view.id)} and this gateway has not loaded its session. Bring"
                " the session back (start the gateway that has it, import it, or restore a backup"
                " that is at the newest nonce) and run again before its deadline",
                escrow_id=view.id,
            )

    # asking first

    def _ask_first(self, step: SettleStep, seen: SettleView) -> DevshardError | None:
        """Everything that can refuse a settle, before the first step that cannot be taken back.

        What passes by itself, hosts that do not answer, is returned as a reason to wait.
        """
        self._p.chain.signing_head()
        self._refuse_key()
        if found := self._objections(seen):
            raise self._refusal(seen.view, found[0])
        self._refuse_payment(seen.view)
        if step not in (SettleStep.DEACTIVATE, SettleStep.FINALIZE) or not self._o.ask_hosts:
            return None
        escrow = self._p.chain.escrow(seen.view.id)
        if seen.view.phase != "active" or escrow is None:
            return None
        reason = refuse_quorum(self._p.voices(escrow))
        if reason is None:
            return None
        waiting = WaitTimeoutError(
            f"escrow {seen.view.id} is not settled{_untouched(seen.view)}: {reason}. Run again when"
            " more hosts answer. Where only this host cannot reach them, settlement_ask_hosts:"
            " false (ask_hosts) leaves that to the gateway",
            escrow_id=seen.view.id,
        )
        if self._p.check_mode:
            raise waiting
        return waiting

    def _refuse_key(self) -> None:
        if self._o.settle_via is Via.GATEWAY:
            known, name = self._o.known_env, self._o.private_key_env
            if known is not None and name not in known:
                raise ConfigurationError(
                    f"the gateway's environment has no {name}, so the gateway cannot sign"
                    " (private_key_env)"
                )
        elif self._p.signer is None:
            raise ConfigurationError(
                "there is no inferenced at devshard_inferenced_path, so this host cannot sign. Install"
                " it with the role gonka.devshard.inferenced, or set settlement_via: gateway"
            )
        elif self._p.signer.address() is None:
            raise ConfigurationError(
                "the keyring has no key of this name (devshard_keyring_dir, devshard_key_name), so"
                " this host cannot sign. Import it with gonka.devshard.creator_key"
            )

    def _terms(self) -> SettleTerms:
        return SettleTerms(
            creator=self._creator,
            params=self._p.chain.escrow_params(),
            settlement_tag=self._p.settlement_tag,
        )

    def _objections(self, seen: SettleView) -> tuple[Objection, ...]:
        kept = seen.settlement if seen.settlement and seen.settlement.has_quorum else None
        return objections(seen.view, self._terms(), kept)

    @staticmethod
    def _refusal(view: EscrowView, objection: Objection) -> UnsafeError:
        return UnsafeError(
            f"escrow {view.id} is not settled{_untouched(view)}: {objection.text}",
            escrow_id=view.id,
            objection=objection.kind,
        )

    def _refuse_payment(self, view: EscrowView) -> None:
        fee, price = self._o.fee_amount, self._p.chain.escrow_params().min_gas_price
        reason = refuse_fee(fee, self._o.gas_limit, price, _FEE) or refuse_wallet(
            self._creator, self._p.chain.balance(self._creator), fee, what="the transaction costs"
        )
        if reason is not None:
            raise UnsafeError(
                f"escrow {view.id} is not settled{_untouched(view)}: {reason}", escrow_id=view.id
            )

    # finalize

    def _finalize(self, work: Work) -> DevshardError | None:
        """Try once to get a settlement with quorum into our own folder; else why it has to wait."""
        number = work.id
        try:
            document: dict[str, t.Any] | None = self._p.gateway.finalize(str(number))
            last: DevshardError | None = None
        except (TransportError, ConflictError) as exc:
            last, document = exc, self._finalized(number)
        except ProtocolError as exc:
            if exc.details.get("http_status") != 500:
                raise
            last, document = exc, self._finalized(number)
        if document is None:
            return self._unfinished(number, last)
        settlement = Settlement.parse(document, f"the finalize of escrow {number}")
        if settlement.escrow_id != number:
            raise ProtocolError(
                f"the finalize of escrow {number} names escrow {settlement.escrow_id}"
            )
        if not settlement.has_quorum:
            return self._unfinished(
                number,
                UnknownStateError(
                    f"insufficient signatures: {settlement.signatures} of {settlement.slots} slots"
                    f" signed, {settlement.quorum} are needed"
                ),
            )
        self._files.keep(settlement)
        work.finalized = True
        self._result.actions.append(f"finalized escrow {number}")
        return None

    def _finalized(self, number: int) -> dict[str, t.Any] | None:
        """The settlement of a session that already is in phase settlement."""
        try:
            return self._p.gateway.finalized(str(number))
        except (ConflictError, TransportError):
            return None

    def _unfinished(self, number: int, last: DevshardError | None) -> DevshardError:
        record = self._records().get(number)
        phase = record.runtime.phase if record and record.runtime else "unknown"
        return WaitTimeoutError(
            f"escrow {number} could not be finalized in time (phase {phase}): {last}. Its"
            " deposit is not lost: run again, signatures that are missing are collected then",
            escrow_id=number,
            phase=phase,
        )

    @staticmethod
    def _stuck(view: EscrowView) -> DevshardError:
        return UnsafeError(
            f"the session of escrow {view.id} ({view.amount} ngonka) is in phase finalizing and"
            " does not leave it: a finalize is still running or was cut off, and no call leads out"
            " of that. The other escrows are not affected. What can still be done: wait while a"
            " finalize may be running and run again; else keep its session directory, do not delete"
            " the record, and ask the network's developers before its deadline, after which its"
            " deposit goes to the hosts",
            escrow_id=view.id,
            phase=view.phase,
        )

    # settle

    def _refuse_pay_out(self, outcome: SettledEscrow, seen: SettleView) -> None:
        settlement = seen.settlement
        if settlement is None:
            raise ProtocolError(f"escrow {outcome.id} has no settlement to pay out")
        if (paid := self._paid_by_us(outcome.id)) is not None:
            raise UnknownStateError(
                f"transaction {paid.tx_hash} settled escrow {outcome.id}, but the chain shows it as"
                " unsettled: this node is behind, or it is another chain of the same name. Nothing"
                " is signed again",
                escrow_id=outcome.id,
                tx_hash=paid.tx_hash,
            )
        reason = refuse_settlement(settlement, seen.view, self._terms())
        if reason is not None:
            raise UnsafeError(
                f"escrow {outcome.id} is not settled, the chain would refuse it and take the fee:"
                f" {reason}",
                escrow_id=outcome.id,
            )
        self._refuse_payment(seen.view)

    def _pay_out(self, outcome: SettledEscrow, seen: SettleView) -> None:
        self._refuse_pay_out(outcome, seen)
        head = self._p.chain.head()
        intent = self._p.record().plan(
            Kind.SETTLE,
            self._o.settle_via,
            gateway=self._p.gateway_id,
            chain_id=self._p.chain_id,
            creator=self._creator,
            model=seen.view.model,
            amount=seen.view.amount,
            escrow_id=outcome.id,
            fee=self._o.fee_amount,
            gas=self._o.gas_limit,
            seen_height=head.height,
            seen_time=stamp(head.time),
        )
        if self._o.settle_via is Via.SIGNED:
            intent = self._sign_and_send(intent)
        else:
            intent = self._ask_gateway(intent)
        self._close(intent, outcome, now=True)

    def _sign_and_send(self, intent: Intent) -> Intent:
        path = self._files.path(intent.escrow_id or 0)
        lifetime = timedelta(seconds=self._o.tx_lifetime)
        return tx.sign_and_send(
            self._p, intent, lambda: tx.sign_settle(self._p, intent, path, lifetime)
        )

    def _ask_gateway(self, intent: Intent) -> Intent:
        ledger = self._p.record()
        intent = ledger.apply(intent, Event.ASK, timeout_at=tx.gateway_timeout(self._p.now()))
        try:
            reply = self._p.gateway.settle(
                str(intent.escrow_id),
                private_key_env=self._o.private_key_env,
                chain_id=self._p.chain_id,
                fee_amount=self._o.fee_amount,
                gas_limit=self._o.gas_limit,
            )
        except DevshardError as exc:
            nothing = (
                exc.details.get("sent") is False
                if isinstance(exc, TransportError)
                else exc.details.get("http_status") in (308, 400, 401, 404, 409)
            )
            why = {"why": str(exc)[:300]}
            if nothing:
                ledger.apply(intent, Event.DROP, why)
                raise
            ended = {"call_ended": stamp(self._p.now())}
            return self._resolve_asked(ledger.apply(intent, Event.NOTE, why, result=ended))
        return self._resolve_asked(ledger.apply(intent, Event.NOTE, tx_hash=reply.tx_hash.upper()))

    def _resolve_asked(self, intent: Intent) -> Intent:
        """What the gateway's settle came to; without a hash only the escrow itself tells."""
        ledger = self._p.record()
        if intent.tx_hash is not None:
            return tx.await_outcome(self._p, intent)
        ends = tx.lifetime_end(intent)
        while True:
            head = self._p.chain.head()
            number = intent.escrow_id or 0
            escrow = self._p.chain.escrow(number)
            if escrow is None:
                # Pruned: only its settle event still tells, and whether that could be asked.
                event = self._p.chain.settled_event(number)
            else:
                event = self._event(number) if escrow.settled else None
            if (escrow is not None and escrow.settled) or event is not None:
                return self._found_settled(intent, event)
            if ends is not None and head.time > ends:
                return ledger.apply(intent, Event.EXPIRE, {"height": head.height})
            if not self._p.deadline.pause(self._p.interval):
                raise WaitTimeoutError(tx.pending_text(intent), intent=intent.to_result())

    def _found_settled(self, intent: Intent, event: SettledEvent | None) -> Intent:
        """Settled by what the gateway sent, unless another intent is known to have done it."""
        ledger = self._p.record()
        if event is None:
            return ledger.apply(intent, Event.INCLUDE, {"found": "the escrow is settled"})
        if any(other.tx_hash == event.tx_hash for other in self._all_intents()):
            return ledger.apply(intent, Event.EXPIRE, {"settled_by": event.tx_hash})
        facts = {"height": event.height, **event.accounts}
        return ledger.apply(intent, Event.INCLUDE, facts, tx_hash=event.tx_hash, result=facts)

    def _finish_open(self, outcome: SettledEscrow) -> None:
        """Continue what an earlier run left open, before anything new is decided."""
        for intent in self._intents(outcome.id):
            if not intent.open:
                continue
            if intent.state is State.PLANNED:
                why = {"why": "the run ended before anything was sent"}
                self._p.record().apply(intent, Event.DROP, why)
                continue
            if intent.state is State.SIGNED:
                intent = tx.deliver(self._p, intent)
            elif intent.state is State.ASKED:
                intent = self._resolve_asked(intent)
            if intent.state is not State.REJECTED:
                self._close(intent, outcome, now=False)

    def _close(self, intent: Intent, outcome: SettledEscrow, *, now: bool) -> None:
        """Done only when the chain says settled; a refusal claims no refund."""
        ledger = self._p.record()
        outcome.tx_hash = intent.tx_hash
        if intent.state is State.REJECTED:
            refusal = intent.result or {}
            escrow = self._p.chain.escrow(outcome.id)
            if escrow is not None and escrow.settled:
                self._p.warn(
                    f"another account settled escrow {outcome.id} first: our transaction"
                    f" {intent.tx_hash} was refused and its fee is spent"
                )
                outcome.tx_hash = None
                self._account(outcome)
                return
            raise ChainRejectedError(
                f"the chain refused to settle escrow {intent.escrow_id}: {refusal.get('raw_log')}."
                f" Nothing was paid back and the fee is spent (transaction {intent.tx_hash})",
                escrow_id=intent.escrow_id,
                tx_hash=intent.tx_hash,
                code=refusal.get("code"),
                codespace=refusal.get("codespace"),
                raw_log=refusal.get("raw_log"),
            )
        if intent.state is State.EXPIRED:
            if not now:
                return
            raise WaitTimeoutError(
                f"the settle of escrow {intent.escrow_id} was not included within its lifetime;"
                " nothing was paid. Run again to sign a new one",
                escrow_id=intent.escrow_id,
                intent=intent.to_result(),
            )
        while True:
            escrow = self._p.chain.escrow(intent.escrow_id or 0)
            if escrow is None or escrow.settled:
                break
            if not self._p.deadline.pause(self._p.interval):
                raise WaitTimeoutError(
                    f"the transaction {intent.tx_hash} is included but the chain does not show"
                    f" escrow {intent.escrow_id} as settled yet; run again",
                    escrow_id=intent.escrow_id,
                )
        self._account(outcome)
        known = {"spent": outcome.spent, "fees": outcome.fees, "refund": outcome.refund}
        ledger.apply(intent, Event.FINISH, result=None if outcome.refund is None else known)
        outcome.settled_now = True
        self._result.actions.append(f"settled escrow {outcome.id}")

    def _account(self, outcome: SettledEscrow) -> None:
        """Deposit, spent, fees and refund, by the chain's own settle event.

        The ledger has the event of our own transaction; for anybody else's the node's index is
        asked, and what it does not tell stays unknown.
        """
        outcome.settled = True
        kept = self._paid_by_us(outcome.id)
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
            self._p.warn(
                f"escrow {outcome.id} is settled, but the event that names its refund could not"
                " be read"
            )

    def _event(self, escrow_id: int) -> SettledEvent | None:
        """Informs only: a node without an index must not turn a settled escrow into a failure."""
        try:
            return self._p.chain.settled_event(escrow_id)
        except UnknownStateError as exc:
            self._p.warn(f"the settle event of escrow {escrow_id} could not be looked up: {exc}")
            return None

    def _predict(self, outcome: SettledEscrow, seen: SettleView) -> None:
        outcome.predicted = True
        self._result.actions.append(f"settle escrow {outcome.id}")
        if seen.settlement is not None and seen.view.amount is not None:
            outcome.spent = seen.settlement.cost
            outcome.fees = seen.settlement.fees
            outcome.refund = seen.settlement.refund(seen.view.amount)
        elif seen.view.balance is not None:
            # what the session holds now; requests that still run make it less
            outcome.refund = seen.view.balance


def _untouched(view: EscrowView) -> str:
    """Said only where it is so: an earlier run may have taken it out of service."""
    return " and goes on serving" if view.active and view.loaded else ""
