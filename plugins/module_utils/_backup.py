# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""Backups of a gateway's state, and the checks before one may come back.

A session that served after its backup must never return: the hosts hold newer nonces, and an
older copy that serves again can neither be used nor settled. So a restore asks them first.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ._errors import ConfigurationError, ProtocolError, UnsafeError
from ._ledger import private_folder, stamp, write_private

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from ._money import ChainPorts

MANIFEST: t.Final = "manifest.json"
SCHEMA: t.Final = 1
_NAME: t.Final = re.compile(r"\d{8}T\d{6}Z")
_SESSION: t.Final = re.compile(r"escrow-(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionCopy:
    """One escrow's session in a backup."""

    escrow_id: int
    nonce: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    name: str
    path: Path
    created_at: str
    storage_dir: str
    sessions: tuple[SessionCopy, ...]

    def to_result(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "path": str(self.path),
            "created_at": self.created_at,
            "storage_dir": self.storage_dir,
            "sessions": [
                {"escrow_id": item.escrow_id, "nonce": item.nonce} for item in self.sessions
            ],
        }


def session_nonce(folder: Path) -> int:
    """The newest nonce in a session's own files; 0 for a session that never served."""
    newest = 0
    for file in sorted(folder.glob("epoch_*.db")):
        with contextlib.closing(_open_ro(file)) as db:
            try:
                row = db.execute("SELECT MAX(latest_nonce) FROM sessions").fetchone()
                diff = db.execute("SELECT MAX(nonce) FROM diffs").fetchone()
            except sqlite3.DatabaseError as exc:
                raise ProtocolError(f"{file} is not a session of the gateway: {exc}") from exc
        newest = max(newest, row[0] or 0, diff[0] or 0)
    return newest


def users_of(folder: Path, proc: Path = Path("/proc")) -> list[int]:
    """Processes that have a file below ``folder`` open, also from inside a container."""
    ours = set()
    for file in folder.rglob("*"):
        if file.is_file():
            info = file.stat()
            ours.add((info.st_dev, info.st_ino))
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
            for handle in (entry / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    info = handle.stat()
                    if (info.st_dev, info.st_ino) in ours:
                        found.append(int(entry.name))
                        break
    return found


def make_backup(
    storage: Path,
    target: Path,
    *,
    with_sessions: bool,
    now: datetime,
    copy_ledger: Callable[[Path], None] | None,
    settlements: Path | None,
) -> Backup:
    """A new backup below ``target``, complete or not there at all."""
    if not (storage / "gateway.db").is_file():
        raise ConfigurationError(f"{storage} holds no gateway.db: this is no gateway's storage")
    if with_sessions and (pids := users_of(storage)):
        raise UnsafeError(
            f"sessions are only copied from a stopped gateway, but process(es)"
            f" {', '.join(map(str, pids))} use {storage}",
            pids=pids,
        )
    private_folder(target)
    name = now.strftime("%Y%m%dT%H%M%SZ")
    final = target / name
    if final.exists():
        raise ConfigurationError(f"there already is a backup {final}")
    part = target / f".{name}.part"
    shutil.rmtree(part, ignore_errors=False) if part.exists() else None
    private_folder(part)
    for file in sorted(storage.glob("*.db")):
        _copy_database(file, part / file.name)
    sessions = []
    if with_sessions:
        for folder in _session_folders(storage):
            copy = part / folder.name
            private_folder(copy)
            for file in sorted(folder.glob("*.db")):
                _copy_database(file, copy / file.name)
            match = _SESSION.fullmatch(folder.name)
            assert match is not None
            sessions.append(SessionCopy(escrow_id=int(match[1]), nonce=session_nonce(copy)))
    if copy_ledger is not None:
        copy_ledger(part / "ledger.sqlite")
    if settlements is not None and settlements.is_dir():
        private_folder(part / "settlements")
        for file in sorted(settlements.glob("escrow-*.json")):
            write_private(part / "settlements" / file.name, file.read_text(encoding="utf-8"))
    backup = Backup(
        name=name,
        path=final,
        created_at=stamp(now),
        storage_dir=str(storage),
        sessions=tuple(sessions),
    )
    manifest = {"schema": SCHEMA, "with_sessions": with_sessions, **backup.to_result()}
    write_private(part / MANIFEST, json.dumps(manifest, indent=2))
    part.rename(final)
    return backup


def read_backup(path: Path) -> Backup:
    file = path / MANIFEST
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigurationError(f"{path} is no complete backup: it has no {MANIFEST}") from exc
    except ValueError as exc:
        raise ProtocolError(f"{file} cannot be read: {exc}") from exc
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise ConfigurationError(f"{file} is not of schema {SCHEMA}")
    folders = {folder.name for folder in _session_folders(path)}
    sessions = []
    for entry in body["sessions"]:
        number = int(entry["escrow_id"])
        if f"escrow-{number}" not in folders:
            raise ProtocolError(f"{path} names session {number} but does not hold it")
        # The files count, not what the manifest says about them.
        sessions.append(
            SessionCopy(escrow_id=number, nonce=session_nonce(path / f"escrow-{number}"))
        )
    return Backup(
        name=path.name,
        path=path,
        created_at=str(body["created_at"]),
        storage_dir=str(body["storage_dir"]),
        sessions=tuple(sessions),
    )


def list_backups(target: Path) -> list[Backup]:
    """Complete backups, the newest first."""
    if not target.is_dir():
        return []
    names = sorted((f for f in target.iterdir() if _NAME.fullmatch(f.name)), reverse=True)
    return [read_backup(folder) for folder in names]


def surplus(backups: Iterable[Backup], keep: int) -> list[Backup]:
    """The backups that retention removes: all but the newest ``keep``."""
    return sorted(backups, key=lambda item: item.name, reverse=True)[keep:]


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What is known about one session of a backup outside of the backup."""

    escrow_id: int
    nonce: int
    live: bool
    amount: int
    known_nonce: int | None
    silent_hosts: tuple[str, ...]
    ledger_nonce: int | None
    local_nonce: int | None

    def refusal(self) -> str | None:
        """Why restoring it would lose its deposit, or None. A settled escrow risks nothing."""
        if not self.live:
            return None
        newest = max(self.known_nonce or 0, self.ledger_nonce or 0, self.local_nonce or 0)
        if newest > self.nonce:
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): the backup is at nonce"
                f" {self.nonce}, but nonce {newest} is known"
            )
        if self.known_nonce is None or self.silent_hosts:
            who = ", ".join(self.silent_hosts) or "no host could be asked"
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): it is not known whether the hosts"
                f" have a newer nonce than {self.nonce}, silent: {who}"
            )
        return None


def refuse_restore(sessions: Iterable[Freshness]) -> str | None:
    refusals = [(item, text) for item in sessions if (text := item.refusal()) is not None]
    if not refusals:
        return None
    at_risk = sum(item.amount for item, _ in refusals)
    return f"the backup is not restored, {at_risk} ngonka would be at risk: " + "; ".join(
        text for _, text in refusals
    )


def freshness(ports: ChainPorts, backup: Backup, storage: Path) -> list[Freshness]:
    """Ask chain, hosts, ledger and the present storage about every session of a backup."""
    found = []
    for item in backup.sessions:
        escrow = ports.chain.escrow(item.escrow_id)
        live = escrow is not None and not escrow.settled
        known: int | None = None
        silent: tuple[str, ...] = ()
        if escrow is not None and live:
            answer = ports.hosts_nonce(escrow, item.nonce)
            silent = answer.silent
            known = None if len(silent) == answer.asked else max(answer.nonce, item.nonce)
        marks = [] if ports.ledger is None else ports.ledger.session_marks(item.escrow_id)
        local = storage / f"escrow-{item.escrow_id}"
        found.append(
            Freshness(
                escrow_id=item.escrow_id,
                nonce=item.nonce,
                live=live,
                amount=escrow.amount if escrow else 0,
                known_nonce=known,
                silent_hosts=silent,
                ledger_nonce=max((mark.nonce for mark in marks), default=None),
                local_nonce=session_nonce(local) if local.is_dir() else None,
            )
        )
    return found


def restore(backup: Backup, storage: Path, now: datetime) -> Path | None:
    """Put a backup in place; what was there is kept beside it. Returns where."""
    if storage.exists() and (pids := users_of(storage)):
        raise UnsafeError(
            f"process(es) {', '.join(map(str, pids))} use {storage}; stop the gateway first",
            pids=pids,
        )
    fresh = storage.with_name(f".{storage.name}.restore")
    if fresh.exists():
        shutil.rmtree(fresh)
    private_folder(fresh)
    for entry in sorted(backup.path.iterdir()):
        if entry.suffix == ".db":
            _copy_database(entry, fresh / entry.name)
        elif _SESSION.fullmatch(entry.name):
            private_folder(fresh / entry.name)
            for file in sorted(entry.glob("*.db")):
                _copy_database(file, fresh / entry.name / file.name)
    kept = None
    if storage.exists():
        kept = storage.with_name(f"{storage.name}.before-{now.strftime('%Y%m%dT%H%M%SZ')}")
        storage.rename(kept)
    fresh.rename(storage)
    return kept


def _session_folders(storage: Path) -> list[Path]:
    return sorted(f for f in storage.iterdir() if f.is_dir() and _SESSION.fullmatch(f.name))


def _open_ro(file: Path) -> sqlite3.Connection:
    # A stopped process may leave a WAL that only a writer can read.
    return sqlite3.connect(file.as_uri() + "?mode=rw", uri=True, timeout=10)


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own backup: consistent also while another process writes, WAL included."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(_open_ro(source)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        if copy.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise ProtocolError(f"the copy of {source} is damaged")
