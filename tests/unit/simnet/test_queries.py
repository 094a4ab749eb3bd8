# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""``abci_query`` as a real CLI and a real chain speak it: protobuf in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simnet import crypto, queries, txs
from simnet.chainrelease import V0_2_13
from simnet.network import default_params
from simnet.rpc import RpcApi, RpcError
from simnet.testing import World

RECORDED = {
    entry["name"]: entry
    for entry in json.loads(
        (Path(__file__).resolve().parents[2] / "contract/recordings/chain.json").read_text()
    )
}
QUESTION = {path: both[0] for path, both in queries.QUERIES.items()}
ANSWER = {path: both[1] for path, both in queries.QUERIES.items()}


def body_of(name: str) -> dict[str, Any]:
    body: dict[str, Any] = RECORDED[name]["response"]["body"]
    return body


@pytest.mark.parametrize("fees", [None, {"min_gas_price_ngonka": "7"}])
def test_every_parameter_that_the_real_chain_showed_survives_the_wire(fees: Any) -> None:
    params = {**default_params(V0_2_13), "fee_params": fees}
    found = queries.decode(
        ANSWER[queries.PARAMS], queries.encode(ANSWER[queries.PARAMS], {"params": params})
    )["params"]
    if fees is not None:
        params["fee_params"] = {**fees, "base_validation_gas": "0", "gas_per_poc_count": "0"}
    assert found == params


def test_the_recorded_parameters_have_no_field_that_is_not_known() -> None:
    recorded = body_of("params")
    shape = ANSWER[queries.PARAMS]
    assert queries.decode(shape, queries.encode(shape, recorded)) == recorded


@pytest.mark.parametrize("name", ["escrow_found", "escrow_settled", "escrow_missing"])
def test_recorded_escrows(name: str) -> None:
    shape, recorded = ANSWER[queries.ESCROW], body_of(name)
    assert queries.decode(shape, queries.encode(shape, recorded)) == recorded


@pytest.mark.parametrize(
    ("message", "data", "raw"),
    [
        (QUESTION[queries.PARAMS], {}, ""),
        (QUESTION[queries.ESCROW], {"id": "4711"}, "08e724"),
        (QUESTION[queries.BALANCES], {"address": "abc"}, "0a03616263"),
        (
            queries.DECIMAL,
            {"value": "-475", "exponent": -6},
            "08a5fcffffffffffffff01" + "10faffffffffffffffff01",
        ),
        (
            ANSWER[queries.BALANCES],
            {"balances": [{"denom": "ngonka", "amount": "12"}], "pagination": {"total": "1"}},
            "0a0c0a066e676f6e6b6112023132" + "12021001",
        ),
        (
            ANSWER[queries.ESCROW],
            {"escrow": {"id": "1", "slots": ["a", "b"], "settled": True}, "found": True},
            "0a0a0801220161220162" + "3801" + "1001",
        ),
        # the escrow's own parameters are field 14, its fields 12 and 18
        (
            ANSWER[queries.PARAMS],
            {
                "params": {
                    "devshard_escrow_params": {
                        "create_devshard_fee": "3",
                        "default_auto_seal_every_n_nonces": 5,
                    }
                }
            },
            "0a07" + "7205" + "6003" + "900105",
        ),
    ],
)
def test_bytes(message: queries.Message, data: dict[str, Any], raw: str) -> None:
    assert queries.encode(message, data).hex() == raw
    found = queries.decode(message, bytes.fromhex(raw))
    assert queries.encode(message, found).hex() == raw


def test_fields_of_a_newer_chain_are_skipped() -> None:
    raw = bytes.fromhex("0801") + txs.field_varint(15, 7) + txs.field_bytes(17, "new")
    shape = ANSWER[queries.ESCROW].fields["escrow"].kind
    assert isinstance(shape, queries.Message)
    assert queries.decode(shape, raw)["id"] == "1"


# broken off twice, no text, and a number where a text belongs
@pytest.mark.parametrize("raw", ["08", "0a05", "0a01ff", "0801"])
def test_what_is_no_such_message_is_an_error(raw: str) -> None:
    with pytest.raises(txs.TxDecodeError):
        queries.decode(QUESTION[queries.BALANCES], bytes.fromhex(raw))


def ask(world: World, path: str, data: dict[str, Any]) -> dict[str, Any]:
    """As a real CLI asks by JSON-RPC."""
    encoded = queries.encode(QUESTION[path], data).hex()
    api = RpcApi(world.chain)
    call = {"path": path, "data": encoded, "height": "0", "prove": False}
    answer: dict[str, Any] = api.abci_query(call)["response"]
    return answer


def test_the_chain_answers_in_protobuf(world: World) -> None:
    answer = ask(world, queries.PARAMS, {})
    assert answer["code"] == 0
    found = queries.decode(ANSWER[queries.PARAMS], txs.unb64(answer["value"]))
    assert found["params"]["devshard_escrow_params"]["group_size"] == 16
    missing = txs.unb64(ask(world, queries.ESCROW, {"id": "99"})["value"])
    assert missing == b"", "nothing at all: not found"


def test_an_account_is_packed_and_an_unknown_one_is_an_error(world: World) -> None:
    key = crypto.PrivateKey.from_seed("somebody")
    unknown = ask(world, queries.ACCOUNT, {"address": key.address})
    assert (unknown["code"], unknown["codespace"]) == (22, "sdk")
    world.chain.bank.set_balance(key.address, 5)
    packed = queries.decode(
        ANSWER[queries.ACCOUNT],
        txs.unb64(ask(world, queries.ACCOUNT, {"address": key.address})["value"]),
    )["account"]
    assert packed["type_url"] == "/cosmos.auth.v1beta1.BaseAccount"
    account = queries.decode(queries.BASE_ACCOUNT, txs.unb64(packed["value"]))
    assert (account["address"], account["sequence"]) == (key.address, "0")


def test_a_question_in_json_is_refused(world: World) -> None:
    """As the simulated CLI once asked."""
    call = {"path": queries.ESCROW, "data": json.dumps({"id": "1"}).encode().hex()}
    with pytest.raises(RpcError):
        RpcApi(world.chain).abci_query(call)
