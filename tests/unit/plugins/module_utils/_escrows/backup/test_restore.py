# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import contextlib
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    inspect,
    restore,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.backup.storages import (
    NOW,
    backup,
    fresh,
    gateway_db,
    nonces,
    session,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    World,
)


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


@pytest.mark.parametrize(
    ("columns", "on", "off", "other"),
    [
        (
            "settings_json TEXT, updated_at TEXT",
            ('{"escrow_rotation": {"enabled": true}, "chain_rest": "a"}', "10:00"),
            ('{"escrow_rotation": {"enabled": false}, "chain_rest": "a"}', "11:00"),
            ('{"escrow_rotation": {"enabled": true}, "chain_rest": "b"}', "10:00"),
        ),
        (
            "escrow_rotation_enabled INTEGER, chain_rest TEXT, updated_at TEXT",
            (1, "a", "10:00"),
            (0, "a", "11:00"),
            (1, "b", "10:00"),
        ),
    ],
    ids=["one column", "a column for each"],
)
def test_a_rotation_that_was_switched_off_since_is_no_difference(
    storage: Path,
    columns: str,
    on: tuple[t.Any, ...],
    off: tuple[t.Any, ...],
    other: tuple[t.Any, ...],
) -> None:
    """A restore does that by itself, and the second one has nothing to do."""

    def set_to(values: tuple[t.Any, ...]) -> None:
        with contextlib.closing(inspect.open_database(storage / "gateway.db")) as db:
            db.execute(f"CREATE TABLE IF NOT EXISTS gateway_settings ({columns})")
            db.execute("DELETE FROM gateway_settings")
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO gateway_settings VALUES ({marks})", values)
            db.commit()

    set_to(on)
    made = backup(storage)
    set_to(off)
    assert restore.is_restored(made, storage)
    set_to(other)
    assert not restore.is_restored(made, storage)


def test_a_backup_without_sessions_keeps_those_that_are_there(storage: Path, world: World) -> None:
    """Else the records would begin them anew at nonce 0."""
    made = backup(storage, sessions=False)
    session(storage, "escrow-1", 6)
    world.known_nonce = 6
    assert fresh(world, made, storage) == {1: None, 2: None}
    restore.restore(made, storage, NOW)
    assert nonces(storage) == {"escrow-1": 6, "temp/escrow-2": 9}


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
