# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""How often gateway and chain are asked: once per round, however many escrows there are."""

from __future__ import annotations

import collections
import functools
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Via
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_options import (
    SettleOptions,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
    options,
)

MANY = 4
SETTLE = SettleOptions(
    ids=(),
    select="all",
    model_id=None,
    deadline_blocks=100,
    settle_via=Via.SIGNED,
    private_key_env="DEVSHARD_PRIVATE_KEY",
    creator=None,
    fee_amount=1_000_000,
    gas_limit=1_000_000,
    tx_lifetime=120,
)
CHAIN = ("head", "signing_head", "epoch", "escrow", "escrow_params", "balance", "created_by")


def world_with(folder: Path, count: int) -> World:
    world = World(folder)
    with world.open() as ledger:
        EnsureEscrows(world.ports(ledger), options(count=count)).run()
    world.gateway.calls.clear()
    return world


def asked(
    world: World, monkeypatch: pytest.MonkeyPatch, work: t.Callable[[], object]
) -> collections.Counter[str]:
    """How often each question was put."""
    counts: collections.Counter[str] = collections.Counter()

    def counting(name: str) -> t.Callable[..., t.Any]:
        ask = getattr(world.chain, name)

        def put(*args: t.Any) -> t.Any:
            counts[name] += 1
            return ask(*args)

        return put

    with monkeypatch.context() as patch:
        for name in CHAIN:
            patch.setattr(world.chain, name, counting(name))
        work()
    counts.update(world.gateway.calls)
    return counts


def settle(world: World, *, seconds: float = 300) -> None:
    with world.open() as ledger:
        SettleEscrows(world.ports(ledger, seconds=seconds), SETTLE, ledger.folder).run()


def test_a_run_that_changes_nothing_looks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, MANY):
        world = world_with(tmp_path / str(count), count)

        def run(world: World = world, count: int = count) -> None:
            with world.open() as ledger:
                EnsureEscrows(world.ports(ledger), options(count=count)).run()

        found = asked(world, monkeypatch, run)
        assert found["state"] == found["created_by"] == found["epoch"] == 1
        assert found["escrow"] == count


def test_settling_many_reads_the_gateway_as_often_as_settling_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    for count in (1, MANY):
        world = world_with(tmp_path / str(count), count)
        found = asked(world, monkeypatch, functools.partial(settle, world))
        states.append(found["state"])
        assert not [escrow for escrow in world.chain.escrows.values() if not escrow.settled]
    assert states == [3, 3], "to deactivate, to finalize, to settle"


def test_each_round_of_waiting_reads_the_gateway_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for count in (1, MANY):
        world = world_with(tmp_path / str(count), count)
        for record in world.gateway.records.values():
            record.runtime.active_requests = 1

        def wait(world: World = world) -> None:
            with pytest.raises(PartialFailure) as caught:
                settle(world, seconds=20)
            assert len(caught.value.problems) == len(world.gateway.records)

        counts = asked(world, monkeypatch, wait)
        found.append((counts["state"], counts["escrow_params"], counts["signing_head"]))
    assert found[0] == found[1]
    # 20 seconds are four waits of a block
    assert found[0] == (1 + 5, 1, 1)


def test_a_prediction_asks_for_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, MANY):
        world = world_with(tmp_path / str(count), count)

        def check(world: World = world) -> None:
            ports = world.ports(Ledger.read(world.path), check=True)
            result = SettleEscrows(ports, SETTLE, Path(world.path).parent).run()
            assert all(escrow.predicted for escrow in result.escrows)

        found = asked(world, monkeypatch, check)
        once = ("state", "signing_head", "escrow_params", "balance", "epoch")
        assert {found[name] for name in once} == {1}
