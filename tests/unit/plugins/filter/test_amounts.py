# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Amounts are exact both ways, and what is not is refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.gonka import gonka
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.ngonka import ngonka


@given(st.integers())
def test_an_amount_comes_back_exactly(amount: int) -> None:
    assert ngonka(gonka(amount)) == amount
    assert ngonka(f"{amount} ngonka") == amount


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (5_001_000_000, "5.001 GNK"),
        ("5000000000", "5 GNK"),
        (1, "0.000000001 GNK"),
        (0, "0 GNK"),
        (-1_500_000_000, "-1.5 GNK"),
        # a float would have rounded it
        (90_071_992_547_409_930_000_000_001, "90071992547409930.000000001 GNK"),
    ],
)
def test_ngonka_are_shown_in_gnk(amount: t.Any, shown: str) -> None:
    assert gonka(amount) == shown
    assert gonka(amount, unit=False) == shown.removesuffix(" GNK")


@pytest.mark.parametrize("amount", [0.5, 5e9, True, None, "5.0", "5 GNK", "", [1]])
def test_what_is_not_a_whole_number_of_ngonka_is_refused(amount: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="gonka: the amount must be a whole number"):
        gonka(amount)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5 GNK", 5_000_000_000), (" 0.10GNK ", 100_000_000), ("1.0000000010000 GNK", 1_000_000_001)],
)
def test_gnk_become_ngonka(text: str, amount: int) -> None:
    assert ngonka(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("5", "5.001", 5, 5.0, True, None),
        *("0.0000000001 GNK", "0.5 ngonka", "1e3 GNK", "5,5 GNK", "5 gnk", "1_000 GNK", ".5 GNK"),
    ],
)
def test_an_amount_that_is_not_exact_or_has_no_unit_is_refused(text: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="must be text with its unit"):
        ngonka(text)
