# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import TxResult
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ChainRejectedError,
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    BOTH,
    GATEWAY,
    empty_world,
    intents,
    proved,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATOR,
    MODEL,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


def test_the_intent_is_written_before_and_its_result_after(world: World) -> None:
    run(world)
    with world.open() as ledger:
        (intent,) = ledger.intents()
        steps = [step.event for step in ledger.history(intent.id)]
    assert steps[:2] == ["plan", "sign"]
    assert steps[-2:] == ["include", "finish"]
    assert (intent.state, intent.escrow_id, intent.amount) == (State.DONE, 1, AMOUNT)
    assert intent.seen_height == 100


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_broadcast_is_repeated_with_the_same_bytes(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    world.chain.lose = lose
    run(world)
    assert world.signer.signed == 1
    proved(world, 1)


def test_what_is_open_is_finished_also_with_a_clock_behind_the_chain(world: World) -> None:
    world.chain.delay = 15
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=30)
    world.chain.host_behind = timedelta(seconds=900)
    assert run(world).adopted == [1]
    proved(world, 1)


def test_late_inclusion_is_waited_for_and_then_adopted_by_the_next_run(world: World) -> None:
    world.chain.delay = 15
    with pytest.raises(WaitTimeoutError, match="run this again then") as caught:
        run(world, seconds=30)
    assert caught.value.details["intent"]["open"]
    result = run(world)
    assert result.adopted == [1]
    assert result.created == []
    assert world.signer.signed == 1
    proved(world, 1)


def test_while_it_is_open_nothing_is_signed_again(world: World) -> None:
    world.chain.delay = 10_000
    for _unused in range(4):
        with pytest.raises(WaitTimeoutError):
            run(world, seconds=10)
    assert world.signer.signed == 1
    assert len(intents(world)) == 1


def test_a_transaction_whose_lifetime_is_over_is_void_and_a_new_one_is_signed(
    world: World,
) -> None:
    world.chain.delay = 40
    with pytest.raises(WaitTimeoutError, match="not included within its lifetime"):
        run(world)
    assert intents(world)[0].state is State.EXPIRED
    world.chain.delay = 0
    assert run(world).changed
    assert world.signer.signed == 2
    proved(world, 1)


def test_without_an_index_a_missing_hash_proves_nothing(world: World) -> None:
    world.chain.delay = 10_000
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=10)
    world.chain.step(60)
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="index"):
        run(world, seconds=10)
    assert intents(world)[0].state is State.SIGNED


@BOTH
def test_a_node_that_began_later_proves_no_absence(world: World, how: dict[str, t.Any]) -> None:
    world.gateway.lose["create"] = "after"
    world.chain.lose = "after"
    world.chain.delay = 1
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=0, **how)
    world.chain.step(300)
    world.gateway.records.clear()
    world.chain.first_block = world.chain.height - 10
    with pytest.raises(UnknownStateError, match="no block before"):
        run(world, seconds=10, **how)
    assert world.chain.minted == [1]
    assert intents(world)[0].open
    world.chain.first_block = 0
    assert run(world, **how).adopted == [1]
    proved(world, 1)


def test_a_refusal_in_the_block_is_told_and_closes_the_intent(world: World) -> None:
    world.chain.refuse = "escrow amount out of range"
    with pytest.raises(ChainRejectedError, match="out of range") as caught:
        run(world)
    assert caught.value.details["tx_hash"]
    assert intents(world)[0].state is State.REJECTED
    run(world)
    proved(world, 1)


def test_a_refusal_by_the_node_stays_open_until_its_lifetime_ends(world: World) -> None:
    world.chain.check_tx = (5, "insufficient fees")
    with pytest.raises(ChainRejectedError, match="insufficient fees"):
        run(world)
    assert intents(world)[0].state is State.SIGNED
    world.chain.check_tx = None
    run(world)
    assert world.signer.signed == 1, "the same bytes are used when the reason is gone"
    proved(world, 1)


def test_a_node_that_is_silent_for_a_while_is_asked_again(world: World) -> None:
    run(world, count=0)
    world.chain.lose = "after"
    original = world.chain.tx
    failures = iter([True, True])

    def sometimes(tx_hash: str) -> TxResult | None:
        if next(failures, False):
            raise TransportError("502", sent=True)
        return original(tx_hash)

    world.chain.tx = sometimes  # type: ignore[method-assign]
    run(world)
    proved(world, 1)


@BOTH
def test_an_open_create_of_another_model_is_named_and_holds_nothing_up(
    world: World, how: dict[str, t.Any]
) -> None:
    world.chain.models.append("other/model")
    world.chain.delay = 15
    world.gateway.lose["create"] = "after"
    with pytest.raises(WaitTimeoutError, match="for model other/model"):
        run(world, seconds=0, model_id="other/model", **how)
    world.chain.delay = 0
    result = run(world, **how)
    assert [entry["model"] for entry in result.created] == [MODEL]
    assert any("a create of model other/model is open" in text for text in world.warnings)
    assert [intent.model for intent in result.pending] == ["other/model"]
    # the next run of any model finishes it
    assert run(world, **how).pending == []
    assert len(world.chain.minted) == 2
    assert sorted(world.gateway.records) == ["1", "2"]


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_reply_of_the_gateway_never_mints_twice(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    world.gateway.lose["create"] = lose
    if lose == "before":
        with pytest.raises(WaitTimeoutError):
            run(world, **GATEWAY)
        for _unused in range(3):
            with pytest.raises(WaitTimeoutError):
                run(world, seconds=5, **GATEWAY)
        assert world.gateway.creates == 0
        world.chain.step(140)
    run(world, **GATEWAY)
    assert world.gateway.creates == 1
    proved(world, 1)


def test_the_gateway_waits_too_short_and_the_hash_decides_later(world: World) -> None:
    world.chain.delay = 30
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=20, **GATEWAY)
    (intent,) = intents(world)
    assert (intent.state, bool(intent.tx_hash)) == (State.ASKED, True)
    result = run(world, **GATEWAY)
    assert result.adopted == [1]
    assert world.gateway.creates == 1
    proved(world, 1)


def test_a_create_that_the_chain_refused_is_closed_by_its_hash(world: World) -> None:
    world.chain.refuse = "no validation weights"
    with pytest.raises(ChainRejectedError, match="no validation weights"):
        run(world, **GATEWAY)
    run(world, **GATEWAY)
    proved(world, 1)


def lose_a_reply_while_another_gateway_creates(world: World, folder: Path) -> World:
    world.gateway.lose["create"] = "after"
    other = World(folder)
    other.chain, other.gateway._chain = world.chain, world.chain
    world.chain.delay = 3
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=5, **GATEWAY)
    run(other, **GATEWAY)
    return other


def test_a_lost_reply_is_told_from_another_gateways_create_by_its_gas_limit(
    world: World, tmp_path: Path
) -> None:
    other = lose_a_reply_while_another_gateway_creates(world, tmp_path / "other")
    run(world, **GATEWAY)
    assert len(world.chain.minted) == 2
    (ours,), (theirs,) = world.gateway.records, other.gateway.records
    assert {ours, theirs} == {"1", "2"}


def test_two_escrows_that_fit_a_lost_reply_are_never_guessed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _limit: 7)
    other = lose_a_reply_while_another_gateway_creates(world, tmp_path / "other")
    with pytest.raises(UnsafeError, match="all fit"):
        run(world, **GATEWAY)
    theirs = next(iter(other.gateway.records))
    run(world, other_gateway_escrow_ids=frozenset({int(theirs)}), **GATEWAY)
    assert len(world.chain.minted) == 2
    assert set(world.gateway.records) | set(other.gateway.records) == {"1", "2"}
    assert len(world.gateway.records) == len(other.gateway.records) == 1


def test_an_intent_that_was_only_planned_is_dropped(world: World) -> None:
    with world.open() as ledger:
        intent = ledger.plan(
            Kind.CREATE,
            Via.SIGNED,
            Subject(
                gateway="http://127.0.0.1:18080",
                chain_id="fake",
                creator=CREATOR,
                model=MODEL,
                amount=AMOUNT,
            ),
        )
    run(world)
    with world.open() as ledger:
        assert ledger.get(intent.id).state is State.DROPPED
        assert ledger.history(intent.id)[-1].event == Event.DROP.value
    proved(world, 1)


def test_an_open_create_of_another_model_is_finished_too(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    world.chain.models.append("other/model")
    result = run(world, model_id="other/model")
    assert (result.adopted, [entry["id"] for entry in result.created]) == ([1], [2])
    assert {record.model for record in world.gateway.records.values()} == {MODEL, "other/model"}


def test_a_killed_call_to_the_gateway_is_open_for_as_long_as_it_could_have_waited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody noted when the call ended, so the gateway may have signed late in it."""

    def killed(**_options: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway, "create_escrow", killed)
        with pytest.raises(KeyboardInterrupt):
            run(world, **GATEWAY)
    world.chain.step(140)
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=5, **GATEWAY)
    world.chain.step(80)
    run(world, **GATEWAY)
    assert world.gateway.creates == 1
