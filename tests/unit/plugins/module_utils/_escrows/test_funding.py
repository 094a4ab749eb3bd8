# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import (
    RotationNeed,
    Usable,
    deposits_needed,
    funding_needed,
    gnk,
    ngonka,
    surplus,
)


def test_the_funding_covers_every_deposit_of_an_epoch_and_its_fees() -> None:
    models = [RotationNeed(temp_count=1, target_count=2, amount=5_000_000_000)]
    assert funding_needed(models, 1_000_000) == 4 * (5_000_000_000 + 2_000_000)
    assert funding_needed(models * 3, 1_000_000) == 3 * funding_needed(models, 1_000_000)
    assert funding_needed([], 1_000_000) == 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 GNK"),
        (1, "0.000000001 GNK"),
        (5_001_000_000, "5.001 GNK"),
        (50_000_000_000, "50 GNK"),
        (-1_000_000, "-0.001 GNK"),
    ],
)
def test_coins_are_shown_exactly(amount: int, text: str) -> None:
    assert gnk(amount) == text
    assert ngonka(text) == ngonka(f" {amount} ngonka ") == amount


@pytest.mark.parametrize(
    "text", ["", "5", "5.0000000001 GNK", "1.5 ngonka", ".5 GNK", "5. GNK", "1e9 ngonka", "5 gnk"]
)
def test_an_amount_that_is_not_exact_or_has_no_unit_is_none(text: str) -> None:
    assert ngonka(text) is None


def test_zeros_behind_the_smallest_part_change_nothing() -> None:
    assert ngonka("5.00000000000 GNK") == 5_000_000_000
    assert ngonka("1.0 ngonka") == 1


def test_more_than_are_wanted_are_those_with_the_nearest_deadline() -> None:
    def usable(number: int, height: int, *, model: str = "m", rotated: bool = False) -> Usable:
        return Usable(id=number, model=model, amount=5, height=height, rotated=rotated)

    found = [usable(1, 30), usable(2, 10), usable(3, 20, rotated=True), usable(4, 5, model="other")]
    assert [item.id for item in surplus(found, {"m": 1})] == [2, 1]
    assert [item.id for item in surplus(found, {"m": 2})] == [2]
    assert surplus(found, {"m": 3}) == []


def test_each_deposit_pays_its_creation_and_its_settling() -> None:
    assert deposits_needed([], 7) == 0
    assert deposits_needed([100, 200], 7) == 300 + 4 * 7
