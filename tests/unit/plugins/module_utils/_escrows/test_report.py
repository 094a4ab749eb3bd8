# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import report
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    mint_elsewhere,
    report_options,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    options as pool_options,
)


def test_the_report_says_what_it_could_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def down() -> None:
        raise TransportError("no answer", sent=False)

    monkeypatch.setattr(world.chain, "epoch", down)
    world.chain.index_on = False
    monkeypatch.setattr(world.chain, "escrow_params", down)
    options = report_options(world, ledger_path=tmp_path / "l")
    found = report(world.ports(None), options)
    assert (found["epoch"], found["complete"]) == (None, False)
    asked = ["the deadlines", "whether the chain", f"all escrows of {CREATOR}"]
    assert [
        part[: len(what)] for part, what in zip(found["not_known"], asked, strict=True)
    ] == asked
    nobody = report(world.ports(None, signer=False), options)
    assert "names the creator's address" in nobody["not_known"][-1]


def owners(world: World, storage: Path | None) -> dict[int, bool | None]:
    """Whose each escrow without a record in the gateway is."""
    options = report_options(world, storage_dir=storage)
    with world.open() as ledger:
        found = report(world.ports(ledger), options)
    return {row["id"]: row["of_gateway"] for row in found["escrows"]}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder


def test_an_escrow_made_here_is_this_gateways_without_a_record(
    tmp_path: Path, storage: Path
) -> None:
    world = World(tmp_path)
    run(world)
    assert owners(world, None) == {1: True}
    world.gateway.records.clear()
    assert owners(world, None) == {1: True}
    assert owners(world, storage) == {1: True}


def test_an_escrow_with_a_record_is_this_gateways_without_a_ledger(
    tmp_path: Path, storage: Path
) -> None:
    earlier, world = World(tmp_path / "earlier"), World(tmp_path / "here")
    run(earlier)
    world.chain, world.gateway = earlier.chain, earlier.gateway
    assert owners(world, storage) == {1: True}


def test_an_escrow_that_another_gateway_of_this_host_made_is_not_this_gateways(
    tmp_path: Path, storage: Path
) -> None:
    world = World(tmp_path)
    with world.open() as ledger:
        ports = world.ports(ledger, gateway_id="http://127.0.0.1:18081")
        EnsureEscrows(ports, pool_options()).run()
    world.gateway.records.clear()
    assert owners(world, storage) == {1: False}
    assert owners(world, None) == {1: None}


def test_an_escrow_that_another_gateway_of_this_host_took_over_is_not_this_gateways(
    tmp_path: Path, storage: Path
) -> None:
    world = World(tmp_path)
    run(world)
    world.gateway.records.clear()
    with world.open() as ledger:
        taken = Subject(
            gateway="http://127.0.0.1:18081",
            chain_id=world.ports(ledger).chain_id,
            creator=CREATOR,
            escrow_id=1,
        )
        ledger.plan(Kind.IMPORT, Via.GATEWAY, taken)
    assert owners(world, storage) == {1: False}
    assert owners(world, None) == {1: None}


def test_an_escrow_whose_session_is_in_the_storage_is_this_gateways(
    tmp_path: Path, storage: Path
) -> None:
    world = World(tmp_path / "here")
    theirs = mint_elsewhere(world, tmp_path / "other")
    assert owners(world, storage) == {theirs: False}
    session = storage / f"escrow-{theirs}"
    session.mkdir()
    (session / "epoch_5.db").touch()
    (storage / "escrow-999").mkdir()
    (storage / "escrow-999" / "epoch_5.db").touch()
    assert owners(world, storage) == {theirs: True}
    # the chain lists only the creator's own; a session of another account is found in the storage
    world.chain.escrows[theirs].creator = "gonka1other"
    world.chain.txs.clear()
    assert owners(world, storage) == {theirs: True}


def test_a_storage_that_cannot_be_read_leaves_it_unknown_whose_an_escrow_is(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "here")
    theirs = mint_elsewhere(world, tmp_path / "other")
    assert owners(world, tmp_path / "missing") == {theirs: None}
