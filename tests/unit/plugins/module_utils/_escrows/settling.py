# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs of the module escrow_settle on a network in memory."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_options import (
    SettledEscrow,
    SettleOptions,
    SettleResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_rules import Settlement
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settlement_files import (
    SettlementFiles,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATE_FEE,
    CREATOR,
    World,
    first_problem,
    options,
)

GATEWAY: dict[str, t.Any] = {"settle_via": Via.GATEWAY, "creator": CREATOR}


BOTH = pytest.mark.parametrize("how", [{}, GATEWAY], ids=["signed", "gateway"])


REFUND = AMOUNT - 160 - CREATE_FEE


def wish(**changes: t.Any) -> SettleOptions:
    values: dict[str, t.Any] = {
        "ids": (1,),
        "select": None,
        "model_id": None,
        "deadline_blocks": 100,
        "settle_via": Via.SIGNED,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "creator": None,
        "fee_amount": 1_000_000,
        "gas_limit": 1_000_000,
        "tx_lifetime": 120,
        **changes,
    }
    return SettleOptions(**values)


def settle(world: World, *, seconds: float = 300, **changes: t.Any) -> SettleResult:
    with first_problem():
        return settle_all(world, seconds=seconds, **changes)


def settle_all(world: World, *, seconds: float = 300, **changes: t.Any) -> SettleResult:
    """As above, with a partial failure as it is."""
    with world.open() as ledger:
        signer = changes.get("settle_via") is not Via.GATEWAY
        ports = world.ports(ledger, seconds=seconds, signer=signer)
        return SettleEscrows(ports, wish(**changes), ledger.folder).run()


def only(result: SettleResult) -> SettledEscrow:
    (escrow,) = result.escrows
    return escrow


def intents(world: World) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents(kind=Kind.SETTLE)


def settles_on_chain(world: World) -> int:
    return sum(1 for tx in world.chain.txs.values() if tx.settled)


def keep_settlement(world: World) -> None:
    """Finalized and kept; nothing was signed or sent."""
    world.gateway.deactivate("1")
    document = world.gateway.finalize("1")
    with world.open() as ledger:
        files = SettlementFiles(ledger.folder, "fake")
    files.keep(Settlement.parse(document, "finalize"))


def two_escrows(tmp_path: Path) -> World:
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=2)).run()
    return made
