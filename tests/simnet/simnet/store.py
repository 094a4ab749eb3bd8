# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The simulated network's state in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    address TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    public_key BLOB,
    sequence INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS balances (address TEXT PRIMARY KEY, amount INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS escrows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    creator TEXT NOT NULL,
    epoch_index INTEGER NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pending (
    hash TEXT PRIMARY KEY,
    raw BLOB NOT NULL,
    sender TEXT NOT NULL,
    timeout INTEGER NOT NULL,
    earliest INTEGER,
    verdict TEXT
);
CREATE TABLE IF NOT EXISTS unordered (
    sender TEXT NOT NULL,
    timeout INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (sender, timeout)
);
CREATE TABLE IF NOT EXISTS txs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,
    raw BLOB NOT NULL,
    height INTEGER NOT NULL,
    time INTEGER NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tx_events (
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS tx_events_by_value ON tx_events (name, value);
CREATE TABLE IF NOT EXISTS participants (address TEXT PRIMARY KEY, coin_balance INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS diffs (
    escrow_id INTEGER NOT NULL,
    host TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    txs BLOB NOT NULL,
    user_sig BLOB NOT NULL,
    root BLOB NOT NULL,
    process_id TEXT NOT NULL,
    PRIMARY KEY (escrow_id, host, nonce)
);
CREATE TABLE IF NOT EXISTS serving (
    escrow_id INTEGER NOT NULL,
    process_id TEXT NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (escrow_id, process_id)
);
CREATE TABLE IF NOT EXISTS violations (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


class Store:
    """One SQLite connection and the few helpers that the rest needs."""

    def __init__(self, path: Path | None = None) -> None:
        self.db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        # A simulator may lose its state in a power cut; speed matters more here.
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested use is a savepoint."""
        self.db.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO step")
            self.db.execute("RELEASE step")
            raise
        self.db.execute("RELEASE step")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self.db.execute(sql, values).fetchone()
        return found

    def run(self, sql: str, *values: Any) -> int:
        """Execute one statement and return the id of the inserted row."""
        return int(self.db.execute(sql, values).lastrowid or 0)

    def get(self, key: str, default: Any = None) -> Any:
        found = self.row("SELECT value FROM meta WHERE key = ?", key)
        return default if found is None else json.loads(found["value"])

    def set(self, key: str, value: Any) -> None:
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))
