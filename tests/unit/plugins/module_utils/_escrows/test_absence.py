# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The outcome of an escrow that the chain does not have, by the ledger and the chain's events."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.absence import Absence
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Event
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    look_for_absent,
    read_clock,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import report
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import refuse_unsettled
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    intents,
    report_options,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    settle,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    run(made)
    return made


def prune(world: World) -> None:
    world.chain.next_epoch()
    world.chain.next_epoch()
    assert 1 not in world.chain.escrows


def became(world: World) -> Absence:
    return look_for_absent(world.chain, 1, intents(world), read_clock(world.chain))


def reported(world: World) -> tuple[dict[str, t.Any], list[str]]:
    options = report_options(world)
    with world.open() as ledger:
        found = report(world.ports(ledger), options)
    (row,) = found["escrows"]
    return row, found["not_known"]


def test_a_settle_in_the_ledger_proves_it_without_the_index(world: World) -> None:
    settle(world, ids=(1,))
    prune(world)
    world.chain.index_on = False
    assert became(world) is Absence.SETTLED
    row, unknown = reported(world)
    assert (row["settled"], row["absence"], row["on_chain"]) == (True, "settled", False)
    assert "settled on the chain, which has pruned it since" in row["why_not"]
    assert not any("whether escrow 1 was settled" in part for part in unknown)


def test_a_settle_event_proves_it_without_the_ledger(world: World) -> None:
    settle(world, ids=(1,))
    prune(world)
    assert look_for_absent(world.chain, 1, (), None) is Absence.SETTLED
    world.chain.index_on = False
    with pytest.raises(UnknownStateError):
        look_for_absent(world.chain, 1, (), None)


def test_without_proof_it_is_unknown_and_never_settled(world: World) -> None:
    prune(world)
    row, _unknown = reported(world)
    assert (row["settled"], row["absence"], row["usable"]) == (None, "unknown", False)
    assert any(why.startswith("not known whether it was settled") for why in row["why_not"])
    world.chain.index_on = False
    _row, unknown = reported(world)
    assert any(part.startswith("whether escrow 1 was settled: ") for part in unknown)


def test_what_the_ledger_has_lost_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    prune(world)
    (intent,) = intents(world)
    with world.open() as ledger:
        ledger.apply(intent, Event.LOSE, {"why": "pruned"})
    world.chain.index_on = False
    assert became(world) is Absence.LOST


def test_one_that_cannot_be_pruned_yet_is_not_shown(world: World) -> None:
    del world.chain.escrows[1]
    assert became(world) is Absence.NOT_SHOWN
    row, _unknown = reported(world)
    assert (row["settled"], row["absence"]) == (None, "not_shown")


def test_a_gateway_with_one_that_is_not_shown_is_not_removed(world: World) -> None:
    del world.chain.escrows[1]
    with world.open() as ledger:
        with pytest.raises(UnsafeError, match="cannot have pruned it yet"):
            refuse_unsettled(world.ports(ledger), world.gateway.state())
        world.chain.next_epoch()
        world.chain.next_epoch()
        refuse_unsettled(world.ports(ledger), world.gateway.state())


def test_settling_all_names_one_that_is_not_shown(world: World) -> None:
    del world.chain.escrows[1]
    with pytest.raises(UnknownStateError, match="does not show escrow 1"):
        settle(world, ids=(), select="all")


def test_ledger_and_chain_are_asked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    intents_of, escrow = Ledger.intents, type(world.chain).escrow

    def read(ledger: Ledger, **filters: t.Any) -> t.Any:
        asked.append("ledger")
        return intents_of(ledger, **filters)

    def look(chain: t.Any, number: int) -> t.Any:
        asked.append(f"escrow {number}")
        return escrow(chain, number)

    monkeypatch.setattr(Ledger, "intents", read)
    monkeypatch.setattr(type(world.chain), "escrow", look)
    world.gateway.records.clear()
    session = Path(world.path).parent / "storage" / "escrow-1"
    session.mkdir(parents=True)
    options = report_options(world, storage_dir=session.parent)
    with world.open() as ledger:
        asked.clear()
        (row,) = report(world.ports(ledger), options)["escrows"]
    assert (row["of_gateway"], len(row["ledger"])) == (True, 1)
    assert sorted(asked) == ["escrow 1", "ledger"]
