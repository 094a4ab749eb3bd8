# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import UpgradePlan
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.deadlines import (
    EpochClock,
    SettleDeadline,
    due_in_upgrade,
    refuse_upgrade,
    settle_deadline,
)

CLOCK = EpochClock(
    effective=214, height=1000, next_switch=1400, epoch_length=500, block_seconds=6.0, poc_blocks=40
)


def test_the_deadline_is_the_last_block_of_the_next_epoch() -> None:
    this, before = settle_deadline(214, CLOCK), settle_deadline(213, CLOCK)
    assert (this.epoch, this.height, this.blocks_left) == (215, 1899, 899)
    assert this.seconds_left == 899 * 6
    assert (before.height, before.blocks_left) == (1399, 399)
    assert settle_deadline(212, CLOCK).blocks_left == -101


def test_an_unknown_block_time_gives_no_seconds() -> None:
    assert settle_deadline(214, replace(CLOCK, block_seconds=None)).seconds_left is None


@given(st.integers(0, 10_000), st.integers(1, 20_000), st.integers(0, 20_000))
def test_the_deadline_does_not_move_as_blocks_pass(epoch: int, length: int, left: int) -> None:
    clock = EpochClock(
        effective=epoch,
        height=10_000,
        next_switch=10_000 + left,
        epoch_length=length,
        block_seconds=None,
        poc_blocks=1,
    )
    later = replace(
        clock, effective=epoch + 1, height=clock.next_switch, next_switch=clock.next_switch + length
    )
    assert settle_deadline(epoch, clock).height == settle_deadline(epoch, later).height
    assert settle_deadline(epoch, later).blocks_left == length - 1


def test_an_escrow_of_a_later_epoch_than_the_clock_shows_corrects_the_clock() -> None:
    behind = replace(CLOCK, effective=CLOCK.effective - 1)
    assert settle_deadline(214, behind).height == settle_deadline(214, CLOCK).height


PLAN = UpgradePlan(name="v0.2.17", height=10_000)


@pytest.mark.parametrize(
    ("left", "pace", "refused"),
    [
        (600, 6.0, False),
        (599, 6.0, True),
        (0, 6.0, True),
        # behind us: it was done, or taken back
        (-1, 6.0, False),
        # of an unknown pace an hour has rather too many blocks
        (1199, None, True),
        (1200, None, False),
    ],
)
def test_in_the_hour_before_an_upgrade_nothing_is_signed(
    left: int, pace: float | None, *, refused: bool
) -> None:
    text = refuse_upgrade(PLAN, PLAN.height - left, pace)
    assert (text is not None) is refused
    assert text is None or f"at block 10000, in {left} blocks" in text
    assert refuse_upgrade(None, PLAN.height - left, pace) is None


@pytest.mark.parametrize(("height", "due"), [(9_000, True), (11_199, True), (11_200, False)])
def test_a_deadline_shortly_after_an_upgrade_does_not_wait_for_it(
    height: int, *, due: bool
) -> None:
    deadline = SettleDeadline(
        epoch=1, height=height, blocks_left=1, seconds_left=None, last_epoch=True
    )
    assert due_in_upgrade(PLAN, deadline) is due
