# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The durable record of everything that moves money or could lose it.

One intent is written before each create, settle, delete and import, and its outcome after. What
may follow what is the pure function :func:`advance`. The file holds no secrets: signed
transaction bytes are public the moment they are sent.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sqlite3
import typing as t
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from ..._core.errors import ConfigurationError, ProtocolError, UnsafeError
from ..._core.files import only_ours, private_folder, stamp, utc_now
from .states import (
    Event,
    HistoryEntry,
    IllegalTransition,
    Intent,
    Kind,
    SessionMark,
    State,
    Subject,
    Via,
    advance,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SCHEMA = 1


_TABLES: t.Final = """
CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, via TEXT NOT NULL, state TEXT NOT NULL,
    gateway TEXT NOT NULL, chain_id TEXT NOT NULL, creator TEXT NOT NULL,
    run_id TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    model TEXT, amount INTEGER, escrow_id INTEGER, fee INTEGER, gas INTEGER,
    tx_hash TEXT UNIQUE, tx_bytes TEXT, timeout_at TEXT,
    seen_height INTEGER, seen_time TEXT, result TEXT
) STRICT;
CREATE INDEX intents_by_state ON intents (state, kind);
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    intent INTEGER NOT NULL REFERENCES intents (id),
    at TEXT NOT NULL, run_id TEXT NOT NULL, event TEXT NOT NULL,
    before TEXT, after TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER history_is_append_only_u BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER history_is_append_only_d BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER intents_are_kept BEFORE DELETE ON intents
    BEGIN SELECT RAISE(ABORT, 'intents are never deleted'); END;
CREATE TABLE sessions (
    escrow_id INTEGER NOT NULL, gateway TEXT NOT NULL,
    nonce INTEGER NOT NULL, balance INTEGER, phase TEXT, seen_at TEXT NOT NULL,
    PRIMARY KEY (escrow_id, gateway)
) STRICT;
"""


# Set once, when the intent is planned; a later step may fill an empty one but never change it.
_WRITE_ONCE: t.Final = frozenset({"tx_hash", "tx_bytes", "timeout_at", "escrow_id"})


_SETTABLE: t.Final = _WRITE_ONCE | {"result"}


Method = t.TypeVar("Method", bound="Callable[..., t.Any]")


def _told(method: Method) -> Method:
    """A full disk or a damaged file becomes a failure that says what to do."""

    @functools.wraps(method)
    def telling(ledger: Ledger, *args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return method(ledger, *args, **kwargs)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as exc:
            raise UnsafeError(
                f"the ledger in {ledger.folder} cannot be used: {exc}. Nothing more was done, since"
                " a deposit is only moved after it is written down. Make room on the disk, or bring"
                " the file back from a backup, and run again: the run continues from what is"
                " recorded",
                path=str(ledger.folder),
            ) from exc

    return t.cast(Method, telling)


class Ledger:
    """The intents of one host. Opened for writing only under :class:`HostLock`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        folder: Path,
        run_id: str,
        now: Callable[[], datetime],
    ) -> None:
        self._db = connection
        self.folder = folder
        self.run_id = run_id
        self._now = now

    @classmethod
    def open(cls, path: str, run_id: str, now: Callable[[], datetime] = utc_now) -> Ledger:
        """Open for writing; the file (0600) and its folder (0700) are made if missing."""
        file = Path(path)
        private_folder(file.parent)
        # Made by us, not by SQLite, so that it is never readable by others, not even shortly.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        only_ours(file, 0o600)
        db = _connect(file.as_uri() + "?mode=rw", path)
        try:
            # TRUNCATE with synchronous=FULL syncs the journal's end too: a committed intent
            # survives a power cut (with DELETE it could come back uncommitted).
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                db.executescript(
                    f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;"
                )
            else:
                _check_schema(found, path)
        except sqlite3.DatabaseError as exc:
            db.close()
            raise ConfigurationError(
                f"{path} cannot be used as the ledger: {exc}. Make room if the disk is full, else"
                " restore it from a backup; do not delete it while one of your escrows is unsettled",
                path=path,
            ) from exc
        return cls(db, file.parent, run_id, now)

    @classmethod
    def read(cls, path: str, now: Callable[[], datetime] = utc_now) -> Ledger | None:
        """Open for reading; None when this host has no ledger yet."""
        file = Path(path)
        if not file.exists() or file.stat().st_size == 0:
            return None
        # Not mode=ro: a reader must be able to roll back what a killed writer left half done.
        db = _connect(file.as_uri() + "?mode=rw", path)
        try:
            db.execute("PRAGMA query_only = ON")
            _check_schema(db.execute("PRAGMA user_version").fetchone()[0], path)
        except sqlite3.DatabaseError as exc:
            db.close()
            raise ConfigurationError(f"{path} is not a readable ledger: {exc}", path=path) from exc
        return cls(db, file.parent, "", now)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @_told
    def plan(self, kind: Kind, via: Via, subject: Subject) -> Intent:
        """Write a new intent, before anything is done for it."""
        at = stamp(self._now())
        # The terms are part of the result, so that each version of the collection reads one ledger.
        facts = asdict(subject)
        terms = facts.pop("terms")
        row = {
            "kind": kind.value,
            "via": via.value,
            "state": State.PLANNED.value,
            "run_id": self.run_id,
            "created_at": at,
            "updated_at": at,
            **facts,
            "result": None if terms is None else json.dumps({"terms": terms}),
        }
        with self._transaction():
            number = self._insert(row)
            self._log(number, "plan", None, State.PLANNED, {})
        return self.get(number)

    @_told
    def enter(self, subject: Subject, detail: dict[str, t.Any]) -> Intent:
        """Write down an escrow that was made without this ledger: done, and in one step, so that an
        interrupted run leaves no open intent that a later one would take for a create of its own."""
        at = stamp(self._now())
        facts = asdict(subject)
        facts.pop("terms")
        row = {
            "kind": Kind.CREATE.value,
            "via": Via.GATEWAY.value,
            "state": State.DONE.value,
            "run_id": self.run_id,
            "created_at": at,
            "updated_at": at,
            **facts,
            "result": json.dumps(detail),
        }
        with self._transaction():
            number = self._insert(row)
            self._log(number, "enter", None, State.DONE, detail)
        return self.get(number)

    def _insert(self, row: dict[str, t.Any]) -> int:
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        self._db.execute(f"INSERT INTO intents ({names}) VALUES ({marks})", row)
        (number,) = self._db.execute("SELECT last_insert_rowid()").fetchone()
        return int(number)

    @_told
    def apply(
        self, intent: Intent, event: Event, detail: dict[str, t.Any] | None = None, **values: t.Any
    ) -> Intent:
        """Record what happened and return the intent as it is now."""
        unknown = set(values) - _SETTABLE
        if unknown:
            raise ValueError(f"not to be changed: {', '.join(sorted(unknown))}")
        with self._transaction():
            current = self.get(intent.id)
            after = advance(current.kind, current.via, current.state, event)
            for name in _WRITE_ONCE & set(values):
                old = getattr(current, name)
                if old is not None and old != values[name]:
                    raise IllegalTransition(f"intent {intent.id}: {name} is already recorded")
            row = {**values, "state": after.value, "updated_at": stamp(self._now())}
            if values.get("result") is not None:
                row["result"] = json.dumps({**(current.result or {}), **values["result"]})
            sets = ", ".join(f"{name} = :{name}" for name in row)
            self._db.execute(f"UPDATE intents SET {sets} WHERE id = :id", {**row, "id": intent.id})
            self._log(intent.id, event.value, current.state, after, detail or {})
        return self.get(intent.id)

    @_told
    def get(self, number: int) -> Intent:
        row = self._db.execute("SELECT * FROM intents WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise ProtocolError(f"the ledger has no intent {number}")
        return _intent(row)

    @_told
    def intents(
        self,
        *,
        kind: Kind | None = None,
        gateway: str | None = None,
        chain_id: str | None = None,
        escrow_id: int | None = None,
        only_open: bool = False,
    ) -> list[Intent]:
        """Intents in the order in which they were written."""
        wanted = {
            "kind": kind.value if kind else None,
            "gateway": gateway,
            "chain_id": chain_id,
            "escrow_id": escrow_id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in given) or "1"
        rows = self._db.execute(f"SELECT * FROM intents WHERE {where} ORDER BY id", given)
        found = [_intent(row) for row in rows]
        return [intent for intent in found if intent.open] if only_open else found

    @_told
    def history(self, number: int) -> list[HistoryEntry]:
        rows = self._db.execute("SELECT * FROM history WHERE intent = ? ORDER BY id", (number,))
        return [
            HistoryEntry(
                intent=row["intent"],
                at=row["at"],
                run_id=row["run_id"],
                event=row["event"],
                before=row["before"],
                after=row["after"],
                detail=json.loads(row["detail"]),
            )
            for row in rows
        ]

    @_told
    def mark_session(
        self, escrow_id: int, gateway: str, nonce: int, balance: int | None, phase: str | None
    ) -> None:
        """Remember the newest nonce of a session; an older one never replaces a newer one."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO sessions (escrow_id, gateway, nonce, balance, phase, seen_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (escrow_id, gateway) DO UPDATE SET"
                " nonce = excluded.nonce, balance = excluded.balance, phase = excluded.phase,"
                " seen_at = excluded.seen_at WHERE excluded.nonce >= nonce",
                (escrow_id, gateway, nonce, balance, phase, stamp(self._now())),
            )

    @_told
    def session_marks(self, escrow_id: int) -> list[SessionMark]:
        rows = self._db.execute(
            "SELECT * FROM sessions WHERE escrow_id = ? ORDER BY nonce DESC", (escrow_id,)
        )
        return [SessionMark(**dict(row)) for row in rows]

    def copy_to(self, target: Path) -> None:
        """A consistent copy, made while others may read and write."""
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(target)) as copy:
            self._db.backup(copy)

    def _log(
        self, number: int, event: str, before: State | None, after: State, detail: dict[str, t.Any]
    ) -> None:
        self._db.execute(
            "INSERT INTO history (intent, at, run_id, event, before, after, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                stamp(self._now()),
                self.run_id,
                event,
                before.value if before else None,
                after.value,
                json.dumps(detail),
            ),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite has taken back by itself what a full disk broke off
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _connect(uri: str, path: str) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    except sqlite3.OperationalError as exc:
        raise ConfigurationError(f"the ledger {path} cannot be opened: {exc}", path=path) from exc
    db.row_factory = sqlite3.Row
    return db


def _check_schema(found: int, path: str) -> None:
    if found != SCHEMA:
        raise ConfigurationError(
            f"the ledger {path} has schema {found}, this version of the collection reads"
            f" {SCHEMA}; use the version that wrote it",
            path=path,
        )


def _intent(row: sqlite3.Row) -> Intent:
    values = dict(row)
    values["kind"] = Kind(values["kind"])
    values["via"] = Via(values["via"])
    values["state"] = State(values["state"])
    values["result"] = json.loads(values["result"]) if values["result"] else None
    return Intent(**values)


def read_intents(path: str, chain_id: str) -> list[Intent]:
    """Every intent for a chain; none where this host has no ledger yet."""
    ledger = Ledger.read(path)
    if ledger is None:
        return []
    with ledger:
        return ledger.intents(chain_id=chain_id)
