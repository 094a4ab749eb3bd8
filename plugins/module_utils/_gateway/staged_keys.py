# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The file beside an environment file with the keys that wait for a container."""

from __future__ import annotations

import typing as t

from .._core.files import write_private
from . import env_file, key_rotation

if t.TYPE_CHECKING:
    from pathlib import Path


def place(environment: Path) -> Path:
    return environment.with_name(f"{environment.name}.rotation.json")


def read(environment: Path) -> key_rotation.KeyNotes:
    """Nothing where there is no file."""
    file = place(environment)
    text = env_file.read(file)
    return key_rotation.KeyNotes() if text is None else key_rotation.parse(text, str(file))


def write(environment: Path, notes: key_rotation.KeyNotes) -> None:
    write_private(place(environment), notes.to_json())
