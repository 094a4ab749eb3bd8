# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ProtocolError,
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    go,
    intents,
    moved_away,
    one_escrow,
    settle,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return one_escrow(tmp_path)


@pytest.fixture
def moved(world: World) -> World:
    return moved_away(world)


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_import_is_continued(moved: World, lose: t.Literal["before", "after"]) -> None:
    moved.gateway.lose["import"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            go(moved, "imported", expected_nonce=7)
        assert [intent.open for intent in intents(moved, Kind.IMPORT)] == [True]
    go(moved, "imported", expected_nonce=7)
    assert not [intent for intent in intents(moved, Kind.IMPORT) if intent.open]
    assert moved.gateway.records["1"].runtime.nonce == 7


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_delete_is_continued(world: World, lose: t.Literal["before", "after"]) -> None:
    settle(world)
    world.gateway.lose["delete"] = lose
    if lose == "before":
        with pytest.raises(TransportError):
            go(world, "absent")
        assert [intent.open for intent in intents(world, Kind.DELETE)] == [True]
    go(world, "absent")
    assert "1" not in world.gateway.records
    assert not [intent for intent in intents(world, Kind.DELETE) if intent.open]


def test_a_delete_that_leaves_the_folder_is_done_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(world)

    def half(number: str) -> t.NoReturn:
        del world.gateway.records[number]
        raise ProtocolError("refusing to delete storage outside base dir", http_status=500)

    monkeypatch.setattr(world.gateway, "delete", half)
    assert go(world, "absent")["changed"]
    assert [intent.state for intent in intents(world, Kind.DELETE)] == [State.DONE]
    assert any("was left" in text for text in world.warnings)
