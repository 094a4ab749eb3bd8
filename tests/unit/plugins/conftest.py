# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import Server, running


@pytest.fixture
def server() -> t.Iterator[Server]:
    with running() as started:
        yield started
