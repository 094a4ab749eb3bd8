# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Folders by what they are, not by their names: symbolic links and bind mounts have several."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path, PurePosixPath

from .._core.errors import ConfigurationError
from .processes import PROC

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Device and inode of what a path leads to; None when there is nothing.

    Raises ``PermissionError`` where that may not be looked at.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def mounted(pid: int, target: str, proc: Path = PROC) -> Path:
    """The folder that a running process really sees under ``target``, inside its container.

    What a container mounted when it started stays mounted, whatever the name on the host leads to
    since then.
    """
    return proc / str(pid) / "root" / target.lstrip("/")


def same_place(one: Path, other: Path) -> bool | None:
    """Whether two paths lead to one folder or file; None when that cannot be looked at.

    Two that do not exist are the same when their names lead to the same place.
    """
    try:
        first, second = identity(one), identity(other)
        if first is None and second is None:
            return one.resolve() == other.resolve()
    except (PermissionError, RuntimeError):
        return None
    return first == second


def require_absolute(path: str, option: str) -> None:
    """Refuse a path that the gateway would resolve from its working directory.

    There it creates an empty session and answers 200; finalizing then ends without enough
    signatures.
    """
    if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ConfigurationError(
            f"{option} must be an absolute path as the gateway sees it, not {path}. The gateway "
            f"resolves any other path from its working directory, where it starts an empty session"
        )


def free_space(folders: Iterable[Path]) -> list[dict[str, t.Any]]:
    """What is free in MiB on the disk of each folder, or of the one that will hold it."""
    found: dict[int, dict[str, t.Any]] = {}
    for folder in folders:
        there = next(one for one in (folder, *folder.parents) if one.exists())
        disk = os.statvfs(there)
        found.setdefault(
            there.stat().st_dev,
            {"path": str(there), "free_mb": disk.f_bavail * disk.f_frsize // 2**20},
        )
    return list(found.values())
