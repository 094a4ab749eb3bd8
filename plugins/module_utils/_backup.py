# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""Backups of a gateway's state, and the checks before one may come back.

A session that served after its backup must never return: the hosts hold newer nonces, and an
older copy that serves again can neither be used nor settled. So a restore asks them first.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import sqlite3
import typing as t
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ._errors import ConfigurationError, ProtocolError, UnknownStateError, UnsafeError
from ._ledger import private_folder, stamp, write_private
from ._storage import same_place

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ._ledger import Ledger
    from ._money import ChainPorts

MANIFEST: t.Final = "manifest.json"
LEDGER: t.Final = "ledger.sqlite"
STORAGE: t.Final = "storage"
SCHEMA: t.Final = 1
_NAME: t.Final = re.compile(r"\d{8}T\d{6}Z")
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
        with contextlib.closing(_open(file)) as db:
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
        for folder in _session_folders(storage)
    )


def records_in(database: Path) -> dict[int, str]:
    """The escrows that a ``gateway.db`` has records of, each with its storage path."""
    with contextlib.closing(_open(database)) as db:
        try:
            rows = db.execute("SELECT id, storage_path FROM gateway_devshards").fetchall()
        except sqlite3.DatabaseError as exc:
            raise ProtocolError(f"{database} is not a gateway.db: {exc}") from exc
    return {int(number): str(path or "") for number, path in rows if str(number).isdigit()}


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
    if not (storage / "gateway.db").is_file():
        raise ConfigurationError(
            f"{storage} holds no gateway.db: this is not the storage of a gateway"
        )


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
    name = now.strftime("%Y%m%dT%H%M%SZ")
    final = target / name
    if final.exists():
        raise ConfigurationError(f"there already is a backup {final}; try again in a second")
    part = target / f".{name}.part"
    if part.exists():
        shutil.rmtree(part)
    private_folder(part)
    private_folder(part / STORAGE)
    for file in _databases(storage, with_sessions=with_sessions):
        _copy_below(file, storage, part / STORAGE)
    if ledger is not None:
        ledger.copy_to(part / LEDGER)
        for file in sorted((ledger.folder / "settlements").glob("*/escrow-*.json")):
            copy = part / file.relative_to(ledger.folder)
            private_folder(copy.parent.parent)
            private_folder(copy.parent)
            write_private(copy, file.read_text(encoding="utf-8"))
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
    return backup


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


def storage_of(path: Path) -> str | None:
    """Which storage a backup was made from; None when it does not say so."""
    try:
        body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = body.get("storage_dir") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def list_backups(target: Path, storage: Path) -> list[Path]:
    """Folders of complete backups of this gateway, the newest first.

    Gateways of one host may share the folder. What is not known to be this one's is left alone.
    """
    if not target.is_dir():
        return []
    named = sorted((f for f in target.iterdir() if _NAME.fullmatch(f.name)), reverse=True)
    return [
        folder
        for folder in named
        if (source := storage_of(folder)) is not None and same_place(Path(source), storage)
    ]


def refuse_other_gateway(backup: Backup, storage: Path, allowed: str | None) -> None:
    """Refuses another gateway's backup: two gateways could then serve one escrow.

    ``allowed`` names the storage it was made from, where a gateway was moved.
    """
    if allowed is not None and Path(allowed) == Path(backup.storage_dir):
        return
    if same_place(Path(backup.storage_dir), storage) is not True:
        raise UnsafeError(
            f"backup {backup.name} was made from the storage {backup.storage_dir}, and {storage} is"
            " asked for. If that is another gateway, both could serve one escrow, and its deposit"
            " would be lost. If it is this gateway before it was moved, and nothing runs on the old"
            f" storage, give backup_from_storage={backup.storage_dir}",
            storage_dir=backup.storage_dir,
        )


def surplus(backups: Iterable[Path], keep: int) -> list[Path]:
    """The backups that retention removes: all but the newest ``keep``; 0 keeps all."""
    ordered = sorted(backups, key=lambda item: item.name, reverse=True)
    return ordered[keep:] if keep > 0 else []


# restoring


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What is known about one session that a restore would bring into service."""

    escrow_id: int
    nonce: int
    live: bool
    amount: int
    known_nonce: int | None
    silent_hosts: tuple[str, ...]
    ledger_nonce: int | None
    local_nonce: int | None
    missing: bool = False
    """The backup has a record of it, but its session is nowhere."""

    def refusal(self) -> str | None:
        """Why restoring it would lose its deposit, or None. A settled escrow risks nothing."""
        if not self.live:
            return None
        newest = max(self.known_nonce or 0, self.ledger_nonce or 0, self.local_nonce or 0)
        if newest > self.nonce:
            what = (
                "its session is neither in the backup nor in the storage"
                if self.missing
                else f"the backup is at nonce {self.nonce}"
            )
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): {what}, but nonce {newest} is"
                " known"
            )
        if self.known_nonce is None or self.silent_hosts:
            who = ", ".join(self.silent_hosts) or "no host could be asked"
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): it is not known whether the hosts"
                f" have a newer nonce than {self.nonce}, silent: {who}"
            )
        return None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "escrow_id": self.escrow_id,
            "nonce": self.nonce,
            "unsettled": self.live,
            "amount": self.amount,
            "hosts_nonce": self.known_nonce,
            "ledger_nonce": self.ledger_nonce,
            "storage_nonce": self.local_nonce,
            "refusal": self.refusal(),
        }


def at_risk(sessions: Iterable[Freshness]) -> int:
    """The deposits that a restore could lose."""
    return sum(item.amount for item in sessions if item.refusal() is not None)


def refuse_restore(sessions: Sequence[Freshness]) -> str | None:
    reasons = [text for item in sessions if (text := item.refusal()) is not None]
    if not reasons:
        return None
    return f"{at_risk(sessions)} ngonka would be at risk: " + "; ".join(reasons)


def freshness(ports: ChainPorts, backup: Backup, storage: Path) -> list[Freshness]:
    """Ask chain, hosts, ledger and the present storage about all that would serve again.

    That is every session in the backup, and every record of its ``gateway.db``: for one whose
    session the backup does not hold, the present storage's session stays in use.
    """
    present = present_storage(storage)
    held = sessions_in(present) if present.is_dir() else ()
    records = records_in(backup.storage / "gateway.db")
    found = []
    for number in sorted(set(records) | {item.escrow_id for item in backup.sessions}):
        wanted = records.get(number)
        copy = _serving(backup.sessions, number, wanted)
        here = _serving(held, number, wanted)
        used = copy or here
        nonce = 0 if used is None else used.nonce
        escrow = ports.chain.escrow(number)
        live = escrow is not None and not escrow.settled
        known: int | None = None
        silent: tuple[str, ...] = ()
        if escrow is not None and live:
            answer = ports.hosts_nonce(escrow, nonce)
            silent = answer.silent
            known = None if len(silent) == answer.asked else max(answer.nonce, nonce)
        marks = [] if ports.ledger is None else ports.ledger.session_marks(number)
        found.append(
            Freshness(
                escrow_id=number,
                nonce=nonce,
                live=live,
                amount=escrow.amount if escrow else 0,
                known_nonce=known,
                silent_hosts=silent,
                ledger_nonce=max((mark.nonce for mark in marks), default=None),
                local_nonce=None if here is None else here.nonce,
                missing=used is None,
            )
        )
    return found


def left_without_record(ports: ChainPorts, backup: Backup, storage: Path) -> list[SessionCopy]:
    """Unsettled escrows of the present storage that the backup does not know: made after it.

    Their sessions are carried over, but nothing would serve or settle them.
    """
    known = set(records_in(backup.storage / "gateway.db"))
    found = []
    for item in sessions_in(present_storage(storage)):
        if item.escrow_id not in known:
            escrow = ports.chain.escrow(item.escrow_id)
            if escrow is not None and not escrow.settled:
                found.append(item)
    return found


def left_text(item: SessionCopy) -> str:
    return (
        f"escrow {item.escrow_id} is unsettled and younger than the backup, which has no record of"
        f" it: its session {item.path} stays in the storage, but nothing serves or settles it until"
        f" it is imported (gonka.devshard.devshard, state=imported, expected_nonce={item.nonce})"
    )


def present_storage(storage: Path) -> Path:
    """What is there: the storage itself, or what a restore that was cut off had put aside."""
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
    for file in _databases(backup.storage, with_sessions=True):
        here = storage / file.relative_to(backup.storage)
        if not here.is_file() or _content(here) != _content(file):
            return False
    return True


def restore(backup: Backup, storage: Path, now: datetime) -> Path | None:
    """Put a backup in place; what was there is kept beside it. Returns where.

    Sessions that the backup does not hold are carried over from the present storage: its records
    would otherwise begin them anew at nonce 0.
    """
    if storage.exists():
        refuse_in_use(storage)
    present = present_storage(storage)
    fresh = _fresh(storage)
    private_folder(fresh)
    for entry in fresh.iterdir():
        # never the folder itself: it tells the next run that this one was cut off
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for file in _databases(backup.storage, with_sessions=True):
        _copy_below(file, backup.storage, fresh)
    kept = None
    if present.exists():
        for folder in _session_folders(present):
            if not (fresh / folder.relative_to(present)).exists():
                for file in sorted(folder.glob("*.db")):
                    _copy_below(file, present, fresh)
        info = present.stat()
        os.chown(fresh, info.st_uid, info.st_gid)
        fresh.chmod(info.st_mode & 0o7777)
        kept = present
    if storage.exists():
        kept = storage.with_name(f"{storage.name}.before-{now.strftime('%Y%m%dT%H%M%SZ')}")
        storage.rename(kept)
    fresh.rename(storage)
    return kept


def _serving(
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


def _number(folder: Path) -> int:
    match = _SESSION.fullmatch(folder.name)
    if match is None:
        raise ProtocolError(f"{folder} is not the folder of a session")
    return int(match[1])


def _session_folders(storage: Path) -> list[Path]:
    """Folders that hold a session's files; an empty one is no proof of a session."""
    if not storage.is_dir():
        return []
    return sorted(
        folder
        for folder in storage.rglob("escrow-*")
        if folder.is_dir() and _SESSION.fullmatch(folder.name) and any(folder.glob("*.db"))
    )


def _databases(storage: Path, *, with_sessions: bool) -> list[Path]:
    folders = _session_folders(storage)
    return sorted(
        file
        for file in storage.rglob("*.db")
        if file.is_file() and (with_sessions or file.parent not in folders)
    )


def _open(file: Path) -> sqlite3.Connection:
    # Not mode=ro: a stopped process may leave a WAL that only a writer can read.
    return sqlite3.connect(file.resolve().as_uri() + "?mode=rw", uri=True, timeout=10)


def _content(file: Path) -> str:
    """A digest of what a database holds, whatever its pages look like."""
    digest = hashlib.sha256()
    with contextlib.closing(_open(file)) as db:
        for line in db.iterdump():
            digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _copy_below(file: Path, source: Path, target: Path) -> None:
    """Copy a database to the same place below another folder."""
    below = file.relative_to(source)
    for folder in reversed(below.parents):
        private_folder(target / folder)
    _copy_database(file, target / below)


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own backup: consistent also while another process writes, WAL included."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(_open(source)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        if copy.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise ProtocolError(f"the copy of {source} is damaged")
