# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnknownStateError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    State,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import SettleReply
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    GATEWAY,
    REFUND,
    intents,
    only,
    settle,
    settle_all,
    settles_on_chain,
    two_escrows,
    wish,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    fake_deadline,
    first_problem,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return two_escrows(tmp_path)


def test_a_settle_that_took_long_has_its_whole_lifetime_from_its_answer_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It collects signatures anew for as long as the call may last, and signs after that."""
    at_once = world.gateway.settle

    def slowly(number: str, **given: t.Any) -> SettleReply:
        world.chain.step(200)
        world.chain.delay = 40
        return at_once(number, **given)

    monkeypatch.setattr(world.gateway, "settle", slowly)
    assert only(settle(world, seconds=3000, **GATEWAY)).refund == REFUND
    assert [intent.state for intent in intents(world)] == [State.DONE]


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_broadcast_is_repeated_with_the_same_bytes(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    signed = world.signer.signed
    settle(world, ids=(2,))
    world.chain.lose = lose
    settle(world)
    assert world.signer.signed == signed + 2
    assert settles_on_chain(world) == 2


def test_a_lost_reply_of_the_gateways_settle_is_resolved_by_the_escrow(world: World) -> None:
    world.gateway.lose["settle"] = "after"
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert settles_on_chain(world) == 1


def test_a_lost_request_to_settle_is_open_until_it_cannot_happen_any_more(world: World) -> None:
    world.gateway.lose["settle"] = "before"
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20, **GATEWAY)
    assert world.gateway.calls.count("settle") == 1
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20, **GATEWAY)
    assert world.gateway.calls.count("settle") == 1
    world.chain.step(140)
    assert only(settle(world, **GATEWAY)).refund == REFUND


def test_a_transaction_that_fails_in_the_block_claims_no_refund(world: World) -> None:
    world.chain.refuse = "out of gas"
    with pytest.raises(PartialFailure, match="out of gas") as caught:
        settle_all(world)
    (escrow,) = caught.value.result.to_result()["escrows"]
    assert (escrow["settled"], escrow["refund"]) == (False, None)
    assert escrow["problem"]["kind"] == "chain_rejected"
    assert intents(world)[0].state is State.REJECTED
    assert only(settle(world)).refund == REFUND


def test_a_node_without_an_index_still_proves_our_own_settle(world: World) -> None:
    settle(world)
    world.chain.index_on = False
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund) == (True, REFUND), "the ledger kept the event's numbers"


def test_without_an_index_a_foreign_settle_is_settled_but_its_refund_is_unknown(
    world: World,
) -> None:
    world.chain.escrows[1].settled = True
    world.chain.index_on = False
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund, escrow.tx_hash) == (True, None, None)
    assert any("could not be read" in text for text in world.warnings)


def test_somebody_else_who_settles_first_costs_the_fee_and_no_failure(world: World) -> None:
    def first(_number: int) -> None:
        world.chain.escrows[1].settled = True

    world.chain.before_execution = first
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund) == (True, None)
    assert any("another transaction settled" in text for text in world.warnings)


def test_a_lost_reply_is_still_explained_after_the_chain_pruned_the_escrow(world: World) -> None:
    """Found by random lives: it had been called expired, although the refund had come."""
    world.gateway.lose["settle"] = "after"
    with world.open() as ledger:
        ports = replace(
            world.ports(ledger, signer=False),
            deadline=fake_deadline(world.chain, 0),
        )
        with pytest.raises(WaitTimeoutError), first_problem():
            SettleEscrows(ports, wish(**GATEWAY), ledger.folder).run()
    world.chain.next_epoch()
    world.chain.next_epoch()
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="index"):
        settle(world, **GATEWAY)
    assert intents(world)[0].open
    world.chain.index_on = True
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert [(i.state, (i.result or {})["refund"]) for i in intents(world)] == [(State.DONE, REFUND)]
