# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A session's files: ``escrow-<id>/_meta.db`` and ``escrow-<id>/epoch_<N>.db``."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

_META = """
CREATE TABLE IF NOT EXISTS escrow_epochs (escrow_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL);
"""
_EPOCH = """
CREATE TABLE IF NOT EXISTS sessions (
    escrow_id TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    creator_addr TEXT NOT NULL,
    config_json TEXT NOT NULL,
    group_json TEXT NOT NULL,
    initial_balance INTEGER NOT NULL,
    latest_nonce INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'active',
    created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS diffs (
    escrow_id TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    txs_proto BLOB NOT NULL,
    user_sig BLOB NOT NULL,
    post_state_root BLOB NOT NULL,
    state_hash BLOB NOT NULL,
    warm_keys_json TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    PRIMARY KEY (escrow_id, nonce)
);
CREATE TABLE IF NOT EXISTS signatures (
    escrow_id TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    slot_id INTEGER NOT NULL,
    sig BLOB NOT NULL,
    PRIMARY KEY (escrow_id, nonce, slot_id)
);
CREATE TABLE IF NOT EXISTS snapshots (
    escrow_id TEXT PRIMARY KEY,
    nonce INTEGER NOT NULL,
    state BLOB NOT NULL
);
"""


class SessionError(Exception):
    """The session cannot be loaded or written."""


class BrokenStateError(SessionError):
    """What is stored has a gap or does not lead to its own state roots."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """What a session was opened with."""

    version: str
    creator: str
    config: dict[str, int]
    slots: tuple[str, ...]
    balance: int
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredDiff:
    nonce: int
    payload: bytes
    user_sig: bytes
    root: bytes


def _open(path: Path, schema: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    # WAL without syncing survives the kill of the process, which is all that tests do.
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.executescript(schema)
    return db


class SessionDb:
    def __init__(self, directory: Path, escrow_id: str, epoch: int) -> None:
        self.escrow_id = escrow_id
        try:
            self._meta = _open(directory / "_meta.db", _META)
            self._meta.execute(
                "INSERT OR IGNORE INTO escrow_epochs VALUES (?, ?)", (escrow_id, epoch)
            )
            self._db = _open(directory / f"epoch_{epoch}.db", _EPOCH)
        except sqlite3.Error as error:
            raise SessionError(f"open storage: {error}") from error

    def close(self) -> None:
        self._meta.close()
        self._db.close()

    def open_session(
        self,
        version: str,
        creator: str,
        config: dict[str, int],
        slots: tuple[str, ...],
        balance: int,
    ) -> list[StoredDiff]:
        """The diffs of the stored session; a new one begins empty."""
        row = self._db.execute(
            "SELECT version, group_json, latest_nonce FROM sessions WHERE escrow_id = ?",
            (self.escrow_id,),
        ).fetchone()
        if row is None:
            self._db.execute(
                "INSERT INTO sessions (escrow_id, version, creator_addr, config_json, group_json, "
                "initial_balance, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self.escrow_id,
                    version,
                    creator,
                    json.dumps(config),
                    json.dumps(slots),
                    balance,
                    int(time.time()),
                ),
            )
            return []
        stored, group, latest = row
        if stored != version:
            raise SessionError(f"session version mismatch: stored {stored}, requested {version}")
        if tuple(json.loads(group)) != slots:
            raise SessionError("stored group does not match the group on chain")
        return self._diffs(latest)

    def _diffs(self, latest: int) -> list[StoredDiff]:
        rows = self._db.execute(
            "SELECT nonce, txs_proto, user_sig, post_state_root FROM diffs "
            "WHERE escrow_id = ? AND nonce <= ? ORDER BY nonce",
            (self.escrow_id, latest),
        ).fetchall()
        diffs = [StoredDiff(*row) for row in rows]
        expected = range(1, latest + 1)
        missing = sorted(set(expected) - {diff.nonce for diff in diffs})
        if missing:
            raise BrokenStateError(f"state root mismatch at nonce {missing[0]}")
        return diffs

    def append(self, diff: StoredDiff) -> None:
        """One diff, durable when this returns."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute(
                    "INSERT INTO diffs (escrow_id, nonce, txs_proto, user_sig, post_state_root, "
                    "state_hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.escrow_id,
                        diff.nonce,
                        diff.payload,
                        diff.user_sig,
                        diff.root,
                        diff.root,
                        int(time.time()),
                    ),
                )
                self._db.execute(
                    "UPDATE sessions SET latest_nonce = ? WHERE escrow_id = ?",
                    (diff.nonce, self.escrow_id),
                )
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise SessionError(str(error)) from error


def read_session(directory: Path, escrow_id: str) -> tuple[StoredSession, list[StoredDiff]]:
    """What is stored of an escrow, without the chain and without writing."""
    try:
        meta = sqlite3.connect(f"file:{directory / '_meta.db'}?mode=ro", uri=True)
        with contextlib.closing(meta):
            row = meta.execute(
                "SELECT epoch FROM escrow_epochs WHERE escrow_id = ?", (escrow_id,)
            ).fetchone()
        if row is None:
            raise SessionError(f"no session of escrow {escrow_id}")
        (epoch,) = row
        db = sqlite3.connect(f"file:{directory / f'epoch_{epoch}.db'}?mode=ro", uri=True)
        with contextlib.closing(db):
            row = db.execute(
                "SELECT version, creator_addr, config_json, group_json, initial_balance, "
                "latest_nonce FROM sessions WHERE escrow_id = ?",
                (escrow_id,),
            ).fetchone()
            if row is None:
                raise SessionError(f"no session of escrow {escrow_id}")
            version, creator, config, group, balance, latest = row
            diffs = [
                StoredDiff(*entry)
                for entry in db.execute(
                    "SELECT nonce, txs_proto, user_sig, post_state_root FROM diffs "
                    "WHERE escrow_id = ? AND nonce <= ? ORDER BY nonce",
                    (escrow_id, latest),
                )
            ]
    except sqlite3.Error as error:
        raise SessionError(f"open storage: {error}") from error
    slots = tuple(json.loads(group))
    return StoredSession(version, creator, json.loads(config), slots, balance, epoch), diffs
