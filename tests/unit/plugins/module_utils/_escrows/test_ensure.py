# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ChainRejectedError,
    ConfigurationError,
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure_options import (
    EscrowResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Intent,
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATOR,
    MODEL,
    World,
    first_problem,
    options,
)

GATEWAY: dict[str, t.Any] = {"create_via": Via.GATEWAY, "creator": CREATOR}


BOTH = pytest.mark.parametrize("how", [{}, GATEWAY], ids=["signed", "gateway"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, *, seconds: float = 300, **changes: t.Any) -> EscrowResult:
    with world.open() as ledger, first_problem():
        signer = changes.get("create_via") is not Via.GATEWAY
        ports = world.ports(ledger, seconds=seconds, signer=signer)
        return EnsureEscrows(ports, options(**changes)).run()


def check(world: World, **changes: t.Any) -> EscrowResult:
    ledger = Ledger.read(world.path)
    signer = changes.get("create_via") is not Via.GATEWAY
    return EnsureEscrows(world.ports(ledger, check=True, signer=signer), options(**changes)).run()


def intents(world: World) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents()


def proved(world: World, count: int) -> None:
    """Exactly the wanted escrows exist, each is registered once, and nothing is open."""
    assert world.chain.minted == list(range(1, count + 1))
    assert sorted(world.gateway.records) == [str(number) for number in world.chain.minted]
    assert not [intent for intent in intents(world) if intent.open]


@BOTH
def test_it_creates_what_is_missing_and_the_second_run_changes_nothing(
    world: World, how: dict[str, t.Any]
) -> None:
    first = run(world, count=2, **how)
    assert [entry["id"] for entry in first.created] == [1, 2]
    assert (first.before["usable"], first.after["usable"]) == (0, 2)
    assert [view.id for view in first.escrows] == [1, 2]
    calls = len(world.gateway.calls)
    second = run(world, count=2, **how)
    assert not second.changed
    assert second.unclaimed == []
    assert {"add", "create"}.isdisjoint(world.gateway.calls[calls:])
    proved(world, 2)


@BOTH
def test_check_mode_predicts_the_same_and_writes_nothing(
    world: World, how: dict[str, t.Any]
) -> None:
    predicted = check(world, count=2, **how)
    assert not Path(world.path).exists()
    assert (world.gateway.calls.count("add"), world.chain.minted) == (0, [])
    real = run(world, count=2, **how)
    assert predicted.changed is real.changed is True
    assert (predicted.before, predicted.after) == (real.before, real.after)
    known = [{key: e[key] for key in ("model", "amount", "fee")} for e in real.created]
    assert predicted.created == known
    assert predicted.balance == real.balance == 100 * AMOUNT - 2 * (AMOUNT + 1_000_000)


@BOTH
def test_check_mode_predicts_no_deposit_for_a_create_that_is_still_open(
    world: World, how: dict[str, t.Any]
) -> None:
    world.chain.delay = 15
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=0, **how)
    world.gateway.records.clear()
    for _look in ("pending", "included"):
        predicted = check(world, count=2, **how)
        assert (len(predicted.created), predicted.after["usable"]) == (1, 2)
        assert "finish the open create of intent 1" in predicted.actions
        world.chain.step(15)
    real = run(world, count=2, **how)
    assert (len(real.created), real.after["usable"]) == (1, 2)
    proved(world, 2)


def test_check_mode_predicts_a_new_deposit_for_a_create_that_is_void(world: World) -> None:
    world.chain.delay = 10_000
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=0)
    world.chain.step(60)
    assert len(check(world).created) == 1


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


@BOTH
def test_nothing_is_signed_with_a_clock_behind_the_chain(
    world: World, how: dict[str, t.Any]
) -> None:
    world.chain.host_behind = timedelta(seconds=900)
    for ask in (run, check, run):
        with pytest.raises(UnknownStateError, match="clock is 900 s behind the chain") as caught:
            ask(world, **how)
        assert "sign a new one" not in str(caught.value)
    assert (world.signer.signed, world.chain.minted, intents(world)) == (0, [], [])
    assert "create" not in world.gateway.calls
    world.chain.host_behind = timedelta(seconds=30)
    run(world, **how)
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
    with pytest.raises(WaitTimeoutError, match="run again then") as caught:
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
def test_no_deposit_that_could_never_be_settled(world: World, how: dict[str, t.Any]) -> None:
    """The chain creates for every generation and asks for the version only at settlement."""
    world.chain.approved = ("v3",)
    with pytest.raises(UnsafeError, match="approves only v3"):
        run(world, **how)
    assert world.chain.minted == []
    assert intents(world) == []
    world.chain.approved = ()
    run(world, **how)
    proved(world, 1)


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

    def sometimes(tx_hash: str) -> Obj | None:
        if next(failures, False):
            raise TransportError("502", sent=True)
        return original(tx_hash)

    world.chain.tx = sometimes  # type: ignore[method-assign]
    run(world)
    proved(world, 1)


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_register_reply_is_resolved_by_the_record(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    world.gateway.lose["add"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            run(world)
        assert any("Nothing is lost" in text for text in world.warnings)
        assert intents(world)[0].state is State.INCLUDED
    run(world)
    proved(world, 1)


def test_unknown_never_allows_a_mint(world: World) -> None:
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="could not be asked"):
        run(world)
    assert intents(world) == []
    world.chain.index_on = True
    world.gateway.lose["state"] = "before"
    with pytest.raises(TransportError):
        run(world)
    world.chain.silent = True
    with pytest.raises(TransportError):
        run(world)
    assert intents(world) == []
    assert world.chain.minted == []


def test_without_an_index_enough_escrows_are_still_enough(world: World) -> None:
    run(world)
    world.chain.index_on = False
    result = run(world)
    assert not result.changed
    assert result.unclaimed is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"amount": 0}, "positive"),
        ({"amount": -5}, "positive"),
        ({"count": -1}, "count"),
        ({"model_id": " "}, "model_id"),
        ({"tx_lifetime": 601}, "tx_lifetime"),
        ({"tx_lifetime": 29}, "tx_lifetime"),
        ({"private_key_env": "0x01"}, "never a key"),
        ({"create_via": Via.GATEWAY}, "needs escrow_creator"),
        ({"creator": "gonka1somebody"}, "is expected"),
    ],
)
def test_bad_options_are_refused_before_anything(
    world: World, changes: dict[str, t.Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        run(world, **changes)
    assert world.chain.minted == []
    assert intents(world) == []


def test_everything_is_checked_before_the_first_deposit(world: World) -> None:
    world.chain.money = 2 * (AMOUNT + 2_000_000) - 1
    with pytest.raises(UnsafeError, match="1 ngonka are missing"):
        run(world, count=2)
    with pytest.raises(UnsafeError, match="not active"):
        run(world, model_id="other")
    with pytest.raises(UnsafeError, match="raise escrow_max_creates_per_run"):
        run(world, count=5)
    world.chain.gas_price = 10
    with pytest.raises(UnsafeError, match=r"set escrow_fee_amount \(fee_amount\) to 5000000 or"):
        run(world)
    world.chain.gas_price = 0
    with pytest.raises(UnsafeError, match="max_total_locked"):
        run(world, max_total_locked=AMOUNT - 1)
    world.chain.allowed = ("gonka1other",)
    with pytest.raises(UnsafeError, match="list of allowed"):
        run(world)
    assert world.chain.minted == []
    assert intents(world) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"amount": 5}, "did you mean 5 GNK = 5000000000 ngonka"),
        ({"amount": 200_000_000_000}, "outside the chain's limits"),
        ({"max_creates_per_run": 0}, "at most 0 may be created in one run"),
    ],
)
def test_a_setting_that_could_pay_for_nothing_is_refused_while_enough_escrows_exist(
    world: World, changes: dict[str, t.Any], text: str
) -> None:
    run(world)
    for ask in (check, run):
        with pytest.raises(UnsafeError, match=text):
            ask(world, **changes)
    assert not run(world).changed


def test_a_model_without_hosts_is_named_while_enough_escrows_exist(world: World) -> None:
    run(world)
    world.chain.models.clear()
    assert not run(world).changed
    assert any("no host serves it" in text for text in world.warnings)
    with pytest.raises(UnsafeError, match="no host serves it"):
        check(world, count=2)


def mint_elsewhere(world: World, folder: Path) -> int:
    """An escrow of the same creator that another host made."""
    other = World(folder)
    other.chain = world.chain
    other.gateway._chain = world.chain
    other.signer = world.signer
    other.gateway.records.clear()
    run(other, allow_unclaimed=True)
    return world.chain.minted[-1]


def test_an_escrow_of_another_gateway_is_reported_and_never_taken(
    world: World, tmp_path: Path
) -> None:
    theirs = mint_elsewhere(world, tmp_path / "other")
    result = run(world, allow_unclaimed=True)
    assert result.unclaimed is not None
    assert [view.id for view in result.unclaimed] == [theirs]
    assert str(theirs) in world.warnings[-1]
    assert str(theirs) not in world.gateway.records
    assert run(world, other_gateway_escrow_ids=frozenset({theirs})).unclaimed == []


def test_named_orphans_are_adopted_instead_of_creating(world: World, tmp_path: Path) -> None:
    orphan = mint_elsewhere(world, tmp_path / "other")
    assert check(world, adopt=(orphan,)).adopted == [orphan]
    world.silent_hosts = 2
    result = run(world, adopt=(orphan,))
    assert (result.adopted, result.created) == ([orphan], [])
    assert any("2 of 16 hosts did not report" in text for text in world.warnings)
    assert not run(world, adopt=(orphan,)).changed


def test_all_orphans_are_adopted_on_the_operators_word(world: World, tmp_path: Path) -> None:
    first = mint_elsewhere(world, tmp_path / "a")
    second = mint_elsewhere(world, tmp_path / "b")
    result = run(world, adopt_orphans=True, other_gateway_escrow_ids=frozenset({second}))
    assert result.adopted == [first]
    assert result.created == []


def test_an_escrow_that_is_served_is_never_adopted(world: World, tmp_path: Path) -> None:
    orphan = mint_elsewhere(world, tmp_path / "other")
    world.known_nonce = 3
    with pytest.raises(UnsafeError, match="up to nonce 3"):
        run(world, adopt=(orphan,))
    assert str(orphan) not in world.gateway.records


def test_what_cannot_be_adopted_is_refused_with_the_reason(world: World) -> None:
    with pytest.raises(UnsafeError, match="the chain does not have it"):
        run(world, adopt=(99,))
    run(world)
    world.chain.escrows[1].settled = True
    world.gateway.records.clear()
    with pytest.raises(UnsafeError, match="it is settled"):
        run(world, adopt=(1,))


def test_an_escrow_of_the_other_slot_is_neither_taken_nor_unclaimed(world: World) -> None:
    run(world)
    world.gateway.records.clear()
    with world.open() as ledger:
        ports = world.ports(ledger, gateway_id="http://127.0.0.1:18081")
        result = EnsureEscrows(ports, options(adopt_orphans=True)).run()
    assert result.unclaimed == []
    assert [entry["id"] for entry in result.created] == [2]


def at_temp(world: World, *, seconds: float = 300, **changes: t.Any) -> EscrowResult:
    """A run for the other slot, whose gateway has records of its own."""
    ours, world.gateway.records = world.gateway.records, {}
    try:
        with world.open() as ledger:
            signer = changes.get("create_via") is not Via.GATEWAY
            there = "http://127.0.0.1:18081"
            ports = world.ports(ledger, seconds=seconds, signer=signer, gateway_id=there)
            return EnsureEscrows(ports, options(**changes)).run()
    finally:
        world.gateway.records = ours


def test_an_escrow_that_the_other_slot_paid_for_and_never_got_is_named(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        at_temp(world)
    for mode in (check, run):
        with pytest.raises(UnsafeError, match="escrow 1 was paid for the gateway at .*18081"):
            mode(world, adopt_orphans=True)
    assert world.chain.minted == [1], "it may still come for it"
    assert [view.id for view in run(world, count=0).unclaimed or ()] == [1]
    assert run(world, adopt=(1,)).adopted == [1]
    at_temp(world, count=0)
    assert intents(world)[0].state is State.DONE


@BOTH
def test_a_create_that_is_open_elsewhere_is_waited_for(world: World, how: dict[str, t.Any]) -> None:
    """As it looks when the URL of the gateway is spelled anew after a run that was cut off."""
    world.chain.delay = 15
    world.gateway.lose["create"] = "after"
    with pytest.raises(WaitTimeoutError):
        at_temp(world, seconds=0, **how)
    for mode in (check, run):
        with pytest.raises(UnsafeError, match="not known yet whether an earlier create"):
            mode(world, **how)
    world.chain.step(16)
    with pytest.raises(UnsafeError, match="escrow 1 was paid for the gateway at .*18081"):
        run(world, **how)
    assert world.chain.minted == [1]
    named = run(world, other_gateway_escrow_ids=frozenset({1}), **how)
    assert [entry["id"] for entry in named.created] == [2]


def test_a_create_elsewhere_that_is_void_holds_nothing_up(world: World) -> None:
    world.chain.delay = 10_000
    with pytest.raises(WaitTimeoutError):
        at_temp(world, seconds=0)
    world.chain.step(60)
    world.chain.delay = 0
    assert len(run(world).created) == 1


def test_a_paid_escrow_that_another_gateway_took_is_not_registered_again(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    world.known_nonce = 4
    calls = len(world.gateway.calls)
    result = run(world, count=0)
    assert (result.adopted, world.gateway.records) == ([], {})
    assert "add" not in world.gateway.calls[calls:]
    assert any("another gateway took it" in text for text in world.warnings)
    assert intents(world)[0].state is State.DONE


def test_a_paid_escrow_that_was_pruned_is_told_as_lost(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    for _unused in range(3):
        world.chain.next_epoch()
    run(world)
    assert [intent.state for intent in intents(world)] == [State.LOST, State.DONE]
    assert any("went to the hosts" in text for text in world.warnings)


@pytest.mark.parametrize("mode", ["named", "empty storage"])
def test_no_deposit_beside_one_that_nothing_explains(
    world: World, tmp_path: Path, mode: str
) -> None:
    if mode == "named":
        number = mint_elsewhere(world, tmp_path / "other")
    else:
        # the gateway was recreated on another folder
        run(world)
        number = 1
        world.gateway.records.clear()
    minted = list(world.chain.minted)
    for ask in (check, run):
        with pytest.raises(UnsafeError, match=rf"nothing explains: {number} \(5 GNK\)") as caught:
            ask(world)
        assert "escrow_other_gateway_ids" in str(caught.value)
        assert "escrow_adopt" in str(caught.value)
    assert world.chain.minted == minted
    # where enough escrows exist nothing is refused
    assert not run(world, count=0).changed
    # each way that the message names works
    assert check(world, adopt=(number,)).adopted == [number]
    assert len(check(world, allow_unclaimed=True).created) == 1
    named = run(world, other_gateway_escrow_ids=frozenset({number}))
    assert [entry["id"] for entry in named.created] == [number + 1]


def test_what_another_host_of_the_play_just_paid_is_explained(world: World, tmp_path: Path) -> None:
    told = world.chain.height
    theirs = mint_elsewhere(world, tmp_path / "other")
    with pytest.raises(UnsafeError, match="nothing explains"):
        run(world, others_create_after=world.chain.height)
    result = run(world, others_create_after=told)
    assert [entry["id"] for entry in result.created] == [theirs + 1]
    assert result.unclaimed == []


def test_an_escrow_of_another_account_is_named_and_not_counted(world: World) -> None:
    run(world)
    world.chain.escrows[1].creator = "gonka1other"
    result = run(world)
    assert [entry["id"] for entry in result.created] == [2]
    assert [(view.id, view.creator) for view in result.foreign] == [(1, "gonka1other")]
    assert any("escrow 1 in this gateway belongs to gonka1other" in w for w in world.warnings)
    assert not run(world).changed


def test_a_receipt_for_each_escrow(world: World) -> None:
    before = world.chain.money
    result = run(world, count=2)
    first = result.created[0]
    assert (first["id"], first["amount"], first["fee"]) == (1, AMOUNT, 1_000_000)
    assert first["tx_hash"] in world.chain.txs
    assert first["height"] == world.chain.txs[first["tx_hash"]].height
    assert first["settle_before"]["blocks_left"] > 0
    assert result.balance == world.chain.money == before - 2 * (AMOUNT + 1_000_000)
    assert (result.before["balance"], result.after["balance"]) == (before, result.balance)
    again = run(world, count=2)
    assert (again.balance, "balance" in again.after) == (None, False)


def test_a_receipt_also_when_a_later_create_fails(world: World) -> None:
    made = world.chain.broadcast

    def second_is_refused(tx_bytes: str) -> Obj:
        world.chain.check_tx = (5, "no") if world.chain.minted else None
        return made(tx_bytes)

    world.chain.broadcast = second_is_refused  # type: ignore[method-assign]
    with world.open() as ledger, pytest.raises(PartialFailure, match="refuses") as caught:
        EnsureEscrows(world.ports(ledger), options(count=2)).run()
    assert caught.value.to_failure()["kind"] == "chain_rejected"
    assert caught.value.result.changed
    assert [entry["id"] for entry in caught.value.result.to_result()["created"]] == [1]


def test_more_usable_than_wanted_is_told_with_what_to_settle_first(world: World) -> None:
    run(world)
    world.chain.next_epoch()
    run(world, count=3)
    result = run(world, count=1)
    assert not result.changed
    assert [view.id for view in result.surplus] == [1, 2]
    world.gateway.records["3"].rotation_role = "regular"
    assert [view.id for view in run(world, count=1).surplus] == [1, 2]
    assert [view.id for view in run(world, count=0).surplus] == [1, 2]
    assert run(world, count=3).surplus == []


def test_a_paid_escrow_that_is_only_switched_off_is_activated_and_not_paid_again(
    world: World,
) -> None:
    run(world)
    world.gateway.deactivate("1")
    predicted = check(world)
    assert (predicted.reactivated, predicted.created, predicted.changed) == ([1], [], True)
    assert not world.gateway.records["1"].active
    result = run(world)
    assert (result.reactivated, result.created) == ([1], [])
    assert "activated escrow 1" in result.actions[0]
    assert (predicted.before, predicted.after) == (result.before, result.after)
    assert world.chain.minted == [1]
    assert not run(world).changed


def test_only_as_many_are_activated_as_are_missing(world: World) -> None:
    run(world, count=2)
    world.gateway.deactivate("1")
    world.chain.next_epoch()
    run(world, count=2)
    assert world.chain.minted == [1, 2]
    world.gateway.deactivate("1")
    world.gateway.deactivate("2")
    world.chain.escrows[2].epoch_index += 1
    # the one that can serve longer
    assert run(world).reactivated == [2]
    assert not run(world).changed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("older copy", "stays so: the session of escrow 1 is at nonce 0"),
        ("not wanted", "Another one is paid for beside it"),
    ],
)
def test_one_that_must_stay_inactive_is_named_before_another_is_paid(
    world: World, how: str, words: str
) -> None:
    run(world)
    world.gateway.deactivate("1")
    world.known_nonce = 7 if how == "older copy" else 0
    changes = {} if how == "older copy" else {"reactivate": False}
    for ask in (check, run):
        world.warnings.clear()
        result = ask(world, **changes)
        assert (result.reactivated, len(result.created)) == ([], 1)
        assert any(words in text for text in world.warnings), world.warnings
    assert not world.gateway.records["1"].active


@pytest.mark.parametrize("why", ["settlement", "rotation"])
def test_what_cannot_serve_or_rotation_retired_is_not_activated(world: World, why: str) -> None:
    run(world)
    world.gateway.deactivate("1")
    if why == "settlement":
        world.gateway.records["1"].runtime.phase = "settlement"
    else:
        world.gateway.records["1"].rotation_role = "regular"
    result = run(world)
    assert (result.reactivated, len(result.created)) == ([], 1)


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


def test_the_wallet_must_also_cover_what_open_creates_may_take(world: World) -> None:
    world.chain.models.append("other/model")
    world.chain.delay = 15
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=0, model_id="other/model")
    world.chain.money = 2 * (AMOUNT + 2_000_000) - 1
    with pytest.raises(UnsafeError, match="for creates that are still open, need"):
        run(world)


def test_an_unusable_escrow_is_replaced_and_kept(world: World) -> None:
    run(world)
    world.gateway.records["1"].runtime.nonce = 19_800
    result = run(world)
    assert [entry["id"] for entry in result.created] == [2]
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


def test_an_index_that_lacks_a_known_escrow_allows_no_create(world: World) -> None:
    run(world)
    world.chain.txs.clear()
    with pytest.raises(UnknownStateError, match="lacks the creation of escrow 1"):
        run(world, count=2)
    assert world.chain.minted == [1]


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
