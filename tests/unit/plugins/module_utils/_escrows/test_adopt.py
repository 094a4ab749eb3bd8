# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    State,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    check,
    empty_world,
    intents,
    mint_elsewhere,
    proved,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return empty_world(tmp_path)


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_register_reply_is_resolved_by_the_record(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    world.gateway.lose["add"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            run(world)
        assert any("Nothing is lost" in text for text in world.warnings)
        assert intents(world)[0].state is State.INCLUDED
    run(world)
    proved(world, 1)


def test_named_orphans_are_adopted_instead_of_creating(world: World, tmp_path: Path) -> None:
    orphan = mint_elsewhere(world, tmp_path / "other")
    assert check(world, adopt=(orphan,)).adopted == [orphan]
    world.silent_hosts = 2
    result = run(world, adopt=(orphan,))
    assert (result.adopted, result.created) == ([orphan], [])
    assert any("2 of 16 hosts did not report" in text for text in world.warnings)
    assert not run(world, adopt=(orphan,)).changed


def test_all_orphans_are_adopted_on_the_operators_word(world: World, tmp_path: Path) -> None:
    first = mint_elsewhere(world, tmp_path / "a")
    second = mint_elsewhere(world, tmp_path / "b")
    result = run(world, adopt_orphans=True, other_gateway_escrow_ids=frozenset({second}))
    assert result.adopted == [first]
    assert result.created == []


def test_what_another_gateway_made_since_it_was_asked_is_no_orphan(
    world: World, tmp_path: Path
) -> None:
    """Its rotation may create at any moment, and one without a request is at nonce 0."""
    orphan = mint_elsewhere(world, tmp_path / "other")
    asked = world.chain.height
    world.chain.step()
    younger = mint_elsewhere(world, tmp_path / "rotation")
    for ask in (check, run):
        found = ask(world, count=0, adopt_orphans=True, others_create_after=asked)
        assert found.adopted == [orphan]
    assert str(younger) not in world.gateway.records
    # named, it is adopted
    assert run(world, count=0, adopt=(younger,), others_create_after=asked).adopted == [younger]


def test_an_escrow_that_is_served_is_never_adopted(world: World, tmp_path: Path) -> None:
    orphan = mint_elsewhere(world, tmp_path / "other")
    world.known_nonce = 3
    with pytest.raises(UnsafeError, match="up to nonce 3"):
        run(world, adopt=(orphan,))
    assert str(orphan) not in world.gateway.records


def test_a_paid_escrow_that_another_gateway_took_is_not_registered_again(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    world.known_nonce = 4
    calls = len(world.gateway.calls)
    result = run(world, count=0)
    assert (result.adopted, world.gateway.records) == ([], {})
    assert "add" not in world.gateway.calls[calls:]
    assert any("another gateway took it" in text for text in world.warnings)
    assert intents(world)[0].state is State.DONE


def test_a_paid_escrow_that_was_pruned_is_told_as_lost(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    for _unused in range(3):
        world.chain.next_epoch()
    run(world)
    assert [intent.state for intent in intents(world)] == [State.LOST, State.DONE]
    assert any("went to the hosts" in text for text in world.warnings)


def test_a_paid_escrow_that_the_node_does_not_show_is_not_given_up(world: World) -> None:
    world.gateway.lose["add"] = "before"
    with pytest.raises(TransportError):
        run(world)
    hidden = world.chain.escrows.pop(1)
    with pytest.raises(UnknownStateError, match="cannot have pruned it yet"):
        run(world)
    world.chain.escrows[1] = hidden
    assert run(world).adopted == [1]


def test_a_paid_escrow_that_is_only_switched_off_is_activated_and_not_paid_again(
    world: World,
) -> None:
    run(world)
    world.gateway.deactivate("1")
    predicted = check(world)
    assert (predicted.reactivated, predicted.created, predicted.changed) == ([1], [], True)
    assert not world.gateway.records["1"].active
    result = run(world)
    assert (result.reactivated, result.created) == ([1], [])
    assert "activated escrow 1" in result.actions[0]
    assert (predicted.before, predicted.after) == (result.before, result.after)
    assert world.chain.minted == [1]
    assert not run(world).changed


def test_only_as_many_are_activated_as_are_missing(world: World) -> None:
    run(world, count=2)
    world.gateway.deactivate("1")
    world.chain.next_epoch()
    run(world, count=2)
    assert world.chain.minted == [1, 2]
    world.gateway.deactivate("1")
    world.gateway.deactivate("2")
    world.chain.escrows[2].epoch_index += 1
    # the one that can serve longer
    assert run(world).reactivated == [2]
    assert not run(world).changed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("older copy", "stays so: the session of escrow 1 is at nonce 0"),
        ("not wanted", "Another one is paid for beside it"),
    ],
)
def test_one_that_must_stay_inactive_is_named_before_another_is_paid(
    world: World, how: str, words: str
) -> None:
    run(world)
    world.gateway.deactivate("1")
    world.known_nonce = 7 if how == "older copy" else 0
    changes = {} if how == "older copy" else {"reactivate": False}
    for ask in (check, run):
        world.warnings.clear()
        result = ask(world, **changes)
        assert (result.reactivated, len(result.created)) == ([], 1)
        assert any(words in text for text in world.warnings), world.warnings
    assert not world.gateway.records["1"].active


@pytest.mark.parametrize("why", ["settlement", "rotation"])
def test_what_cannot_serve_or_rotation_retired_is_not_activated(world: World, why: str) -> None:
    run(world)
    world.gateway.deactivate("1")
    if why == "settlement":
        world.gateway.records["1"].runtime.phase = "settlement"
    else:
        world.gateway.records["1"].rotation_role = "regular"
    result = run(world)
    assert (result.reactivated, len(result.created)) == ([], 1)
