# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    ConfigurationError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    TEMP,
    check,
    go,
    one_escrow,
    settle,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return one_escrow(tmp_path)


@pytest.mark.parametrize("state", ["present", "active", "inactive", "imported", "absent"])
def test_each_state_is_predicted_reached_and_kept(world: World, state: str) -> None:
    changes: dict[str, t.Any] = {}
    if state in ("present", "active"):
        world.gateway.records.clear()
    if state == "imported":
        world.gateway.records.clear()
        world.gateway.stored[TEMP] = 7
        changes = {"expected_nonce": 7}
    if state == "absent":
        settle(world)
    predicted = check(world, state, **changes)
    assert not set(world.gateway.calls) - {"state"}
    real = go(world, state, **changes)
    assert predicted["changed"] is real["changed"] is True
    assert (predicted["before"], predicted["after"]) == (real["before"], real["after"])
    assert predicted["actions"] == real["actions"]
    again = go(world, state, **changes)
    assert not again["changed"]
    assert ("1" in world.gateway.records) is (state != "absent")


def test_a_busy_record_is_deactivated_and_kept(world: World) -> None:
    settle(world)
    world.gateway.records["1"].runtime.active_requests = 1
    with pytest.raises(BusyError, match="1 active"):
        go(world, "absent")
    assert world.gateway.records["1"].active is False


def test_a_record_that_is_not_there_cannot_be_inactive(world: World) -> None:
    with pytest.raises(ConfigurationError, match="no record of escrow 2"):
        go(world, "inactive", id=2)
