# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnknownStateError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    freshness,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.backup.storages import (
    backup,
    fresh,
    gateway_db,
    session,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATOR,
    World,
)


@pytest.mark.parametrize("source", ["hosts", "ledger", "storage"])
def test_a_session_that_served_after_its_backup_is_refused_with_the_sum(
    storage: Path, world: World, source: str
) -> None:
    made = backup(storage)
    ledger = world.open()
    if source == "hosts":
        world.known_nonce = 6
    elif source == "ledger":
        ledger.mark_session(1, "g", 6, None, "active")
    else:
        session(storage, "escrow-1", 6)
    found = freshness.freshness(world.ports(ledger), made, storage)
    ledger.close()
    (worst, _unused) = found
    assert worst.refusal() == (
        f"escrow 1 ({AMOUNT} ngonka): the backup is at nonce 5, but nonce 6 is known"
    )
    assert freshness.at_risk(found) == AMOUNT
    assert str(AMOUNT) in str(freshness.refuse_restore(found))


def test_silent_hosts_are_a_risk_that_is_named(storage: Path, world: World) -> None:
    made = backup(storage)
    world.silent_hosts = 1
    reasons = fresh(world, made, storage)
    assert all(reason and "it is not known" in reason for reason in reasons.values())


def test_a_settled_escrow_risks_nothing(storage: Path, world: World) -> None:
    made = backup(storage)
    world.known_nonce = 99
    world.chain.escrows[1].settled = True
    del world.chain.escrows[2]
    assert fresh(world, made, storage) == {1: None, 2: None}


def test_a_record_whose_session_is_nowhere_is_refused(storage: Path, world: World) -> None:
    made = backup(storage, sessions=False)
    for folder in ("escrow-1", "temp/escrow-2"):
        (storage / folder / "epoch_5.db").unlink()
    world.known_nonce = 4
    reasons = fresh(world, made, storage)
    assert all(reason and "neither in the backup" in reason for reason in reasons.values())
    world.known_nonce = 0
    assert fresh(world, made, storage) == {1: None, 2: None}, "they never served"


def test_the_session_of_a_record_is_the_one_at_its_path(storage: Path, world: World) -> None:
    """Another folder of the same escrow, older or empty, must not stand in for it."""
    session(storage, "escrow-2", 3)
    made = backup(storage)
    world.known_nonce = 9
    assert fresh(world, made, storage)[2] is None
    gateway_db(storage, e2="/somewhere/else/escrow-2-old")
    elsewhere = backup(storage, later=1)
    reason = fresh(world, elsewhere, storage)[2]
    assert reason is not None
    assert "neither in the backup" in reason


def test_an_escrow_younger_than_the_backup_is_named(storage: Path, world: World) -> None:
    gateway_db(storage, e1="/root/.devshardctl/escrow-1")
    made = backup(storage, sessions=False)
    (left,) = freshness.left_without_record(world.ports(None), made, storage)
    assert (left.escrow_id, left.path, left.nonce) == (2, "temp/escrow-2", 9)
    world.chain.escrows[2].settled = True
    assert freshness.left_without_record(world.ports(None), made, storage) == []


def test_an_escrow_that_the_node_does_not_show_yet_is_not_restored_over(
    storage: Path, world: World
) -> None:
    """It has served since its backup, and one node of several is some blocks behind."""
    made = backup(storage)
    del world.chain.escrows[1]
    paid = Subject(gateway="g", chain_id="fake", creator=CREATOR, escrow_id=1, terms={"epoch": 5})
    with world.open() as ledger:
        ledger.plan(Kind.CREATE, Via.SIGNED, paid)
        ports = world.ports(ledger)
        with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
            freshness.freshness(ports, made, storage)
        # nor is it lost from sight where the backup does not know it
        gateway_db(storage, e2="/root/.devshardctl/temp/escrow-2")
        other = backup(storage, sessions=False, later=1)
        with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
            freshness.left_without_record(ports, other, storage)
