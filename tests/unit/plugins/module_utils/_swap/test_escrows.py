# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The escrows of a swap, brought back into service by one run, on a network in memory."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Kind
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._swap.escrows import (
    BroughtBack,
    Reached,
    bring_back,
    wish_for,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    NotedSession,
    ServedSession,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    fake_deadline,
    options,
)

PERF = "/root/.devshardctl/temp/perf.db"


def left(number: int, nonce: int = 7) -> NotedSession:
    return NotedSession(id=number, nonce=nonce, storage_path=f"/temp/escrow-{number}")


LEFT = [left(1), left(2), left(3)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three escrows whose sessions another gateway served, which was stopped at nonce 7."""
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=3)).run()
    made.gateway.records.clear()
    for item in LEFT:
        made.gateway.stored[str(item.storage_path)] = 7
    made.known_nonce = 7
    made.gateway.calls.clear()
    return made


def bring(
    world: World,
    reached: Reached,
    given: t.Sequence[NotedSession] | None = None,
    *,
    check: bool = False,
) -> BroughtBack:
    noted = LEFT if given is None else given

    def run(ledger: Ledger | None) -> BroughtBack:
        return bring_back(
            world.ports(ledger, check=check),
            noted,
            reached,
            perf_path=PERF,
            expected={str(item.id): ServedSession(item.nonce, None) for item in noted},
            deadline=lambda: fake_deadline(world.chain, 60),
        )

    if check:
        return run(Ledger.read(world.path))
    with world.open() as ledger:
        return run(ledger)


def writes(world: World) -> list[str]:
    made = [call for call in world.gateway.calls if call != "state"]
    world.gateway.calls.clear()
    return made


def test_all_are_imported_out_of_use_then_activated_and_neither_is_done_twice(
    world: World,
) -> None:
    predicted = bring(world, "imported", check=True)
    assert writes(world) == []
    real = bring(world, "imported")
    assert writes(world) == ["import"] * 3
    assert not any(record.active for record in world.gateway.records.values())
    predicted_too = bring(world, "active", check=True)
    assert writes(world) == []
    real_too = bring(world, "active")
    assert writes(world) == ["activate"] * 3
    assert all(record.active for record in world.gateway.records.values())
    assert predicted == real
    assert predicted_too == real_too
    both: tuple[Reached, ...] = ("imported", "active")
    for reached in both:
        again = bring(world, reached)
        assert (again.changed, again.before == again.after) == (False, True)
    assert writes(world) == []
    with world.open() as ledger:
        assert not [item for item in ledger.intents(kind=Kind.IMPORT) if item.open]


def test_one_that_fails_does_not_keep_the_others_back_and_the_rest_is_done_by_the_next_run(
    world: World,
) -> None:
    world.gateway.stored["/temp/escrow-2"] = 6
    with pytest.raises(PartialFailure) as caught:
        bring(world, "imported")
    assert caught.value.result.to_result()["actions"] == ["imported escrow 1", "imported escrow 3"]
    assert caught.value.result.changed
    text = str(caught.value)
    assert "escrow 2 is at nonce 6, its source was at 7" in text
    assert "Done for the others: imported escrow 1, imported escrow 3" in text
    assert isinstance(caught.value.problems[0], UnsafeError)
    # the right session is there, and the two others are left as they are
    del world.gateway.records["2"]
    world.gateway.stored["/temp/escrow-2"] = 7
    assert bring(world, "imported").actions == ["imported escrow 2"]


@pytest.mark.parametrize("call", ["import", "activate"])
@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_run_that_was_killed_in_the_middle_is_continued(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str, killed_after: int
) -> None:
    if call == "activate":
        bring(world, "imported")
    name, left_over = ("import_session" if call == "import" else "activate"), [killed_after]
    honest = getattr(world.gateway, name)

    def killed(*args: t.Any, **more: t.Any) -> t.Any:
        found = honest(*args, **more)
        left_over[0] -= 1
        if not left_over[0]:
            raise KeyboardInterrupt
        return found

    reached: Reached = "imported" if call == "import" else "active"
    with monkeypatch.context() as patched:
        patched.setattr(world.gateway, name, killed)
        with pytest.raises(KeyboardInterrupt):
            bring(world, reached)
    writes(world)
    bring(world, reached)
    assert writes(world) == [call] * (3 - killed_after)
    bring(world, "active")
    assert all(record.active for record in world.gateway.records.values())
    assert {record.runtime.nonce for record in world.gateway.records.values()} == {7}
    with world.open() as ledger:
        assert not [item for item in ledger.intents(kind=Kind.IMPORT) if item.open]


def test_what_the_gateway_has_no_record_of_is_never_begun_anew(world: World) -> None:
    """Its hosts know of no session yet, so nothing else would refuse a new one."""
    world.known_nonce = 0
    bring(world, "imported", [left(1), left(2)])
    writes(world)
    with pytest.raises(PartialFailure, match="escrow 3 is not activated") as caught:
        bring(world, "active")
    assert writes(world) == ["activate", "activate"]
    assert caught.value.to_failure()["kind"] == "unsafe"
    with pytest.raises(PartialFailure, match="escrow 3 is not activated"):
        bring(world, "active", check=True)


def test_what_no_gateway_can_serve_any_more_is_left_out_and_named(world: World) -> None:
    world.chain.escrows[2].settled = True
    found = bring(world, "imported")
    assert (found.past, sorted(world.gateway.records)) == ([2], ["1", "3"])
    assert "escrow(s) 2 cannot be served any more" in world.warnings[0]
    assert bring(world, "active").past == [2]


def test_what_is_behind_after_it_was_activated_is_a_failure_that_tells_what_was_done(
    world: World,
) -> None:
    """As a gateway that had the session itself and lost its newest part."""
    own = [NotedSession(id=1, nonce=9)]
    bring(world, "imported", [left(1)])
    with pytest.raises(PartialFailure, match="at nonce 7, it was at 9") as caught:
        bring(world, "active", own)
    assert caught.value.result.to_result()["actions"] == ["activated escrow 1"]


def test_only_a_session_that_was_handed_over_must_stand_at_exactly_its_nonce() -> None:
    """The old process may have gone on with its own until it ended."""
    handed = NotedSession(id=1, nonce=7, balance=5, storage_path="/temp/escrow-1")
    importing = wish_for(handed, "imported", PERF)
    assert (importing.storage_path, importing.perf_path) == ("/temp/escrow-1", PERF)
    assert (importing.expected_nonce, importing.expected_balance) == (7, 5)
    active = wish_for(handed, "active", PERF)
    assert (active.storage_path, active.perf_path) == (None, None)
    assert (active.expected_nonce, active.expected_balance) == (7, None)
    own = wish_for(NotedSession(id=1, nonce=7, balance=5), "active", None)
    assert (own.expected_nonce, own.expected_balance) == (None, None)
    unknown = NotedSession(id=1, nonce=7, storage_path="/temp/escrow-1")
    assert wish_for(unknown, "imported", PERF).expected_balance is None
