# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Files written whole or not at all, most of them for their owner alone."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from pathlib import Path


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def stamp(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter, or take others' rights away."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    only_ours(folder, 0o700)


def write_private(file: Path, content: str) -> None:
    """Write a 0600 file so that it is either complete and on the disk, or not there."""
    write_whole(file, content.encode(), 0o600)


def write_whole(file: Path, content: bytes, mode: int) -> None:
    """Replace a file so that it survives a power cut: its content is on the disk before its name."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: what was renamed or removed stays so."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def only_ours(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(mode)
