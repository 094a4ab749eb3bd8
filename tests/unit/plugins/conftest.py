# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

import hypothesis
import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import Server, running

# How fast an example runs says more about the machine than about the code. A gate must not fail on
# what the change did not touch, so it takes the same examples each time; by hand they are new ones.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("any machine")


@pytest.fixture
def server() -> t.Iterator[Server]:
    with running() as started:
        yield started
