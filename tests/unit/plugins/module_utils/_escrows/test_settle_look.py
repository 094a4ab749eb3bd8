# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ProtocolError,
    TransportError,
    UnknownStateError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    REFUND,
    intents,
    keep_settlement,
    only,
    settle,
    settle_all,
    two_escrows,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return two_escrows(tmp_path)


def test_a_kept_settlement_needs_neither_gateway_nor_storage(world: World) -> None:
    world.chain.delay = 10_000
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20)
    world.chain.delay = 0
    world.chain.pending.clear()
    world.chain.step(60)
    world.gateway.down = True
    assert only(settle(world)).refund == REFUND
    assert any("only kept settlements" in text for text in world.warnings)


@pytest.mark.parametrize("select", ["all", "inactive_unsettled"])
def test_a_selection_finds_a_kept_settlement_whose_record_is_gone(
    world: World, select: str
) -> None:
    keep_settlement(world)
    del world.gateway.records["1"]
    result = settle(world, ids=(), select=select)
    assert 1 in [escrow.id for escrow in result.escrows]
    assert world.chain.escrows[1].settled
    assert settle(world, ids=(), select=select).escrows == []


def test_a_damaged_settlement_is_told_with_the_way_out(world: World) -> None:
    keep_settlement(world)
    file = Path(world.path).parent / "settlements" / "fake" / "escrow-1.json"
    for content in ("{", "{}"):
        file.write_text(content)
        with pytest.raises(ProtocolError, match="Move it away and run this again"):
            settle(world)
    file.unlink()
    assert only(settle(world)).refund == REFUND


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("all", [1, 2]),
        ("inactive_unsettled", [2]),
        ("depleted", [1]),
        ("expiring", []),
        ("at_risk", []),
    ],
)
def test_the_selections_choose_what_they_say(
    world: World, select: str, expected: list[int]
) -> None:
    world.gateway.records["1"].runtime.nonce = 19_800
    world.gateway.records["2"].active = world.gateway.records["2"].runtime.active = False
    result = settle(world, ids=(), select=select)
    assert [escrow.id for escrow in result.escrows] == expected
    assert settle(world, ids=(), select=select).escrows == []


def test_expiring_follows_the_deadline(world: World) -> None:
    assert settle(world, ids=(), select="expiring", deadline_blocks=100).escrows == []
    world.chain.next_epoch()
    world.chain.step(950)
    result = settle(world, ids=(), select="expiring", deadline_blocks=100)
    assert [escrow.id for escrow in result.escrows] == [1, 2]


def test_a_selection_finishes_what_an_earlier_run_began(world: World) -> None:
    world.chain.delay = 10
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20)
    world.chain.step(20)
    assert world.chain.escrows[1].settled
    result = settle(world, ids=(), select="depleted")
    assert [(escrow.id, escrow.refund) for escrow in result.escrows] == [(1, REFUND)]
    assert not [intent for intent in intents(world) if intent.open]
    assert settle(world, ids=(), select="depleted").escrows == []


def test_a_selection_without_the_gateway_is_unknown_not_empty(world: World) -> None:
    world.gateway.down = True
    with pytest.raises(UnknownStateError):
        settle(world, ids=(), select="all")


def test_without_an_index_a_pruned_escrow_is_unknown_not_lost(world: World) -> None:
    del world.chain.escrows[1]
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="index"):
        settle(world)


def test_settling_goes_on_without_the_public_api(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> t.NoReturn:
        raise TransportError("the public API does not answer", sent=False)

    monkeypatch.setattr(world.chain, "epoch", down)
    assert only(settle(world)).refund == REFUND
    assert any("no deadline is known" in text for text in world.warnings)
    with pytest.raises(UnknownStateError, match="deadlines"):
        settle(world, ids=(), select="expiring")


def test_somebody_elses_escrow_is_named_and_not_left_out_in_silence(world: World) -> None:
    world.chain.escrows[1].creator = "gonka1other"
    with pytest.raises(PartialFailure, match="gonka1other") as info:
        settle_all(world, ids=(), select="all")
    result = info.value.result.to_result()
    assert [(row["id"], row["creator"]) for row in result["foreign"]] == [(1, "gonka1other")]
    assert [(row["id"], row["settled"]) for row in result["escrows"]] == [(1, False), (2, True)]
    left = settle(world, ids=(), select="all", leave_foreign=True)
    assert [row["id"] for row in left.foreign] == [1]
    assert left.escrows == []
    assert settle(world, ids=(), select="depleted").foreign[0]["amount"] == AMOUNT
