# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnknownStateError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    empty_world,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


def test_without_an_index_enough_escrows_are_still_enough(world: World) -> None:
    run(world)
    world.chain.index_on = False
    result = run(world)
    assert not result.changed
    assert result.unclaimed is None


def test_an_escrow_of_another_account_is_named_and_not_counted(world: World) -> None:
    run(world)
    world.chain.escrows[1].creator = "gonka1other"
    result = run(world)
    assert [entry["id"] for entry in result.created] == [2]
    assert [(view.id, view.creator) for view in result.foreign] == [(1, "gonka1other")]
    assert any("escrow 1 in this gateway belongs to gonka1other" in w for w in world.warnings)
    assert not run(world).changed


def test_an_index_that_lacks_a_known_escrow_allows_no_create(world: World) -> None:
    run(world)
    world.chain.txs.clear()
    with pytest.raises(UnknownStateError, match="lacks the creation of escrow 1"):
        run(world, count=2)
    assert world.chain.minted == [1]
