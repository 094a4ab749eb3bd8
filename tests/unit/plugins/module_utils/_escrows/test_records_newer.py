# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Records of a gateway that unloads what is out of service."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import go
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import options
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.newer_gateway import (
    NewerWorld,
)


@pytest.fixture
def world(tmp_path: Path) -> NewerWorld:
    made = NewerWorld(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=1)).run()
    return made


def test_out_of_service_and_back(world: NewerWorld) -> None:
    assert go(world, "inactive")["changed"]
    assert world.newer.records["1"].runtime is None
    assert not go(world, "inactive")["changed"]
    world.newer.locked.add("1")
    assert go(world, "active")["changed"], "its store is open for a moment longer"
    assert world.newer.records["1"].active
    assert not go(world, "active")["changed"]


def test_one_that_still_works_is_not_activated_before_it_is_unloaded(world: NewerWorld) -> None:
    world.newer.records["1"].runtime.active_requests = 1
    go(world, "inactive")
    calls = world.newer.calls.count("activate")
    with pytest.raises(BusyError, match="was deactivated and still works"):
        go(world, "active")
    assert world.newer.calls.count("activate") == calls
    world.newer.records["1"].runtime.active_requests = 0
    assert go(world, "active")["changed"]
    assert world.newer.records["1"].runtime is not None


def test_active_and_not_loaded_is_repaired_by_activating_again(world: NewerWorld) -> None:
    world.newer.unload("1")
    assert world.newer.records["1"].active
    assert go(world, "active")["changed"]
    assert world.newer.records["1"].runtime is not None
    world.newer.unload("1")
    assert go(world, "inactive")["changed"]
    assert not world.newer.records["1"].active


def test_a_session_that_can_serve_no_more_is_not_loaded_to_find_out(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.newer.on_disk["1"].phase = "settlement"
    with pytest.raises(UnsafeError, match="in phase settlement. Settle it"):
        go(world, "active")
    assert "activate" not in world.newer.calls


def pool(world: NewerWorld, count: int = 1) -> list[str]:
    with world.open() as ledger:
        return list(EnsureEscrows(world.ports(ledger), options(count=count)).run().actions)


def test_an_unloaded_escrow_serves_again_before_another_one_is_paid(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    assert "was out of service" in pool(world)[0]
    assert len(world.chain.escrows) == 1


def test_one_that_is_active_and_not_loaded_is_activated_and_not_paid_for_again(
    world: NewerWorld,
) -> None:
    world.newer.unload("1")
    assert world.newer.records["1"].active
    assert pool(world) == [
        "activated escrow 1, which was out of service, paid for and able to serve"
    ]
    assert list(world.chain.escrows) == [1]
    assert world.newer.records["1"].runtime is not None


def test_an_unloaded_one_that_is_spent_is_not_brought_back(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.newer.on_disk["1"].nonce = 19_900
    assert pool(world) == ["created escrow 2"]
    assert not world.newer.records["1"].active


def test_none_is_paid_in_place_of_one_that_is_held_back(world: NewerWorld) -> None:
    world.newer.held["1"] = "2026-11-29T10:00:00Z"
    for count, usable in ((1, "0 of 1"), (2, "1 of 2")):
        with pytest.raises(
            (UnknownStateError, PartialFailure), match=f"{usable} escrows are usable"
        ):
            pool(world, count)
        assert len(world.chain.escrows) == count


def test_delete_waits_for_the_work_after_replies(world: NewerWorld) -> None:
    world.chain.escrows[1].settled = True
    world.newer.background["1"] = 1
    with pytest.raises(BusyError, match="0 active request.* and 1 of work after replies"):
        go(world, "absent")
    del world.newer.background["1"]
    assert go(world, "absent")["changed"]
