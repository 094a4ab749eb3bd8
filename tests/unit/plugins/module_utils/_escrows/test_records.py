# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    ConfigurationError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
    State,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.record_options import (
    DevshardOptions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.records import SetDevshard
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.session_guards import (
    SessionGuards,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    MODEL,
    World,
    options,
)

TEMP = "/root/.devshardctl/temp/escrow-1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One escrow, created and registered."""
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options()).run()
    made.gateway.calls.clear()
    return made


@pytest.fixture
def moved(world: World) -> World:
    """Its session was served by another gateway, which was stopped at nonce 7."""
    del world.gateway.records["1"]
    world.gateway.stored[TEMP] = 7
    world.known_nonce = 7
    return world


def wish(state: str, **changes: t.Any) -> DevshardOptions:
    values: dict[str, t.Any] = {
        "id": 1,
        "state": state,
        "model_id": None,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "storage_path": TEMP if state == "imported" else None,
        "perf_path": None,
        "expected_nonce": None,
        "expected_balance": None,
        "force": None,
        **changes,
    }
    return DevshardOptions(**values)


def go(world: World, state: str, **changes: t.Any) -> dict[str, t.Any]:
    with world.open() as ledger:
        return SetDevshard(world.ports(ledger), wish(state, **changes)).run()


def check(world: World, state: str, **changes: t.Any) -> dict[str, t.Any]:
    ports = world.ports(Ledger.read(world.path), check=True)
    return SetDevshard(ports, wish(state, **changes)).run()


def intents(world: World, kind: Kind) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents(kind=kind)


def settle(world: World) -> None:
    world.chain.escrows[1].settled = True


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


def test_an_inactive_record_is_activated_and_its_nonce_is_remembered(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 5
    go(world, "inactive")
    with world.open() as ledger:
        assert [mark.nonce for mark in ledger.session_marks(1)] == [5]
    assert go(world, "active", expected_nonce=5)["devshard"]["active"] is True


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
    del world.chain.escrows[1]
    with pytest.raises(UnsafeError, match="does not have escrow 1"):
        go(world, state, expected_nonce=0)


def test_another_model_than_the_chains_is_refused(world: World) -> None:
    world.gateway.records.clear()
    with pytest.raises(UnsafeError, match=f"for model {MODEL}"):
        go(world, "present", model_id="other")


# the state imported


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


def test_the_ledger_knows_of_a_newer_session(moved: World) -> None:
    with moved.open() as ledger:
        ledger.mark_session(1, "http://127.0.0.1:18081", 8, None, "active")
    with pytest.raises(UnsafeError, match="the ledger saw it at 8"):
        go(moved, "imported", expected_nonce=7)


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_import_is_continued(moved: World, lose: t.Literal["before", "after"]) -> None:
    moved.gateway.lose["import"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            go(moved, "imported", expected_nonce=7)
        assert [intent.open for intent in intents(moved, Kind.IMPORT)] == [True]
    go(moved, "imported", expected_nonce=7)
    assert not [intent for intent in intents(moved, Kind.IMPORT) if intent.open]
    assert moved.gateway.records["1"].runtime.nonce == 7


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

    def asked(_self: SessionGuards, _since: int) -> Obj:
        record.runtime.nonce = 3
        return Obj(nonce=3, silent=(), asked=16)

    monkeypatch.setattr(SessionGuards, "_hosts", asked)
    assert go(world, "active")["changed"]


def test_a_finalized_session_is_not_activated(world: World) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False
    record.runtime.phase = "settlement"
    with pytest.raises(UnsafeError, match="Settle it"):
        go(world, "active")


# deleting


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
    del world.chain.escrows[1]
    with pytest.raises(UnsafeError, match="nothing proves"):
        go(world, "absent")
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match=f"index on.*give force={AMOUNT}"):
        go(world, "absent")
    world.chain.index_on = True
    world.chain.txs["X"] = Obj(settled=Obj(escrow_id=1), created=None)
    assert go(world, "absent")["changed"]


def test_without_an_index_force_still_gives_a_pruned_escrow_up(world: World) -> None:
    del world.chain.escrows[1]
    world.chain.index_on = False
    assert go(world, "absent", force=AMOUNT)["changed"]
    assert any("are given up" in text for text in world.warnings)


def test_a_busy_record_is_deactivated_and_kept(world: World) -> None:
    settle(world)
    world.gateway.records["1"].runtime.active_requests = 1
    with pytest.raises(BusyError, match="1 active"):
        go(world, "absent")
    assert world.gateway.records["1"].active is False


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_delete_is_continued(world: World, lose: t.Literal["before", "after"]) -> None:
    settle(world)
    world.gateway.lose["delete"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            go(world, "absent")
        assert [intent.open for intent in intents(world, Kind.DELETE)] == [True]
    go(world, "absent")
    assert "1" not in world.gateway.records
    assert not [intent for intent in intents(world, Kind.DELETE) if intent.open]


def test_a_delete_that_leaves_the_folder_is_done_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(world)

    def half(number: str) -> t.NoReturn:
        del world.gateway.records[number]
        raise ProtocolError("refusing to delete storage outside base dir", http_status=500)

    monkeypatch.setattr(world.gateway, "delete", half)
    assert go(world, "absent")["changed"]
    assert [intent.state for intent in intents(world, Kind.DELETE)] == [State.DONE]
    assert any("was left" in text for text in world.warnings)


def test_a_record_that_is_not_there_cannot_be_inactive(world: World) -> None:
    with pytest.raises(ConfigurationError, match="no record of escrow 2"):
        go(world, "inactive", id=2)


@pytest.mark.parametrize("run", [go, check])
@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("storage_path", "temp/escrow-1"),
        ("storage_path", ""),
        ("storage_path", "./escrow-1"),
        ("storage_path", "/root/.devshardctl/../escrow-1"),
        ("perf_path", "perf.db"),
    ],
)
def test_a_path_that_depends_on_the_working_directory_is_refused(
    moved: World, run: t.Callable[..., t.Any], option: str, path: str
) -> None:
    """The gateway would begin an empty session there and answer 200."""
    with pytest.raises(ConfigurationError, match=f"{option} must be an absolute path"):
        run(moved, "imported", **{"expected_nonce": 7, option: path})
    assert moved.gateway.calls == []
