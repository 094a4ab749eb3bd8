# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    IllegalTransition,
    Intent,
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger

CREATOR = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


def planned(ledger: Ledger, **changes: t.Any) -> Intent:
    values: dict[str, t.Any] = {
        "gateway": "http://127.0.0.1:18080",
        "chain_id": "gonka-test",
        "creator": CREATOR,
        "model": "m",
        "amount": 5_000_000_000,
        **changes,
    }
    return ledger.plan(Kind.CREATE, Via.SIGNED, Subject(**values))


def test_file_and_folder_are_private_and_writes_are_synced(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        planned(ledger)
        assert ledger._db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert ledger._db.execute("PRAGMA journal_mode").fetchone()[0] == "truncate"
    for file in Path(path).parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


def test_rights_that_were_opened_are_closed_again(path: str) -> None:
    Ledger.open(path, "run-1").close()
    os.chmod(path, 0o644)
    os.chmod(Path(path).parent, 0o755)
    Ledger.open(path, "run-2").close()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


def test_an_intent_keeps_every_field_and_its_history(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        intent = planned(ledger, seen_height=7, seen_time="2026-01-01T00:00:00Z", fee=1, gas=2)
        intent = ledger.apply(
            intent, Event.SIGN, tx_hash="AB", tx_bytes="Cg==", timeout_at="2026-01-01T00:02:00.1Z"
        )
        ledger.apply(intent, Event.NOTE, {"code": 19})
    with Ledger.open(path, "run-2") as ledger:
        (again,) = ledger.intents(only_open=True)
        assert (again.seen_height, again.fee, again.gas, again.run_id) == (7, 1, 2, "run-1")
        assert (again.tx_hash, again.timeout_at) == ("AB", "2026-01-01T00:02:00.1Z")
        done = ledger.apply(again, Event.INCLUDE, escrow_id=12, result={"height": 9})
        done = ledger.apply(done, Event.FINISH, result={"registered": True})
        assert done.result == {"height": 9, "registered": True}
        assert not ledger.intents(only_open=True)
        assert [(step.event, step.run_id) for step in ledger.history(done.id)] == [
            ("plan", "run-1"),
            ("sign", "run-1"),
            ("note", "run-1"),
            ("include", "run-2"),
            ("finish", "run-2"),
        ]
        assert "tx_bytes" not in done.to_result()


def test_what_is_recorded_once_never_changes(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        intent = ledger.apply(
            planned(ledger), Event.SIGN, tx_hash="AB", tx_bytes="Cg==", timeout_at="t"
        )
        changes: list[dict[str, t.Any]] = [
            {"tx_hash": "other"},
            {"tx_bytes": "other"},
            {"timeout_at": "other"},
        ]
        for change in changes:
            with pytest.raises(IllegalTransition):
                ledger.apply(intent, Event.NOTE, **change)
        with pytest.raises(ValueError, match="not to be changed"):
            ledger.apply(intent, Event.NOTE, amount=1)
        with pytest.raises(IllegalTransition):
            ledger.apply(intent, Event.SIGN, tx_hash="AB", tx_bytes="Cg==", timeout_at="t")
        assert ledger.get(intent.id).state is State.SIGNED
        assert [step.event for step in ledger.history(intent.id)] == ["plan", "sign"]


def test_history_and_intents_cannot_be_removed(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        planned(ledger)
    db = sqlite3.connect(path)
    for statement in (
        "DELETE FROM history",
        "UPDATE history SET event = 'x'",
        "DELETE FROM intents",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    db.close()


def test_another_schema_and_a_foreign_file_are_refused(path: str, tmp_path: Path) -> None:
    Ledger.open(path, "run-1").close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    with pytest.raises(ConfigurationError, match="schema 99"):
        Ledger.open(path, "run-2")
    with pytest.raises(ConfigurationError, match="schema 99"):
        Ledger.read(path)
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be used as the ledger"):
        Ledger.open(str(other), "run-1")


def test_reading_makes_nothing(path: str) -> None:
    assert Ledger.read(path) is None
    assert not Path(path).parent.exists()
    Ledger.open(path, "run-1").close()
    reader = Ledger.read(path)
    assert reader is not None
    with reader, pytest.raises(UnsafeError):
        planned(reader)


def test_a_full_disk_is_told_and_leaves_what_was_recorded(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        intent = planned(ledger)
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UnsafeError, match="disk is full.*run again"):
            ledger.apply(intent, Event.SIGN, {"why": "x" * 100_000}, tx_hash="AB")
        assert ledger.get(intent.id) == intent
        ledger._db.execute(f"PRAGMA max_page_count = {pages + 100}")
        assert ledger.apply(intent, Event.SIGN, tx_hash="AB").state is State.SIGNED


def test_a_ledger_that_is_damaged_inside_is_told(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        planned(ledger)
    content = bytearray(Path(path).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    Path(path).write_bytes(content)
    reader = Ledger.read(path)
    assert reader is not None
    with reader, pytest.raises(UnsafeError, match="malformed.*from a backup"):
        reader.intents()


def test_a_session_mark_never_goes_back(path: str) -> None:
    with Ledger.open(path, "run-1") as ledger:
        ledger.mark_session(4, "http://a", 10, 500, "active")
        ledger.mark_session(4, "http://a", 8, 700, "active")
        ledger.mark_session(4, "http://b", 12, 400, "settlement")
        assert [(m.gateway, m.nonce, m.balance) for m in ledger.session_marks(4)] == [
            ("http://b", 12, 400),
            ("http://a", 10, 500),
        ]


def test_a_copy_is_complete_and_private(path: str, tmp_path: Path) -> None:
    with Ledger.open(path, "run-1") as ledger:
        intent = planned(ledger)
        ledger.copy_to(tmp_path / "copy.db")
    copy = Ledger.read(str(tmp_path / "copy.db"))
    assert copy is not None
    with copy:
        assert copy.get(intent.id) == intent
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
