# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.backup.storages import (
    gateway_db,
    session,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    Deposit,
    World,
)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    made = tmp_path / ".devshardctl"
    gateway_db(made, e1="/root/.devshardctl/escrow-1", e2="/root/.devshardctl/temp/escrow-2")
    session(made, "escrow-1", 5)
    session(made, "temp/escrow-2", 9)
    return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two unsettled escrows whose hosts know exactly what the storage holds."""
    made = World(tmp_path)
    for number in (1, 2):
        made.chain.escrows[number] = Deposit(id=number, slots=("a",))
    return made
