# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a wallet must have free. Pure, and the same for the modules, the roles and the filters."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


DECIMALS: t.Final = 9
GNK: t.Final = 10**DECIMALS
"""``ngonka`` in one GNK."""
_AMOUNT: t.Final = re.compile(r"(-?)([0-9]+)(?:[.]([0-9]+))? *(GNK|ngonka)")


def gnk(amount: int) -> str:
    """An amount in GNK for people, exact and without a float: 5001000000 is ``5.001 GNK``."""
    whole, part = divmod(abs(amount), GNK)
    text = f"{whole}.{part:0{DECIMALS}d}".rstrip("0").rstrip(".")
    return f"{'-' if amount < 0 else ''}{text} GNK"


def ngonka(text: str) -> int | None:
    """An amount with its unit, ``5.001 GNK`` or ``5001000000 ngonka``, in ngonka.

    None where it is not exact: without a unit, or with a fraction that is smaller than one ngonka.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return None
    sign, whole, part, unit = found.groups(default="")
    places = DECIMALS if unit == "GNK" else 0
    part = part.rstrip("0")
    if len(part) > places:
        return None
    return int(f"{sign}{whole}{part.ljust(places, '0')}")


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
