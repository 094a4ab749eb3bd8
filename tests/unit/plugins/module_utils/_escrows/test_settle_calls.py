# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    BOTH,
    GATEWAY,
    REFUND,
    intents,
    only,
    settle,
    settles_on_chain,
    two_escrows,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return two_escrows(tmp_path)


def test_the_settlement_is_kept_private_beside_the_ledger(world: World) -> None:
    settle(world)
    file = Path(world.path).parent / "settlements" / "fake" / "escrow-1.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_busy_escrow_is_deactivated_and_waited_for(world: World) -> None:
    world.gateway.records["1"].runtime.active_requests = 2
    with pytest.raises(BusyError, match="2 active"):
        settle(world, seconds=20)
    assert world.gateway.records["1"].active is False
    assert "finalize" not in world.gateway.calls
    world.gateway.records["1"].runtime.active_requests = 0
    assert only(settle(world)).settled


@BOTH
@pytest.mark.parametrize("call", ["deactivate", "finalize"])
@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_call_is_continued_after_a_look(
    world: World, how: dict[str, t.Any], call: str, lose: t.Literal["before", "after"]
) -> None:
    world.gateway.lose[call] = lose
    assert only(settle(world, **how)).refund == REFUND
    assert settles_on_chain(world) == 1


def test_the_false_success_is_closed(world: World) -> None:
    """Without quorum a settle would be answered 200 and refused in the block."""
    world.gateway.signatures = 10
    for how in ({}, GATEWAY):
        with pytest.raises(WaitTimeoutError, match="signatures"):
            settle(world, seconds=20, **how)
    assert "settle" not in world.gateway.calls
    assert intents(world) == []
    world.gateway.signatures = 16
    assert only(settle(world)).refund == REFUND


def test_a_finalize_that_was_cut_off_is_reported_as_stuck(world: World) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False
    record.runtime.phase = "finalizing"
    with pytest.raises(UnsafeError, match="finalizing"):
        settle(world, seconds=20)


def test_the_newest_nonce_is_remembered_for_a_later_restore(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 41
    settle(world)
    with world.open() as ledger:
        assert [mark.nonce for mark in ledger.session_marks(1)] == [41]


def test_a_restarted_gateway_is_finalized_again_before_it_settles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost the signatures it had in memory: settling at once would be the false success."""
    finalize, money = world.gateway.finalize, world.chain.money

    def spend(number: str) -> dict[str, t.Any]:
        world.chain.money = 0
        return finalize(number)

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway, "finalize", spend)
        with pytest.raises(UnsafeError, match="are missing"):
            settle(world, **GATEWAY)
    world.chain.money = money
    world.gateway.in_memory.clear()
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert world.gateway.calls.count("finalize") == 2
    assert settles_on_chain(world) == 1
