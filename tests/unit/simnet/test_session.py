# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""State roots and host signatures against a settlement that a real chain accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simnet import crypto, session, txs

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "recorded_txs.json").read_text()
)


def _settlement() -> txs.MsgSettle:
    return txs.MsgSettle.from_json(RECORDED["settle_tx_json"]["body"]["messages"][0])


def test_recorded_state_root() -> None:
    message = _settlement()
    root = session.state_root(message.host_stats, message.fees, message.rest_hash, message.version)
    assert root == message.state_root


def test_the_phase_is_part_of_the_root() -> None:
    message = _settlement()
    root = session.state_root(
        message.host_stats,
        message.fees,
        message.rest_hash,
        message.version,
        session.PHASE_FINALIZING,
    )
    assert root != message.state_root


def test_recorded_host_signatures_come_from_their_slots() -> None:
    message = _settlement()
    signed = session.signature_message(message.escrow_id, message.nonce, message.state_root)
    assert len(message.signatures) >= session.quorum(16)
    for entry in message.signatures:
        key = crypto.recover(signed, entry.signature)
        assert key is not None
        assert crypto.address_of(key) == RECORDED["settle_slots"][entry.slot_id]


def test_quorum() -> None:
    assert [session.quorum(slots) for slots in (1, 3, 16)] == [1, 3, 11]


def test_diff_txs_begins_with_the_nonce() -> None:
    assert session.diff_txs(300, b"payload") == b"\x08\xac\x02payload"
