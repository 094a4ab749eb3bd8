# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Everything that can refuse a deposit, asked before the first one is paid."""

from __future__ import annotations

import typing as t

from .._core.errors import UnknownStateError, UnsafeError
from .._core.files import stamp
from . import transactions as tx
from .create_window import refuse_window
from .funding import deposits_needed, gnk
from .ledger.states import Intent, State
from .observe import upgrade_ahead
from .payment import Facts, Payment, refuse_model, refuse_payment

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from .._chain.models import CreatedEvent
    from .claims import Claims
    from .ensure_options import PoolRun
    from .pool_look import PoolSeen
    from .pool_rules import EscrowView, PoolPlan


class CreateGuards:
    def __init__(self, run: PoolRun, claims: Claims) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._claims = claims

    def refuse(self, plan: PoolPlan, seen: PoolSeen) -> None:
        for escrow_id in self._options.adopt:
            self._refuse_adoption(seen.views[escrow_id])
        if plan.create:
            self._refuse_blind_create(plan, seen)
        self._refuse_payment(plan, seen)

    def _refuse_adoption(self, view: EscrowView) -> None:
        if view.recorded:
            return
        reason = None
        if not view.on_chain:
            reason = "the chain does not have it"
        elif view.settled:
            reason = "it is settled"
        elif view.creator != self._run.creator:
            reason = f"it belongs to {view.creator}"
        elif view.model not in {self._options.model_id, *self._options.other_models}:
            reason = (
                f"it is for model {view.model}, which devshard_models does not name. Add that model"
                " there (with count: 0 no escrow is created for it)"
            )
        elif view.deadline is not None and view.deadline.blocks_left < 0:
            reason = "its deadline has passed"
        elif view.id in self._options.other_gateway_escrow_ids:
            reason = (
                "another gateway has it (escrow_other_gateway_ids, or another host of the play)"
            )
        if reason is not None:
            raise UnsafeError(f"escrow {view.id} cannot be adopted: {reason}", escrow_id=view.id)

    def _refuse_blind_create(self, plan: PoolPlan, seen: PoolSeen) -> None:
        """Nothing is paid while it is not known what is paid already, or what would become of it."""
        creator = self._run.creator
        head = self._ports.chain.signing_head()
        if (reason := upgrade_ahead(self._ports.chain, head.height)) is not None:
            raise UnsafeError(f"no escrow is created: {reason}")
        if wanted := self._options.min_blocks_to_poc:
            reason = refuse_window(self._ports.chain.epoch(), head.height, wanted)
            if reason is not None:
                raise UnsafeError(f"no escrow is created: {reason}")
        if seen.created is None:
            raise UnknownStateError(
                "nothing is created because the chain could not be asked which escrows"
                f" {creator} already has: {seen.why_unknown}. Use a node with its"
                " transaction index on"
            )
        if seen.hidden:
            raise UnknownStateError(
                f"no escrow is created, since escrow {', '.join(map(str, seen.hidden))} may serve"
                " already: the chain does not show it, and it cannot have pruned it yet. The node is"
                " behind, or it is another chain. Use another devshard_chain_rest and run this again",
                hidden=list(seen.hidden),
            )
        pending = [
            item for item in self._claims.open_creates() if item.model == self._options.model_id
        ]
        if pending and not self._ports.check_mode:
            raise UnsafeError(pending_creates_text(pending))
        self._refuse_paid_elsewhere(seen, seen.created)
        if plan.unclaimed and not self._options.allow_unclaimed:
            raise UnsafeError(
                f"no escrow is created, because {creator} has unsettled escrows that nothing "
                f"explains: {_with_deposits(seen, plan.unclaimed)}. Neither this gateway nor the"
                " ledger of this host knows them, so another storage or another gateway may serve"
                " them. If another gateway has them, name them in escrow_other_gateway_ids"
                " (other_gateway_escrow_ids), or run this for all hosts of this creator at once."
                " If no gateway serves them, name them in escrow_adopt (adopt). With"
                " escrow_allow_unclaimed: true (allow_unclaimed) a deposit is locked beside them",
                unclaimed=list(plan.unclaimed),
            )

    def _refuse_payment(self, plan: PoolPlan, seen: PoolSeen) -> None:
        """Also where nothing is missing now: a setting with which nothing could be paid is wrong."""
        options = self._options
        if options.count == 0:
            return
        payment = Payment(
            model=options.model_id,
            amount=options.amount,
            count=options.count,
            create=plan.create,
            max_creates=options.max_creates_per_run,
        )
        facts = self._facts(seen)
        if plan.create:
            self._run.result.before["balance"] = facts.balance
        if (reason := refuse_payment([payment], facts)) is not None:
            raise UnsafeError(f"no escrow is created: {reason}")
        reason = None if plan.create else refuse_model(options.model_id, facts.active_models or ())
        if reason is not None:
            self._ports.warn(
                f"{reason}. {len(plan.usable)} of {options.count} wanted are usable now"
            )

    def _facts(self, seen: PoolSeen) -> Facts:
        chain, options = self._ports.chain, self._options
        pending = [
            intent
            for intent in self._claims.open_creates()
            if intent.escrow_id is None and intent.state is not State.PLANNED
        ]
        open_sum = sum(intent.amount or 0 for intent in pending)
        elsewhere = [intent for intent in pending if intent.model != options.model_id]
        return Facts(
            creator=self._run.creator,
            balance=chain.spendable(self._run.creator),
            active_models=chain.active_models(),
            terms=chain.escrow_params(),
            reserved=deposits_needed(
                [intent.amount or 0 for intent in elsewhere], options.fee_amount
            ),
            settlement_tag=self._ports.settlement_tag,
            fee=options.fee_amount,
            gas_limit=options.gas_limit,
            locked=open_sum
            + sum(view.amount or 0 for view in seen.views.values() if view.unsettled),
            max_total_locked=options.max_total_locked,
        )

    def _refuse_paid_elsewhere(self, seen: PoolSeen, created: list[CreatedEvent]) -> None:
        """No second deposit beside one that no gateway registered.

        A gateway whose URL is spelled differently looks like another one, and so would its open
        creates.
        """
        named = self._options.other_gateway_escrow_ids | seen.records
        for intent in self._claims.open_creates(elsewhere=True):
            if intent.state is State.PLANNED or intent.model != self._options.model_id:
                continue
            made = {intent.escrow_id} if intent.escrow_id is not None else set()
            if not made:
                fitting = self._claims.fitting(intent, created, but=named)
                made = {event.escrow_id for event in fitting}
            if not made and self._can_still_be_included(intent):
                raise UnsafeError(pending_creates_text([intent]), intent=intent.to_result())
            waiting = [
                str(number)
                for number in sorted(made - named)
                if (view := seen.views.get(number)) is not None and view.unsettled
            ]
            if waiting:
                numbers = ", ".join(waiting)
                raise UnsafeError(
                    f"escrow {numbers} was paid for the gateway at {intent.gateway}"
                    f" (intent {intent.id}), which has not registered it. No other one is created"
                    " beside it: finish there, or adopt it here (escrow_adopt), which is right when"
                    " that is this gateway's earlier URL; if another gateway has it, name it in"
                    " escrow_other_gateway_ids (other_gateway_escrow_ids)",
                    intent=intent.to_result(),
                )

    def _can_still_be_included(self, intent: Intent) -> bool:
        """Whether the chain can still include what was signed for an intent."""
        ends = tx.lifetime_end(intent)
        if ends is None or self._ports.chain.head().time <= ends:
            return True
        tx.refuse_young_node(self._ports.chain, intent)
        return False


def _with_deposits(seen: PoolSeen, numbers: Collection[int]) -> str:
    return ", ".join(f"{number} ({gnk(seen.views[number].amount or 0)})" for number in numbers)


def pending_creates_text(intents: list[Intent]) -> str:
    parts = []
    for intent in intents:
        ends = tx.lifetime_end(intent)
        until = "later" if ends is None else f"after {stamp(ends)}"
        what = f"transaction {intent.tx_hash}" if intent.tx_hash else "the gateway's create"
        what += f" for model {intent.model}"
        parts.append(f"{what} of intent {intent.id} (run again {until})")
    return (
        "it is not known yet whether an earlier create locked a deposit, so nothing new is"
        " created: " + "; ".join(parts)
    )
