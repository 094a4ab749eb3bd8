# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._host.storage import free_space


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    (disk,) = free_space([tmp_path / "a/b", tmp_path])
    assert disk["path"] == str(tmp_path)
