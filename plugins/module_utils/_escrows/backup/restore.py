# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A backup put back into its place."""

from __future__ import annotations

import glob
import os
import shutil
import typing as t
from pathlib import Path, PurePosixPath

from ..._core.files import private_folder
from .inspect import Backup, SessionCopy, content_of, databases_of, refuse_in_use, session_folders
from .make import copy_below

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


def present_storage(storage: Path) -> Path:
    """The present storage, or the one that an interrupted restore had moved away."""
    if storage.exists() or not _fresh(storage).exists():
        return storage
    aside = sorted(storage.parent.glob(f"{glob.escape(storage.name)}.before-*"))
    return aside[-1] if aside else storage


def _fresh(storage: Path) -> Path:
    """Where a restore is built; it is there from the first copy to the last rename."""
    return storage.with_name(f".{storage.name}.restore")


def is_restored(backup: Backup, storage: Path) -> bool:
    """Whether the storage already holds what the backup holds."""
    if not storage.is_dir():
        return False
    for file in databases_of(backup.storage, with_sessions=True):
        here = storage / file.relative_to(backup.storage)
        if not here.is_file() or content_of(here) != content_of(file):
            return False
    return True


def restore(backup: Backup, storage: Path, now: datetime) -> Path | None:
    """Put a backup in place; what was there is kept beside it. Returns where.

    Sessions that the backup does not hold are carried over from the present storage: its records
    would otherwise start them from scratch at nonce 0.
    """
    if storage.exists():
        refuse_in_use(storage)
    present = present_storage(storage)
    fresh = _fresh(storage)
    private_folder(fresh)
    for entry in fresh.iterdir():
        # never the folder itself: it tells the next run that this one was cut off
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for file in databases_of(backup.storage, with_sessions=True):
        copy_below(file, backup.storage, fresh)
    kept = None
    if present.exists():
        for folder in session_folders(present):
            if not (fresh / folder.relative_to(present)).exists():
                for file in sorted(folder.glob("*.db")):
                    copy_below(file, present, fresh)
        info = present.stat()
        os.chown(fresh, info.st_uid, info.st_gid)
        fresh.chmod(info.st_mode & 0o7777)
        kept = present
    if storage.exists():
        kept = storage.with_name(f"{storage.name}.before-{now.strftime('%Y%m%dT%H%M%SZ')}")
        storage.rename(kept)
    fresh.rename(storage)
    return kept


def serving(
    sessions: Iterable[SessionCopy], number: int, storage_path: str | None
) -> SessionCopy | None:
    """The session that a record uses: the folder at the end of its path, else the usual one."""
    fitting = [item for item in sessions if item.escrow_id == number]
    parts = PurePosixPath(storage_path or f"escrow-{number}").parts
    named = [
        item for item in fitting if parts[-len(PurePosixPath(item.path).parts) :] == _parts(item)
    ]
    if named:
        return max(named, key=lambda item: len(_parts(item)))
    return fitting[0] if len(fitting) == 1 and not storage_path else None


def _parts(item: SessionCopy) -> tuple[str, ...]:
    return PurePosixPath(item.path).parts
