# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    freshness,
    inspect,
    make,
    restore,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
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


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    made = tmp_path / ".devshardctl"
    gateway_db(made, e1="/root/.devshardctl/escrow-1", e2="/root/.devshardctl/temp/escrow-2")
    session(made, "escrow-1", 5)
    session(made, "temp/escrow-2", 9)
    return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two unsettled escrows whose hosts know exactly what the storage holds."""
    made = World(tmp_path)
    for number in (1, 2):
        made.chain.escrows[number] = Obj(
            id=number,
            creator="c",
            amount=AMOUNT,
            epoch_index=5,
            settled=False,
            model_id="m",
            slots=("a",),
        )
    return made


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


def test_sessions_are_never_copied_from_a_gateway_that_runs(storage: Path) -> None:
    file = storage / "escrow-1" / "epoch_5.db"
    script = f"f = open({str(file)!r}); print('open', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        for attempt in (lambda: backup(storage), lambda: inspect.refuse_in_use(storage)):
            with pytest.raises(UnsafeError, match=f"{child.pid}.* use "):
                attempt()
        backup(storage, sessions=False)
        child.kill()
    backup(storage, later=1)


def test_a_process_that_cannot_be_looked_at_may_be_the_gateway(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc" / "77" / "fd").mkdir(parents=True)
    real = Path.iterdir

    def hidden(folder: Path) -> t.Any:
        if folder.name == "fd":
            raise PermissionError(str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", hidden)
    with pytest.raises(UnknownStateError, match="process 77"):
        inspect.users_of(storage, tmp_path / "proc")


def test_retention_removes_the_oldest(storage: Path) -> None:
    for second in range(4):
        backup(storage, later=second)
    folders = make.list_backups(storage.parent / "backups", storage)
    assert [item.name[-3:-1] for item in folders] == ["08", "07", "06", "05"]
    assert [item.name[-3:-1] for item in make.surplus(folders, 3)] == ["05"]
    assert make.surplus(folders, 0) == []


def other_storage(tmp_path: Path) -> Path:
    """The storage of a second gateway on the same host."""
    made = tmp_path / "other" / ".devshardctl"
    gateway_db(made, e7="")
    return made


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


def test_the_backup_of_another_gateway_is_not_restored(storage: Path, tmp_path: Path) -> None:
    other = other_storage(tmp_path)
    theirs = make.make_backup(
        other, tmp_path / "backups", with_sessions=False, now=NOW, ledger=None
    )
    with pytest.raises(UnsafeError, match=f"made from the storage {other}.*backup_from_storage="):
        inspect.refuse_other_gateway(theirs, storage, None)
    with pytest.raises(UnsafeError, match="made from the storage"):
        inspect.refuse_other_gateway(theirs, storage, "/somewhere/else")
    # moved, and its owner says so
    inspect.refuse_other_gateway(theirs, storage, str(other))
    inspect.refuse_other_gateway(backup(storage, later=1), storage, None)


def test_a_fresh_backup_may_come_back_and_the_second_time_changes_nothing(
    storage: Path, world: World
) -> None:
    made = backup(storage)
    assert restore.is_restored(made, storage)
    gateway_db(storage, e1="")
    assert not restore.is_restored(made, storage)
    world.known_nonce = 5
    assert fresh(world, made, storage) == {1: None, 2: None}
    kept = restore.restore(made, storage, NOW)
    assert kept is not None
    assert inspect.records_in(kept / "gateway.db").keys() == {1}
    assert restore.is_restored(made, storage)


@pytest.mark.parametrize("source", ["hosts", "ledger", "storage"])
def test_a_session_that_served_after_its_backup_is_refused_with_the_sum(
    storage: Path, world: World, source: str
) -> None:
    made = backup(storage)
    ledger = world.open()
    if source == "hosts":
        world.known_nonce = 6
    elif source == "ledger":
        ledger.mark_session(1, "g", 6, None, "active")
    else:
        session(storage, "escrow-1", 6)
    found = freshness.freshness(world.ports(ledger), made, storage)
    ledger.close()
    (worst, _unused) = found
    assert worst.refusal() == (
        f"escrow 1 ({AMOUNT} ngonka): the backup is at nonce 5, but nonce 6 is known"
    )
    assert freshness.at_risk(found) == AMOUNT
    assert str(AMOUNT) in str(freshness.refuse_restore(found))


def test_silent_hosts_are_a_risk_that_is_named(storage: Path, world: World) -> None:
    made = backup(storage)
    world.silent_hosts = 1
    reasons = fresh(world, made, storage)
    assert all(reason and "it is not known" in reason for reason in reasons.values())


def test_a_settled_escrow_risks_nothing(storage: Path, world: World) -> None:
    made = backup(storage)
    world.known_nonce = 99
    world.chain.escrows[1].settled = True
    del world.chain.escrows[2]
    assert fresh(world, made, storage) == {1: None, 2: None}


def test_a_backup_without_sessions_keeps_those_that_are_there(storage: Path, world: World) -> None:
    """Else the records would begin them anew at nonce 0."""
    made = backup(storage, sessions=False)
    session(storage, "escrow-1", 6)
    world.known_nonce = 6
    assert fresh(world, made, storage) == {1: None, 2: None}
    restore.restore(made, storage, NOW)
    assert nonces(storage) == {"escrow-1": 6, "temp/escrow-2": 9}


def test_a_record_whose_session_is_nowhere_is_refused(storage: Path, world: World) -> None:
    made = backup(storage, sessions=False)
    for folder in ("escrow-1", "temp/escrow-2"):
        (storage / folder / "epoch_5.db").unlink()
    world.known_nonce = 4
    reasons = fresh(world, made, storage)
    assert all(reason and "neither in the backup" in reason for reason in reasons.values())
    world.known_nonce = 0
    assert fresh(world, made, storage) == {1: None, 2: None}, "they never served"


def test_the_session_of_a_record_is_the_one_at_its_path(storage: Path, world: World) -> None:
    """Another folder of the same escrow, older or empty, must not stand in for it."""
    session(storage, "escrow-2", 3)
    made = backup(storage)
    world.known_nonce = 9
    assert fresh(world, made, storage)[2] is None
    gateway_db(storage, e2="/somewhere/else/escrow-2-old")
    elsewhere = backup(storage, later=1)
    reason = fresh(world, elsewhere, storage)[2]
    assert reason is not None
    assert "neither in the backup" in reason


def test_a_restore_that_was_cut_off_is_done_again(storage: Path) -> None:
    made = backup(storage)
    half = storage.with_name(f".{storage.name}.restore")
    half.mkdir()
    (half / "gateway.db").write_bytes(b"half")
    storage.rename(storage.with_name("gone"))
    assert restore.restore(made, storage, NOW) is None
    assert restore.is_restored(made, storage)


@pytest.mark.parametrize("name", ["mkdir", "rename", "unlink"])
def test_a_restore_killed_at_any_call_loses_no_session(
    storage: Path, world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = backup(storage, sessions=False)
    world.known_nonce = 9

    def run_until(count: int) -> bool:
        """True when the restore reached its end before it was killed."""
        left, original = count, getattr(Path, name)

        def limited(self: Path, *args: t.Any, **kwargs: t.Any) -> t.Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return original(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(Path, name, limited)
            try:
                restore.restore(made, storage, NOW + timedelta(seconds=count))
            except KeyboardInterrupt:
                return False
        return True

    count = 0
    while not run_until(count):
        session(restore.present_storage(storage), "escrow-1", 9)
        assert fresh(world, made, storage) == {1: None, 2: None}
        restore.restore(made, storage, NOW + timedelta(minutes=count))
        assert nonces(storage) == {"escrow-1": 9, "temp/escrow-2": 9}
        count += 1


def test_an_escrow_younger_than_the_backup_is_named(storage: Path, world: World) -> None:
    gateway_db(storage, e1="/root/.devshardctl/escrow-1")
    made = backup(storage, sessions=False)
    (left,) = freshness.left_without_record(world.ports(None), made, storage)
    assert (left.escrow_id, left.path, left.nonce) == (2, "temp/escrow-2", 9)
    world.chain.escrows[2].settled = True
    assert freshness.left_without_record(world.ports(None), made, storage) == []


def test_damaged_backups_are_refused(storage: Path) -> None:
    made = backup(storage)
    (made.storage / "escrow-1" / "epoch_5.db").unlink()
    with pytest.raises(ProtocolError, match="escrow-1"):
        inspect.read_backup(made.path)
    (made.path / "manifest.json").write_text("{")
    with pytest.raises(ProtocolError, match="cannot be read"):
        inspect.read_backup(made.path)
    (made.path / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match="not a complete backup"):
        inspect.read_backup(made.path)
