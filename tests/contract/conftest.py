# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""One target, one story: the files run in the order of their names and build on each other."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import FEE, Cli
from ansible_collections.gonka.devshard.tests.contract._profile import ProfileError, chosen
from ansible_collections.gonka.devshard.tests.contract._story import Story, creator_cli
from ansible_collections.gonka.devshard.tests.contract._target import (
    Target,
    TargetError,
    from_environment,
    simulator,
)
from ansible_collections.gonka.devshard.tests.money.network import Port

PROFILES = "profiles"
# deposits that are locked at the same time, and fees of transactions, generously
_LOCKED = 4
_TRANSACTIONS = 60


def pytest_configure(config: pytest.Config) -> None:
    text = f"{PROFILES}(*names): only for these generations of the gateway"
    config.addinivalue_line("markers", text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about another generation than the target's."""
    try:
        name = chosen(os.environ).name
    except ProfileError as exc:
        raise pytest.UsageError(str(exc)) from exc
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        marker = item.get_closest_marker(PROFILES)
        (kept if marker is None or name in marker.args else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    try:
        given = from_environment(os.environ)
    except TargetError as exc:
        raise pytest.UsageError(str(exc)) from exc
    if given is not None:
        yield given
        return
    with simulator(tmp_path_factory.mktemp("simulator")) as own:
        yield own


@pytest.fixture(scope="session")
def cli(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The CLI whose keyring holds the creator's key under the name ``creator``."""
    home = tmp_path_factory.mktemp("creator")
    home.chmod(0o700)
    return Cli(target.inferenced, home, "", target.chain_rpc)


@pytest.fixture(scope="session")
def story(target: Target, cli: Cli) -> Iterator[Story]:
    told = Story(target)
    told.creator = creator_cli(cli, target.creator_key)
    told.chain_id = told.chain.header()["chain_id"]
    params = told.chain.params()["devshard_escrow_params"]
    told.min_amount, told.max_amount = int(params["min_amount"]), int(params["max_amount"])
    assert told.min_amount <= target.amount <= told.max_amount, params
    needed = _LOCKED * target.amount + _TRANSACTIONS * FEE
    assert told.chain.balance(told.creator) >= needed, f"{told.creator} needs {needed} ngonka"
    told.begin()
    yield told
    failed = told.put_back()
    assert not failed, failed


@pytest.fixture(scope="session")
def signing(cli: Cli, story: Story) -> Cli:
    """The same CLI, which now knows the chain's id."""
    return Cli(cli.program, cli.home, story.chain_id, cli.node)


@pytest.fixture
def faults(story: Story) -> Iterator[Port]:
    """The network's faults port; healthy again afterwards. Skips where there is none."""
    port = story.faults()
    try:
        yield port
    finally:
        port.delete("/faults")
        port.post("/reset")
