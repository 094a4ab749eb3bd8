# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Whatever goes wrong at whichever point: one deposit for each wanted escrow, none lost."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.money.cells import Cell, cells
from ansible_collections.gonka.devshard.tests.money.network import Network
from ansible_collections.gonka.devshard.tests.money.play import play

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.gonka.devshard.tests.money.host import Host

CELLS = cells()
TODAY = ("--chain", "v0.2.16")
"""Mainnet's chain, of which v2 and its guide knew nothing."""
GATEWAYS: dict[str, tuple[str, ...]] = {"v2": (), "v4.1": TODAY}
if chosen := os.environ.get("DEVSHARD_TEST_PROFILE"):
    GATEWAYS = {chosen: GATEWAYS.get(chosen, ())}


@pytest.fixture(scope="module", params=GATEWAYS)
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """One for each generation; DEVSHARD_TEST_PROFILE names a single one."""
    name = request.param
    made = Network(tmp_path_factory.mktemp("network"), generation=name, more=GATEWAYS[name])
    try:
        yield made
    finally:
        made.stop()


def test_the_matrix_is_large_enough_and_names_are_unique() -> None:
    names = [cell.name for cell in CELLS]
    assert len(names) == len(set(names)) >= 60


OF_V2 = {
    *(
        f"create by gateway, {what} 1x on POST broadcast of the chain"
        for what in ("drop_after", "status502")
    ),
    *(f"settle, {what} 1x on POST deactivate of the gateway" for what in ("drop", "drop_after")),
}
"""A later gateway speaks gRPC with the chain, and finalizes an idle escrow as it serves."""


def test_each_cell_that_only_v2_has_exists() -> None:
    assert {cell.name for cell in CELLS} >= OF_V2


@pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
def test_cell(
    cell: Cell, network: Network, host: Host, note: Callable[[dict[str, t.Any]], None]
) -> None:
    if network.generation != "v2" and cell.name in OF_V2:
        pytest.skip("a later gateway makes no such call")
    outcome = play(cell, network, host)
    note({**outcome.to_json(), "gateway": network.generation})
    assert (outcome.double, outcome.lost, outcome.unresolved) == (0, 0, 0), outcome
    assert outcome.wrong == [], outcome
