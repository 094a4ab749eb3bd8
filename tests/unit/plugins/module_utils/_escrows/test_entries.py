# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What a gateway had before the ledger is written down once, and only what is ours."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.claims import Claims
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.entries import enter_escrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATOR,
    MODEL,
    Deposit,
    Record,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for number in (1, 2, 3, 4):
        made.chain.escrows[number] = Deposit(number)
        made.gateway.records[str(number)] = Record(
            id=str(number),
            model=MODEL,
            active=True,
            storage_path=f"/root/.devshardctl/escrow-{number}",
            created_at="",
            runtime=None,
        )
    made.chain.escrows[2].settled = True
    made.chain.escrows[3].creator = "gonka1other"
    del made.chain.escrows[4]
    return made


def enter(world: World) -> dict[str, t.Any]:
    with world.open() as ledger:
        return enter_escrows(world.ports(ledger))


def test_what_is_unsettled_and_ours_is_entered_once(world: World) -> None:
    assert enter(world) == {"entered": [1], "foreign": [3]}
    assert enter(world) == {"entered": [], "foreign": [3]}
    with world.open() as ledger:
        (intent,) = ledger.intents()
        (entry,) = ledger.history(intent.id)
    assert (intent.kind, intent.via, intent.state) == (Kind.CREATE, Via.GATEWAY, State.DONE)
    assert (intent.escrow_id, intent.amount, intent.creator) == (1, AMOUNT, CREATOR)
    assert intent.result == {"adopted": True}
    assert (entry.event, entry.before, entry.after) == ("enter", None, "done")


def test_check_mode_says_it_and_writes_nothing(world: World) -> None:
    assert Ledger.read(world.path) is None
    assert enter_escrows(world.ports(None, check=True)) == {"entered": [1], "foreign": [3]}
    assert Ledger.read(world.path) is None


def test_another_gateway_of_the_host_knows_them(world: World) -> None:
    """Two gateways of one creator: what the other one has is not taken for an orphan."""
    enter(world)
    with world.open() as ledger:
        ports = world.ports(ledger, gateway_id="http://127.0.0.1:18090")
        assert Claims(ports, CREATOR, frozenset()).of_others(held=True) == {1}
