# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure_options import (
    EscrowResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    State,
    Via,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    BOTH,
    check,
    empty_world,
    intents,
    mint_elsewhere,
    proved,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    MODEL,
    World,
    options,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


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


@BOTH
def test_no_deposit_that_could_never_be_settled(world: World, how: dict[str, t.Any]) -> None:
    """The chain creates for every generation and asks for the version only at settlement."""
    world.chain.approved = ("v3",)
    with pytest.raises(UnsafeError, match="approves only v3"):
        run(world, **how)
    assert world.chain.minted == []
    assert intents(world) == []
    world.chain.approved = ()
    with pytest.raises(UnsafeError, match="approved versions could not be read"):
        run(world, **how)
    assert (world.chain.minted, intents(world)) == ([], [])
    world.chain.approves_every = True
    run(world, **how)
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


def test_what_cannot_be_adopted_is_refused_with_the_reason(world: World) -> None:
    with pytest.raises(UnsafeError, match="the chain does not have it"):
        run(world, adopt=(99,))
    run(world)
    world.chain.escrows[1].settled = True
    world.gateway.records.clear()
    with pytest.raises(UnsafeError, match="it is settled"):
        run(world, adopt=(1,))


OTHER = "other/model"


def paid_by_hand(world: World) -> None:
    """Escrow 1 of one model and escrow 2 of another one; no gateway and no ledger knows them."""
    world.chain.models.append(OTHER)
    run(world)
    run(world, model_id=OTHER)
    assert [world.chain.escrows[number].model_id for number in (1, 2)] == [MODEL, OTHER]
    world.gateway.records.clear()
    Path(world.path).unlink()


def test_one_host_adopts_ids_of_each_of_its_models(world: World) -> None:
    paid_by_hand(world)
    both: dict[str, t.Any] = {"adopt": (1, 2), "other_models": frozenset({MODEL, OTHER})}
    for ask in (check, run):
        # a second one is paid for beside the first, and the other model's id forbids nothing
        found = ask(world, **both, count=2)
        assert (found.adopted, len(found.created)) == ([1], 1)
    result = run(world, model_id=OTHER, **both)
    assert (result.adopted, result.created) == ([2], [])
    for model in (MODEL, OTHER):
        assert not run(world, model_id=model, **both, count=1).changed


def test_an_id_of_a_model_that_no_run_is_for_is_refused_with_the_way_out(world: World) -> None:
    paid_by_hand(world)
    with pytest.raises(UnsafeError, match=f"for model {OTHER}, .* Add that model there"):
        run(world, adopt=(1, 2), other_models=frozenset({MODEL}))
    assert world.gateway.records == {}


def test_what_another_gateway_has_is_not_adopted(world: World) -> None:
    paid_by_hand(world)
    with pytest.raises(UnsafeError, match="another gateway has it"):
        run(world, adopt=(1,), other_gateway_escrow_ids=frozenset({1}))
    assert world.gateway.records == {}


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


def test_the_wallet_must_also_cover_what_open_creates_may_take(world: World) -> None:
    world.chain.models.append("other/model")
    world.chain.delay = 15
    with pytest.raises(WaitTimeoutError):
        run(world, seconds=0, model_id="other/model")
    world.chain.money = 2 * (AMOUNT + 2_000_000) - 1
    with pytest.raises(UnsafeError, match="for creates that are still open, need"):
        run(world)
