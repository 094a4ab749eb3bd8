# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""No bytes can bring the chain down, and encoding loses nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from simnet import txs
from simnet.testing import World
from simnet.timestamps import Timestamp

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded_txs.json").read_text())
BYTES = base64.b64decode(RECORDED["encoded"])
WORLD = World()

uint64 = st.integers(0, (1 << 64) - 1)
uint32 = st.integers(0, (1 << 32) - 1)
texts = st.text(max_size=20)
moments = st.builds(Timestamp, st.integers(0, 253_402_300_799), st.integers(0, 999_999_999))
creates = st.builds(txs.MsgCreate, texts, uint64, texts)
settles = st.builds(
    txs.MsgSettle,
    settler=texts,
    escrow_id=uint64,
    state_root=st.binary(max_size=40),
    nonce=uint64,
    rest_hash=st.binary(max_size=40),
    host_stats=st.lists(
        st.builds(txs.HostStats, uint32, uint32, uint32, uint64, uint32, uint32), max_size=3
    ).map(tuple),
    signatures=st.lists(
        st.builds(txs.SlotSignature, uint32, st.binary(max_size=70)), max_size=3
    ).map(tuple),
    fees=uint64,
    version=texts,
)
bodies = st.builds(
    txs.TxBody,
    messages=st.tuples(creates | settles),
    memo=texts,
    timeout_height=uint64,
    unordered=st.booleans(),
    timeout_timestamp=st.none() | moments,
)
auth_infos = st.builds(
    txs.AuthInfo,
    signer_infos=st.lists(
        st.builds(txs.SignerInfo, st.binary(max_size=33), uint64), max_size=2
    ).map(tuple),
    fee=st.lists(st.builds(txs.Coin, texts, uint64), max_size=2).map(tuple),
    gas_limit=uint64,
)


@given(bodies, auth_infos, st.lists(st.binary(max_size=64), max_size=2).map(tuple))
def test_bytes_and_json_round_trip(
    body: txs.TxBody, auth_info: txs.AuthInfo, signatures: tuple[bytes, ...]
) -> None:
    tx = txs.Tx.build(body, auth_info, signatures)
    assert txs.Tx.decode(tx.encode()) == tx
    assert txs.Tx.from_json(json.loads(json.dumps(tx.to_json()))) == tx


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255), st.integers(0, len(BYTES)))
def test_damaged_bytes_are_answered(position: int, value: int, length: int) -> None:
    damaged = bytearray(BYTES)
    damaged[position] = value
    answer = WORLD.chain.broadcast(bytes(damaged[:length]))
    assert answer.code != 0


@given(creates | settles)
def test_any_message_is_executed_or_refused(message: txs.Message) -> None:
    world = World()
    world.chain.bank.set_balance(world.creator.address, 1 << 62)
    signer = {"creator": world.creator.address, "settler": world.creator.address}
    mine = type(message).from_json({**message.to_json(), **signer})
    answer = world.chain.broadcast(world.sign(mine))
    world.block()
    record = world.chain.tx(answer.hash)
    assert record is not None
    assert record.code != 0
