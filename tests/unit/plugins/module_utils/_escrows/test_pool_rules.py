# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import CreatedEvent
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.deadlines import (
    EpochClock,
    settle_deadline,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
    State,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import (
    EscrowView,
    Limits,
    PoolWish,
    match_create,
    plan_pool,
    why_not_usable,
)

LIMITS = Limits(min_balance=1_000_000, max_nonce=19_800)


CLOCK = EpochClock(
    effective=214, height=1000, next_switch=1400, epoch_length=500, block_seconds=6.0, poc_blocks=40
)


def view(number: int = 1, **changes: t.Any) -> EscrowView:
    values: dict[str, t.Any] = {
        "id": number,
        "model": "m",
        "recorded": True,
        "active": True,
        "loaded": True,
        "phase": "active",
        "nonce": 3,
        "balance": 5_000_000_000,
        "on_chain": True,
        "creator": "gonka1c",
        "amount": 5_000_000_000,
        "epoch": 214,
        "settled": False,
        "deadline": settle_deadline(214, CLOCK),
        **changes,
    }
    made = EscrowView(**values)
    return replace(made, why_not=why_not_usable(made, LIMITS))


def wish(**changes: t.Any) -> PoolWish:
    values: dict[str, t.Any] = {
        "model": "m",
        "amount": 5_000_000_000,
        "count": 2,
        **changes,
    }
    return PoolWish(**values)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recorded": False, "active": False, "loaded": False}, "no record"),
        ({"active": False}, "inactive"),
        ({"loaded": False, "phase": None}, "not loaded"),
        ({"phase": "finalizing"}, "phase finalizing"),
        ({"phase": "settlement"}, "phase settlement"),
        ({"nonce": 19_800}, "nonce 19800"),
        ({"balance": 999_999}, "below"),
        ({"balance": None}, "balance 0"),
        ({"on_chain": False}, "not known whether it was settled: the chain does not have it"),
        ({"settled": True}, "settled on the chain"),
        ({"deadline": settle_deadline(212, CLOCK)}, "deadline has passed"),
    ],
)
def test_each_reason_makes_it_unusable(changes: dict[str, t.Any], reason: str) -> None:
    made = view(**changes)
    assert not made.usable
    assert any(reason in text for text in made.why_not), made.why_not
    assert made.to_result()["usable"] is False


def test_a_healthy_escrow_is_usable_up_to_its_limits() -> None:
    assert view().usable
    assert view(nonce=19_799, balance=1_000_000).usable
    close = settle_deadline(213, CLOCK)
    assert view(deadline=close).usable
    assert why_not_usable(view(deadline=close), replace(LIMITS, min_blocks_left=400))


def test_nothing_is_created_when_enough_is_usable() -> None:
    plan = plan_pool(wish(), [view(1), view(2), view(3)], ours=(), adoptable=())
    assert (plan.usable, plan.create, plan.adopt) == ((1, 2, 3), 0, ())


def test_an_adopted_escrow_is_not_created_again() -> None:
    orphan = view(2, recorded=False, active=False, loaded=False)
    plan = plan_pool(wish(), [view(1), orphan], ours=(), adoptable={2})
    assert (plan.adopt, plan.create, plan.unclaimed) == ((2,), 0, ())


def test_what_is_not_proved_ours_is_reported_and_never_touched() -> None:
    stranger = view(2, recorded=False, active=False, loaded=False)
    theirs = view(3, recorded=False, active=False, loaded=False)
    plan = plan_pool(wish(), [view(1), stranger, theirs], ours={3}, adoptable=())
    assert (plan.adopt, plan.create, plan.unclaimed) == ((), 1, (2,))


def test_a_smaller_deposit_and_another_model_do_not_count() -> None:
    views = [view(1, amount=4_999_999_999), view(2, model="other"), view(3, amount=6_000_000_000)]
    assert plan_pool(wish(), views, ours=(), adoptable=()).usable == (3,)


def test_a_settled_orphan_is_not_adopted() -> None:
    gone = view(2, recorded=False, active=False, loaded=False, settled=True)
    plan = plan_pool(wish(count=1), [view(1), gone], ours=(), adoptable={2})
    assert (plan.adopt, plan.unclaimed) == ((), ())


@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=6),
)
def test_planning_again_after_the_plan_gives_nothing(
    count: int, shapes: list[tuple[bool, bool, bool]]
) -> None:
    views = [
        view(number, recorded=recorded, active=recorded, loaded=recorded, settled=settled)
        for number, (recorded, settled, _unused) in enumerate(shapes, start=1)
    ]
    adoptable = {number for number, shape in enumerate(shapes, start=1) if shape[2]}
    first = plan_pool(wish(count=count), views, ours=(), adoptable=adoptable)
    after = [view(item.id) if item.id in first.adopt else item for item in views]
    after += [view(100 + number) for number in range(first.create)]
    again = plan_pool(wish(count=count), after, ours=(), adoptable=adoptable)
    assert (again.create, again.adopt) == (0, ())
    assert len(again.usable) == max(count, len(again.usable))


def intent(**changes: t.Any) -> Intent:
    values: dict[str, t.Any] = {
        "id": 1,
        "kind": Kind.CREATE,
        "via": Via.GATEWAY,
        "state": State.ASKED,
        "gateway": "http://a",
        "chain_id": "c",
        "creator": "gonka1c",
        "run_id": "r",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "model": "m",
        "amount": 5,
        "gas": 499_000,
        "seen_height": 100,
        **changes,
    }
    return Intent(**values)


def created(number: int, **changes: t.Any) -> CreatedEvent:
    values: dict[str, t.Any] = {
        "escrow_id": number,
        "tx_hash": f"{number:064X}",
        "height": 101,
        "model_id": "m",
        "amount": 5,
        "epoch_index": 214,
        "gas_wanted": 499_000,
        "timeout_at": None,
        **changes,
    }
    return CreatedEvent(**values)


def test_only_what_fits_in_every_respect_can_be_the_lost_create() -> None:
    events = [
        created(1, height=100),
        created(2, model_id="other"),
        created(3, amount=6),
        created(4),
        created(5),
        created(6, gas_wanted=500_000),
    ]
    found = match_create(intent(), events, taken={5}, window=None)
    assert [item.escrow_id for item in found] == [4]


def test_a_known_hash_beats_every_circumstance() -> None:
    events = [created(1), created(2, height=1, model_id="other")]
    found = match_create(intent(tx_hash=f"{2:064X}"), events, taken={2}, window=None)
    assert [item.escrow_id for item in found] == [2]
