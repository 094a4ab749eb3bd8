# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nothing_is_written_in_check_mode_or_without_a_ledger(world: World) -> None:
    with world.open() as ledger:
        assert world.ports(ledger).record() is ledger
        with pytest.raises(UnsafeError, match="in check mode"):
            world.ports(ledger, check=True).record()
    with pytest.raises(UnsafeError):
        world.ports(None).record()


@pytest.mark.parametrize(
    ("signer", "expected", "known"),
    [
        (True, None, CREATOR),
        (True, CREATOR, CREATOR),
        (False, "gonka1x", "gonka1x"),
    ],
)
def test_the_keyring_says_who_the_creator_is_else_the_option(
    world: World, signer: bool, expected: str | None, known: str
) -> None:
    ports = world.ports(None, signer=signer)
    assert ports.creator(expected) == ports.known_creator(expected) == known


def test_two_creators_and_none_are_refused(world: World) -> None:
    with pytest.raises(ConfigurationError, match=f"belongs to {CREATOR}, but gonka1x is expected"):
        world.ports(None).creator("gonka1x")
    with pytest.raises(ConfigurationError, match="has no key of this name"):
        world.ports(None, signer=False).creator(None)
    assert world.ports(None, signer=False).known_creator(None) is None


def test_a_keyring_without_the_key_is_no_creator(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.signer, "address", lambda: None)
    with pytest.raises(ConfigurationError, match="has no key of this name"):
        world.ports(None).creator(None)
    assert world.ports(None).creator(CREATOR) == CREATOR
