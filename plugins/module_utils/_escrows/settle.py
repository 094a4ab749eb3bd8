# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Brings deposits home: deactivate, wait, finalize, keep the settlement, settle, see the refund."""

from __future__ import annotations

import typing as t

from .._core.errors import DevshardError, UnknownStateError
from .._core.outcomes import PartialFailure, Waiting
from .absence import not_shown_text
from .ledger.states import Via
from .observe import clock_or_none
from .settle_calls import SettleCalls
from .settle_guards import SettleGuards
from .settle_look import RoundLook, SettleLook
from .settle_options import SettledEscrow, SettleOptions, SettleResult, SettleRun, Work
from .settle_pay import Payout
from .settle_rules import SettleStep, SettleView, next_step
from .settlement_files import SettlementFiles

if t.TYPE_CHECKING:
    from pathlib import Path

    from .ports import Ports


class SettleEscrows:
    """Settles escrows; one that cannot be settled, or has to wait, does not hold up the others."""

    def __init__(self, ports: Ports, options: SettleOptions, folder: Path) -> None:
        self._ports = ports
        self._options = options
        self._files = SettlementFiles(folder, ports.chain_id)

    def run(self) -> SettleResult:
        self._options.check()
        self._ports.chain.head()
        run = SettleRun(
            ports=self._ports,
            options=self._options,
            files=self._files,
            creator=self._ports.creator(self._options.creator),
            clock=clock_or_none(self._ports.chain, self._ports.warn),
            result=SettleResult(),
        )
        return SettleRounds(run).run()


class SettleRounds:
    """Each round looks once and takes one step with every escrow that can go on."""

    def __init__(self, run: SettleRun) -> None:
        self._run = run
        self._ports = run.ports
        self._look = SettleLook(run)
        self._guards = SettleGuards(run, self._look)
        self._calls = SettleCalls(run, self._look)
        self._payout = Payout(run, self._look, self._guards)
        self._failed: dict[int, DevshardError] = {}

    def run(self) -> SettleResult:
        seen = self._look.round()
        result = self._run.result
        result.escrows = [
            SettledEscrow(id=number, settled=False) for number in self._look.chosen(seen)
        ]
        works = [Work(outcome=outcome) for outcome in result.escrows]
        waiting = self._bring_home(works, seen)
        for work in works:
            if work.loaded and not work.finalized:
                self._calls.put_back(work)
        # what only had to wait is told last
        reasons = {number: item.reason for number, item in waiting.items()}
        problems = []
        for found in (self._failed, reasons):
            for outcome in result.escrows:
                if (problem := found.get(outcome.id)) is not None:
                    outcome.problem = problem.to_failure()
                    problems.append(problem)
        if problems:
            raise PartialFailure(result, problems)
        return result

    def _bring_home(self, todo: list[Work], seen: RoundLook) -> dict[int, Waiting]:
        """Rounds until nothing is left or no time; what still waits then."""
        while True:
            waiting: dict[int, Waiting] = {}
            active = todo
            while active:
                active = self._round(active, seen, waiting)
                seen = self._look.round()
            todo = [work for work in todo if work.id in waiting]
            if not todo or not self._ports.deadline.pause(self._ports.interval):
                return waiting
            for work in todo:
                work.rest()
            seen = self._look.round()

    def _round(
        self, active: list[Work], seen: RoundLook, waiting: dict[int, Waiting]
    ) -> list[Work]:
        """One step with each; those that can go on at once."""
        for work in active:
            try:
                reason = self._advance(work, seen)
            except DevshardError as exc:
                self._failed[work.id] = exc
            else:
                if reason is not None:
                    waiting[work.id] = reason
        return [
            work
            for work in active
            if not work.done and work.id not in waiting and work.id not in self._failed
        ]

    def _advance(self, work: Work, seen: RoundLook) -> Waiting | None:
        """One step, or why it has to wait."""
        outcome = work.outcome
        if not self._ports.check_mode and not work.resumed:
            self._payout.finish_open(outcome)
            work.resumed = True
            if outcome.settled:
                return None
        found = self._look.at(work.id, seen)
        outcome.deposit = outcome.deposit or found.view.amount
        step = self._step(work, found)
        if step is SettleStep.DONE:
            self._payout.account(outcome)
            return None
        self._guards.refuse_foreign(found, seen)
        if step is SettleStep.NOT_SHOWN and not self._ports.check_mode:
            # the next answer may be of a node that has the block
            return Waiting(UnknownStateError(not_shown_text(work.id), escrow_id=work.id))
        self._guards.refuse_step(step, found)
        if not work.cleared and step is not SettleStep.STUCK:
            if (reason := self._guards.ask_first(step, found, seen)) is not None:
                return reason
            work.cleared = True
        if self._ports.check_mode:
            self._predict(step, outcome, found)
            return None
        if step in work.taken:
            again = UnknownStateError(
                f"escrow {work.id} makes no progress: step '{step.value}' succeeded but is due "
                f"again. Another process is probably changing it",
                escrow_id=work.id,
            )
            return Waiting(again)
        work.taken.add(step)
        return self._perform(step, work, found)

    def _step(self, work: Work, found: SettleView) -> SettleStep:
        step = next_step(found, reloads=self._ports.limits.reloads)
        gateway_settles = self._run.options.settle_via is Via.GATEWAY
        if step is SettleStep.SETTLE and gateway_settles and not work.finalized:
            # A restart or an unload costs the gateway the signatures it has in memory, and it would
            # settle without them and answer 200. Finalizing again brings them back.
            return SettleStep.LOAD if found.view.loadable else SettleStep.FINALIZE
        return step

    def _perform(self, step: SettleStep, work: Work, found: SettleView) -> Waiting | None:
        view = found.view
        if step is SettleStep.DEACTIVATE:
            return self._calls.deactivate(view)
        if step is SettleStep.LOAD:
            return self._calls.load(work, view)
        if step is SettleStep.WAIT_IDLE:
            return self._calls.still_busy(view)
        if step is SettleStep.QUEUED:
            return self._calls.left_to_gateway(view)
        if step is SettleStep.STUCK:
            return Waiting(self._guards.stuck(view))
        if step is SettleStep.FINALIZE:
            return self._calls.finalize(work, view)
        if step is SettleStep.SETTLE:
            self._payout.pay_out(work.outcome, found)
        return None

    def _predict(self, step: SettleStep, outcome: SettledEscrow, found: SettleView) -> None:
        if step is SettleStep.STUCK:
            raise self._guards.stuck(found.view)
        if step is SettleStep.QUEUED:
            return
        if step is SettleStep.SETTLE:
            self._guards.refuse_pay_out(outcome, found)
        outcome.predicted = True
        self._run.result.actions.append(f"settle escrow {outcome.id}")
        if found.settlement is not None and found.view.amount is not None:
            outcome.spent = found.settlement.cost
            outcome.fees = found.settlement.fees
            outcome.refund = found.settlement.refund(found.view.amount)
        elif found.view.balance is not None:
            # what the session holds now; requests that still run make it less
            outcome.refund = found.view.balance
