# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Makes the simulator importable and gives every test its own world."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "simnet"))

from simnet.testing import World


@pytest.fixture
def world() -> World:
    return World()
