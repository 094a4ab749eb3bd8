# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Keeps the wanted number of usable escrows: look, finish what is open, adopt, create."""

from __future__ import annotations

import re
import secrets
import typing as t
from dataclasses import dataclass, field, replace
from datetime import timedelta

from .._core.errors import (
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
from .._core.reader import parse_time
from .._core.timer import WaitBudget
from . import transactions as tx
from .funding import deposits_needed, gnk
from .ledger.states import Event, Intent, Kind, State, Via
from .observe import read_births, read_clock, view_of
from .payment import Facts, Payment, refuse_model, refuse_payment
from .pool_rules import Birth, PoolPlan, PoolWish, is_idle, match_birth, plan_pool, surplus_of
from .records import DevshardOptions, SetDevshard

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from .pool_rules import EscrowView
    from .ports import Ports

GAS_MARKS: t.Final = 4096
"""How many gas limits a create that goes to the gateway may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EscrowOptions:
    model_id: str
    amount: int
    count: int
    private_key_env: str
    create_via: Via
    creator: str | None
    adopt: tuple[int, ...]
    adopt_orphans: bool
    other_gateway_escrow_ids: frozenset[int]
    allow_unclaimed: bool
    others_create_after: int | None
    """Escrows of later blocks belong to the other gateways of the play, which take turns."""
    reactivate: bool
    max_creates_per_run: int
    max_total_locked: int | None
    fee_amount: int
    gas_limit: int
    tx_lifetime: int

    def check(self) -> None:
        """What can be refused without asking anybody."""
        if not self.model_id.strip() or self.model_id != self.model_id.strip():
            raise ConfigurationError(
                "an id in devshard_models (model_id) must not be empty or begin or end with a blank"
            )
        if self.amount <= 0:
            raise ConfigurationError(
                f"amount in devshard_models must be a positive whole number of ngonka, got {self.amount}"
            )
        if self.count < 0:
            raise ConfigurationError(
                f"count in devshard_models must be 0 or more, got {self.count}"
            )
        if self.fee_amount < 0 or self.gas_limit < 100:
            raise ConfigurationError(
                "escrow_fee_amount (fee_amount) must be 0 or more and escrow_gas_limit (gas_limit) 100 or"
                " more"
            )
        if not 30 <= self.tx_lifetime <= 600:
            raise ConfigurationError(
                f"tx_lifetime must lie between 30 and 600 seconds, got {self.tx_lifetime}"
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.private_key_env):
            raise ConfigurationError(
                "private_key_env must be the name of an environment variable of the gateway,"
                " never a key"
            )
        if self.create_via is Via.GATEWAY and not self.creator:
            raise ConfigurationError(
                "escrow_create_via (create_via) is gateway, which needs escrow_creator (creator): without"
                " the keyring nothing else says whose escrows to look for"
            )


@dataclass(kw_only=True, slots=True)
class EscrowResult:
    escrows: list[EscrowView] = field(default_factory=list)
    created: list[dict[str, t.Any]] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    reactivated: list[int] = field(default_factory=list)
    surplus: list[EscrowView] = field(default_factory=list)
    foreign: list[EscrowView] = field(default_factory=list)
    balance: int | None = None
    pending: list[Intent] = field(default_factory=list)
    unclaimed: list[EscrowView] | None = None
    actions: list[str] = field(default_factory=list)
    before: dict[str, t.Any] = field(default_factory=dict)
    after: dict[str, t.Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.created or self.adopted or self.reactivated or self.actions)

    def to_result(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "escrows": [view.to_result() for view in self.escrows],
            "created": self.created,
            "adopted": self.adopted,
            "reactivated": self.reactivated,
            "surplus": [view.to_result() for view in self.surplus],
            "foreign": [view.to_result() for view in self.foreign],
            "balance": self.balance,
            "pending": [intent.to_result() for intent in self.pending],
            "unclaimed": None
            if self.unclaimed is None
            else [view.to_result() for view in self.unclaimed],
            "actions": self.actions,
        }


class CreateAnswer(t.NamedTuple):
    """What the gateway's answer to a create proves."""

    nothing_sent: bool
    tx_hash: str | None = None
    escrow_id: int | None = None


def read_create_failure(exc: DevshardError) -> CreateAnswer:
    """What a failed create of the gateway leaves behind, by the rows of its contract.

    Only answers that are known to come before the broadcast, or instead of it, close the intent;
    everything else leaves it open, with the hash where the answer has one: the chain decides.
    """
    if isinstance(exc, TransportError):
        return CreateAnswer(exc.details.get("sent") is False)
    status = exc.details.get("http_status")
    text = str(exc.details.get("server_message") or "")
    error = exc.details.get("server_error")
    if isinstance(error, dict) and str(error.get("escrow_id", "")).isdigit():
        tx_hash = str(error.get("tx_hash") or "").upper()
        return CreateAnswer(False, tx_hash or None, int(error["escrow_id"]))
    if status in (308, 400, 401, 404, 405):
        return CreateAnswer(True)
    if status == 502:
        if re.match(r"fetch (account|chain id)\b|broadcast tx failed code=", text):
            return CreateAnswer(True)
        if found := re.match(r"(?:wait for )?tx ([0-9A-Fa-f]{64})\b", text):
            return CreateAnswer(False, found[1].upper())
    return CreateAnswer(False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSeen:
    """One look at gateway and chain."""

    views: dict[int, EscrowView]
    births: list[Birth] | None
    why_no_births: str
    records: frozenset[int]


class EnsureEscrows:
    """One run of the module. Every step looks first, so a run cut off anywhere can be repeated."""

    def __init__(self, ports: Ports, options: EscrowOptions) -> None:
        self._p = ports
        self._o = options
        self._result = EscrowResult()
        self._creator = ""
        self._expected = 0
        """In check mode, how many open creates will be finished instead of new ones."""

    def run(self) -> EscrowResult:
        self._o.check()
        self._p.chain.head()
        self._creator = self._p.creator(self._o.creator)
        self._result.before = self._summary(self._look())
        self._close_open_intents()
        seen = self._look()
        plan = self._decide(seen)
        self._refuse(plan, seen)
        try:
            self._act(plan, seen)
        except DevshardError as exc:
            if self._result.changed:
                # what was paid before it failed must be shown
                exc.details.setdefault("result", self._result.to_result())
            raise
        return self._finish(seen, plan)

    def _act(self, plan: PoolPlan, seen: PoolSeen) -> None:
        for escrow_id in plan.adopt:
            self._adopt(seen.views[escrow_id])
        for escrow_id in plan.reactivate:
            self._reactivate(escrow_id)
        if self._p.check_mode:
            wanted = {
                "model": self._o.model_id,
                "amount": self._o.amount,
                "fee": self._o.fee_amount,
            }
            self._result.created = [dict(wanted) for _unused in range(plan.create)]
            return
        for _unused in range(plan.create):
            self._create()

    def _decide(self, seen: PoolSeen) -> PoolPlan:
        """The plan, once it is known which inactive escrows can serve again."""
        wanted = self._o.count
        if self._p.check_mode:
            self._expected = self._paid_already(seen)
            wanted = max(0, wanted - self._expected)
        unable: set[int] = set()
        if not self._o.reactivate:
            unable = {view.id for view in seen.views.values() if is_idle(view)}
        while True:
            plan = self._plan(seen, count=wanted, unable=unable)
            refused = {number for number in plan.reactivate if self._must_stay_inactive(number)}
            if not refused:
                break
            unable |= refused
        if plan.create and not self._o.reactivate:
            self._name_idle(seen)
        return plan

    # looking

    def _look(self) -> PoolSeen:
        clock = read_clock(self._p.chain)
        records = {int(item.id): item for item in self._p.gateway.state().devshards}
        births: list[Birth] | None = None
        why = ""
        try:
            births = read_births(self._p.chain, self._creator)
        except UnknownStateError as exc:
            why = str(exc)
        wanted = {
            number
            for number, item in records.items()
            if item.active and item.model in (self._o.model_id, None)
        }
        if births is not None and (missed := self._not_in_index(wanted, births)):
            births, why = (
                None,
                (
                    f"its index of transactions lacks the creation of escrow {missed}, which the chain"
                    " has, so it may lack others too"
                ),
            )
        live = {birth.escrow_id for birth in births or () if birth.epoch + 1 >= clock.effective}
        mine = {intent.escrow_id for intent in self._open_creates() if intent.escrow_id is not None}
        views = {
            number: view_of(
                number,
                records.get(number),
                self._p.chain.escrow(number),
                clock,
                self._p.limits,
                creator=self._creator,
            )
            for number in sorted(wanted | live | mine | set(self._o.adopt))
        }
        return PoolSeen(views=views, births=births, why_no_births=why, records=frozenset(records))

    def _not_in_index(self, recorded: set[int], births: list[Birth]) -> str:
        """Escrows of this creator that the chain has and the node's index does not."""
        known = {birth.escrow_id for birth in births}
        missed = []
        for number in sorted(recorded - known):
            escrow = self._p.chain.escrow(number)
            if escrow is not None and escrow.creator == self._creator:
                missed.append(str(number))
        return ", ".join(missed)

    def _open_creates(self, *, elsewhere: bool = False) -> list[Intent]:
        """Of this gateway, or of what the ledger knows as the other gateways of this host."""
        return [
            intent
            for intent in self._intents()
            if intent.open
            and intent.kind is Kind.CREATE
            and (intent.gateway != self._p.gateway_id) is elsewhere
            and intent.creator == self._creator
        ]

    def _paid_already(self, seen: PoolSeen) -> int:
        """Open creates that this run would finish, as far as it can be told without doing it."""
        expected = 0
        for intent in self._open_creates():
            if intent.state is State.PLANNED or intent.model != self._o.model_id:
                continue
            if (intent.amount or 0) < self._o.amount:
                continue
            if intent.escrow_id is not None:
                view = seen.views[intent.escrow_id]
                expected += view.unsettled and not view.recorded
            elif intent.tx_hash is None:
                expected += 1
            else:
                outcome = tx.look(self._p.chain, intent).outcome
                expected += outcome in (tx.TxOutcome.PENDING, tx.TxOutcome.INCLUDED)
        return expected

    def _intents(self) -> list[Intent]:
        ledger = self._p.ledger
        return [] if ledger is None else ledger.intents(chain_id=self._p.chain_id)

    def _claimed_by_others(self, *, held: bool = False) -> frozenset[int]:
        """Escrows that another gateway of this host made or imported, or that are named.

        With ``held`` only those that it surely got: an open create may belong to a gateway that
        is gone, and then nobody else would speak of it.
        """
        here = {
            intent.escrow_id
            for intent in self._intents()
            if intent.gateway != self._p.gateway_id
            and intent.escrow_id is not None
            and intent.kind in (Kind.CREATE, Kind.IMPORT)
            and not (held and intent.open)
        }
        return frozenset(here | self._o.other_gateway_escrow_ids)

    def _plan(
        self, seen: PoolSeen, *, count: int | None = None, unable: Collection[int] = ()
    ) -> PoolPlan:
        others = self._claimed_by_others()
        adoptable = set(self._o.adopt)
        if self._o.adopt_orphans:
            adoptable |= {
                view.id
                for view in seen.views.values()
                if view.model == self._o.model_id and view.id not in others
            }
        return plan_pool(
            PoolWish(
                model=self._o.model_id,
                amount=self._o.amount,
                count=self._o.count if count is None else count,
            ),
            list(seen.views.values()),
            ours=self._claimed_by_others(held=True) | self._open_here(seen) | self._of_peers(seen),
            adoptable=adoptable,
            creator=self._creator,
            unable=unable,
        )

    def _of_peers(self, seen: PoolSeen) -> frozenset[int]:
        since = self._o.others_create_after
        if since is None:
            return frozenset()
        return frozenset(birth.escrow_id for birth in seen.births or () if birth.height > since)

    def _open_here(self, seen: PoolSeen) -> frozenset[int]:
        """Escrows that open creates of this gateway, of any model, made or may have made."""
        found: set[int] = set()
        for intent in self._open_creates():
            if intent.escrow_id is not None:
                found.add(intent.escrow_id)
            elif intent.state is not State.PLANNED:
                window, taken = tx.signing_window(intent), self._taken(intent)
                fitting = match_birth(intent, seen.births or (), taken=taken, window=window)
                found.update(birth.escrow_id for birth in fitting)
        return frozenset(found)

    def _refuse(self, plan: PoolPlan, seen: PoolSeen) -> None:
        for escrow_id in self._o.adopt:
            self._refuse_adoption(seen.views[escrow_id])
        if plan.create:
            self._refuse_blind_create(plan, seen)
        self._refuse_payment(plan, seen)

    def _refuse_blind_create(self, plan: PoolPlan, seen: PoolSeen) -> None:
        """Nothing is paid while it is not known what is paid already, or what would become of it."""
        self._p.chain.signing_head()
        if seen.births is None:
            raise UnknownStateError(
                "nothing is created because the chain could not be asked which escrows"
                f" {self._creator} already has: {seen.why_no_births}. Use a node with its"
                " transaction index on"
            )
        pending = [item for item in self._open_creates() if item.model == self._o.model_id]
        if pending and not self._p.check_mode:
            raise UnsafeError(_pending_text(pending))
        self._refuse_paid_elsewhere(seen, seen.births)
        if plan.unclaimed and not self._o.allow_unclaimed:
            raise UnsafeError(
                f"no escrow is created, since {self._creator} has unsettled escrows that nothing"
                f" explains: {_with_deposits(seen, plan.unclaimed)}. Neither this gateway nor the"
                " ledger of this host knows them, so another storage or another gateway may serve"
                " them. If another gateway has them, name them in escrow_other_gateway_ids"
                " (other_gateway_escrow_ids), or run this for all hosts of this creator at once."
                " If no gateway serves them, name them in escrow_adopt (adopt). With"
                " escrow_allow_unclaimed: true (allow_unclaimed) a deposit is locked beside them",
                unclaimed=list(plan.unclaimed),
            )

    def _refuse_payment(self, plan: PoolPlan, seen: PoolSeen) -> None:
        """Also where nothing is missing now: a setting with which nothing could be paid is wrong."""
        if self._o.count == 0:
            return
        payment = Payment(
            model=self._o.model_id,
            amount=self._o.amount,
            count=self._o.count,
            create=plan.create,
            max_creates=self._o.max_creates_per_run,
        )
        pending = [
            intent
            for intent in self._open_creates()
            if intent.escrow_id is None and intent.state is not State.PLANNED
        ]
        open_sum = sum(intent.amount or 0 for intent in pending)
        elsewhere = [intent for intent in pending if intent.model != self._o.model_id]
        balance = self._p.chain.balance(self._creator)
        if plan.create:
            self._result.before["balance"] = balance
        active = self._p.chain.active_models()
        facts = Facts(
            creator=self._creator,
            terms=self._p.chain.escrow_params(),
            active_models=active,
            balance=balance,
            reserved=deposits_needed(
                [intent.amount or 0 for intent in elsewhere], self._o.fee_amount
            ),
            settlement_tag=self._p.settlement_tag,
            fee=self._o.fee_amount,
            gas_limit=self._o.gas_limit,
            locked=open_sum
            + sum(view.amount or 0 for view in seen.views.values() if view.unsettled),
            max_total_locked=self._o.max_total_locked,
        )
        if (reason := refuse_payment([payment], facts)) is not None:
            raise UnsafeError(f"no escrow is created: {reason}")
        if not plan.create and (reason := refuse_model(self._o.model_id, active)) is not None:
            self._p.warn(f"{reason}. {len(plan.usable)} of {self._o.count} wanted are usable now")

    def _refuse_paid_elsewhere(self, seen: PoolSeen, births: list[Birth]) -> None:
        """No second deposit beside one that nobody registered.

        A gateway whose URL is spelled anew looks like another one, and so would its open creates.
        """
        named = self._o.other_gateway_escrow_ids | seen.records
        for intent in self._open_creates(elsewhere=True):
            if intent.state is State.PLANNED or intent.model != self._o.model_id:
                continue
            made = {intent.escrow_id} if intent.escrow_id is not None else set()
            if not made:
                window = tx.signing_window(intent)
                taken = self._taken(intent) - named
                fitting = match_birth(intent, births, taken=taken, window=window)
                made = {birth.escrow_id for birth in fitting}
            if not made and self._may_come(intent):
                raise UnsafeError(_pending_text([intent]), intent=intent.to_result())
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

    def _may_come(self, intent: Intent) -> bool:
        """Whether the chain can still include what was signed for an intent."""
        ends = tx.lifetime_end(intent)
        if ends is None or self._p.chain.head().time <= ends:
            return True
        tx.refuse_young_node(self._p.chain, intent)
        return False

    def _taken(self, intent: Intent) -> frozenset[int]:
        """Escrows that are known to be of another create.

        A settle or a delete of an escrow says nothing about who made it: a run in between may have
        settled the very one that is looked for.
        """
        return self._o.other_gateway_escrow_ids | {
            other.escrow_id
            for other in self._intents()
            if other.id != intent.id
            and other.escrow_id is not None
            and other.kind in (Kind.CREATE, Kind.IMPORT)
        }

    # inactive, but paid for

    def _activation(self, escrow_id: int) -> DevshardOptions:
        return DevshardOptions(
            id=escrow_id,
            state="active",
            model_id=self._o.model_id,
            private_key_env=self._o.private_key_env,
            storage_path=None,
            perf_path=None,
            expected_nonce=None,
            expected_balance=None,
            force=None,
        )

    def _must_stay_inactive(self, escrow_id: int) -> bool:
        """Whether activating would risk the deposit; said, since another one is paid instead."""
        looking = replace(self._p, check_mode=True)
        try:
            SetDevshard(looking, self._activation(escrow_id)).run()
        except UnsafeError as exc:
            self._p.warn(f"escrow {escrow_id} is inactive in the gateway and stays so: {exc}")
            return True
        return False

    def _reactivate(self, escrow_id: int) -> None:
        """One that is paid for serves again before another one is paid for."""
        SetDevshard(self._p, self._activation(escrow_id)).run()
        self._result.reactivated.append(escrow_id)
        self._result.actions.append(
            f"activated escrow {escrow_id}, which was inactive, paid for and able to serve"
        )

    def _name_idle(self, seen: PoolSeen) -> None:
        """A gateway that started while the chain answered 404 switched its escrows off for good."""
        idle = [
            str(view.id)
            for view in seen.views.values()
            if is_idle(view) and view.model == self._o.model_id
        ]
        if idle:
            self._p.warn(
                f"escrow {', '.join(idle)}: inactive in the gateway, but paid for and able to serve."
                " Another one is paid for beside it since escrow_reactivate (reactivate) is false."
                f" Settle it before its deadline (gonka.devshard.settle, settle_ids={','.join(idle)})"
            )

    # finishing what an earlier run left open

    def _close_open_intents(self) -> None:
        for intent in self._open_creates():
            own = intent.model == self._o.model_id
            if self._p.check_mode:
                of_model = "" if own else f" of model {intent.model}"
                self._result.actions.append(
                    f"finish the open create of intent {intent.id}{of_model}"
                )
            elif own:
                self._carry_on(intent)
            else:
                self._try_to_carry_on(intent)

    def _try_to_carry_on(self, intent: Intent) -> None:
        """Another model's create holds up nothing here: its own run waits for it."""
        waiting, self._p = self._p, replace(self._p, deadline=WaitBudget(0))
        try:
            self._carry_on(intent)
        except DevshardError as exc:
            self._p.warn(f"a create of model {intent.model} is open: {exc}")
        finally:
            self._p = waiting

    def _carry_on(self, intent: Intent) -> None:
        """Bring one create as far as it can go now; raises if its outcome is not known yet."""
        ledger = self._p.record()
        if intent.state is State.PLANNED:
            ledger.apply(intent, Event.DROP, {"why": "the run ended before anything was sent"})
            return
        if intent.state is State.SIGNED:
            intent = tx.deliver(self._p, intent)
        elif intent.state is State.ASKED:
            intent = self._resolve_asked(intent)
        if intent.state is State.INCLUDED:
            self._register(intent)
        elif intent.state is State.REJECTED:
            self._result.actions.append(f"transaction {intent.tx_hash} was refused by the chain")
        elif intent.state is State.EXPIRED:
            self._result.actions.append(f"intent {intent.id} is void: it never was included")

    def _resolve_asked(self, intent: Intent) -> Intent:
        """Find out what the gateway did when its answer did not tell."""
        ledger = self._p.record()
        if intent.tx_hash is not None:
            return tx.await_outcome(self._p, intent)
        ends = tx.lifetime_end(intent)
        taken = self._taken(intent)
        while True:
            head = self._p.chain.head()
            if (recorded := self._recorded_since(intent, taken)) is not None:
                facts = {"found": "gateway record"}
                return ledger.apply(intent, Event.INCLUDE, facts, escrow_id=recorded, result=facts)
            births = read_births(self._p.chain, self._creator)
            found = match_birth(intent, births, taken=taken, window=tx.signing_window(intent))
            if len(found) > 1:
                numbers = ", ".join(str(birth.escrow_id) for birth in found)
                raise UnsafeError(
                    f"escrows {numbers} all fit the create that the gateway never answered"
                    f" (intent {intent.id}); name those of other gateways in"
                    " escrow_other_gateway_ids (other_gateway_escrow_ids) and run again",
                    intent=intent.to_result(),
                )
            if found:
                (birth,) = found
                seen = {"height": birth.height, "found": "create event"}
                return ledger.apply(
                    intent,
                    Event.INCLUDE,
                    seen,
                    escrow_id=birth.escrow_id,
                    tx_hash=birth.tx_hash,
                    result=seen,
                )
            if ends is not None and head.time > ends:
                tx.refuse_young_node(self._p.chain, intent)
                return ledger.apply(intent, Event.EXPIRE, {"height": head.height})
            if not self._p.deadline.pause(self._p.interval):
                raise WaitTimeoutError(_pending_text([intent]), intent=intent.to_result())

    def _recorded_since(self, intent: Intent, taken: frozenset[int]) -> int | None:
        """The one record of this gateway that can only come from this create, if there is one."""
        fitting = []
        for item in self._p.gateway.state().devshards:
            number = int(item.id)
            if (
                number in taken
                or item.model != intent.model
                or item.rotation_role is not None
                or parse_time(item.created_at) < parse_time(intent.created_at)
            ):
                continue
            escrow = self._p.chain.escrow(number)
            if escrow and (escrow.creator, escrow.amount) == (intent.creator, intent.amount):
                fitting.append(number)
        return fitting[0] if len(fitting) == 1 else None

    # creating

    def _create(self) -> None:
        ledger = self._p.record()
        head = self._p.chain.signing_head()
        intent = ledger.plan(
            Kind.CREATE,
            self._o.create_via,
            gateway=self._p.gateway_id,
            chain_id=self._p.chain_id,
            creator=self._creator,
            model=self._o.model_id,
            amount=self._o.amount,
            fee=self._o.fee_amount,
            gas=self._gas(),
            seen_height=head.height,
            seen_time=stamp(head.time),
        )
        if self._o.create_via is Via.SIGNED:
            intent = self._sign_and_send(intent)
        else:
            intent = self._ask_gateway(intent)
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
        self._register(intent, created=True)

    def _gas(self) -> int:
        """The gas limit. One that goes to the gateway is lowered by a random little.

        The gateway signs a transaction of its own and the reply may be lost: then this limit is
        what tells it from those of other gateways and of rotation.
        """
        if self._o.create_via is Via.SIGNED:
            return self._o.gas_limit
        return self._o.gas_limit - 1 - secrets.randbelow(min(GAS_MARKS, self._o.gas_limit // 50))

    def _sign_and_send(self, intent: Intent) -> Intent:
        lifetime = timedelta(seconds=self._o.tx_lifetime)
        return tx.sign_and_send(self._p, intent, lambda: tx.sign_create(self._p, intent, lifetime))

    def _ask_gateway(self, intent: Intent) -> Intent:
        ledger = self._p.record()
        intent = ledger.apply(intent, Event.ASK, timeout_at=tx.gateway_timeout(self._p.now()))
        try:
            made = self._p.gateway.create_escrow(
                model_id=self._o.model_id,
                amount=self._o.amount,
                private_key_env=self._o.private_key_env,
                chain_id=self._p.chain_id,
                fee_amount=self._o.fee_amount,
                gas_limit=intent.gas or self._o.gas_limit,
            )
        except DevshardError as exc:
            answer = read_create_failure(exc)
            detail = {"why": str(exc)[:300], "escrow_id": answer.escrow_id}
            if answer.nothing_sent:
                ledger.apply(intent, Event.DROP, detail)
                raise
            known = {} if answer.tx_hash is None else {"tx_hash": answer.tx_hash}
            ended = {"call_ended": stamp(self._p.now())}
            intent = ledger.apply(intent, Event.NOTE, detail, result=ended, **known)
            return self._resolve_asked(intent)
        intent = ledger.apply(
            intent, Event.NOTE, {"escrow_id": made.escrow_id}, tx_hash=made.tx_hash.upper()
        )
        return self._resolve_asked(intent)

    # registering

    def _register(self, intent: Intent, *, created: bool = False) -> None:
        """Give a paid escrow to the gateway and prove that it serves it."""
        ledger = self._p.record()
        escrow_id = intent.escrow_id
        if escrow_id is None:
            raise ProtocolError(f"intent {intent.id} is included but names no escrow")
        escrow = self._p.chain.escrow(escrow_id)
        if escrow is None or escrow.settled:
            self._close_gone(intent, settled=escrow is not None)
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
        if not created and not self._recorded(escrow_id):
            known = self._p.hosts_nonce(escrow, 0)
            if known.nonce:
                ledger.apply(intent, Event.FINISH, {"served_elsewhere": known.nonce})
                self._p.warn(
                    f"escrow {escrow_id}, paid for by an earlier run, has a session up to nonce"
                    f" {known.nonce} already, so another gateway took it. It is not registered here:"
                    " a second session would lose its deposit"
                )
                return
        try:
            fresh = self._put_into_gateway(escrow_id, intent.model)
        except DevshardError as exc:
            exc.details.setdefault("escrow_id", escrow_id)
            exc.details.setdefault("tx_hash", intent.tx_hash)
            self._p.warn(
                f"escrow {escrow_id} is paid for but the gateway does not serve it yet. Nothing is"
                " lost: run the same again, it will be registered and no other is created"
            )
            raise
        ledger.apply(intent, Event.FINISH, {"registered_now": fresh})
        if created:
            self._result.created.append(
                {
                    "id": escrow_id,
                    "model": intent.model,
                    "amount": intent.amount,
                    "fee": intent.fee,
                    "tx_hash": intent.tx_hash,
                    "height": (intent.result or {}).get("height"),
                }
            )
            self._result.actions.append(f"created escrow {escrow_id}")
        elif fresh:
            self._result.adopted.append(escrow_id)
            self._result.actions.append(
                f"registered escrow {escrow_id}, paid for by an earlier run"
            )

    def _close_gone(self, intent: Intent, *, settled: bool) -> None:
        ledger = self._p.record()
        settled = settled or self._p.chain.settled_event(intent.escrow_id or 0) is not None
        if settled:
            ledger.apply(intent, Event.FINISH, {"settled": True})
            return
        ledger.apply(intent, Event.LOSE, {"why": "pruned before it was registered or settled"})
        self._p.warn(
            f"escrow {intent.escrow_id} was never registered and the chain has pruned it: its"
            f" deposit of {intent.amount} ngonka went to the hosts"
        )

    def _put_into_gateway(self, escrow_id: int, model: str | None) -> bool:
        """Register and activate; False when the gateway already has the record."""
        if self._recorded(escrow_id):
            return False
        try:
            self._p.gateway.add(
                str(escrow_id),
                private_key_env=self._o.private_key_env,
                model=model,
            )
        except (TransportError, ConflictError):
            # The answer is lost or somebody was faster: only the record tells.
            while not self._recorded(escrow_id):
                if not self._p.deadline.pause(self._p.interval):
                    raise
        if not self._recorded(escrow_id):
            raise ProtocolError(f"the gateway registered escrow {escrow_id} but does not list it")
        return True

    def _recorded(self, escrow_id: int) -> bool:
        return any(item.id == str(escrow_id) for item in self._p.gateway.state().devshards)

    def _refuse_adoption(self, view: EscrowView) -> None:
        if view.recorded:
            return
        reason = None
        if not view.on_chain:
            reason = "the chain does not have it"
        elif view.settled:
            reason = "it is settled"
        elif view.creator != self._creator:
            reason = f"it belongs to {view.creator}"
        elif view.model != self._o.model_id:
            reason = f"it is for model {view.model}"
        elif view.deadline is not None and view.deadline.blocks_left < 0:
            reason = "its deadline has passed"
        if reason is not None:
            raise UnsafeError(f"escrow {view.id} cannot be adopted: {reason}", escrow_id=view.id)

    def _adopt(self, view: EscrowView) -> None:
        escrow = self._p.chain.escrow(view.id)
        if escrow is None:
            raise UnsafeError(f"escrow {view.id} cannot be adopted: the chain does not have it")
        known = self._p.hosts_nonce(escrow, 0)
        if known.nonce:
            raise UnsafeError(
                f"escrow {view.id} cannot be adopted: its hosts know a session up to nonce"
                f" {known.nonce}, so a gateway serves or served it. A new session would lose its"
                f" deposit of {view.amount} ngonka; import the old one with gonka.devshard.devshard",
                escrow_id=view.id,
                nonce=known.nonce,
            )
        if len(known.silent) == known.asked:
            raise UnknownStateError(
                f"escrow {view.id} is not adopted: none of its hosts could be asked whether a"
                " gateway serves it",
                escrow_id=view.id,
            )
        if known.silent:
            self._p.warn(
                f"escrow {view.id}: {len(known.silent)} of {known.asked} hosts did not report whether"
                " a gateway serves it; the others know of none"
            )
        if not self._p.check_mode:
            # first, for a run that is cut off in between must not leave it to two gateways
            self._close_others(view.id)
            self._put_into_gateway(view.id, view.model)
        self._result.adopted.append(view.id)
        self._result.actions.append(f"adopted escrow {view.id}")

    def _close_others(self, escrow_id: int) -> None:
        """The gateway that it was paid for must not register it too, should it come back."""
        for intent in self._intents():
            if (intent.kind, intent.state, intent.escrow_id) == (
                Kind.CREATE,
                State.INCLUDED,
                escrow_id,
            ):
                why = {"adopted_by": self._p.gateway_id}
                self._p.record().apply(intent, Event.FINISH, why)

    # the result

    def _finish(self, seen: PoolSeen, plan: PoolPlan) -> EscrowResult:
        last = seen if self._p.check_mode else self._look()
        after = plan if self._p.check_mode else self._plan(last)
        self._result.escrows = [last.views[number] for number in after.usable]
        self._result.pending = [
            intent for intent in self._intents() if intent.open and intent.kind is Kind.CREATE
        ]
        if last.births is not None:
            self._result.unclaimed = [last.views[number] for number in after.unclaimed]
        if self._result.unclaimed:
            numbers = ", ".join(str(view.id) for view in self._result.unclaimed)
            self._p.warn(
                f"this gateway has no record of unsettled escrows of {self._creator}: {numbers}. If no"
                " other gateway serves them, adopt or settle them before their deadline"
            )
        self._result.after = self._summary(last)
        self._result.foreign = [last.views[number] for number in after.foreign]
        for view in self._result.foreign:
            self._p.warn(
                f"escrow {view.id} in this gateway belongs to {view.creator}, not to {self._creator}:"
                " it is not counted, and only its owner can settle it"
            )
        self._receipt(last)
        surplus = surplus_of(list(last.views.values()), after, self._o.count)
        self._result.surplus = [last.views[number] for number in surplus]
        if self._p.check_mode:
            new = (
                len(self._result.created)
                + len(self._result.adopted)
                + len(self._result.reactivated)
            )
            self._result.after["usable"] += new + self._expected
        elif len(after.usable) < self._o.count:
            raise UnknownStateError(
                f"{len(after.usable)} of {self._o.count} escrows are usable after this run;"
                " gonka.devshard.escrow_info shows why"
            )
        return self._result

    def _receipt(self, last: PoolSeen) -> None:
        """What was paid, until when it must be settled, and what is left in the wallet."""
        created = self._result.created
        if not created:
            return
        for entry in created:
            view = last.views.get(entry.get("id", 0))
            if view is not None and view.deadline is not None:
                entry["settle_before"] = view.deadline.to_result()
        if self._p.check_mode:
            spent = sum(entry["amount"] + entry["fee"] for entry in created)
            self._result.balance = self._result.before["balance"] - spent
        else:
            self._result.balance = self._p.chain.balance(self._creator)
        self._result.after["balance"] = self._result.balance

    def _summary(self, seen: PoolSeen) -> dict[str, t.Any]:
        usable = self._plan(seen).usable
        return {"model": self._o.model_id, "amount": self._o.amount, "usable": len(usable)}


def _with_deposits(seen: PoolSeen, numbers: Collection[int]) -> str:
    return ", ".join(f"{number} ({gnk(seen.views[number].amount or 0)})" for number in numbers)


def _pending_text(intents: list[Intent]) -> str:
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
