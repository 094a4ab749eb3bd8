# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.rotation import (
    RotationFacts,
    RotationModel,
    RotationOptions,
    SetRotation,
    refuse_rotation,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.rotating import (
    Gateway,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    MODEL as WORLD_MODEL,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    options,
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
    approved=ApprovedVersions(names=("v2",)),
    create_gas_price=0,
)
FACTS = RotationFacts(
    usable_models=frozenset({"m"}),
    active_models=frozenset({"m"}),
    balance=3 * 5_002_000_000,
    terms=TERMS,
    creator="gonka1c",
    poc_blocks=19,
    settlement_tag="v2",
    gas_limit=500_000,
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
        (
            {},
            {"terms": Obj(**{**vars(TERMS), "create_gas_price": 3})},
            "the chain asks for 1500000 to create an escrow",
        ),
    ],
)
def test_each_reason_says_what_to_set(
    wanted: dict[str, t.Any], facts: dict[str, t.Any], text: str
) -> None:
    (found,) = reasons(wanted, facts)
    assert text in found


def test_a_price_that_the_gateways_fee_covers_is_not_refused() -> None:
    assert reasons({}, {"terms": Obj(**{**vars(TERMS), "create_gas_price": 2})}) == []


def test_the_number_of_blocks_that_is_advised_is_accepted() -> None:
    assert reasons({"pre_poc_blocks": FACTS.poc_blocks}, {}) == []


# switching


def switch(
    world: World, gateway: Gateway, *, check: bool = False, **changes: t.Any
) -> dict[str, t.Any]:
    values: dict[str, t.Any] = {
        "enabled": None,
        "settlement_enabled": None,
        "pre_poc_blocks": None,
        "models": (),
        "purge_models": False,
        "other_gateways_need": 0,
        "fee_amount": 1_000_000,
        "creator": None,
        "known_env": None,
        **changes,
    }
    ports = replace(world.ports(None, check=check), gateway=t.cast(t.Any, gateway))
    with pytest.MonkeyPatch.context() as patch:
        # which models have a usable escrow is not the matter here
        patch.setattr(Gateway, "state", lambda _self: world.gateway.state(), raising=False)
        return SetRotation(ports, RotationOptions(**values)).run()


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options()).run()
    return made


BY_HAND: dict[str, t.Any] = {
    "enabled": True,
    "settlement_enabled": True,
    "pre_poc_blocks": 15,
    "models": [{**MODEL, "model_id": WORLD_MODEL}],
}


def test_rotation_set_by_hand_is_shown_and_left_alone(world: World) -> None:
    gateway = Gateway(**BY_HAND)
    result = switch(world, gateway)
    assert (result["changed"], gateway.sent) == (False, [])
    assert {key: result["rotation"][key] for key in BY_HAND} == BY_HAND
    assert result["rotation"]["funding_needed"] == 3 * 5_002_000_000
    assert switch(world, Gateway())["rotation"]["enabled"] is False


def test_only_what_is_set_is_changed(world: World) -> None:
    gateway = Gateway(**BY_HAND)
    result = switch(world, gateway, enabled=False)
    assert gateway.sent == [{"escrow_rotation": {"enabled": False}}]
    assert (result["before"]["enabled"], result["after"]["enabled"]) == (True, False)
    switch(world, gateway, enabled=True, settlement_enabled=True)
    assert gateway.held == BY_HAND


@pytest.mark.parametrize(
    ("found", "given", "expected"), [(300, None, 40), (15, None, 15), (0, None, 40), (15, 30, 30)]
)
def test_a_window_that_nobody_set_is_one_that_works(
    world: World, found: int, given: int | None, expected: int
) -> None:
    model = RotationModel(
        model_id=WORLD_MODEL,
        temp_count=1,
        target_count=1,
        amount=5_000_000_000,
        private_key_env="DEVSHARD_PRIVATE_KEY",
    )
    for check in (True, False):
        gateway = Gateway(pre_poc_blocks=found)
        result = switch(
            world,
            gateway,
            check=check,
            enabled=True,
            settlement_enabled=True,
            pre_poc_blocks=given,
            models=(model,),
        )
        assert result["after"]["pre_poc_blocks"] == expected
        assert bool(gateway.sent) is not check


def test_a_window_that_was_set_and_does_not_fit_is_refused_with_one_that_does(
    world: World,
) -> None:
    gateway = Gateway(**{**BY_HAND, "enabled": False})
    with pytest.raises(UnsafeError, match="Set rotation_pre_poc_blocks: 40 or less"):
        switch(world, gateway, enabled=True, settlement_enabled=True, pre_poc_blocks=300)
    assert gateway.sent == []


def test_a_gateway_whose_fee_is_too_low_is_told_also_where_rotation_is_on(world: World) -> None:
    """Its creates would fail one by one, and no escrow would be replaced."""
    gateway = Gateway(enabled=True, settlement_enabled=True, pre_poc_blocks=19, models=[MODEL])
    switch(world, gateway)
    assert world.warnings == []
    world.chain.gas_price = 3
    assert not switch(world, gateway)["changed"]
    (text,) = world.warnings
    assert "offers a fee of 1000000 ngonka" in text
    assert "asks for 1500000" in text
