# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The deploy record as a file: read with all that it holds, and written whole."""

from __future__ import annotations

import json
import typing as t

from .._core.files import write_private
from . import record as _record
from .instance import RECORD

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class RecordFile:
    """The record of the gateway in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / RECORD

    def read(self) -> dict[str, t.Any] | None:
        """None when there is none. Fields that another version added are kept."""
        try:
            content = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return dict(_record.parse(content, str(self._path)).held)

    def write(self, record: Mapping[str, t.Any]) -> None:
        """In the form that the roles write, so that none of them finds a difference."""
        write_private(self._path, json.dumps(dict(record), indent=4, sort_keys=True) + "\n")
