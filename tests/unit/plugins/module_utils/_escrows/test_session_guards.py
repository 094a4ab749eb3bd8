# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import HostsNonce
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.session_guards import (
    SessionGuards,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    go,
    moved_away,
    one_escrow,
    settle,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    MODEL,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return one_escrow(tmp_path)


@pytest.fixture
def moved(world: World) -> World:
    return moved_away(world)


def test_a_new_session_is_refused_while_a_host_knows_one(world: World) -> None:
    world.gateway.records.clear()
    world.known_nonce = 3
    with pytest.raises(UnsafeError, match=f"nonce 3 somewhere.*{AMOUNT}"):
        go(world, "present")
    assert "add" not in world.gateway.calls


def test_a_new_session_is_refused_while_no_host_could_be_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gateway.records.clear()
    monkeypatch.setattr(world, "silent_hosts", 16)
    with pytest.raises(UnknownStateError, match="none of its hosts"):
        go(world, "present")
    # an answer of the chain that names no host proves nothing either
    world.chain.escrows[1].slots = ()
    with pytest.raises(UnknownStateError, match="none of its hosts"):
        go(world, "present")


def test_hosts_that_do_not_tell_are_named_when_a_session_begins(world: World) -> None:
    world.gateway.records.clear()
    world.silent_hosts = 2
    assert go(world, "present")["changed"]
    assert any("2 of 16 hosts did not report" in text for text in world.warnings)


@pytest.mark.parametrize("state", ["present", "active", "imported"])
def test_a_settled_or_pruned_escrow_never_serves(world: World, state: str) -> None:
    world.gateway.records.clear()
    settle(world)
    with pytest.raises(UnsafeError, match="settled on the chain"):
        go(world, state, expected_nonce=0)
    world.chain.next_epoch()
    world.chain.next_epoch()
    with pytest.raises(UnsafeError, match="does not have escrow 1"):
        go(world, state, expected_nonce=0)


def test_another_model_than_the_chains_is_refused(world: World) -> None:
    world.gateway.records.clear()
    with pytest.raises(UnsafeError, match=f"for model {MODEL}"):
        go(world, "present", model_id="other")


def test_an_import_of_an_empty_folder_is_never_good(moved: World) -> None:
    with pytest.raises(UnsafeError, match="at nonce 0, its source was at 7"):
        go(moved, "imported", storage_path="/wrong/escrow-1", expected_nonce=7)
    with pytest.raises(UnsafeError, match=r"already has escrow 1 .*/wrong/escrow-1"):
        go(moved, "imported", expected_nonce=7)
    with pytest.raises(UnsafeError, match="Do not activate"):
        go(moved, "active", expected_nonce=7)
    assert moved.gateway.records["1"].active is False


def test_an_import_needs_the_sources_last_word(moved: World) -> None:
    with pytest.raises(ConfigurationError, match="expected_nonce"):
        go(moved, "imported")
    with moved.open() as ledger:
        ledger.mark_session(1, "http://127.0.0.1:18081", 7, None, "active")
    assert go(moved, "imported")["devshard"]["nonce"] == 7


@pytest.mark.parametrize(
    ("expected", "hosts", "text"),
    [
        ({"expected_nonce": 8}, 7, "its source was at 8"),
        ({"expected_nonce": 7, "expected_balance": 1}, 7, "its source had 1"),
        ({"expected_nonce": 7}, 9, "a host knows nonce 9"),
    ],
)
def test_a_session_that_is_not_the_newest_is_refused(
    moved: World, expected: dict[str, int], hosts: int, text: str
) -> None:
    moved.known_nonce = hosts
    with pytest.raises(UnsafeError, match=text):
        go(moved, "imported", **expected)
    assert moved.gateway.records["1"].active is False


def test_a_session_that_turns_out_old_after_loading_is_switched_off_again(world: World) -> None:
    record = world.gateway.records["1"]
    record.active, record.runtime = False, None
    world.known_nonce = 4
    with pytest.raises(UnsafeError, match="a host knows nonce 4"):
        go(world, "active")
    assert record.active is False


def test_a_loaded_session_that_was_served_elsewhere_is_not_activated(world: World) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False
    world.known_nonce = 3
    with pytest.raises(UnsafeError, match="host knows nonce 3"):
        go(world, "active")
    assert record.active is False


def test_a_session_whose_own_work_went_on_meanwhile_is_activated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False

    def asked(_self: SessionGuards, _since: int) -> HostsNonce:
        record.runtime.nonce = 3
        return HostsNonce(nonce=3, silent=(), asked=16)

    monkeypatch.setattr(SessionGuards, "_hosts", asked)
    assert go(world, "active")["changed"]


def test_a_finalized_session_is_not_activated(world: World) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False
    record.runtime.phase = "settlement"
    with pytest.raises(UnsafeError, match="Settle it"):
        go(world, "active")
