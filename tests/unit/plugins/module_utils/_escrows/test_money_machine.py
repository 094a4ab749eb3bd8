# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Random lives of a host: create, lose, be killed, settle, delete, restart, and epochs that pass.

The invariant at every moment: each deposit on the chain belongs to exactly one intent of the
ledger, at most one outcome is open, and once none is open the wallet paid exactly what the ledger
explains.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import typing as t
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import DevshardError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Intent,
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.record_options import (
    DevshardOptions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.records import SetDevshard
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_options import (
    SettleOptions,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
    options,
)

FEE = 1_000_000
SETTLE = SettleOptions(
    ids=(),
    select="all",
    model_id=None,
    deadline_blocks=100,
    settle_via=Via.SIGNED,
    private_key_env="DEVSHARD_PRIVATE_KEY",
    creator=CREATOR,
    fee_amount=FEE,
    gas_limit=1_000_000,
    tx_lifetime=120,
)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the product sees it."""


class DyingLedger(Ledger):
    """Dies before or after one of its writes."""

    left: t.ClassVar[int | None] = None
    after: t.ClassVar[bool] = False

    def __init__(self, connection: sqlite3.Connection, *args: t.Any) -> None:
        # Nobody pulls the plug here, and thousands of writes are made.
        connection.execute("PRAGMA synchronous = OFF")
        super().__init__(connection, *args)

    def plan(self, kind: Kind, via: Via, subject: Subject) -> Intent:
        return self._write(lambda: super(DyingLedger, self).plan(kind, via, subject))

    def apply(
        self, intent: Intent, event: Event, detail: dict[str, t.Any] | None = None, **values: t.Any
    ) -> Intent:
        write = super().apply
        return self._write(lambda: write(intent, event, detail, **values))

    def _write(self, write: t.Callable[[], Intent]) -> Intent:
        cls = type(self)
        if cls.left is None:
            return write()
        cls.left -= 1
        if cls.left >= 0:
            return write()
        cls.left = None
        if cls.after:
            write()
        raise Killed


DEATHS = st.one_of(st.none(), st.tuples(st.integers(0, 6), st.booleans()))
VIAS = st.sampled_from(list(Via))
LOSSES = st.sampled_from(["", "before", "after"])


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.world = World(Path(folder))
        self.world.ledger_class = DyingLedger
        self.start = self.world.chain.money
        self.failure: BaseException | None = None

    def teardown(self) -> None:
        DyingLedger.left = None
        try:
            self._come_to_rest()
        finally:
            self._stack.close()

    @initialize()
    def begin(self) -> None:
        DyingLedger.left = None

    # what the operator does

    def _run(
        self,
        work: t.Callable[[Ledger], object],
        death: tuple[int, bool] | None,
    ) -> bool:
        """One run of a module; True when it ended well."""
        DyingLedger.left, DyingLedger.after = death or (None, False)
        ledger = self.world.open()
        try:
            work(ledger)
        except (DevshardError, Killed) as exc:
            self.failure = exc
            return False
        finally:
            DyingLedger.left = None
            ledger.close()
        return True

    def _create(self, ledger: Ledger, count: int, via: Via) -> None:
        ports = self.world.ports(ledger, seconds=60)
        wish = options(count=count, create_via=via, creator=CREATOR)
        EnsureEscrows(ports, wish).run()

    def _settle(self, ledger: Ledger, via: Via) -> None:
        ports = self.world.ports(ledger, seconds=60)
        SettleEscrows(ports, replace(SETTLE, settle_via=via), ledger.folder).run()

    @rule(count=st.integers(1, 3), via=VIAS, death=DEATHS)
    def create(self, count: int, via: Via, death: tuple[int, bool] | None) -> None:
        if self._run(lambda ledger: self._create(ledger, count, via), death):
            served = [r for r in self.world.gateway.records.values() if r.active]
            assert len(served) >= count

    @rule(via=VIAS, death=DEATHS)
    def settle(self, via: Via, death: tuple[int, bool] | None) -> None:
        self._run(lambda ledger: self._settle(ledger, via), death)

    @precondition(lambda self: self.world.gateway.records)
    @rule(data=st.data(), death=DEATHS)
    def delete(self, data: st.DataObject, death: tuple[int, bool] | None) -> None:
        number = int(data.draw(st.sampled_from(sorted(self.world.gateway.records))))
        wish = DevshardOptions(
            id=number,
            state="absent",
            model_id=None,
            private_key_env="DEVSHARD_PRIVATE_KEY",
            storage_path=None,
            perf_path=None,
            expected_nonce=None,
            expected_balance=None,
            force=None,
        )
        self._run(lambda ledger: SetDevshard(self.world.ports(ledger), wish).run(), death)
        if str(number) not in self.world.gateway.records:
            escrow = self.world.chain.escrows.get(number)
            assert number not in self.world.chain.forfeited
            assert escrow is None or escrow.settled, "an unsettled session was deleted"

    # what goes wrong

    @rule(how=LOSSES)
    def lose_a_broadcast(self, how: t.Literal["", "before", "after"]) -> None:
        self.world.chain.lose = how

    @rule(
        call=st.sampled_from(["add", "create", "settle", "finalize", "deactivate", "delete"]),
        how=st.sampled_from(["before", "after"]),
    )
    def lose_a_call(self, call: str, how: t.Literal["before", "after"]) -> None:
        self.world.gateway.lose[call] = how

    @rule(text=st.sampled_from(["out of gas", "no validation weights"]))
    def refuse_the_next(self, text: str) -> None:
        self.world.chain.refuse = text

    @rule(blocks=st.integers(1, 60))
    def include_nothing_for_a_while(self, blocks: int) -> None:
        self.world.chain.delay = blocks

    @rule()
    def restart_the_gateway(self) -> None:
        self.world.gateway.in_memory.clear()

    @rule(on=st.booleans())
    def switch_the_index(self, on: bool) -> None:
        self.world.chain.index_on = on

    # time

    @rule(blocks=st.integers(1, 30))
    def wait(self, blocks: int) -> None:
        self.world.chain.step(blocks)

    @rule()
    def wait_for_all_lifetimes(self) -> None:
        self.world.chain.step(230)

    @rule()
    def next_epoch(self) -> None:
        self.world.chain.next_epoch()

    # the truth

    def _intents(self) -> list[Intent]:
        with contextlib.closing(self.world.open()) as ledger:
            return ledger.intents()

    @invariant()
    def each_deposit_has_exactly_one_intent(self) -> None:
        creates = [intent for intent in self._intents() if intent.kind is Kind.CREATE]
        known = [i.escrow_id for i in creates if i.escrow_id is not None]
        assert len(known) == len(set(known))
        minted = set(self.world.chain.minted)
        assert set(known) <= minted
        undecided = [i for i in creates if i.state in (State.SIGNED, State.ASKED)]
        assert len(undecided) <= 1, "something new was signed while an outcome was open"
        assert len(minted - set(known)) <= len(undecided), "a deposit that nothing explains"

    @invariant()
    def the_wallet_paid_what_the_ledger_explains(self) -> None:
        intents = [i for i in self._intents() if i.kind in (Kind.CREATE, Kind.SETTLE)]
        if any(intent.state in (State.SIGNED, State.ASKED) for intent in intents):
            return
        done = (State.INCLUDED, State.DONE, State.LOST)
        paid = sum(i.fee or 0 for i in intents if i.state in (*done, State.REJECTED))
        paid += sum(i.amount or 0 for i in intents if i.kind is Kind.CREATE and i.state in done)
        for intent in intents:
            if intent.kind is Kind.SETTLE and intent.state in done:
                paid -= (intent.result or {}).get("refund") or self._refund(intent)
        # What the gateway signed and the chain refused costs a fee; when its reply was lost too,
        # nobody knows its hash, and the ledger can only say that no deposit was locked.
        unseen = [
            i
            for i in intents
            if i.via is Via.GATEWAY and i.state is State.EXPIRED and i.tx_hash is None
        ]
        fees, rest = divmod(self.start - self.world.chain.money - paid, FEE)
        assert rest == 0
        assert 0 <= fees <= len(unseen)

    def _refund(self, intent: Intent) -> int:
        """Where the ledger could not learn it, since the node kept no index."""
        (event,) = (
            tx.settled
            for tx in self.world.chain.txs.values()
            if tx.settled and tx.settled.escrow_id == intent.escrow_id
        )
        return int(event.remainder)

    def _come_to_rest(self) -> None:
        """Everything heals: what is open gets decided, and every deposit comes home."""
        world = self.world
        world.chain.lose, world.chain.refuse, world.chain.delay = "", None, 0
        world.chain.index_on = True
        world.gateway.lose.clear()
        healed = (False, False)
        for _unused in range(4):
            healed = (
                self._run(lambda ledger: self._create(ledger, 1, Via.SIGNED), None),
                self._run(lambda ledger: self._settle(ledger, Via.SIGNED), None),
            )
            world.chain.step(230)
        assert healed == (True, True), self.failure
        assert not [i for i in self._intents() if i.open and i.kind in (Kind.CREATE, Kind.SETTLE)]
        self.each_deposit_has_exactly_one_intent()
        self.the_wallet_paid_what_the_ledger_explains()
        unsettled = [e.id for e in world.chain.escrows.values() if not e.settled]
        assert unsettled == []


Lives.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLives = Lives.TestCase


def test_a_create_whose_escrow_was_settled_before_it_was_found_is_still_explained() -> None:
    """Found by the machine above: a settle's intent must not hide whose create it was."""
    life = Lives()
    life.begin()
    life.create(count=1, death=(2, False), via=Via.GATEWAY)
    life.settle(death=None, via=Via.SIGNED)
    life.next_epoch()
    life.create(count=1, death=None, via=Via.SIGNED)
    life.each_deposit_has_exactly_one_intent()
    life.the_wallet_paid_what_the_ledger_explains()
    life.teardown()
