# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Whatever goes wrong at whichever point: one deposit for each wanted escrow, none lost."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.money.cells import Cell, cells
from ansible_collections.gonka.devshard.tests.money.play import play

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.gonka.devshard.tests.money.host import Host
    from ansible_collections.gonka.devshard.tests.money.network import Network

CELLS = cells()


def test_the_matrix_is_large_enough_and_names_are_unique() -> None:
    names = [cell.name for cell in CELLS]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
def test_cell(
    cell: Cell, network: Network, host: Host, note: Callable[[dict[str, t.Any]], None]
) -> None:
    outcome = play(cell, network, host)
    note(outcome.to_json())
    assert (outcome.double, outcome.lost, outcome.unresolved) == (0, 0, 0), outcome
    assert outcome.wrong == [], outcome
