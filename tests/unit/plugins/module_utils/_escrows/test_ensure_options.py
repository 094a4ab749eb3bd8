# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Via,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    empty_world,
    intents,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


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
