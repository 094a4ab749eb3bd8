# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnsafeError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    go,
    moved_away,
    one_escrow,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return one_escrow(tmp_path)


@pytest.fixture
def moved(world: World) -> World:
    return moved_away(world)


def test_an_inactive_record_is_activated_and_its_nonce_is_remembered(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 5
    go(world, "inactive")
    with world.open() as ledger:
        assert [mark.nonce for mark in ledger.session_marks(1)] == [5]
    assert go(world, "active", expected_nonce=5)["devshard"]["active"] is True


def test_the_ledger_knows_of_a_newer_session(moved: World) -> None:
    with moved.open() as ledger:
        ledger.mark_session(1, "http://127.0.0.1:18081", 8, None, "active")
    with pytest.raises(UnsafeError, match="the ledger saw it at 8"):
        go(moved, "imported", expected_nonce=7)
