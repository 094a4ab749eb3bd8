# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ProtocolError,
    UnknownStateError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.commitments import (
    TABLE,
    CommitmentWatch,
    read_commitments,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.db"
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"CREATE TABLE {TABLE} (model_id TEXT, tx_hash TEXT PRIMARY KEY)")
    return file


def test_the_transactions_are_read_while_the_gateway_writes(database: Path) -> None:
    assert read_commitments(database) == ()
    gateway = sqlite3.connect(database)
    gateway.execute(f"INSERT INTO {TABLE} VALUES ('m', 'AB'), ('m', 'CD')")
    gateway.commit()
    assert read_commitments(database) == ("AB", "CD")
    gateway.execute(f"DELETE FROM {TABLE} WHERE tx_hash = 'AB'")
    gateway.commit()
    assert read_commitments(database) == ("CD",)
    gateway.close()


def test_a_generation_without_them_has_none(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    sqlite3.connect(file).execute("CREATE TABLE gateway_devshards (id TEXT)").connection.close()
    assert read_commitments(file) == ()


def test_what_cannot_be_read_is_not_none(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"gateway\.db does not exist"):
        read_commitments(tmp_path / "gateway.db")
    (tmp_path / "other.db").write_text(
        "This is not a database, and it is long enough to be one. " * 9
    )
    with pytest.raises(ProtocolError, match="cannot be read"):
        read_commitments(tmp_path / "other.db")


class Rotator:
    """A gateway that has an open create for a while; time passes as it is waited for."""

    def __init__(self, *looks: t.Collection[str] | Exception, seconds: float = 60) -> None:
        self.looks = list(looks)
        self.now = 0.0
        self.warnings: list[str] = []
        self.deadline = WaitBudget(seconds, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> tuple[str, ...]:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return tuple(found)

    def watch(self, *, check_mode: bool = False) -> CommitmentWatch:
        return CommitmentWatch(
            read=self.read,
            deadline=self.deadline,
            interval=15,
            warn=self.warnings.append,
            check_mode=check_mode,
        )


def test_it_is_waited_until_the_gateway_knows() -> None:
    rotator = Rotator(["AB"], ["AB"], [])
    rotator.watch().before()
    assert (rotator.now, rotator.warnings) == (30, [])


def test_what_stays_open_is_refused_with_its_transaction() -> None:
    rotator = Rotator(["AB", "CD"])
    with pytest.raises(WaitTimeoutError, match=r"not switched off.*transaction AB, CD.*11 minutes"):
        rotator.watch().before()
    assert rotator.now == 60


def test_check_mode_does_not_wait() -> None:
    rotator = Rotator(["AB"])
    rotator.watch(check_mode=True).before()
    assert rotator.now == 0
    assert "transaction AB" in rotator.warnings[0]


def test_one_that_is_left_is_named() -> None:
    rotator = Rotator(["AB"])
    rotator.watch().after()
    assert "transaction AB" in rotator.warnings[0]
    assert "gonka.devshard.escrow" in rotator.warnings[0]


def test_unknown_is_said_and_stops_nothing() -> None:
    rotator = Rotator(UnknownStateError("it does not exist"))
    rotator.watch().before()
    assert "is not known: it does not exist" in rotator.warnings[0]
