# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""``gateway.db`` and ``perf.db``: settings, records, rotation results, request accounting."""

from __future__ import annotations

import json
import sqlite3
import time
import typing as t
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from simnet.gateway.generation import Generation
from simnet.gateway.settings import Settings
from simnet.timestamps import Timestamp

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateway_settings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    settings_json TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_devshards (
    id TEXT PRIMARY KEY,
    private_key TEXT NOT NULL DEFAULT '',
    private_key_env TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    storage_path TEXT NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 0,
    rotation_role TEXT NOT NULL DEFAULT '',
    rotation_epoch INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS participant_throttle_state (
    participant_key TEXT PRIMARY KEY,
    quarantine_until_ns INTEGER NOT NULL,
    failure_streak INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS gateway_rotation_status (
    model_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    status_json TEXT NOT NULL,
    updated_ns INTEGER NOT NULL,
    PRIMARY KEY (model_id, stage, epoch)
);
"""
# Columns that not every generation has.
_MORE_COLUMNS = {
    "protocol_version": "TEXT NOT NULL DEFAULT ''",
    "route_prefix": "TEXT NOT NULL DEFAULT ''",
    "settlement_pending": "INTEGER NOT NULL DEFAULT 0",
    "on_hold_since": "TEXT NOT NULL DEFAULT ''",
}
_MORE_TABLES = """
CREATE TABLE IF NOT EXISTS gateway_suspicious_hosts (
    participant_key TEXT PRIMARY KEY,
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS escrow_rotation_commitments (
    tx_hash TEXT PRIMARY KEY,
    model_id TEXT NOT NULL,
    role TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    record_json TEXT NOT NULL,
    created_ns INTEGER NOT NULL
);
"""
_PERF_SCHEMA = """
CREATE TABLE IF NOT EXISTS request_accounting (
    request_id TEXT PRIMARY KEY,
    escrow_id TEXT NOT NULL,
    record_json TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS request_attempts (
    request_id TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    escrow_id TEXT NOT NULL,
    attempt_json TEXT NOT NULL,
    PRIMARY KEY (request_id, nonce)
);
"""
_LATEST = 100


def now_text() -> str:
    return Timestamp.from_ns(time.time_ns()).rfc3339()


@dataclass(frozen=True, slots=True)
class Record:
    """One row of ``gateway_devshards``."""

    id: str
    private_key: str = field(default="", repr=False)
    private_key_env: str = ""
    model: str = ""
    storage_path: str = ""
    protocol_version: str = ""
    route_prefix: str = ""
    active: bool = False
    settlement_pending: bool = False
    on_hold_since: str = ""
    rotation_role: str = ""
    rotation_epoch: int = 0
    created_at: str = ""
    updated_at: str = ""

    def to_json(self) -> dict[str, t.Any]:
        """As the admin API prints it, the key included; empty fields are left out."""
        result: dict[str, t.Any] = {"id": self.id}
        for name in (
            "private_key", "private_key_env", "model", "storage_path", "route_prefix",
            "protocol_version",
        ):  # fmt: skip
            if getattr(self, name):
                result[name] = getattr(self, name)
        result["active"] = self.active
        if self.settlement_pending:
            result["settlement_pending"] = True
        if self.on_hold_since:
            result["on_hold_since"] = self.on_hold_since
        if self.rotation_role:
            result["rotation_role"] = self.rotation_role
        if self.rotation_epoch:
            result["rotation_epoch"] = self.rotation_epoch
        return {**result, "created_at": self.created_at, "updated_at": self.updated_at}


_COLUMNS = tuple(name for name in Record.__dataclass_fields__ if name not in _MORE_COLUMNS)
_BOOLS = ("active", "settlement_pending")


def _open(path: Path, schema: str, journal: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    db.row_factory = sqlite3.Row
    # A kill must lose nothing, a power cut may: nobody's money is in here.
    db.execute("PRAGMA synchronous=OFF")
    db.execute(f"PRAGMA journal_mode={journal}")
    db.executescript(schema)
    return db


@dataclass(frozen=True, slots=True)
class Commitment:
    """A create of the rotator whose end is not known yet."""

    tx_hash: str
    record: Record
    created_ns: int


class GatewayDb:
    def __init__(self, path: Path, generation: Generation) -> None:
        self._db = _open(path, _SCHEMA, generation.journal)
        self._columns = (*_COLUMNS, *generation.more_columns)
        self._migrate(generation)
        path.chmod(0o600)

    def _migrate(self, generation: Generation) -> None:
        """Only ever adds, and leaves alone what another generation has added."""
        rows = self._db.execute("PRAGMA table_info(gateway_devshards)").fetchall()
        known = {row["name"] for row in rows}
        for name in generation.more_columns:
            if name not in known:
                self._db.execute(
                    f"ALTER TABLE gateway_devshards ADD COLUMN {name} {_MORE_COLUMNS[name]}"
                )
        if generation.more_tables:
            self._db.executescript(_MORE_TABLES)

    def close(self) -> None:
        self._db.close()

    # --- settings --------------------------------------------------------------

    def settings(self) -> Settings | None:
        row = self._db.execute("SELECT settings_json FROM gateway_settings WHERE id = 1").fetchone()
        if row is None:
            return None
        settings: Settings = json.loads(row["settings_json"])
        return settings

    def save_settings(self, settings: Settings) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO gateway_settings VALUES (1, ?, ?)",
            (json.dumps(settings), now_text()),
        )

    def bootstrap(self, settings: Settings, records: list[Record]) -> None:
        """The first rows: all or none, so that a failed first start is no start."""
        self._db.execute("BEGIN")
        try:
            self.save_settings(settings)
            for record in records:
                self.save(record)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- records ---------------------------------------------------------------

    def records(self) -> list[Record]:
        rows = self._db.execute("SELECT * FROM gateway_devshards ORDER BY id").fetchall()
        return [self._record(row) for row in rows]

    def record(self, devshard_id: str) -> Record | None:
        row = self._db.execute(
            "SELECT * FROM gateway_devshards WHERE id = ?", (devshard_id,)
        ).fetchone()
        return None if row is None else self._record(row)

    def save(self, record: Record) -> Record:
        now = now_text()
        whole = replace(record, created_at=record.created_at or now, updated_at=now)
        columns = self._columns
        marks = ", ".join("?" * len(columns))
        changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self._db.execute(
            f"INSERT INTO gateway_devshards ({', '.join(columns)}) VALUES ({marks}) "
            f"ON CONFLICT (id) DO UPDATE SET {changed}",
            [getattr(whole, name) for name in columns],
        )
        return whole

    def _record(self, row: sqlite3.Row) -> Record:
        values: dict[str, t.Any] = {name: row[name] for name in self._columns}
        values.update({name: bool(values[name]) for name in _BOOLS if name in values})
        return Record(**values)

    def change(self, devshard_id: str, **values: t.Any) -> None:
        """Other values for a record that is there."""
        record = self.record(devshard_id)
        if record is not None and any(getattr(record, name) != values[name] for name in values):
            self.save(replace(record, **values))

    def set_active(self, devshard_id: str, active: bool) -> None:
        self.change(devshard_id, active=active)

    def delete(self, devshard_id: str) -> None:
        self._db.execute("DELETE FROM gateway_devshards WHERE id = ?", (devshard_id,))

    # --- participants ----------------------------------------------------------

    def throttled(self) -> dict[str, tuple[int, int]]:
        rows = self._db.execute("SELECT * FROM participant_throttle_state").fetchall()
        return {
            row["participant_key"]: (row["quarantine_until_ns"], row["failure_streak"])
            for row in rows
        }

    def throttle(self, key: str, until_ns: int, streak: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO participant_throttle_state VALUES (?, ?, ?)",
            (key, until_ns, streak),
        )

    def unthrottle(self, key: str) -> None:
        self._db.execute("DELETE FROM participant_throttle_state WHERE participant_key = ?", (key,))

    # --- suspicious hosts ------------------------------------------------------

    def suspicious(self) -> list[dict[str, str]] | None:
        rows = self._db.execute(
            "SELECT participant_key, note, created_at FROM gateway_suspicious_hosts "
            "ORDER BY participant_key"
        ).fetchall()
        return [dict(row) for row in rows] or None

    def suspect(self, key: str, note: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO gateway_suspicious_hosts VALUES (?, ?, ?)",
            (key, note, now_text()),
        )

    def trust(self, key: str) -> None:
        self._db.execute("DELETE FROM gateway_suspicious_hosts WHERE participant_key = ?", (key,))

    # --- commitments -----------------------------------------------------------

    def commit(self, tx_hash: str, record: Record) -> None:
        """A create that is about to be sent; the record lacks what the chain will tell."""
        self._db.execute(
            "INSERT OR REPLACE INTO escrow_rotation_commitments VALUES (?, ?, ?, ?, ?, ?)",
            (
                tx_hash,
                record.model,
                record.rotation_role,
                record.rotation_epoch,
                json.dumps(asdict(record)),
                time.time_ns(),
            ),
        )

    def commitments(self) -> list[Commitment]:
        rows = self._db.execute(
            "SELECT tx_hash, record_json, created_ns FROM escrow_rotation_commitments "
            "ORDER BY created_ns"
        ).fetchall()
        return [
            Commitment(row["tx_hash"], Record(**json.loads(row["record_json"])), row["created_ns"])
            for row in rows
        ]

    def forget_commitment(self, tx_hash: str) -> None:
        self._db.execute("DELETE FROM escrow_rotation_commitments WHERE tx_hash = ?", (tx_hash,))

    # --- rotation --------------------------------------------------------------

    def save_rotation(self, status: dict[str, t.Any]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO gateway_rotation_status VALUES (?, ?, ?, ?, ?)",
            (
                status["model_id"],
                status["stage"],
                status["epoch"],
                json.dumps({**status, "updated_at": now_text()}),
                time.time_ns(),
            ),
        )

    def latest_rotation(self) -> list[dict[str, t.Any]] | None:
        rows = self._db.execute(
            "SELECT status_json FROM gateway_rotation_status ORDER BY updated_ns DESC LIMIT ?",
            (_LATEST,),
        ).fetchall()
        return [json.loads(row["status_json"]) for row in rows] or None


class PerfDb:
    """Request accounting."""

    def __init__(self, path: Path) -> None:
        self._db = _open(path, _PERF_SCHEMA, "WAL")

    def close(self) -> None:
        self._db.close()

    def add(self, request_id: str, escrow_id: str, record: dict[str, t.Any]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO request_accounting VALUES (?, ?, ?)",
            (request_id, escrow_id, json.dumps(record)),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO request_attempts VALUES (?, ?, ?, ?)",
            [
                (request_id, entry["nonce"], escrow_id, json.dumps(entry))
                for entry in record["attempts"]
            ],
        )

    def get(self, request_id: str, escrow_id: str) -> dict[str, t.Any] | None:
        row = self._db.execute(
            "SELECT record_json FROM request_accounting WHERE request_id = ? AND escrow_id = ?",
            (request_id, escrow_id),
        ).fetchone()
        if row is None:
            return None
        record: dict[str, t.Any] = json.loads(row["record_json"])
        return record

    def import_from(self, path: Path, escrow_id: str) -> tuple[int, int]:
        """Copy an escrow's rows of another file: records and attempts; absent is empty."""
        if not path.is_file():
            return 0, 0
        source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            counts = []
            for table, columns in (("request_accounting", 3), ("request_attempts", 4)):
                known = source.execute(
                    "SELECT 1 FROM sqlite_master WHERE name = ?", (table,)
                ).fetchone()
                query = f"SELECT * FROM {table} WHERE escrow_id = ?"
                rows = source.execute(query, (escrow_id,)).fetchall() if known else []
                marks = ", ".join("?" * columns)
                self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
                counts.append(len(rows))
        finally:
            source.close()
        return counts[0], counts[1]
