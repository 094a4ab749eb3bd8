# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_rules import Settlement
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settlement_files import (
    SettlementFiles,
)


def settlement(number: int, nonce: int = 17) -> Settlement:
    document = {
        "escrow_id": str(number),
        "version": "v2",
        "state_root": "AA==",
        "nonce": nonce,
        "fees": 10_000,
        "rest_hash": "AA==",
        "host_stats": [{"slot_id": 0, "cost": 10}],
        "signatures": [{"slot_id": 0, "signature": "x"}],
    }
    return Settlement.parse(document, "a test")


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path, "gonka-mainnet")
    assert (files.read(7), files.kept()) == (None, [])
    files.keep(settlement(12))
    files.keep(settlement(7))
    assert files.read(7) == settlement(7)
    assert files.kept() == [7, 12]
    files.keep(settlement(7, nonce=40))
    assert files.read(7) == settlement(7, nonce=40)


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path, "gonka-mainnet")
    files.keep(settlement(7))
    assert stat.S_IMODE(files.path(7).stat().st_mode) == 0o600
    for folder in (files.path(7).parent, files.path(7).parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_chains_may_give_one_number_to_two_escrows(tmp_path: Path) -> None:
    SettlementFiles(tmp_path, "one").keep(settlement(7))
    other = SettlementFiles(tmp_path, "two")
    assert (other.read(7), other.kept()) == (None, [])


@pytest.mark.parametrize("chain_id", ["", "..", "../x", "a/b", ".hidden", "a b"])
def test_a_chain_id_never_leads_out_of_the_folder(tmp_path: Path, chain_id: str) -> None:
    with pytest.raises(ConfigurationError, match="not a chain id"):
        SettlementFiles(tmp_path, chain_id)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"escrow_id": 7}'])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    files = SettlementFiles(tmp_path, "gonka-mainnet")
    files.keep(settlement(7))
    files.path(7).write_text(content)
    with pytest.raises(ProtocolError, match="Move it away and run this again") as caught:
        files.read(7)
    assert str(files.path(7)) in str(caught.value)


def test_other_files_beside_them_are_left_alone(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path, "gonka-mainnet")
    files.keep(settlement(7))
    for name in ("escrow-x.json", "escrow-.json", "note.txt", "escrow-9.json.bak"):
        (files.path(7).parent / name).touch()
    assert files.kept() == [7]
