# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The wire format against transactions that a real CLI and gateway made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from simnet import crypto, txs
from simnet.timestamps import Timestamp

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "recorded_txs.json").read_text()
)


def test_generate_only_round_trip() -> None:
    unsigned = json.loads(RECORDED["generate_only"])
    tx = txs.Tx.from_json(unsigned)
    printed = json.dumps(tx.to_json(), separators=(",", ":")) + "\n"
    assert printed == RECORDED["generate_only"]


def test_signed_json_becomes_the_recorded_bytes_and_hash() -> None:
    tx = txs.Tx.from_json(json.loads(RECORDED["signed"]))
    assert base64.b64encode(tx.encode()).decode() == RECORDED["encoded"]
    assert tx.hash == RECORDED["hash"]
    assert json.dumps(tx.to_json(), separators=(",", ":")) + "\n" == RECORDED["signed"]


def test_recorded_bytes_become_the_signed_json() -> None:
    raw = base64.b64decode(RECORDED["encoded"])
    tx = txs.Tx.decode(raw)
    assert json.dumps(tx.to_json(), separators=(",", ":")) + "\n" == RECORDED["signed"]
    assert tx.encode() == raw


def test_recorded_signature_is_good_for_its_chain_and_account_only() -> None:
    tx = txs.Tx.decode(base64.b64decode(RECORDED["encoded"]))
    key = tx.auth_info.signer_infos[0].public_key
    assert crypto.address_of(key) == tx.signer

    def good(chain_id: str, account_number: int) -> bool:
        return crypto.verify(key, txs.sign_bytes(tx, chain_id, account_number), tx.signatures[0])

    assert good(RECORDED["chain_id"], RECORDED["account_number"])
    assert not good("other-chain", RECORDED["account_number"])
    assert not good(RECORDED["chain_id"], RECORDED["account_number"] + 1)


def test_bytes_of_the_gateway_are_kept_though_it_writes_a_zero_sequence() -> None:
    raw = base64.b64decode(RECORDED["gateway_tx"])
    tx = txs.Tx.decode(raw)
    assert tx.encode() == raw
    assert tx.hash == RECORDED["gateway_tx_hash"]
    assert tx.to_json() == RECORDED["gateway_tx_json"]
    assert crypto.verify(
        tx.auth_info.signer_infos[0].public_key,
        txs.sign_bytes(tx, RECORDED["chain_id"], RECORDED["account_number"]),
        tx.signatures[0],
    )


def _explicit(number: int, value: int) -> bytes:
    """A varint field that is written also when it is zero, as the gateway does."""
    return txs.field_varint(number, value) or bytes([number << 3, 0])


def _as_the_gateway_writes_it(message: txs.MsgSettle) -> bytes:
    out = txs.field_bytes(1, message.settler) + _explicit(2, message.escrow_id)
    out += txs.field_bytes(3, message.state_root) + _explicit(4, message.nonce)
    out += txs.field_bytes(5, message.rest_hash)
    for stats in message.host_stats:
        values = [int(value) for key, value in stats.to_json().items()]
        out += txs.field_message(6, b"".join(_explicit(i + 1, v) for i, v in enumerate(values)))
    for entry in message.signatures:
        raw = _explicit(1, entry.slot_id) + txs.field_bytes(2, entry.signature)
        out += txs.field_message(7, raw)
    return out + _explicit(8, message.fees) + txs.field_bytes(9, message.version)


def test_recorded_settlement_of_the_gateway() -> None:
    """Its JSON in the gateway's own spelling gives the recorded hash and signature."""
    recorded = RECORDED["settle_tx_json"]
    tx = txs.Tx.from_json({key: recorded[key] for key in ("body", "auth_info", "signatures")})
    message, info = tx.body.messages[0], tx.auth_info.signer_infos[0]
    assert isinstance(message, txs.MsgSettle)
    timeout = tx.body.timeout_timestamp
    assert timeout is not None
    packed = txs.field_bytes(1, message.type_url) + txs.field_bytes(
        2, _as_the_gateway_writes_it(message)
    )
    body = txs.field_message(1, packed) + b"\x20\x01"
    body += txs.field_message(
        5, txs.field_varint(1, timeout.seconds) + txs.field_varint(2, timeout.nanos)
    )
    auth = txs.field_message(1, info.encode() + b"\x18\x00")
    auth += tx.auth_info_bytes[2 + len(info.encode()) :]
    raw = txs.field_bytes(1, body) + txs.field_bytes(2, auth) + txs.field_bytes(3, tx.signatures[0])

    sent = txs.Tx.decode(raw)
    assert sent.hash == RECORDED["settle_tx_hash"]
    assert sent.to_json() == tx.to_json()
    assert sent.encode() == raw
    assert crypto.verify(
        info.public_key,
        txs.sign_bytes(sent, RECORDED["chain_id"], RECORDED["account_number"]),
        sent.signatures[0],
    )


def test_sign_tx_verifies() -> None:
    key = crypto.PrivateKey.from_seed("creator")
    body = txs.TxBody(
        (txs.MsgCreate(key.address, 5_000_000_000, "a/model"),),
        unordered=True,
        timeout_timestamp=Timestamp(1_700_000_000, 123),
    )
    fee = (txs.Coin("ngonka", 1_000_000),)
    tx = txs.sign_tx(body, key, chain_id="chain", account_number=7, fee=fee, gas_limit=500_000)
    again = txs.Tx.decode(tx.encode())
    assert again == tx
    assert crypto.verify(key.public_key, txs.sign_bytes(again, "chain", 7), again.signatures[0])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a",
        b"\x0a\xff",
        b"\xff" * 20,
        b"\x0a\x05hello",
        b"\x0d\x00\x00\x00\x00",
        txs.field_bytes(1, txs.field_message(1, txs.field_bytes(1, "/other.Msg"))),
        txs.field_bytes(1, txs.field_varint(77, 1)),
        b"\x08\x01",
    ],
)
def test_garbage_is_refused_by_a_clear_error(raw: bytes) -> None:
    with pytest.raises(txs.TxDecodeError):
        txs.Tx.decode(raw)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T23:18:17.035957391Z",
        "2026-11-23T23:18:17Z",
        "2026-11-23T23:18:17.5Z",
        "1970-01-01T00:00:00Z",
    ],
)
def test_timestamps_keep_every_nanosecond(text: str) -> None:
    assert Timestamp.parse(text).rfc3339() == text
    assert Timestamp.from_ns(Timestamp.parse(text).ns).rfc3339() == text


def test_timestamp_forms() -> None:
    moment = Timestamp.parse("2026-11-23T23:16:24.499257504Z")
    assert moment.go_string() == "2026-11-23 23:16:24.499257504 +0000 UTC"
    assert moment.rfc3339_seconds() == "2026-11-23T23:16:24Z"
    assert Timestamp.parse("2026-11-24T01:16:24.499257504+02:00") == moment
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        Timestamp.parse("yesterday")
