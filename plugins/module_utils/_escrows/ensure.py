# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Keeps the wanted number of usable escrows: look, finish what is open, adopt, create."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._core.errors import DevshardError, UnknownStateError
from .._core.outcomes import PartialFailure
from .._core.timer import WaitBudget
from . import transactions as tx
from .adopt import Adoption
from .claims import Claims
from .create import Creates
from .create_guards import CreateGuards
from .ensure_options import EscrowOptions, EscrowResult, PoolRun
from .ledger.states import Intent, Kind, State
from .pool_look import PoolSeen, look_at_pool
from .pool_rules import PoolPlan, PoolWish, is_idle, plan_pool, surplus_of

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from .ports import Ports


class EnsureEscrows:
    """One run of the module. Every step looks first, so an interrupted run can be repeated."""

    def __init__(self, ports: Ports, options: EscrowOptions) -> None:
        self._ports = ports
        self._options = options
        self._result = EscrowResult()

    def run(self) -> EscrowResult:
        self._options.check()
        self._ports.chain.head()
        creator = self._ports.creator(self._options.creator)
        run = PoolRun(
            ports=self._ports, options=self._options, creator=creator, result=self._result
        )
        return PoolRound(run).run()


class PoolRound:
    """Observe, decide, perform, for one creator. The observed state is read once, passed down."""

    def __init__(self, run: PoolRun) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._result = run.result
        self._claims = Claims(run.ports, run.creator, run.options.other_gateway_escrow_ids)
        self._adoption = Adoption(run, self._claims)
        self._creates = Creates(run, self._claims, self._adoption)
        self._guards = CreateGuards(run, self._claims)
        self._expected = 0
        """In check mode, how many open creates will be finished instead of new ones."""

    def run(self) -> EscrowResult:
        seen = self._look()
        self._result.before = self._summary(seen)
        try:
            return self._reach(seen)
        except DevshardError as exc:
            if self._ports.check_mode or not self._result.changed:
                raise
            # what was paid before it failed must be shown
            raise PartialFailure(self._result, [exc]) from exc

    def _reach(self, seen: PoolSeen) -> EscrowResult:
        if self._close_open_intents():
            seen = self._look()
        seen = self._await_shown(seen)
        plan = self._decide(seen)
        self._guards.refuse(plan, seen)
        self._perform(plan, seen)
        if not self._ports.check_mode and (plan.adopt or plan.reactivate or plan.create):
            seen = self._look()
            plan = self._plan(seen)
        return self._report(seen, plan)

    def _await_shown(self, seen: PoolSeen) -> PoolSeen:
        """Where something is to be paid: nodes behind one address may differ by some blocks."""
        while seen.hidden and not self._ports.check_mode and self._plan(seen).create:
            if not self._ports.deadline.pause(self._ports.interval):
                break
            seen = self._look()
        return seen

    def _look(self) -> PoolSeen:
        return look_at_pool(self._run, self._claims)

    # deciding

    def _decide(self, seen: PoolSeen) -> PoolPlan:
        """The plan, once it is known which inactive escrows can serve again."""
        wanted = self._options.count
        if self._ports.check_mode:
            self._expected = self._paid_already(seen)
            wanted = max(0, wanted - self._expected)
        unable: set[int] = set()
        if not self._options.reactivate:
            unable = {view.id for view in seen.views.values() if is_idle(view)}
        while True:
            plan = self._plan(seen, count=wanted, unable=unable)
            refused = {
                number
                for number in plan.reactivate
                if self._adoption.must_stay_inactive(seen.views[number])
            }
            if not refused:
                break
            unable |= refused
        if plan.create and not self._options.reactivate:
            self._name_idle(seen)
        return plan

    def _plan(
        self, seen: PoolSeen, *, count: int | None = None, unable: Collection[int] = ()
    ) -> PoolPlan:
        options = self._options
        # those of another model are left to its run, and explained meanwhile
        adoptable, left = set[int](), set[int]()
        for number in options.adopt:
            own = seen.views[number].model == options.model_id
            (adoptable if own else left).add(number)
        if options.adopt_orphans:
            others = self._claims.of_others() | self._of_peers(seen)
            adoptable |= {
                view.id
                for view in seen.views.values()
                if view.model == options.model_id and view.id not in others
            }
        explained = (
            self._claims.of_others(held=True)
            | self._claims.made_here(seen.created or ())
            | self._of_peers(seen)
            | left
        )
        return plan_pool(
            PoolWish(
                model=options.model_id,
                amount=options.amount,
                count=options.count if count is None else count,
            ),
            list(seen.views.values()),
            ours=explained,
            adoptable=adoptable,
            creator=self._run.creator,
            unable=unable,
        )

    def _of_peers(self, seen: PoolSeen) -> frozenset[int]:
        since = self._options.others_create_after
        if since is None:
            return frozenset()
        return frozenset(event.escrow_id for event in seen.created or () if event.height > since)

    def _paid_already(self, seen: PoolSeen) -> int:
        """Open creates that this run would finish, as far as that is known without doing it."""
        expected = 0
        for intent in self._claims.open_creates():
            if intent.state is State.PLANNED or intent.model != self._options.model_id:
                continue
            if (intent.amount or 0) < self._options.amount:
                continue
            if intent.escrow_id is not None:
                view = seen.views[intent.escrow_id]
                expected += view.unsettled and not view.recorded
            elif intent.tx_hash is None:
                expected += 1
            else:
                outcome = tx.look(self._ports.chain, intent).outcome
                expected += outcome in (tx.TxOutcome.PENDING, tx.TxOutcome.INCLUDED)
        return expected

    def _name_idle(self, seen: PoolSeen) -> None:
        """A gateway that started while the chain answered 404 switched its escrows off for good."""
        idle = [
            str(view.id)
            for view in seen.views.values()
            if is_idle(view) and view.model == self._options.model_id
        ]
        if idle:
            self._ports.warn(
                f"escrow {', '.join(idle)}: inactive in the gateway, but paid for and able to serve."
                " Another one is paid for beside it because escrow_reactivate (reactivate) is "
                "false."
                f" Settle it before its deadline (gonka.devshard.settle, settle_ids={','.join(idle)})"
            )

    # performing

    def _perform(self, plan: PoolPlan, seen: PoolSeen) -> None:
        for escrow_id in plan.adopt:
            self._adoption.adopt(seen.views[escrow_id])
        for escrow_id in plan.reactivate:
            self._adoption.reactivate(escrow_id)
        if self._ports.check_mode:
            wanted = {
                "model": self._options.model_id,
                "amount": self._options.amount,
                "fee": self._offered_fee() if plan.create else 0,
            }
            self._result.created = [dict(wanted) for _unused in range(plan.create)]
            return
        for _unused in range(plan.create):
            self._creates.create(seen.created or ())

    def _offered_fee(self) -> int:
        params = self._ports.chain.escrow_params()
        return self._creates.offered_fee(params, self._options.gas_limit)

    def _close_open_intents(self) -> bool:
        """Finish what an earlier run left open; True when the observed state may have changed."""
        found = self._claims.open_creates()
        for intent in found:
            own = intent.model == self._options.model_id
            if self._ports.check_mode:
                of_model = "" if own else f" of model {intent.model}"
                self._result.actions.append(
                    f"finish the open create of intent {intent.id}{of_model}"
                )
            elif own:
                self._creates.carry_on(intent)
            else:
                self._try_to_carry_on(intent)
        return bool(found) and not self._ports.check_mode

    def _try_to_carry_on(self, intent: Intent) -> None:
        """Another model's create holds up nothing here: its own run waits for it."""
        hurried = replace(self._run, ports=replace(self._ports, deadline=WaitBudget(0)))
        creates = Creates(hurried, self._claims, Adoption(hurried, self._claims))
        try:
            creates.carry_on(intent)
        except DevshardError as exc:
            self._ports.warn(f"a create of model {intent.model} is open: {exc}")

    # reporting

    def _report(self, seen: PoolSeen, plan: PoolPlan) -> EscrowResult:
        result, views = self._result, seen.views
        result.escrows = [views[number] for number in plan.usable]
        result.pending = [
            intent
            for intent in self._claims.intents()
            if intent.open and intent.kind is Kind.CREATE
        ]
        if seen.created is not None:
            result.unclaimed = [views[number] for number in plan.unclaimed]
        result.foreign = [views[number] for number in plan.foreign]
        self._name_strangers()
        result.after = self._summary(seen)
        self._receipt(seen)
        surplus = surplus_of(list(views.values()), plan, self._options.count)
        result.surplus = [views[number] for number in surplus]
        if self._ports.check_mode:
            new = len(result.created) + len(result.adopted) + len(result.reactivated)
            result.after["usable"] += new + self._expected
        elif len(plan.usable) < self._options.count:
            raise UnknownStateError(
                f"{len(plan.usable)} of {self._options.count} escrows are usable after this run;"
                " gonka.devshard.escrow_info shows why"
            )
        return result

    def _name_strangers(self) -> None:
        creator = self._run.creator
        if self._result.unclaimed:
            numbers = ", ".join(str(view.id) for view in self._result.unclaimed)
            self._ports.warn(
                f"this gateway has no record of unsettled escrows of {creator}: {numbers}. If no"
                " other gateway serves them, adopt or settle them before their deadline"
            )
        for view in self._result.foreign:
            self._ports.warn(
                f"escrow {view.id} in this gateway belongs to {view.creator}, not to {creator}:"
                " it is not counted, and only its owner can settle it"
            )

    def _receipt(self, last: PoolSeen) -> None:
        """What was paid, until when it must be settled, and what is left in the wallet."""
        created = self._result.created
        if not created:
            return
        for entry in created:
            view = last.views.get(entry.get("id", 0))
            if view is not None and view.deadline is not None:
                entry["settle_before"] = view.deadline.to_result()
        if self._ports.check_mode:
            spent = sum(entry["amount"] + entry["fee"] for entry in created)
            self._result.balance = self._result.before["balance"] - spent
        else:
            self._result.balance = self._ports.chain.balance(self._run.creator)
        self._result.after["balance"] = self._result.balance

    def _summary(self, seen: PoolSeen) -> dict[str, t.Any]:
        usable = self._plan(seen).usable
        return {
            "model": self._options.model_id,
            "amount": self._options.amount,
            "usable": len(usable),
        }
