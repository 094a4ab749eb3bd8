# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._rotation import (
    RotationFacts,
    refuse_rotation,
)

MODEL: dict[str, t.Any] = {
    "model_id": "m",
    "temp_count": 1,
    "target_count": 1,
    "amount": 5_000_000_000,
    "private_key_env": "DEVSHARD_PRIVATE_KEY",
}
WANTED: dict[str, t.Any] = {
    "enabled": True,
    "settlement_enabled": True,
    "pre_poc_blocks": 19,
    "models": [MODEL],
}
TERMS: t.Any = Obj(
    min_amount=50_000_000,
    max_amount=100_000_000_000,
    allowed_creator_addresses=("gonka1c",),
    approved_versions=("v2",),
    min_gas_price=0,
)
FACTS = RotationFacts(
    usable_models=frozenset({"m"}),
    active_models=frozenset({"m"}),
    balance=3 * 5_002_000_000,
    terms=TERMS,
    creator="gonka1c",
    poc_blocks=19,
    settlement_tag="v2",
)


def reasons(wanted: dict[str, t.Any], facts: dict[str, t.Any]) -> list[str]:
    return refuse_rotation(
        {**WANTED, **wanted},
        replace(FACTS, **facts),
        known_env={"DEVSHARD_PRIVATE_KEY"},
        other_gateways_need=0,
        fee=1_000_000,
    )


def test_what_fits_is_not_refused() -> None:
    assert reasons({}, {}) == []


@pytest.mark.parametrize(
    ("wanted", "facts", "text"),
    [
        ({"pre_poc_blocks": 300}, {}, "Set rotation_pre_poc_blocks: 19 or less"),
        ({"pre_poc_blocks": 0}, {}, "rotation_pre_poc_blocks (pre_poc_blocks) must be more than 0"),
        ({"models": [{**MODEL, "amount": 5}]}, {}, "did you mean 5 GNK = 5000000000 ngonka?"),
        ({}, {"creator": "gonka1o"}, "not on the chain's list of allowed creators"),
        ({}, {"settlement_tag": "v3"}, "approves only v2"),
        ({}, {"active_models": frozenset()}, "no host serves it"),
        ({}, {"usable_models": frozenset()}, "no usable escrow in this gateway"),
        ({}, {"balance": 3 * 5_002_000_000 - 1}, "1 ngonka are missing"),
        ({"models": []}, {}, "no model is given"),
    ],
)
def test_each_reason_says_what_to_set(
    wanted: dict[str, t.Any], facts: dict[str, t.Any], text: str
) -> None:
    (found,) = reasons(wanted, facts)
    assert text in found


def test_the_number_of_blocks_that_is_advised_is_accepted() -> None:
    assert reasons({"pre_poc_blocks": FACTS.poc_blocks}, {}) == []
