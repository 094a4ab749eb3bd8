# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import contextlib
import json
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Kind,
    State,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.mint_terms import (
    MintTerms,
    minted_terms,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import ROOT
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    BOTH,
    intents,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import World

NOTED = MintTerms(
    release="v0.2.16-post1",
    version="v4.1",
    epoch=214,
    params={
        "max_nonce": 20_000,
        "refusal_timeout": 60,
        "execution_timeout": 1200,
        "validation_rate": 5000,
        "default_inference_seal_grace_nonces": 160,
    },
)


def test_what_is_written_is_read_again() -> None:
    assert MintTerms.from_ledger(json.loads(json.dumps(NOTED.to_ledger()))) == NOTED


@pytest.mark.parametrize("found", [{}, {"version": "v2"}, {"version": "v2", "params": {"a": "x"}}])
def test_what_is_no_note_of_ours_is_told(found: dict[str, t.Any]) -> None:
    with pytest.raises(ProtocolError, match="terms in the ledger"):
        MintTerms.from_ledger(found)


@pytest.mark.parametrize(
    ("live", "kept", "changes"),
    [
        ({}, {}, ()),
        (NOTED.params, {"validation_rate": 5000, "inference_seal_grace_nonces": 160}, ()),
        ({"refusal_timeout": 90}, {}, ("refusal_timeout was 60 and is 90",)),
        ({"execution_timeout": 1920}, {}, ("execution_timeout was 1200 and is 1920",)),
        # what an escrow keeps is not the chain's of today
        ({"validation_rate": 1}, {}, ()),
        ({}, {"validation_rate": 1}, ("validation_rate was 5000 and is 1",)),
        (
            {},
            {"inference_seal_grace_nonces": 0},
            ("inference_seal_grace_nonces was 160 and is 0",),
        ),
        # not noted then
        ({}, {"vote_threshold_factor": 50}, ()),
    ],
)
def test_changes(live: dict[str, int], kept: dict[str, int], changes: tuple[str, ...]) -> None:
    assert NOTED.changes(live, kept) == changes


@pytest.mark.parametrize(
    ("now", "lowered"), [(None, False), (20_000, False), (1_000_000, False), (19_999, True)]
)
def test_only_a_lower_limit_of_nonces_matters(now: int | None, lowered: bool) -> None:
    live = {} if now is None else {"max_nonce": now}
    assert (NOTED.lowered_nonce(live) is not None) is lowered


@BOTH
def test_each_create_notes_what_the_chain_asked(tmp_path: Path, how: dict[str, t.Any]) -> None:
    world = World(tmp_path)
    world.chain.terms = {"max_nonce": 20_000, "refusal_timeout": 60}
    run(world, **how)
    (intent,) = intents(world)
    assert minted_terms([intent]) == {
        1: MintTerms(release="v0.2.13", version="v2", epoch=5, params=world.chain.terms)
    }
    # what came later stands beside it
    assert intent.state is State.DONE
    assert (intent.result or {})["height"] > 0


def test_a_note_is_never_changed(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    (intent,) = intents(world)
    with world.open() as ledger, pytest.raises(ValueError, match="not to be changed: terms"):
        ledger.apply(intent, Event.NOTE, terms={})


def earlier_ledger(folder: Path) -> Path:
    """As version 0.1.0 left it; 0.2.0 and 0.3.0 wrote the same."""
    found = json.loads((ROOT / "tests/unit/fixtures/v0.1.0/deployed.json").read_text())
    (name,) = [name for name in found["files"] if name.endswith("ledger.db")]
    path = folder / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("\n".join(found["files"][name]["sql"]))
    return path


def test_a_ledger_of_an_earlier_version_notes_nothing_and_is_read_and_written(
    tmp_path: Path,
) -> None:
    path = earlier_ledger(tmp_path)
    reading = Ledger.read(str(path))
    assert reading is not None
    with reading:
        creates = reading.intents(kind=Kind.CREATE)
        assert creates, "the fixture has some"
        assert minted_terms(creates) == {}
    with Ledger.open(str(path), "run") as ledger:
        assert len(ledger.intents(kind=Kind.CREATE)) == len(creates)
