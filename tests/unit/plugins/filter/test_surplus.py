# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What swaps leave: which paid escrows are more than are wanted, and what they lock."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.surplus_escrows import (
    surplus_escrows,
)

MODELS: list[dict[str, t.Any]] = [{"id": "m", "count": 2}, {"id": "n"}]


def escrow(number: int, model: str = "m", height: int = 100, **given: t.Any) -> dict[str, t.Any]:
    plain = {
        "id": number,
        "model": model,
        "amount": 5_000_000_000,
        "usable": True,
        "deadline": {"height": height},
        "rotation_role": None,
    }
    return {**plain, **given}


def test_those_with_the_nearest_deadline_are_surplus() -> None:
    found = surplus_escrows(
        [escrow(1, height=300), escrow(2, height=100), escrow(3, height=200), escrow(4, "n")],
        MODELS,
    )
    assert (found["ids"], found["amount"]) == ([2], 5_000_000_000)
    assert found["text"] == (
        "escrow(s) 2 are more than are wanted, with 5 GNK of deposits, the first to be settled"
        " before block 100"
    )


def test_as_many_as_are_wanted_always_stay() -> None:
    many = [escrow(number, height=100) for number in range(1, 8)]
    assert surplus_escrows(many, MODELS)["ids"] == [1, 2, 3, 4, 5]
    assert surplus_escrows(many[:2], MODELS)["ids"] == []
    assert surplus_escrows([], MODELS)["text"] == "no escrow more than are wanted"


def test_what_cannot_serve_does_not_count() -> None:
    unusable = [escrow(8, usable=False), escrow(9, deadline=None)]
    assert surplus_escrows([escrow(1), escrow(2), *unusable], MODELS)["ids"] == []


def test_rotation_settles_its_own_and_other_models_are_left_alone() -> None:
    rotated = [escrow(number, rotation_role="temp") for number in (1, 2)]
    assert surplus_escrows([*rotated, escrow(3)], MODELS)["ids"] == [3]
    assert surplus_escrows([*rotated, escrow(3, rotation_role="regular")], MODELS)["ids"] == []
    assert surplus_escrows([escrow(4, "other")], MODELS)["ids"] == []


def test_a_model_of_which_none_is_wanted_is_all_surplus() -> None:
    assert surplus_escrows([escrow(4, "o")], [{"id": "o", "count": 0}])["ids"] == [4]


def test_only_escrows_are_taken() -> None:
    with pytest.raises(AnsibleFilterError, match="escrow_info"):
        surplus_escrows("many", MODELS)
