# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Backups of a gateway's state, and the checks before one may come back.

A session that served after its backup must never return: the hosts hold newer nonces, and an
older copy that serves again can neither be used nor settled. So a restore asks them first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..._core.errors import ConfigurationError, ProtocolError, UnknownStateError, UnsafeError
from ..._gateway.instance import DATABASE
from ..._host.storage import same_place

if t.TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST: t.Final = "manifest.json"


SETTINGS_TABLE: t.Final = "gateway_settings"


LEDGER: t.Final = "ledger.sqlite"


STORAGE: t.Final = "storage"


SCHEMA: t.Final = 1


BACKUP_NAME: t.Final = re.compile(r"\d{8}T\d{6}Z")


NAME_FORMAT: t.Final = "%Y%m%dT%H%M%SZ"


_SESSION: t.Final = re.compile(r"escrow-(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionCopy:
    """One escrow's session in a folder; ``path`` is relative to the gateway's storage."""

    escrow_id: int
    path: str
    nonce: int

    def to_result(self) -> dict[str, t.Any]:
        return {"escrow_id": self.escrow_id, "path": self.path, "nonce": self.nonce}


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    name: str
    path: Path
    created_at: str
    storage_dir: str
    sessions: tuple[SessionCopy, ...]

    @property
    def storage(self) -> Path:
        """What the gateway's storage held."""
        return self.path / STORAGE

    def to_result(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "path": str(self.path),
            "created_at": self.created_at,
            "storage_dir": self.storage_dir,
            "sessions": [item.to_result() for item in self.sessions],
        }


# looking at files


def session_nonce(folder: Path) -> int:
    """The newest nonce in a session's own files; 0 for a session that never served."""
    newest = 0
    for file in sorted(folder.glob("epoch_*.db")):
        with contextlib.closing(open_database(file)) as db:
            try:
                row = db.execute("SELECT MAX(latest_nonce) FROM sessions").fetchone()
                diff = db.execute("SELECT MAX(nonce) FROM diffs").fetchone()
            except sqlite3.DatabaseError as exc:
                raise ProtocolError(f"{file} is not a session of the gateway: {exc}") from exc
        newest = max(newest, row[0] or 0, diff[0] or 0)
    return newest


def sessions_in(storage: Path) -> tuple[SessionCopy, ...]:
    """Every session below a storage folder, at any depth."""
    return tuple(
        SessionCopy(
            escrow_id=_number(folder),
            path=str(folder.relative_to(storage)),
            nonce=session_nonce(folder),
        )
        for folder in session_folders(storage)
    )


def records_in(database: Path) -> dict[int, str]:
    """The escrows that a ``gateway.db`` has records of, each with its storage path."""
    with contextlib.closing(open_database(database)) as db:
        try:
            rows = db.execute("SELECT id, storage_path FROM gateway_devshards").fetchall()
        except sqlite3.DatabaseError as exc:
            raise ProtocolError(f"{database} is not a gateway.db: {exc}") from exc
    return {int(number): str(path or "") for number, path in rows if str(number).isdigit()}


def holds_keys(database: Path) -> bool:
    """Whether a ``gateway.db`` has private keys in its records, as a request can put them there."""
    with contextlib.closing(open_database(database)) as db:
        try:
            columns = {row[1] for row in db.execute("PRAGMA table_info(gateway_devshards)")}
            if "private_key" not in columns:
                return False
            db.row_factory = sqlite3.Row
            return any(row["private_key"] for row in db.execute("SELECT * FROM gateway_devshards"))
        except sqlite3.DatabaseError as exc:
            raise ProtocolError(f"{database} is not a gateway.db: {exc}") from exc


def users_of(folder: Path, proc: Path = Path("/proc")) -> list[int]:
    """Processes that have a file below ``folder`` open, also from inside a container.

    Raises when some process could not be looked at: then it is not known whether one uses it.
    """
    ours = set()
    for file in folder.rglob("*"):
        if file.is_file():
            info = file.stat()
            ours.add((info.st_dev, info.st_ino))
    found = []
    for entry in proc.iterdir():
        # init serves no gateway, and not even root may look at it everywhere
        if not entry.name.isdigit() or int(entry.name) in (1, os.getpid()):
            continue
        try:
            for handle in (entry / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    info = handle.stat()
                    if (info.st_dev, info.st_ino) in ours:
                        found.append(int(entry.name))
                        break
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError as exc:
            raise UnknownStateError(
                f"it cannot be seen whether process {entry.name} uses {folder}; run as root"
                " (become: true)",
                pid=int(entry.name),
            ) from exc
    return found


def refuse_in_use(storage: Path) -> None:
    if pids := users_of(storage):
        raise UnsafeError(
            f"process(es) {', '.join(map(str, pids))} use {storage}; stop the gateway first."
            " Sessions are only copied and replaced while no gateway serves them",
            pids=pids,
        )


# making


def check_storage(storage: Path) -> None:
    if not (storage / DATABASE).is_file():
        raise ConfigurationError(
            f"{storage} holds no gateway.db: this is not the storage of a gateway"
        )


def read_backup(path: Path) -> Backup:
    file = path / MANIFEST
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigurationError(f"{path} is not a complete backup: it has no {MANIFEST}") from exc
    except ValueError as exc:
        raise ProtocolError(f"{file} cannot be read: {exc}") from exc
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise ConfigurationError(f"{file} is not of schema {SCHEMA}")
    # The files count, not what the manifest says about them.
    sessions = sessions_in(path / STORAGE)
    named = {str(entry["path"]) for entry in body["sessions"]}
    if missing := sorted(named - {item.path for item in sessions}):
        raise ProtocolError(f"{path} names sessions that it does not hold: {', '.join(missing)}")
    return Backup(
        name=path.name,
        path=path,
        created_at=str(body["created_at"]),
        storage_dir=str(body["storage_dir"]),
        sessions=sessions,
    )


def times_of_backups(folder: Path) -> list[float]:
    """When each complete backup in a folder was begun, by its name, in seconds since 1970."""
    try:
        found = [item.name for item in folder.iterdir() if BACKUP_NAME.fullmatch(item.name)]
    except FileNotFoundError:
        return []
    return sorted(
        datetime.strptime(name, NAME_FORMAT).replace(tzinfo=timezone.utc).timestamp()
        for name in found
        if storage_of(folder / name) is not None
    )


def storage_of(path: Path) -> str | None:
    """Which storage a backup was made from; None when it does not say so."""
    try:
        body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = body.get("storage_dir") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def refuse_other_gateway(backup: Backup, storage: Path, allowed: str | None) -> None:
    """Refuses another gateway's backup: two gateways could then serve one escrow.

    ``allowed`` names the storage it was made from, where a gateway was moved.
    """
    if allowed is not None and Path(allowed) == Path(backup.storage_dir):
        return
    if same_place(Path(backup.storage_dir), storage) is not True:
        raise UnsafeError(
            f"backup {backup.name} was made from the storage {backup.storage_dir}, not from "
            f"{storage}. If that is another gateway, both could serve one escrow, and its deposit"
            " would be lost. If it is this gateway before it was moved, and nothing runs on the old"
            f" storage, give backup_from_storage={backup.storage_dir}",
            storage_dir=backup.storage_dir,
        )


def _number(folder: Path) -> int:
    match = _SESSION.fullmatch(folder.name)
    if match is None:
        raise ProtocolError(f"{folder} is not the folder of a session")
    return int(match[1])


def session_folders(storage: Path) -> list[Path]:
    """Folders that hold a session's files; an empty one does not prove a session."""
    if not storage.is_dir():
        return []
    return sorted(
        folder
        for folder in storage.rglob("escrow-*")
        if folder.is_dir() and _SESSION.fullmatch(folder.name) and any(folder.glob("*.db"))
    )


def session_numbers(storage: Path) -> frozenset[int]:
    """The escrows whose sessions lie in the storage of a gateway; raises when it is not known."""
    try:
        # a folder that may not be read looks like an empty one otherwise
        next(storage.iterdir(), None)
        return frozenset(_number(folder) for folder in session_folders(storage))
    except OSError as exc:
        raise UnknownStateError(
            f"it is unknown which sessions are in {storage}: {exc.strerror}"
        ) from exc


def databases_of(storage: Path, *, with_sessions: bool) -> list[Path]:
    folders = session_folders(storage)
    return sorted(
        file
        for file in storage.rglob("*.db")
        if file.is_file() and (with_sessions or file.parent not in folders)
    )


def open_database(file: Path) -> sqlite3.Connection:
    # Not mode=ro: a stopped process may leave a WAL that only a writer can read.
    return sqlite3.connect(file.resolve().as_uri() + "?mode=rw", uri=True, timeout=10)


def content_of(file: Path) -> str:
    """A digest of what a database holds, whatever its pages look like.

    Without the rotation, which is switched off after a restore.
    """
    digest = hashlib.sha256()
    with contextlib.closing(open_database(file)) as db:
        for line in db.iterdump():
            if not line.startswith(f'INSERT INTO "{SETTINGS_TABLE}"'):
                digest.update(line.encode() + b"\n")
        for values in _settings(db):
            digest.update(json.dumps(values, sort_keys=True, default=repr).encode() + b"\n")
    return digest.hexdigest()


def _settings(db: sqlite3.Connection) -> Iterator[dict[str, t.Any]]:
    """The settings of a gateway, by column; none of a session's database."""
    known = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?"
    if db.execute(known, (SETTINGS_TABLE,)).fetchone() is None:
        return
    found = db.execute(f"SELECT * FROM {SETTINGS_TABLE}")
    names = [column[0] for column in found.description]
    for row in found:
        yield {
            name: _without_rotation(value)
            for name, value in zip(names, row, strict=True)
            if name != "updated_at" and "rotation" not in name
        }


def _without_rotation(value: t.Any) -> t.Any:
    """Some gateways keep all settings in one column."""
    try:
        held = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        held = None
    if not isinstance(held, dict):
        return value
    return {name: one for name, one in held.items() if name != "escrow_rotation"}
