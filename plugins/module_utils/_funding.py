# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""What a wallet must have free. Pure, and the same for the modules, the roles and the filters."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable


def deposits_needed(amounts: Iterable[int], fee: int) -> int:
    """Deposits with the fees to create and to settle each of them, which nobody else pays."""
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
