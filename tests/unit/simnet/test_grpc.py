# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain's gRPC port: the calls of generations.md §2 as any client makes them."""

from __future__ import annotations

import typing as t
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest

from simnet import grpcapi, queries, txs
from simnet.gateway.testing import AMOUNT, CREATOR, QWEN, Setup, play

Ask = Callable[..., Awaitable[t.Any]]


def asking(scenario: Callable[[Setup, Ask], Awaitable[None]]) -> Callable[[Setup], Awaitable[None]]:
    async def whole(setup: Setup) -> None:
        address = setup.network.urls["chain_grpc"]
        opened: t.Any = grpc.aio.insecure_channel(address)
        async with opened as channel:

            async def ask(path: str, **asked: t.Any) -> t.Any:
                question, answer = queries.QUERIES[path]
                raw = await channel.unary_unary(path)(queries.encode(question, asked))
                return queries.decode(answer, raw)

            ask.channel = channel  # type: ignore[attr-defined]
            await scenario(setup, ask)

    return whole


def test_queries(tmp_path: Path) -> None:
    async def scenario(setup: Setup, ask: Ask) -> None:
        client = await setup.gateway()
        await client.create()
        escrow = await ask(queries.ESCROW, id=1)
        assert escrow["found"]
        assert escrow["escrow"]["amount"] == str(AMOUNT)
        assert not (await ask(queries.ESCROW, id=9))["found"]
        host = setup.chain.hosts[0]
        found = (await ask(queries.PARTICIPANT, index=host.address))["participant"]
        assert found["inference_url"] == f"{setup.network.urls['public_api']}/hosts/00"
        assert (found["status"], found["epochs_completed"]) == (1, 5)
        params = (await ask(queries.PARAMS))["params"]["devshard_escrow_params"]
        assert params["max_nonce"] == 20000
        epoch = setup.chain.effective_epoch
        group = (await ask(queries.EPOCH_GROUP, epoch_index=epoch, model_id=QWEN))[
            "epoch_group_data"
        ]
        assert group["model_id"] == QWEN
        assert len(group["validation_weights"]) == len(setup.chain.hosts)
        assert group["total_weight"] == str(1000 * len(setup.chain.hosts))
        assert (await ask(queries.GRANTEES, granter_address=host.address))["grantees"] == []
        assert not (await ask(queries.PRESERVED))["found"]
        packed = (await ask(queries.ACCOUNT, address=CREATOR.address))["account"]
        account = queries.decode(queries.BASE_ACCOUNT, txs.unb64(packed["value"]))
        assert account["address"] == CREATOR.address

    play(tmp_path, asking(scenario))


def test_transactions(tmp_path: Path) -> None:
    async def scenario(setup: Setup, ask: Ask) -> None:
        client = await setup.gateway()
        made = await client.good("POST", "/v1/admin/escrows", {"amount": AMOUNT, "model_id": QWEN})
        channel = ask.channel  # type: ignore[attr-defined]
        call = channel.unary_unary(grpcapi.GET_TX)
        raw = await call(queries.encode(queries.TX_REQUEST, {"hash": made["tx_hash"]}))
        found = queries.decode(queries.TX_RESPONSE, raw)
        record = setup.chain.tx(made["tx_hash"])
        assert txs.unb64(found["tx"]) == record.raw
        response = found["tx_response"]
        assert (response["code"], response["height"]) == (0, str(record.height))
        assert [entry["type"] for entry in response["events"]] == [
            entry["type"] for entry in record.events
        ]
        again = {"tx_bytes": txs.b64(record.raw), "mode": 2}
        raw = await channel.unary_unary(grpcapi.BROADCAST)(
            queries.encode(queries.BROADCAST_REQUEST, again)
        )
        answer = queries.decode(queries.BROADCAST_RESPONSE, raw)["tx_response"]
        assert (answer["code"], answer["txhash"]) == (19, made["tx_hash"])

    play(tmp_path, asking(scenario))


@pytest.mark.parametrize(
    ("path", "asked", "code"),
    [
        (queries.PARTICIPANT, {"index": "gonka1nobody"}, "NOT_FOUND"),
        (queries.ACCOUNT, {"address": "gonka1nobody"}, "NOT_FOUND"),
        (queries.EPOCH_GROUP, {"epoch_index": 1}, "NOT_FOUND"),
    ],
)
def test_what_is_not_there(tmp_path: Path, path: str, asked: dict[str, t.Any], code: str) -> None:
    async def scenario(setup: Setup, ask: Ask) -> None:
        with pytest.raises(grpc.RpcError) as found:
            await ask(path, **asked)
        assert found.value.code().name == code

    play(tmp_path, asking(scenario))


def test_faults_and_log(tmp_path: Path) -> None:
    async def scenario(setup: Setup, ask: Ask) -> None:
        rule = {"action": "drop", "service": "grpc", "path": "Query/Params", "times": 1}
        setup.network.rules.add(rule)
        with pytest.raises(grpc.RpcError) as found:
            await ask(queries.PARAMS)
        assert found.value.code().name == "UNAVAILABLE"
        await ask(queries.PARAMS)
        logged = setup.network.log.entries(service="grpc")
        assert [entry["status"] for entry in logged] == [500, 200]

    play(tmp_path, asking(scenario))
