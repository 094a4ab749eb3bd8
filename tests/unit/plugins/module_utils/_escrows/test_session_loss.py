# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import SettledEvent
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    check,
    go,
    intents,
    one_escrow,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    Inclusion,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return one_escrow(tmp_path)


def test_an_unsettled_record_is_kept_and_the_sum_is_named(world: World) -> None:
    for force in (None, 0, AMOUNT - 1):
        with pytest.raises(UnsafeError, match=f"{AMOUNT} ngonka would be lost"):
            go(world, "absent", force=force)
        with pytest.raises(UnsafeError):
            check(world, "absent", force=force)
    assert "delete" not in world.gateway.calls
    assert intents(world, Kind.DELETE) == []
    assert go(world, "absent", force=AMOUNT)["changed"]
    assert any(f"{AMOUNT} ngonka are given up" in text for text in world.warnings)


def test_a_pruned_escrow_is_only_deleted_when_something_proves_that_it_was_settled(
    world: World,
) -> None:
    world.chain.next_epoch()
    world.chain.next_epoch()
    assert 1 not in world.chain.escrows
    with pytest.raises(UnsafeError, match="nothing proves"):
        go(world, "absent")
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match=f"index on.*give force={AMOUNT}"):
        go(world, "absent")
    world.chain.index_on = True
    event = SettledEvent(
        escrow_id=1, settler="c", total_payout=0, fees=0, remainder=0, tx_hash="X", height=1
    )
    world.chain.txs["X"] = Inclusion(settled=event)
    assert go(world, "absent")["changed"]


def test_an_escrow_that_the_node_does_not_show_yet_is_not_taken_for_pruned(world: World) -> None:
    del world.chain.escrows[1]
    with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
        go(world, "absent")


def test_without_an_index_force_still_gives_a_pruned_escrow_up(world: World) -> None:
    world.chain.next_epoch()
    world.chain.next_epoch()
    world.chain.index_on = False
    assert go(world, "absent", force=AMOUNT)["changed"]
    assert any("are given up" in text for text in world.warnings)
