# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A backup of a gateway: its database, sessions and ledger."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import typing as t
from datetime import timedelta
from pathlib import Path

from ..._core.errors import ConfigurationError, ProtocolError
from ..._core.files import private_folder, stamp, write_private
from ..._host.storage import same_place
from .inspect import (
    BACKUP_NAME,
    LEDGER,
    MANIFEST,
    NAME_FORMAT,
    SCHEMA,
    STORAGE,
    Backup,
    check_storage,
    databases_of,
    open_database,
    refuse_in_use,
    sessions_in,
    storage_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ..ledger.store import Ledger

_LONGEST_RUN: t.Final = timedelta(hours=6)


def make_backup(
    storage: Path,
    target: Path,
    *,
    with_sessions: bool,
    now: datetime,
    ledger: Ledger | None,
) -> Backup:
    """A new backup below ``target``, complete or not there at all."""
    check_storage(storage)
    if with_sessions:
        refuse_in_use(storage)
    private_folder(target)
    name = now.strftime(NAME_FORMAT)
    final = target / name
    if final.exists():
        raise ConfigurationError(f"there already is a backup {final}; try again in a second")
    _remove_abandoned(target, now)
    part = target / f".{name}.part"
    if part.exists():
        shutil.rmtree(part)
    with contextlib.ExitStack() as failed:
        # a full disk is filled by no further attempt
        failed.callback(shutil.rmtree, part, ignore_errors=True)
        _copy_state(storage, part, with_sessions=with_sessions, ledger=ledger)
        backup = Backup(
            name=name,
            path=final,
            created_at=stamp(now),
            storage_dir=str(storage),
            sessions=sessions_in(part / STORAGE),
        )
        manifest = {"schema": SCHEMA, "with_sessions": with_sessions, **backup.to_result()}
        write_private(part / MANIFEST, json.dumps(manifest, indent=2))
        part.rename(final)
        failed.pop_all()
    return backup


def _copy_state(storage: Path, part: Path, *, with_sessions: bool, ledger: Ledger | None) -> None:
    private_folder(part)
    private_folder(part / STORAGE)
    for file in databases_of(storage, with_sessions=with_sessions):
        copy_below(file, storage, part / STORAGE)
    if ledger is not None:
        with _copying(ledger.folder, part / LEDGER):
            ledger.copy_to(part / LEDGER)
        for file in sorted((ledger.folder / "settlements").glob("*/escrow-*.json")):
            copy = part / file.relative_to(ledger.folder)
            private_folder(copy.parent.parent)
            private_folder(copy.parent)
            write_private(copy, file.read_text(encoding="utf-8"))


def _remove_abandoned(target: Path, now: datetime) -> None:
    """Remove what killed runs left. A younger part may be of a run that still copies.

    It names no storage yet, and is of use to no gateway.
    """
    oldest = f".{(now - _LONGEST_RUN).strftime(NAME_FORMAT)}.part"
    for part in target.glob(".*.part"):
        if BACKUP_NAME.fullmatch(part.name[1:-5]) and part.name < oldest:
            shutil.rmtree(part, ignore_errors=True)


def list_backups(target: Path, storage: Path) -> list[Path]:
    """Folders of complete backups of this gateway, the newest first.

    Gateways of one host may share the folder. What is not known to be this one's is left alone.
    """
    if not target.is_dir():
        return []
    named = sorted((f for f in target.iterdir() if BACKUP_NAME.fullmatch(f.name)), reverse=True)
    return [
        folder
        for folder in named
        if (source := storage_of(folder)) is not None and same_place(Path(source), storage)
    ]


def surplus(backups: Iterable[Path], keep: int) -> list[Path]:
    """The backups that retention removes: all but the newest ``keep``; 0 keeps all."""
    ordered = sorted(backups, key=lambda item: item.name, reverse=True)
    return ordered[keep:] if keep > 0 else []


# restoring


def copy_below(file: Path, source: Path, target: Path) -> None:
    """Copy a database to the same place below another folder."""
    below = file.relative_to(source)
    for folder in reversed(below.parents):
        private_folder(target / folder)
    _copy_database(file, target / below)


@contextlib.contextmanager
def _copying(source: Path, target: Path) -> Iterator[None]:
    """What SQLite cannot copy is named; a full disk is the error that every other write gives."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        if "disk is full" in str(exc):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from exc
        raise ProtocolError(f"{source} cannot be copied to {target}: {exc}") from exc


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own backup: consistent also while another process writes, WAL included."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with (
        _copying(source, target),
        contextlib.closing(open_database(source)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        if copy.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise ProtocolError(f"the copy of {source} is damaged")
