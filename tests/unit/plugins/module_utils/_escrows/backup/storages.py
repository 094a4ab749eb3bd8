# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import contextlib
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    freshness,
    inspect,
    make,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def write(file: Path, *statements: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript(";".join(statements))


def session(storage: Path, path: str, nonce: int) -> None:
    """A session as the gateway writes it: the newest nonce is in its diffs or its row."""
    file = storage / path / "epoch_5.db"
    file.unlink(missing_ok=True)
    write(
        file,
        "CREATE TABLE sessions (escrow_id TEXT, latest_nonce INTEGER)",
        "CREATE TABLE diffs (escrow_id TEXT, nonce INTEGER)",
        f"INSERT INTO sessions VALUES ('1', {max(nonce - 1, 0)})",
        *([f"INSERT INTO diffs VALUES ('1', {nonce})"] if nonce else []),
    )


def gateway_db(storage: Path, **records: str) -> None:
    file = storage / "gateway.db"
    file.unlink(missing_ok=True)
    rows = [f"INSERT INTO gateway_devshards VALUES ('{k[1:]}', '{v}')" for k, v in records.items()]
    write(file, "CREATE TABLE gateway_devshards (id TEXT, storage_path TEXT)", *rows)


def backup(storage: Path, *, sessions: bool = True, later: int = 0) -> inspect.Backup:
    return make.make_backup(
        storage,
        storage.parent / "backups",
        with_sessions=sessions,
        now=NOW + timedelta(seconds=later),
        ledger=None,
    )


def fresh(world: World, made: inspect.Backup, storage: Path) -> dict[int, str | None]:
    found = freshness.freshness(world.ports(None), made, storage)
    return {item.escrow_id: item.refusal() for item in found}


def nonces(storage: Path) -> dict[str, int]:
    return {item.path: item.nonce for item in inspect.sessions_in(storage)}


def other_storage(tmp_path: Path) -> Path:
    """The storage of a second gateway on the same host."""
    made = tmp_path / "other" / ".devshardctl"
    gateway_db(made, e7="")
    return made
