# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Settling where the gateway unloads what is out of service: v3, v4 and v4.1."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    ChainRejectedError,
    ProtocolError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import State
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    BOTH,
    GATEWAY,
    REFUND,
    intents,
    only,
    settle,
    settles_on_chain,
    wish,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import options
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.newer_gateway import (
    NewerWorld,
    refused,
)


@pytest.fixture(params=[False, True], ids=["sent", "confirmed"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> NewerWorld:
    made = NewerWorld(tmp_path)
    made.newer.confirms = request.param
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=2)).run()
    return made


@BOTH
def test_an_idle_escrow_is_finalized_as_it_serves(world: NewerWorld, how: dict[str, t.Any]) -> None:
    result = settle(world, **how)
    assert (only(result).settled, only(result).refund) == (True, REFUND)
    assert result.actions == ["finalized escrow 1", "settled escrow 1"]
    assert not settle(world, **how).changed


@BOTH
def test_a_busy_one_is_deactivated_unloads_and_is_loaded_for_its_settlement(
    world: NewerWorld, how: dict[str, t.Any]
) -> None:
    world.newer.records["1"].runtime.active_requests = 1
    with pytest.raises(BusyError, match=r"1 active request.*at the latest 20 minutes after"):
        settle(world, seconds=20, **how)
    assert not world.newer.records["1"].active
    world.newer.records["1"].runtime.active_requests = 0
    result = settle(world, **how)
    assert only(result).settled
    assert result.actions == ["loaded escrow 1", "finalized escrow 1", "settled escrow 1"]


@BOTH
def test_background_work_counts_as_busy(world: NewerWorld, how: dict[str, t.Any]) -> None:
    world.newer.background["1"] = 2
    with pytest.raises(BusyError, match="0 active request.* and 2 of work after replies"):
        settle(world, seconds=20, **how)
    assert "settle" not in world.newer.calls, "it is never used as a test of being busy"
    del world.newer.background["1"]
    assert only(settle(world, **how)).settled


@BOTH
def test_work_that_no_field_shows_is_waited_out_and_named(
    world: NewerWorld, how: dict[str, t.Any]
) -> None:
    world.newer.hidden.add("1")
    with pytest.raises(BusyError, match="although no request is shown") as caught:
        settle(world, seconds=20, **how)
    assert "has active requests" in str(caught.value)
    assert not world.newer.records["1"].active, "no further request may come first"
    world.newer.hidden.clear()
    assert only(settle(world, **how)).settled
    assert settles_on_chain(world) == 1


def test_a_store_that_is_still_open_is_asked_again(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.newer.locked.add("1")
    assert only(settle(world)).settled
    assert world.newer.calls.count("activate") == 2


@BOTH
def test_a_settle_without_signatures_is_repaired_by_loading_and_finalizing(
    world: NewerWorld, how: dict[str, t.Any]
) -> None:
    """``generations.md``, money and waiting 1: settling again is answered 200 and fails."""
    world.newer.signatures = 0
    with pytest.raises(WaitTimeoutError, match="could not be finalized in time"):
        settle(world, seconds=20, **how)
    assert world.newer.records["1"].runtime.phase == "settlement"
    world.newer.unload("1")
    world.newer.signatures = 16
    result = settle(world, **how)
    assert result.actions == ["loaded escrow 1", "finalized escrow 1", "settled escrow 1"]
    assert settles_on_chain(world) == 1
    assert all(tx.code == 0 for tx in world.chain.txs.values())


def test_a_kept_settlement_is_not_sent_by_a_gateway_that_lost_the_signatures(
    world: NewerWorld,
) -> None:
    world.newer.lose["settle"] = "before"
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20, **GATEWAY)
    world.newer.unload("1")
    assert only(settle(world, seconds=3000, **GATEWAY)).settled
    assert all(tx.code == 0 for tx in world.chain.txs.values())


def test_a_transaction_that_fails_is_named_with_what_the_chain_said(world: NewerWorld) -> None:
    """200 with a hash (v3, v4) or 502 with it (v4.1): the chain tells in both cases."""
    original = world.newer.finalize

    def forgetful(number: str) -> dict[str, t.Any]:
        document = original(number)
        world.newer.in_memory.pop(number)
        return document

    world.newer.finalize = forgetful  # type: ignore[method-assign]
    with pytest.raises(ChainRejectedError, match="the chain refused to settle escrow 1"):
        settle(world, **GATEWAY)
    (intent,) = intents(world)
    assert intent.state is State.REJECTED
    world.newer.finalize = original  # type: ignore[method-assign]
    assert only(settle(world, **GATEWAY)).settled


def busy_once_finalized(world: NewerWorld) -> t.Callable[[], None]:
    """Work that no field shows begins as finalize ends, until what is returned is called."""
    original = world.newer.finalize

    def then_busy(number: str) -> dict[str, t.Any]:
        document = original(number)
        world.newer.hidden.add(number)
        return document

    def as_before() -> None:
        world.newer.finalize = original  # type: ignore[method-assign]

    world.newer.finalize = then_busy  # type: ignore[method-assign]
    return as_before


def test_a_busy_settle_that_the_gateway_keeps_is_not_sent_again(world: NewerWorld) -> None:
    world.newer.keeps_busy = True
    busy_once_finalized(world)
    with pytest.raises(BusyError, match="settles it by itself when its work has ended"):
        settle(world, seconds=20, **GATEWAY)
    (intent,) = intents(world)
    assert intent.state is State.ASKED
    calls = world.newer.calls.count("settle")
    with pytest.raises(WaitTimeoutError, match="not known yet"):
        settle(world, seconds=20, **GATEWAY)
    world.newer.background["1"] = 1
    with pytest.raises(BusyError, match="settles it by itself"):
        settle(world, seconds=3000, **GATEWAY)
    assert world.newer.calls.count("settle") == calls
    # its worker does it
    del world.newer.background["1"]
    world.newer.hidden.clear()
    settle_by_its_worker(world, "1")
    assert (only(settle(world, **GATEWAY)).settled, settles_on_chain(world)) == (True, 1)


def settle_by_its_worker(world: NewerWorld, number: str) -> None:
    """What the gateway does by itself when the work has ended."""
    world.newer.settle(
        number,
        private_key_env="DEVSHARD_PRIVATE_KEY",
        chain_id="fake",
        fee_amount=1_000_000,
        gas_limit=500_000,
    )
    world.newer.queued.discard(number)
    world.chain.step(3)


def test_a_busy_settle_that_the_gateway_forgets_is_not_sent(world: NewerWorld) -> None:
    as_before = busy_once_finalized(world)
    with pytest.raises(Exception, match="has active requests"):
        settle(world, seconds=20, **GATEWAY)
    (intent,) = intents(world)
    assert intent.state is State.DROPPED
    world.newer.hidden.clear()
    as_before()
    assert only(settle(world, **GATEWAY)).settled


def test_a_wish_that_a_restart_forgot_is_made_up_for(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.newer.queued.add("1")
    assert only(settle(world)).settled, "nothing of the gateway settles what is not loaded"


def test_one_that_is_held_back_is_not_settled_unless_taken_out_of_service(
    world: NewerWorld,
) -> None:
    world.newer.held["1"] = "2026-11-29T10:00:00Z"
    with pytest.raises(UnsafeError, match="holds it back since 2026-11-29T10:00:00Z"):
        settle(world)
    assert world.newer.records["1"].active
    world.newer.deactivate("1")
    assert only(settle(world)).settled


def test_what_the_folder_of_an_unloaded_session_says_is_judged_before_it_is_loaded(
    world: NewerWorld,
) -> None:
    world.newer.deactivate("1")
    world.newer.on_disk["1"].nonce = 19_990
    with pytest.raises(UnsafeError, match="at nonce 19990"):
        settle(world)
    assert "activate" not in world.newer.calls


def test_check_mode_predicts_and_loads_nothing(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    calls = len(world.newer.calls)
    ports = world.ports(Ledger.read(world.path), check=True)
    result = SettleEscrows(ports, wish(), Path(world.path).parent).run()
    assert only(result).predicted
    assert set(world.newer.calls[calls:]) == {"state", "session"}


def test_another_protocol_than_the_gateways_own_is_judged_by_its_own_tag(
    world: NewerWorld,
) -> None:
    world.chain.approved = ("v4",)
    with pytest.raises(UnsafeError, match='version "v4.1" is not approved'):
        settle(world)


def test_one_that_was_loaded_in_vain_does_not_stay_in_service(world: NewerWorld) -> None:
    world.newer.deactivate("1")

    def broken(number: str) -> dict[str, t.Any]:
        raise refused(400, f"devshard {number} boom")

    world.newer.finalize = broken  # type: ignore[method-assign]
    with pytest.raises(ProtocolError, match="boom"):
        settle(world)
    assert not world.newer.records["1"].active
    world.newer.lose["deactivate"] = "before"
    with pytest.raises(ProtocolError, match="boom"):
        settle(world)
    assert "may be in service again" in world.warnings[-1]


def test_the_hosts_are_asked_before_a_session_is_loaded(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.silent_hosts = 9
    with pytest.raises(WaitTimeoutError, match="is not settled"):
        settle(world, seconds=20)
    assert "activate" not in world.newer.calls
