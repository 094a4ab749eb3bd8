# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs of the module escrow for one pool, on a network in memory."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure_options import (
    EscrowResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import ReportOptions
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
    first_problem,
    options,
)

GATEWAY: dict[str, t.Any] = {"create_via": Via.GATEWAY, "creator": CREATOR}


BOTH = pytest.mark.parametrize("how", [{}, GATEWAY], ids=["signed", "gateway"])


def run(world: World, *, seconds: float = 300, **changes: t.Any) -> EscrowResult:
    with world.open() as ledger, first_problem():
        signer = changes.get("create_via") is not Via.GATEWAY
        ports = world.ports(ledger, seconds=seconds, signer=signer)
        return EnsureEscrows(ports, options(**changes)).run()


def check(world: World, **changes: t.Any) -> EscrowResult:
    ledger = Ledger.read(world.path)
    signer = changes.get("create_via") is not Via.GATEWAY
    return EnsureEscrows(world.ports(ledger, check=True, signer=signer), options(**changes)).run()


def intents(world: World) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents()


def report_options(world: World, **changes: t.Any) -> ReportOptions:
    """What a report of everything is asked with."""
    usual: dict[str, t.Any] = {
        "ids": (),
        "model_id": None,
        "creator": None,
        "history": False,
        "deadline_blocks": 1000,
        "ledger_path": Path(world.path),
    }
    return ReportOptions(**{**usual, **changes})


def proved(world: World, count: int) -> None:
    """Exactly the wanted escrows exist, each is registered once, and nothing is open."""
    assert world.chain.minted == list(range(1, count + 1))
    assert sorted(world.gateway.records) == [str(number) for number in world.chain.minted]
    assert not [intent for intent in intents(world) if intent.open]


def mint_elsewhere(world: World, folder: Path) -> int:
    """An escrow of the same creator that another host made."""
    other = World(folder)
    other.chain = world.chain
    other.gateway._chain = world.chain
    other.signer = world.signer
    other.gateway.records.clear()
    run(other, allow_unclaimed=True)
    return world.chain.minted[-1]


def empty_world(tmp_path: Path) -> World:
    return World(tmp_path)
