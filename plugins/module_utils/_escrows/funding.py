# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a wallet must have free. Pure, and the same for the modules, the roles and the filters."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


GNK: t.Final = 1_000_000_000
"""``ngonka`` in one GNK."""


def gnk(amount: int) -> str:
    """An amount in GNK for people, exact and without a float: 5001000000 is ``5.001 GNK``."""
    whole, part = divmod(abs(amount), GNK)
    text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return f"{'-' if amount < 0 else ''}{text} GNK"


def deposits_needed(amounts: Iterable[int], fee: int) -> int:
    """Deposits with the fees to create and to settle each of them, which no other account pays."""
    return sum(amount + 2 * fee for amount in amounts)


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationNeed:
    """What rotation of one model on one gateway can lock before anything comes back."""

    temp_count: int
    target_count: int
    amount: int

    def total(self, fee: int) -> int:
        """Deposits of a whole epoch without any refund, one replacement of a depleted escrow, and
        a create and a settle transaction for each of them."""
        escrows = self.temp_count + self.target_count + 1
        return deposits_needed([self.amount] * escrows, fee)


def funding_needed(models: Iterable[RotationNeed], fee: int) -> int:
    """What the creator must have free so that rotation of one gateway never runs dry."""
    return sum(model.total(fee) for model in models)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usable:
    """An escrow that serves. ``height`` is the last block in which it can be settled."""

    id: int
    model: str
    amount: int
    height: int
    rotated: bool
    """Made by the gateway's rotation, which settles it itself."""


def surplus(usable: Iterable[Usable], wanted: Mapping[str, int]) -> list[Usable]:
    """More than are wanted of each model, those with the nearest deadline first.

    A model that is not wanted at all is left alone: its escrows may be meant.
    """
    found = list(usable)
    over: list[Usable] = []
    for model, count in wanted.items():
        mine = [item for item in found if item.model == model]
        ours = sorted(
            (item for item in mine if not item.rotated), key=lambda item: (item.height, item.id)
        )
        over += ours[: max(0, len(mine) - count)]
    return over
