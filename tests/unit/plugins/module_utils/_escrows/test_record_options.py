# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.recording import (
    check,
    go,
    moved_away,
    one_escrow,
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


@pytest.mark.parametrize("run", [go, check])
@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("storage_path", "temp/escrow-1"),
        ("storage_path", ""),
        ("storage_path", "./escrow-1"),
        ("storage_path", "/root/.devshardctl/../escrow-1"),
        ("perf_path", "perf.db"),
    ],
)
def test_a_path_that_depends_on_the_working_directory_is_refused(
    moved: World, run: t.Callable[..., t.Any], option: str, path: str
) -> None:
    """The gateway would begin an empty session there and answer 200."""
    with pytest.raises(ConfigurationError, match=f"{option} must be an absolute path"):
        run(moved, "imported", **{"expected_nonce": 7, option: path})
    assert moved.gateway.calls == []
