# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The running network over HTTP: routes, faults, request log, release server."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simnet import txs
from simnet.bank import DENOM
from simnet.net import NetOptions, Network
from simnet.network import NetworkConfig, creator_key
from simnet.timestamps import NANOS, Timestamp

CREATOR = creator_key("gonka-sim")
AMOUNT = 5_000_000_000


class Client:
    def __init__(self, network: Network, session: aiohttp.ClientSession) -> None:
        self.network = network
        self.session = session

    async def ask(
        self, service: str, path: str, body: Any = None, method: str | None = None
    ) -> tuple[int, str, Any]:
        verb = method or ("GET" if body is None else "POST")
        url = self.network.urls[service] + path
        async with self.session.request(verb, url, json=body) as response:
            raw = await response.read()
            kind = response.headers.get("Content-Type", "")
            return response.status, kind, raw

    async def get(self, service: str, path: str) -> Any:
        status, kind, raw = await self.ask(service, path)
        assert status == 200, raw
        assert kind == "application/json"
        return json.loads(raw)

    async def faults(self, path: str, body: Any = None, method: str | None = None) -> Any:
        status, _unused, raw = await self.ask("faults", path, body, method)
        assert status == 200, raw
        return json.loads(raw)

    async def broadcast(self, raw: bytes) -> Any:
        body = {"tx_bytes": txs.b64(raw), "mode": "BROADCAST_MODE_SYNC"}
        status, _unused, answer = await self.ask("chain_rest", "/cosmos/tx/v1beta1/txs", body)
        assert status == 200
        return json.loads(answer)["tx_response"]

    def signed(self) -> bytes:
        chain = self.network.chain
        account = chain.bank.account(CREATOR.address)
        assert account is not None
        body = txs.TxBody(
            (txs.MsgCreate(CREATOR.address, AMOUNT, chain.models[0].id),),
            unordered=True,
            timeout_timestamp=Timestamp.from_ns(chain.block_time.ns + 60 * NANOS),
        )
        fee = (txs.Coin(DENOM, 1_000_000),)
        return txs.sign_tx(
            body,
            CREATOR,
            chain_id=chain.config.chain_id,
            account_number=account.number,
            fee=fee,
            gas_limit=500_000,
        ).encode()


Scenario = Callable[[Client], Awaitable[None]]


def play(directory: Path, scenario: Scenario) -> None:
    """Run a scenario against a network that makes no blocks by itself."""

    async def whole() -> None:
        config = NetworkConfig(balances={CREATOR.address: 20 * AMOUNT})
        network = Network(NetOptions(directory, block_interval=3600), config)
        await network.start()
        try:
            async with aiohttp.ClientSession() as session:
                await asyncio.wait_for(scenario(Client(network, session)), 20)
        finally:
            await network.stop()

    asyncio.run(whole())


def test_create_over_http(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.broadcast(client.signed())
        assert answer["code"] == 0
        path = f"/cosmos/tx/v1beta1/txs/{answer['txhash']}"
        status, _unused, _unused = await client.ask("chain_rest", path)
        assert status == 404
        await client.faults("/chain/advance", {"blocks": 1})
        found = await client.get("chain_rest", path)
        assert found["tx_response"]["code"] == 0
        events = await client.get(
            "chain_rest",
            "/cosmos/tx/v1beta1/txs?order_by=ORDER_BY_DESC&page=1&limit=100"
            f"&query=devshard_escrow_created.creator='{CREATOR.address}'",
        )
        assert events["total"] == "1"
        old = await client.get(
            "chain_rest",
            "/cosmos/tx/v1beta1/txs?events=devshard_escrow_created.escrow_id='1'"
            f"&events=devshard_escrow_created.creator='{CREATOR.address}'",
        )
        assert old["tx_responses"] == events["tx_responses"]
        escrow = await client.get(
            "chain_rest", "/productscience/inference/inference/devshard_escrow/1"
        )
        assert escrow["found"] is True
        for address in sorted(set(escrow["escrow"]["slots"])):
            participant = await client.get(
                "chain_rest", f"/productscience/inference/inference/participant/{address}"
            )
            url = participant["participant"]["inference_url"]
            async with client.session.get(f"{url}/v1/devshard/sessions/1/diffs") as response:
                assert await response.json() == []
        warm = await client.get(
            "chain_rest",
            "/productscience/inference/inference/grantees_by_message_type/"
            f"{address}/%2Finference.inference.MsgStartInference",
        )
        assert warm == {"grantees": []}

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nothing/here", 501, 12),
        ("/productscience/inference/inference/devshard_escrow/abc", 400, 3),
        ("/productscience/inference/inference/participant/gonka1x", 404, 5),
        ("/cosmos/bank/v1beta1/balances/gonka1xyz", 400, 3),
        ("/cosmos/tx/v1beta1/txs", 400, 3),
        ("/cosmos/tx/v1beta1/txs?query=hello", 400, 3),
        ("/cosmos/tx/v1beta1/txs/" + "0" * 64, 404, 5),
    ],
)
def test_errors_of_the_rest_api(tmp_path: Path, path: str, status: int, code: int) -> None:
    async def scenario(client: Client) -> None:
        got, kind, raw = await client.ask("chain_rest", path)
        assert (got, kind) == (status, "application/json")
        body = json.loads(raw)
        assert list(body) == ["code", "message", "details"]
        assert body["code"] == code

    play(tmp_path, scenario)


def test_public_api(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        latest = await client.get("public_api", "/v1/epochs/latest")
        assert latest["phase"] == "Inference"
        assert latest["block_height"] == client.network.chain.height
        assert latest["latest_epoch"]["index"] == 214
        assert latest["next_epoch_stages"]["poc_start"] == latest["epoch_stages"]["next_poc_start"]
        known = await client.get("public_api", "/v1/governance/models")
        active = await client.get("public_api", "/v1/models")
        assert len(known["models"]) == len(active["data"]) + 1
        people = await client.get("public_api", "/v1/epochs/current/participants")
        first = people["active_participants"]["participants"][0]
        assert first["ml_nodes"][0]["ml_nodes"][0]["poc_weight"] == 1000

    play(tmp_path, scenario)


def test_lost_reply_is_processed(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.faults(
            "/faults", {"action": "drop_after", "method": "POST", "path": "/txs$", "times": 1}
        )
        raw = client.signed()
        with pytest.raises(aiohttp.ClientError):
            await client.broadcast(raw)
        assert (await client.broadcast(raw))["code"] == 19

    play(tmp_path, scenario)


def test_dropped_request_is_not_processed(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.faults("/faults", {"action": "drop", "path": "/txs$", "times": 1})
        raw = client.signed()
        with pytest.raises(aiohttp.ClientError):
            await client.broadcast(raw)
        assert (await client.broadcast(raw))["code"] == 0

    play(tmp_path, scenario)


def test_answers_that_are_not_json(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        path = "/cosmos/base/tendermint/v1beta1/syncing"
        await client.faults("/faults", {"action": "html", "service": "chain", "times": 1})
        status, kind, raw = await client.ask("chain_rest", path)
        assert (status, kind.split(";")[0]) == (502, "text/html")
        assert raw.startswith(b"<html>")
        await client.faults("/faults", {"action": "truncate", "service": "chain", "times": 1})
        status, kind, raw = await client.ask("chain_rest", path)
        assert (status, kind, raw) == (200, "application/json", b'{"syncing":f'[: len(raw)])
        body = {
            "action": "status",
            "status": 429,
            "headers": {"Retry-After": "1"},
            "service": "rpc",
            "after": 1,
            "times": 1,
        }
        await client.faults("/faults", body)
        assert [(await client.ask("chain_rpc", "/status"))[0] for _unused in range(3)] == [
            200,
            429,
            200,
        ]

    play(tmp_path, scenario)


def test_hang_and_delay(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.faults("/faults", {"action": "hang", "path": "syncing"})
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(
                client.ask("chain_rest", "/cosmos/base/tendermint/v1beta1/syncing"), 0.1
            )
        await client.faults("/faults", method="DELETE")
        await client.faults("/faults", {"action": "delay", "seconds": 0.01})
        assert await client.get("chain_rest", "/cosmos/base/tendermint/v1beta1/syncing")
        listed = await client.faults("/faults")
        assert [(rule["id"], rule["hits"]) for rule in listed["faults"]] == [("f2", 1)]

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"action": "explode"}),
        ("/faults", {"action": "drop", "path": "("}),
        ("/faults", {"action": "drop", "nonsense": 1}),
        ("/chain", {"nonsense": 1}),
        ("/chain", {"phase": "Lunch"}),
        ("/chain", {"paused": "yes"}),
        ("/chain/advance", {"blocks": 0}),
        ("/chain/advance", {"stage": "lunch"}),
        ("/chain/inclusion", {"mode": "maybe"}),
        ("/chain/accounts", {"address": "nobody", "balance": 1}),
        ("/hosts", {"silent": ["nobody"]}),
    ],
)
def test_nonsense_at_the_faults_port(tmp_path: Path, path: str, body: Any) -> None:
    async def scenario(client: Client) -> None:
        status, _unused, raw = await client.ask("faults", path, body)
        assert status == 400
        assert json.loads(raw)["error"]

    play(tmp_path, scenario)


def test_stale_node_and_index_off(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        before = await client.get("chain_rpc", "/status")
        await client.faults("/chain", {"stale_seconds": 600, "tx_index": False})
        after = await client.get("chain_rpc", "/status")

        def when(answer: Any) -> Timestamp:
            return Timestamp.parse(answer["result"]["sync_info"]["latest_block_time"])

        assert when(before).ns - when(after).ns == 600 * NANOS
        assert after["result"]["node_info"]["other"]["tx_index"] == "off"
        block = await client.get("chain_rest", "/cosmos/base/tendermint/v1beta1/blocks/latest")
        assert Timestamp.parse(block["block"]["header"]["time"]) == when(after)
        status, _unused, _unused = await client.ask(
            "chain_rest", "/cosmos/tx/v1beta1/txs/" + "0" * 64
        )
        assert status == 500
        state = await client.faults("/reset", {})
        assert state["controls"]["paused"] is False
        assert when(await client.get("chain_rpc", "/status")) == when(before)

    play(tmp_path, scenario)


def test_the_hints_of_the_demo_bring_a_deadline_near(tmp_path: Path) -> None:
    demo = (Path(__file__).parents[2] / "tools" / "demo").read_text()
    hints = re.findall(r"curl --data '(.+)' \$faults(/\S+)$", demo, re.MULTILINE)
    assert [path for _body, path in hints] == ["/chain/advance"] * 2

    async def scenario(client: Client) -> None:
        before = await client.faults("/chain")
        states = [await client.faults(path, json.loads(body)) for body, path in hints]
        assert [state["epoch"] - before["epoch"] for state in states] == [1, 1]
        # the next epoch begins with the stage that the second one leads up to
        await client.faults("/chain/advance", {"blocks": 899})
        assert (await client.faults("/chain"))["effective_epoch"] == states[0]["epoch"]
        await client.faults("/chain/advance", {"blocks": 1})
        assert (await client.faults("/chain"))["effective_epoch"] == states[0]["epoch"] + 1

    play(tmp_path, scenario)


def test_chain_controls(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        state = await client.faults("/chain")
        state = await client.faults("/chain/advance", {"blocks": 7})
        assert state["height"] == 4_710_007
        state = await client.faults(
            "/chain/advance", {"stage": "set_new_validators", "offset": -30}
        )
        assert (state["epoch"], state["effective_epoch"]) == (214, 214)
        state = await client.faults("/chain/advance", {"epochs": 1})
        assert (state["epoch"], state["effective_epoch"]) == (215, 215)
        await client.faults("/chain", {"phase": "PoCGenerate"})
        latest = await client.get("public_api", "/v1/epochs/latest")
        assert latest["phase"] == "PoCGenerate"
        await client.faults("/chain/allowlist", {"addresses": [CREATOR.address]})
        await client.faults("/chain/params", {"devshard_escrow_params": {"max_nonce": 50}})
        params = await client.get("chain_rest", "/productscience/inference/inference/params")
        shown = params["params"]["devshard_escrow_params"]
        assert shown["allowed_creator_addresses"] == [CREATOR.address]
        assert (shown["max_nonce"], shown["group_size"]) == (50, 16)
        await client.faults("/chain/accounts", {"address": CREATOR.address, "balance": 7})
        balance = await client.get(
            "chain_rest",
            f"/cosmos/bank/v1beta1/balances/{CREATOR.address}/by_denom?denom=ngonka",
        )
        assert balance == {"balance": {"denom": "ngonka", "amount": "7"}}
        await client.faults(
            "/chain/models", {"models": [{"id": "a/b"}, {"id": "c", "active": False}]}
        )
        active = await client.get("public_api", "/v1/models")
        assert [model["id"] for model in active["data"]] == ["a/b"]

    play(tmp_path, scenario)


def test_silent_hosts(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.faults("/hosts", {"silent": 2})
        listed = await client.faults("/hosts")
        assert [host["silent"] for host in listed["hosts"]][:3] == [True, True, False]
        path = "/hosts/00/v1/devshard/sessions/1/diffs"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.ask("public_api", path), 0.1)
        await client.faults("/hosts", {"silent": []})
        assert (await client.ask("public_api", path))[0] == 404

    play(tmp_path, scenario)


def test_rules_for_hosts_leave_the_public_api_alone(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.faults("/faults", {"action": "status", "status": 503, "service": "hosts"})
        path = "/hosts/00/v1/devshard/sessions/1/diffs"
        assert (await client.ask("public_api", path))[0] == 503
        assert await client.get("public_api", "/v1/models")
        logged = (await client.faults("/requests?service=hosts"))["requests"]
        assert [entry["path"] for entry in logged] == [path]

    play(tmp_path, scenario)


def test_bad_requests_to_hosts(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.broadcast(client.signed())
        await client.faults("/chain/advance", {})
        base = "/v1/devshard/sessions/1"
        slots = client.network.chain.escrows.all()[0]["slots"]
        host = client.network.chain.host_by_address[slots[0]].index
        for path, body in (
            (f"/hosts/{host:02d}{base}/diffs", {"diffs": []}),
            (f"/hosts/{host:02d}{base}/diffs", {"process_id": "p", "diffs": 1}),
            (f"/hosts/{host:02d}{base}/diffs", {"process_id": "p", "diffs": [{"nonce": 0}]}),
            (f"/hosts/{host:02d}{base}/signatures", {"process_id": "p", "nonce": "1"}),
            (f"/hosts/{host:02d}{base}/diffs?from=x", None),
        ):
            status, _unused, raw = await client.ask("public_api", path, body)
            assert status == 400, path
            assert json.loads(raw)["error"]

    play(tmp_path, scenario)


def test_request_log(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        raw = client.signed()
        await client.broadcast(raw)
        await client.get("chain_rpc", "/status")
        logged = (await client.faults("/requests?service=chain&method=POST"))["requests"]
        assert [(entry["path"], entry["status"]) for entry in logged] == [
            ("/cosmos/tx/v1beta1/txs", 200)
        ]
        assert len(logged[0]["body_sha256"]) == 64
        assert str(logged[0]["port"]) in client.network.urls["chain_rest"]
        await client.faults("/requests", method="DELETE")
        assert (await client.faults("/requests"))["requests"] == []

    play(tmp_path, scenario)


def test_release_server(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        base = "/gonka-ai/gonka/releases/download/release/v0.2.13"
        status, _unused, sums = await client.ask("release", f"{base}/checksums.txt")
        assert status == 200
        table = dict(reversed(line.split("  ")) for line in sums.decode().splitlines())
        for arch in ("amd64", "arm64"):
            status, _unused, raw = await client.ask("release", f"{base}/inferenced-{arch}.zip")
            assert status == 200
            assert hashlib.sha256(raw).hexdigest() == table[f"inferenced-{arch}.zip"]
            assert zipfile.ZipFile(io.BytesIO(raw)).namelist() == ["inferenced"]
        for path in (f"{base}/inferenced-riscv.zip", base.replace("13", "99") + "/checksums.txt"):
            assert (await client.ask("release", path))[0] == 404

    play(tmp_path, scenario)


def test_json_rpc(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        call = {"jsonrpc": "2.0", "id": 5, "method": "status", "params": {}}
        status, _unused, raw = await client.ask("chain_rpc", "/", call)
        answer = json.loads(raw)
        assert (status, answer["id"]) == (200, 5)
        assert answer["result"]["node_info"]["network"] == "gonka-sim"
        status, _unused, raw = await client.ask("chain_rpc", "/tx?hash=0x" + "0" * 64)
        assert status == 500
        assert json.loads(raw)["error"]["code"] == -32603
        status, _unused, raw = await client.ask("chain_rpc", "/", {**call, "method": "nonsense"})
        assert json.loads(raw)["error"]["code"] == -32601
        assert (await client.ask("chain_rpc", "/nonsense"))[0] == 404

    play(tmp_path, scenario)
