# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs of the module devshard for one record, on a network in memory."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.record_options import (
    DevshardOptions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.records import SetDevshard
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    options,
)

TEMP = "/root/.devshardctl/temp/escrow-1"


def wish(state: str, **changes: t.Any) -> DevshardOptions:
    values: dict[str, t.Any] = {
        "id": 1,
        "state": state,
        "model_id": None,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "storage_path": TEMP if state == "imported" else None,
        "perf_path": None,
        "expected_nonce": None,
        "expected_balance": None,
        "force": None,
        **changes,
    }
    return DevshardOptions(**values)


def go(world: World, state: str, **changes: t.Any) -> dict[str, t.Any]:
    with world.open() as ledger:
        return SetDevshard(world.ports(ledger), wish(state, **changes)).run()


def check(world: World, state: str, **changes: t.Any) -> dict[str, t.Any]:
    ports = world.ports(Ledger.read(world.path), check=True)
    return SetDevshard(ports, wish(state, **changes)).run()


def intents(world: World, kind: Kind) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents(kind=kind)


def settle(world: World) -> None:
    world.chain.escrows[1].settled = True


def one_escrow(tmp_path: Path) -> World:
    """One escrow, created and registered."""
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options()).run()
    made.gateway.calls.clear()
    return made


def moved_away(world: World) -> World:
    """Its session was served by another gateway, which was stopped at nonce 7."""
    del world.gateway.records["1"]
    world.gateway.stored[TEMP] = 7
    world.known_nonce = 7
    return world
