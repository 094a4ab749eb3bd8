# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Whoever opens a unit of the money path finds its tests under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    MODULE_UTILS,
    ROOT,
)

TESTS = ROOT / "tests" / "unit" / "plugins" / "module_utils"
UNITS = [
    path.relative_to(MODULE_UTILS)
    for path in sorted((MODULE_UTILS / "_escrows").rglob("*.py"))
    if path.name != "__init__.py"
]


def test_there_are_units() -> None:
    assert len(UNITS) > 30


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_a_unit_has_a_test_file_of_its_name(unit: Path) -> None:
    file = TESTS / unit.parent / f"test_{unit.name}"
    assert file.is_file()
    assert "\ndef test_" in file.read_text()
