# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import BroadcastReply
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    BOTH,
    check,
    empty_world,
    proved,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    World,
    options,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


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

    def second_is_refused(tx_bytes: str) -> BroadcastReply:
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


def test_an_unusable_escrow_is_replaced_and_kept(world: World) -> None:
    run(world)
    world.gateway.records["1"].runtime.nonce = 19_800
    result = run(world)
    assert [entry["id"] for entry in result.created] == [2]
    assert sorted(world.gateway.records) == ["1", "2"]
