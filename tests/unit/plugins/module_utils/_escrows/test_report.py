# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    pass

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import (
    ReportOptions,
    report,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
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
    options = ReportOptions(
        ids=(),
        model_id=None,
        creator=None,
        history=False,
        deadline_blocks=1000,
        ledger_path=tmp_path / "l",
    )
    found = report(world.ports(None), options)
    assert (found["epoch"], found["complete"]) == (None, False)
    asked = ["the deadlines", "whether the chain", f"all escrows of {CREATOR}"]
    assert [
        part[: len(what)] for part, what in zip(found["not_known"], asked, strict=True)
    ] == asked
    nobody = report(world.ports(None, signer=False), options)
    assert "names the creator's address" in nobody["not_known"][-1]
