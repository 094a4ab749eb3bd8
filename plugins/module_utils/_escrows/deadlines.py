# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Until when an escrow can be settled."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .._chain.releases import UpgradePlan

SETTLE_EPOCHS = 1
"""An escrow of epoch E can be settled in E and in the next one; then its row is pruned."""


DEADLINE_BLOCKS: t.Final = 1000
"""An unsettled escrow is near its deadline from here on: for the alarm and for what is settled."""


SETTLE_GAS: t.Final = 1_000_000
"""Gas limit of a settle. A settlement of 16 hosts needs about 420000."""


UPGRADE_SECONDS: t.Final = 3600
"""How long before an upgrade of the chain nothing is signed any more."""
FASTEST_BLOCK: t.Final = 3.0
"""Seconds. Where the pace is not known, an hour has rather too many blocks than too few."""


UNKNOWN_DEADLINE = "its deadline is not known"


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochClock:
    """Where the chain stands. ``effective`` is the epoch that escrows made now would get."""

    effective: int
    height: int
    next_switch: int
    epoch_length: int
    block_seconds: float | None
    poc_blocks: int
    """From the start of PoC, where the index already rises, to the switch itself."""

    def to_result(self) -> dict[str, t.Any]:
        return {
            "effective": self.effective,
            "height": self.height,
            "next_switch": self.next_switch,
            "epoch_length": self.epoch_length,
            "block_seconds": self.block_seconds,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleDeadline:
    """The last block in which an escrow can be settled, seen from now."""

    epoch: int
    height: int
    blocks_left: int
    seconds_left: int | None
    last_epoch: bool
    """Whether the epoch has begun at whose end it passes."""

    def to_result(self) -> dict[str, t.Any]:
        return {
            "epoch": self.epoch,
            "height": self.height,
            "blocks_left": self.blocks_left,
            "seconds_left": self.seconds_left,
            "last_epoch": self.last_epoch,
        }


def refuse_upgrade(
    plan: UpgradePlan | None, height: int, block_seconds: float | None
) -> str | None:
    """Why nothing is signed now, or None. The chain stands still at the height of an upgrade, and
    what is on its way then times out."""
    if plan is None:
        return None
    left = plan.height - height
    if left < 0 or left * (block_seconds or FASTEST_BLOCK) >= UPGRADE_SECONDS:
        return None
    return (
        f"the chain upgrades to {plan.name} at block {plan.height}, in {left} blocks, and stands still"
        " there for minutes to hours. Nothing is signed in the hour before: run this again after the"
        " upgrade"
    )


def due_in_upgrade(plan: UpgradePlan, deadline: SettleDeadline) -> bool:
    """Whether waiting for the upgrade would let a deadline pass. It counts blocks, so what is due
    well after the height of the upgrade has time."""
    return deadline.height < plan.height + UPGRADE_SECONDS / FASTEST_BLOCK


def not_pruned(epoch_index: int, clock: EpochClock) -> bool:
    """Whether the chain can still have an escrow of this epoch."""
    return epoch_index + SETTLE_EPOCHS >= clock.effective


def settle_deadline(epoch_index: int, clock: EpochClock) -> SettleDeadline:
    """The end of the epoch after the escrow's own; negative ``blocks_left`` means passed.

    An escrow of a later epoch than the clock shows proves that the epoch is that far already: the
    chain stamped it. The deadline must rather be reported too early than too late.
    """
    last = epoch_index + SETTLE_EPOCHS
    effective = max(clock.effective, epoch_index)
    height = clock.next_switch + (last - effective) * clock.epoch_length - 1
    left = height - clock.height
    seconds = None if clock.block_seconds is None else int(left * clock.block_seconds)
    return SettleDeadline(
        epoch=last,
        height=height,
        blocks_left=left,
        seconds_left=seconds,
        last_epoch=effective >= last,
    )
