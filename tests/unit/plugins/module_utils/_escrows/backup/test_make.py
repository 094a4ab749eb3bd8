# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import contextlib
import errno
import sqlite3
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    inspect,
    make,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.backup.storages import (
    NOW,
    backup,
    nonces,
    other_storage,
)


def test_a_backup_holds_everything_privately_and_is_complete_or_not_there(storage: Path) -> None:
    made = backup(storage)
    assert nonces(made.storage) == {"escrow-1": 5, "temp/escrow-2": 9}
    assert inspect.records_in(made.storage / "gateway.db").keys() == {1, 2}
    for file in [made.path, *made.path.rglob("*")]:
        assert file.stat().st_mode & 0o077 == 0
    assert inspect.read_backup(made.path) == made
    assert [item.name for item in made.path.parent.iterdir()] == [made.name]
    with pytest.raises(ConfigurationError, match="already is a backup"):
        backup(storage)


def test_a_half_made_backup_of_a_killed_run_is_no_backup(storage: Path) -> None:
    part = storage.parent / "backups" / f".{NOW:%Y%m%dT%H%M%SZ}.part"
    part.mkdir(parents=True)
    (part / "rubbish").write_text("x")
    assert make.list_backups(part.parent, storage) == []
    made = backup(storage)
    assert not (made.path / "rubbish").exists()


def test_a_database_that_is_being_written_is_copied_whole(storage: Path) -> None:
    with contextlib.closing(sqlite3.connect(storage / "gateway.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("INSERT INTO gateway_devshards VALUES ('3', '')")
        db.commit()
        made = backup(storage, sessions=False)
    assert 3 in inspect.records_in(made.storage / "gateway.db")
    assert made.sessions == ()


def test_a_disk_that_is_full_is_named_as_everywhere(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has an error of its own for it."""
    connect = sqlite3.connect

    def small(target: str | Path, **options: t.Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(target, **options)
        db.execute("PRAGMA max_page_count = 1")
        return db

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(OSError, match="No space left") as found:
        backup(storage)
    assert found.value.errno == errno.ENOSPC
    assert str(storage.parent / "backups") in str(found.value.filename)
    assert make.list_backups(storage.parent / "backups", storage) == []


def test_backups_that_failed_leave_nothing_on_a_full_disk(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention runs only after a success: a scheduled backup would never free the disk."""
    target = storage.parent / "backups"

    def full(_file: Path, _content: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(make, "write_private", full)
        for second in range(2):
            with pytest.raises(OSError, match="No space left"):
                backup(storage, later=second)
            assert list(target.iterdir()) == []
    made = backup(storage, later=2)
    assert list(target.iterdir()) == [made.path]


def test_what_a_killed_run_left_is_removed_by_the_next_one(storage: Path) -> None:
    target = storage.parent / "backups"
    killed = target / ".20250102T030405Z.part"
    (killed / "storage").mkdir(parents=True)
    (killed / "storage" / "gateway.db").write_text("half")
    other = target / ".mine.part"
    other.mkdir()
    made = backup(storage)
    assert sorted(target.iterdir()) == [other, made.path]


def test_the_part_of_a_run_that_still_copies_is_kept(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gateways of one host may share the folder and be backed up at the same time."""
    other = other_storage(tmp_path)
    target = storage.parent / "backups"
    copy = make.copy_below
    meanwhile: list[inspect.Backup] = []

    def slow(file: Path, source: Path, to: Path) -> None:
        if source == storage and not meanwhile:
            later = NOW + timedelta(seconds=9)
            meanwhile.append(
                make.make_backup(other, target, with_sessions=False, now=later, ledger=None)
            )
        copy(file, source, to)

    monkeypatch.setattr(make, "copy_below", slow)
    made = backup(storage)
    assert sorted(target.iterdir()) == [made.path, meanwhile[0].path]
    assert inspect.read_backup(made.path) == made


def test_a_database_that_cannot_be_copied_is_named(storage: Path) -> None:
    (storage / "gateway.db").write_bytes(b"no database" * 100)
    with pytest.raises(ProtocolError, match=r"gateway\.db cannot be copied to .*: file is not a"):
        make.copy_below(storage / "gateway.db", storage, storage.parent / "copy")


def test_retention_removes_the_oldest(storage: Path) -> None:
    for second in range(4):
        backup(storage, later=second)
    folders = make.list_backups(storage.parent / "backups", storage)
    assert [item.name[-3:-1] for item in folders] == ["08", "07", "06", "05"]
    assert [item.name[-3:-1] for item in make.surplus(folders, 3)] == ["05"]
    assert make.surplus(folders, 0) == []


def test_retention_counts_only_the_backups_of_this_gateway(storage: Path, tmp_path: Path) -> None:
    """Two gateways of a host share the folder; swaps of one deleted the other's."""
    other = other_storage(tmp_path)
    target = storage.parent / "backups"
    theirs = make.make_backup(other, target, with_sessions=False, now=NOW, ledger=None)
    ours = [backup(storage, later=second) for second in (1, 2)]
    unknown = target / "20200101T000000Z"
    unknown.mkdir()
    by_another_name = tmp_path / "link"
    by_another_name.symlink_to(storage)
    for name in (storage, by_another_name):
        found = make.list_backups(target, name)
        assert found == [item.path for item in reversed(ours)]
    assert make.list_backups(target, other) == [theirs.path]


def test_a_database_with_keys_in_its_records_is_known(storage: Path) -> None:
    database = storage / "gateway.db"
    assert not inspect.holds_keys(database)
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("ALTER TABLE gateway_devshards ADD private_key TEXT NOT NULL DEFAULT ''")
        db.commit()
        assert not inspect.holds_keys(database)
        db.execute("UPDATE gateway_devshards SET private_key = '5ecre7' WHERE id = '1'")
        db.commit()
    assert inspect.holds_keys(backup(storage).storage / "gateway.db")
    database.write_bytes(b"no database" * 100)
    with pytest.raises(ProtocolError, match=r"gateway\.db is not a gateway\.db"):
        inspect.holds_keys(database)
