# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Until when an escrow can be settled."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

SETTLE_EPOCHS = 1
"""An escrow of epoch E can be settled in E and in the next one; then its row is pruned."""


DEADLINE_BLOCKS: t.Final = 1000
"""An unsettled escrow is near its deadline from here on: for the alarm and for what is settled."""


SETTLE_GAS: t.Final = 1_000_000
"""Gas limit of a settle. A settlement of 16 hosts needs about 420000."""


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

    def to_result(self) -> dict[str, t.Any]:
        return {
            "epoch": self.epoch,
            "height": self.height,
            "blocks_left": self.blocks_left,
            "seconds_left": self.seconds_left,
        }


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
    return SettleDeadline(epoch=last, height=height, blocks_left=left, seconds_left=seconds)
