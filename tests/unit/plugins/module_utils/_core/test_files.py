# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._core.files import (
    write_private,
    write_whole,
)


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "settlement.json"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["settlement.json"]


def test_a_file_has_its_mode_whatever_the_umask_says(tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    before = os.umask(0o077)
    try:
        write_whole(file, b"services", 0o644)
    finally:
        os.umask(before)
    assert file.read_bytes() == b"services"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["compose.yml"]
