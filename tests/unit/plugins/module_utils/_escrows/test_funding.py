# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import (
    RotationNeed,
    deposits_needed,
    funding_needed,
    gnk,
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


def test_each_deposit_pays_its_creation_and_its_settling() -> None:
    assert deposits_needed([], 7) == 0
    assert deposits_needed([100, 200], 7) == 300 + 4 * 7
