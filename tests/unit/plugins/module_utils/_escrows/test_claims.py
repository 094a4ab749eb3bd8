# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    empty_world,
    mint_elsewhere,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    options,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


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


def test_an_escrow_of_the_other_slot_is_neither_taken_nor_unclaimed(world: World) -> None:
    run(world)
    world.gateway.records.clear()
    with world.open() as ledger:
        ports = world.ports(ledger, gateway_id="http://127.0.0.1:18081")
        result = EnsureEscrows(ports, options(adopt_orphans=True)).run()
    assert result.unclaimed == []
    assert [entry["id"] for entry in result.created] == [2]


def test_what_another_host_of_the_play_just_paid_is_explained(world: World, tmp_path: Path) -> None:
    told = world.chain.height
    theirs = mint_elsewhere(world, tmp_path / "other")
    with pytest.raises(UnsafeError, match="nothing explains"):
        run(world, others_create_after=world.chain.height)
    result = run(world, others_create_after=told)
    assert [entry["id"] for entry in result.created] == [theirs + 1]
    assert result.unclaimed == []
