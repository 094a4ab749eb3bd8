# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""One network for each test process, and the sum of the matrix as the last line."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.money.host import Forks, Host
from ansible_collections.gonka.devshard.tests.money.network import Network
from ansible_collections.gonka.devshard.tests.money.role import RoleHost
from ansible_collections.gonka.devshard.tests.unit.plugins.fake_engine import FakeEngine, serving

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTCOMES = pytest.StashKey[list[dict[str, t.Any]]]()


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """With a gateway of the generation that DEVSHARD_TEST_PROFILE names."""
    generation = os.environ.get("DEVSHARD_TEST_PROFILE") or "v2"
    made = Network(tmp_path_factory.mktemp("network"), generation=generation)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forks") / "forks.log")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def host(tmp_path: Path, network: Network, forks: Forks) -> Host:
    return Host(tmp_path / "host", network, forks)


@pytest.fixture
def role_host(
    host: Host, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RoleHost]:
    """A host whose gateway is in a container, for the role that the test file is about."""
    if host.network.generation != "v2":
        pytest.skip("the roles ask gateways of every generation by the same modules")
    engine = FakeEngine()
    with serving(engine) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        made = RoleHost(host, engine, str(request.path.stem))
        try:
            yield made
        finally:
            made.gateway.stop()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[dict[str, t.Any]], None]:
    """Adds the outcome of a cell to the sum."""
    return request.config.stash[OUTCOMES].append


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["money"] = session.config.stash[OUTCOMES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: t.Any) -> None:
    """What a worker process of xdist hands over at its end."""
    node.config.stash[OUTCOMES] += getattr(node, "workeroutput", {}).get("money", [])


def pytest_unconfigure(config: pytest.Config) -> None:
    found = config.stash.get(OUTCOMES, [])
    if not found or hasattr(config, "workerinput"):
        return
    sums = {key: sum(cell[key] for cell in found) for key in ("double", "lost", "unresolved")}
    line = (
        f"money: {len(found)} cells, {sums['double']} double mints, {sums['lost']} lost deposits,"
        f" {sums['unresolved']} unresolved"
    )
    config.get_terminal_writer().line(line)
