# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Nodes behind one address differ by some blocks. An escrow that one of them does not show yet is not
one that the chain has pruned."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.limits import MAX_BLOCK_AGE
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import Escrow, TxResult
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnknownStateError
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.deadlines import EpochClock
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.mint_terms import (
    must_be_on_chain,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    locked_deposits,
    read_clock,
    shown_escrow,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import report
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    BOTH,
    check,
    intents,
    proved,
    report_options,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    settle_all,
    two_escrows,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    BLOCK,
    CREATOR,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def hide(world: World, number: int, patch: pytest.MonkeyPatch) -> None:
    """The node that is asked for escrows does not have this one yet."""
    shown = world.chain.escrow

    def behind(asked: int) -> Escrow | None:
        return None if asked == number else shown(asked)

    patch.setattr(world.chain, "escrow", behind)


def a_block_behind(world: World, patch: pytest.MonkeyPatch) -> None:
    """The node that is asked for escrows is one block behind the one that has the transaction."""
    shown, first = world.chain.escrow, dict[int, int]()

    def behind(asked: int) -> Escrow | None:
        found = shown(asked)
        if found is None or first.setdefault(asked, world.chain.height) == world.chain.height:
            return None
        return found

    patch.setattr(world.chain, "escrow", behind)


@BOTH
@pytest.mark.parametrize("in_index", [True, False])
def test_no_second_deposit_beside_an_escrow_that_the_node_does_not_show(
    world: World, how: dict[str, t.Any], in_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world, **how)
    hide(world, 1, monkeypatch)
    if not in_index:
        monkeypatch.setattr(world.chain, "created_by", lambda _creator: [])
    for ask in (check, run):
        with pytest.raises(UnknownStateError, match="escrow 1 may serve already"):
            ask(world, **how)
    assert world.chain.minted == [1]


def test_what_is_left_needs_no_node_that_shows_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world, count=2)
    hide(world, 1, monkeypatch)
    assert not run(world).changed


def test_an_escrow_that_was_just_paid_for_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_block_behind(world, monkeypatch)
    with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
        run(world, seconds=5)
    (intent,) = intents(world)
    assert (intent.state, intent.escrow_id) == (State.INCLUDED, 1)
    run(world)
    proved(world, 1)


def test_an_escrow_that_is_made_is_registered_by_the_same_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_block_behind(world, monkeypatch)
    run(world)
    proved(world, 1)


@pytest.mark.parametrize("noted", [True, False])
def test_a_selection_names_what_the_node_does_not_show(
    tmp_path: Path, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = two_escrows(tmp_path)
    if not noted:
        # a rotation made it
        Path(world.path).unlink()
    hide(world, 1, monkeypatch)
    with pytest.raises(PartialFailure, match="does not show escrow 1") as failed:
        settle_all(world, ids=(), select="all")
    found = {one["id"]: one["settled"] for one in failed.value.result.to_result()["escrows"]}
    assert found == {1: False, 2: True}
    assert settle_all(world, ids=(), select="all", model_id="other/model").escrows == []


def test_what_is_pruned_is_left_out_of_a_selection(tmp_path: Path) -> None:
    world = two_escrows(tmp_path)
    world.chain.next_epoch()
    world.chain.next_epoch()
    assert settle_all(world, ids=(), select="all").escrows == []


def test_the_report_is_not_complete_without_an_escrow_that_must_be_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world)

    def seen() -> dict[str, t.Any]:
        options = report_options(world, deadline_blocks=100)
        with world.open() as ledger:
            return report(world.ports(ledger), options)

    assert (seen()["complete"], seen()["not_known"]) == (True, [])
    hide(world, 1, monkeypatch)
    assert not seen()["complete"]
    assert any("escrow 1: it is not known on the chain" in text for text in seen()["not_known"])


def test_the_ledger_proves_it_until_the_chain_may_have_pruned_it(world: World) -> None:
    run(world)
    with world.open() as ledger:
        made = ledger.intents()
        ports = world.ports(ledger)
        assert must_be_on_chain(1, made, read_clock(world.chain))
        assert not must_be_on_chain(2, made, read_clock(world.chain))
        assert not must_be_on_chain(1, [], read_clock(world.chain))
        del world.chain.escrows[1]
        with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
            shown_escrow(ports, 1)
        assert locked_deposits(world.chain, CREATOR, read_clock(world.chain)) is None
        world.chain.next_epoch()
        with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
            shown_escrow(ports, 1)
        world.chain.next_epoch()
        assert shown_escrow(ports, 1) is None
        assert locked_deposits(world.chain, CREATOR, read_clock(world.chain)) == 0


@BOTH
def test_a_transaction_that_a_node_does_not_have_yet_is_not_void(
    world: World, how: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes into one of its last blocks, and a node that may be used can be that far behind."""
    included, made = world.chain.tx, world.chain.created_by
    behind = MAX_BLOCK_AGE // int(BLOCK.total_seconds()) - 1

    def has(height: int) -> bool:
        return height <= world.chain.height - behind

    def tx(tx_hash: str) -> TxResult | None:
        found = included(tx_hash)
        return found if found is not None and has(found.height) else None

    monkeypatch.setattr(world.chain, "tx", tx)
    monkeypatch.setattr(
        world.chain, "created_by", lambda who: [one for one in made(who) if has(one.height)]
    )
    # the gateway itself gives up after a while
    lifetime = 9 * 60 if how else 120
    world.chain.delay = lifetime // int(BLOCK.total_seconds()) - 1
    run(world, seconds=900, allow_unclaimed=True, **how)
    assert world.chain.minted == [1]
    assert [intent.state for intent in intents(world)] == [State.DONE]


def silent_api(world: World, patch: pytest.MonkeyPatch) -> None:
    """The public API does not answer, so no epoch and no deadline is known."""

    def silent() -> t.NoReturn:
        raise UnknownStateError("the public API does not answer")

    patch.setattr(world.chain, "epoch", silent)


def test_what_the_ledger_proves_needs_no_public_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = two_escrows(tmp_path)
    settle_all(world, ids=(1,))
    hide(world, 1, monkeypatch)
    hide(world, 2, monkeypatch)
    silent_api(world, monkeypatch)
    with world.open() as ledger:
        ports = world.ports(ledger)
        assert shown_escrow(ports, 1) is None
        # an escrow that the ledger knows nothing of
        assert shown_escrow(ports, 7) is None
        with pytest.raises(UnknownStateError, match="does not answer"):
            shown_escrow(ports, 2)


def test_without_a_clock_nothing_that_is_absent_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world)
    hide(world, 1, monkeypatch)
    silent_api(world, monkeypatch)
    options = report_options(world, deadline_blocks=100)
    with world.open() as ledger:
        found = report(world.ports(ledger), options)
    assert [row["absence"] for row in found["escrows"]] == ["unknown"]
    assert not found["complete"]


def test_a_further_deposit_waits_until_the_first_one_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world)
    a_block_behind(world, monkeypatch)
    run(world, count=2)
    assert world.chain.minted == [1, 2]


def test_a_settle_waits_for_a_node_that_shows_the_escrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = two_escrows(tmp_path)
    a_block_behind(world, monkeypatch)
    found = settle_all(world, ids=(), select="all").to_result()["escrows"]
    assert {one["id"]: one["settled"] for one in found} == {1: True, 2: True}


@pytest.mark.parametrize(
    ("epoch", "height", "there"),
    [
        (None, 901, True),
        # the block of the switch may have the earlier epoch
        (None, 900, False),
        # planned before the switch and included after it
        (3, 901, True),
        # heights say nothing of epochs that were longer
        (2, 901, False),
        (4, 1, True),
    ],
)
def test_the_block_proves_only_what_the_epoch_leaves_open(
    epoch: int | None, height: int, there: bool
) -> None:
    terms = None if epoch is None else {"epoch": epoch}

    def made(result: dict[str, int] | None, seen_height: int | None) -> t.Any:
        return SimpleNamespace(
            kind=Kind.CREATE, escrow_id=1, terms=terms, result=result, seen_height=seen_height
        )

    clock = EpochClock(
        effective=5,
        height=2000,
        next_switch=2900,
        epoch_length=1000,
        block_seconds=5.0,
        poc_blocks=40,
    )
    assert must_be_on_chain(1, [made({"height": height}, None)], clock) is there
    assert must_be_on_chain(1, [made(None, height)], clock) is there
