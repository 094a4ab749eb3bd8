# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    BOTH,
    REFUND,
    intents,
    only,
    settle,
    settle_all,
    two_escrows,
    wish,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATE_FEE,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return two_escrows(tmp_path)


@BOTH
def test_the_refund_is_what_the_chain_says_and_the_second_run_changes_nothing(
    world: World, how: dict[str, t.Any]
) -> None:
    before = world.chain.money
    result = settle(world, **how)
    escrow = only(result)
    assert (escrow.deposit, escrow.spent, escrow.fees, escrow.refund) == (
        AMOUNT,
        160,
        CREATE_FEE,
        REFUND,
    )
    assert world.chain.money - before == REFUND - 1_000_000
    assert result.actions == [
        "deactivated escrow 1",
        "finalized escrow 1",
        "settled escrow 1",
    ]
    fees = world.chain.money
    again = settle(world, **how)
    assert not again.changed
    assert only(again).refund == REFUND
    assert world.chain.money == fees, "a second settle would burn the fee"


def test_check_mode_predicts_and_touches_nothing(world: World) -> None:
    calls = len(world.gateway.calls)
    ports = world.ports(Ledger.read(world.path), check=True)
    result = SettleEscrows(ports, wish(), Path(world.path).parent).run()
    assert result.changed
    assert set(world.gateway.calls[calls:]) == {"state"}
    assert not intents(world)


def test_the_last_epoch_works_and_one_later_is_refused_with_the_reason(world: World) -> None:
    world.chain.next_epoch()
    assert only(settle(world)).settled
    world.chain.next_epoch()
    with pytest.raises(UnsafeError, match="nothing proves that it was settled"):
        settle(world, ids=(2,))
    assert world.chain.forfeited == [2]
    assert only(settle(world)).settled, "our own ledger proves it after the chain pruned it"


def test_one_that_cannot_be_settled_does_not_stop_the_others(world: World) -> None:
    world.gateway.records["1"].runtime.active_requests = 1
    with pytest.raises(PartialFailure) as caught:
        settle_all(world, ids=(1, 2), seconds=60)
    assert caught.value.to_failure()["kind"] == "busy"
    first, second = caught.value.result.to_result()["escrows"]
    assert (first["settled"], second["settled"]) == (False, True)


def test_a_refused_escrow_goes_on_serving_and_the_others_come_home(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 19_990
    with pytest.raises(PartialFailure, match="escrow 1 is not settled and continues") as info:
        settle_all(world, ids=(1, 2))
    first, second = info.value.result.to_result()["escrows"]
    assert (first["settled"], first["problem"]["objection"]) == (False, "nonce")
    assert (second["settled"], second["refund"]) == (True, REFUND)
    assert world.gateway.records["1"].active


def test_check_mode_says_that_it_predicts(world: World) -> None:
    ports = world.ports(Ledger.read(world.path), check=True)
    escrow = only(SettleEscrows(ports, wish(), Path(world.path).parent).run())
    assert (escrow.predicted, escrow.settled) == (True, False)
    assert escrow.refund == AMOUNT - CREATE_FEE, "what the session holds now"
    assert not only(settle(world)).predicted
