# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Bytes that the real CLI and gateway signed are accepted by the simulated chain."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from simnet import txs
from simnet.chain import Chain
from simnet.network import DEFAULT_MODELS, NetworkConfig
from simnet.store import Store
from simnet.testing import AMOUNT
from simnet.timestamps import Timestamp

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "recorded_txs.json").read_text()
)
CREATOR = "gonka17cn3h2092t8nec7meke592jzwz6seza8367yt9"


def _chain(moment: str) -> Chain:
    config = NetworkConfig(
        chain_id=RECORDED["chain_id"],
        balances={CREATOR: 12 * AMOUNT},
        allowlist=[CREATOR],
    )
    return Chain(Store(), config, lambda: Timestamp.parse(moment).ns)


@pytest.mark.parametrize(
    ("key", "moment", "model"),
    [
        ("encoded", "2026-11-23T23:16:17Z", DEFAULT_MODELS[1]),
        ("gateway_tx", "2026-11-23T23:08:14.396Z", DEFAULT_MODELS[0]),
    ],
)
def test_recorded_create(key: str, moment: str, model: str) -> None:
    chain = _chain(moment)
    raw = base64.b64decode(RECORDED[key])
    answer = chain.broadcast(raw)
    assert (answer.code, answer.raw_log) == (0, "")
    assert chain.broadcast(raw).code == 19
    chain.produce_block()
    record = chain.tx(answer.hash)
    assert record is not None
    assert (record.code, record.raw_log) == (0, "")
    escrow = chain.escrows.get(1)
    assert escrow is not None
    assert (escrow["creator"], escrow["model_id"]) == (CREATOR, model)


def test_recorded_bytes_are_refused_late_or_on_another_chain() -> None:
    raw = base64.b64decode(RECORDED["encoded"])
    late = _chain("2026-11-23T23:18:18Z").broadcast(raw)
    assert late.code == 42
    assert late.raw_log == (
        "block time: 2026-11-23 23:18:18 +0000 UTC, timeout timestamp: "
        "2026-11-23 23:18:17.035957391 +0000 UTC: tx timeout"
    )
    chain = _chain("2026-11-23T23:16:17Z")
    chain.bank.set_balance(CREATOR, 0)
    assert chain.broadcast(raw).code == 5


def test_recorded_settlement_is_executed() -> None:
    chain = _chain("2026-11-23T23:01:29Z")
    message = txs.MsgSettle.from_json(RECORDED["settle_tx_json"]["body"]["messages"][0])
    for _unused in range(2):
        chain.escrows.create(txs.MsgCreate(CREATOR, AMOUNT, DEFAULT_MODELS[0]), 214, False)
    chain.store.run(
        "UPDATE escrows SET body = json_set(body, '$.slots', json(?)) WHERE id = 2",
        json.dumps(RECORDED["settle_slots"]),
    )
    done = chain.escrows.settle(message, 214)
    assert done.gas == 381_964
    settled = {item["key"]: item["value"] for item in done.events[-1]["attributes"]}
    assert settled == {
        "escrow_id": "2",
        "state_root_and_protocol_version": "v2",
        "settler": CREATOR,
        "total_payout": "18790",
        "fees": "18000",
        "remainder": "4999981210",
    }
