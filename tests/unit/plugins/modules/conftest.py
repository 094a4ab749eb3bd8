# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Net]:
    started = Net(tmp_path_factory.mktemp("net"))
    yield started
    started.stop()


@pytest.fixture
def site(net: Net, tmp_path: Path) -> Site:
    net.heal()
    folder = tmp_path / "host"
    folder.mkdir()
    return Site(net, folder)
