# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What v4 does otherwise than v3: the chain by gRPC, prefixes of escrows, paths, start."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from pathlib import Path

import pytest

from simnet.gateway.environment import FatalError
from simnet.gateway.testing import AMOUNT, QWEN, Client, Reply, Setup, play, until

DEVSHARDS = "/v1/admin/devshards"
CREATE = "/v1/admin/escrows"
SETTLE = f"{DEVSHARDS}/1/settle"
KEY = {"private_key_env": "DEVSHARD_PRIVATE_KEY"}
BODY = {"amount": AMOUNT, "model_id": QWEN}
V3 = {"SIMNET_GATEWAY": "v3", "DEVSHARD_ROUTE_PREFIX": "/devshard/v3"}
V4 = {
    "SIMNET_GATEWAY": "v4",
    "DEVSHARD_ROUTE_PREFIX": "/devshard/v4",
    "DEVSHARD_CHAIN_ID": "gonka-sim",
    # what v4 does not read must not help it
    "DEVSHARD_CHAIN_REST": "http://chain.invalid",
    "DEVSHARD_TX_QUERY_REST": "http://chain.invalid",
}


async def serving(setup: Setup, **more: str) -> Client:
    client = await setup.gateway(**{**V4, **more})
    await client.create()
    await client.open_models()
    assert (await client.chat()).status == 200
    return client


async def block_of(setup: Setup, reply: Reply) -> tuple[int, str]:
    assert reply.status == 200, reply.body
    record = await until(lambda: setup.chain.tx(reply.json["tx_hash"]))
    return record.code, record.raw_log


def test_one_tag_for_all(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup, DEVSHARD_ROUTE_PREFIX="/devshard/v4.1/")
        runtime = (await client.devshard("1"))["runtime"]
        assert runtime["session_version"] == "v4.1"
        assert "protocol_version" not in runtime
        settlement = await client.good("POST", "/devshard/1/v1/finalize")
        assert settlement["version"] == "v4.1"
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0

    play(tmp_path, scenario)


def test_config_is_its_own(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        setup.chain.merge_params({"devshard_escrow_params": {"execution_timeout": "77"}})
        client = await serving(setup)
        config = (await client.status_of("1"))["config"]
        assert (config["execution_timeout"], config["validation_rate"]) == (1200, 5000)

    play(tmp_path, scenario)


def test_streams_have_logprobs(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        assert b'"logprobs"' in (await client.chat(stream=True)).body
        assert b'"logprobs"' not in (await client.chat()).body

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"route_prefix": "/v1/devshard"},
            'create session: resolve route version: unsupported devshard route prefix "/v1/devshard"',
        ),
        ({"storage_path": "/elsewhere"}, "storage_path must be relative to the gateway base dir"),
    ],
    ids=["prefix", "path"],
)
def test_a_refused_create_has_paid_its_deposit(
    tmp_path: Path, more: dict[str, str], text: str
) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**V4)
        refused = await client.admin("POST", CREATE, {**BODY, **more})
        assert refused.status == 500
        error = refused.json["error"]
        assert text in error["message"]
        assert error["escrow_id"] == "1"
        assert setup.chain.tx(error["tx_hash"]).code == 0
        assert await client.state() == {}
        await client.good("POST", DEVSHARDS, {"id": "1", **KEY})
        assert (await client.admin("POST", SETTLE)).status == 200
        await until(lambda: setup.escrow("1")["settled"])

    play(tmp_path, scenario)


def test_a_relative_path_is_below_the_base(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        base = tmp_path / "main"
        shutil.move(base / "escrow-1", base / "kept")
        assert (await client.admin("DELETE", f"{DEVSHARDS}/1")).status == 200
        for path, text in (
            (str(base / "kept"), "storage_path must be relative to the gateway base dir"),
            ("../kept", "storage_path must not contain .."),
            (".", f"refusing to use base storage dir as escrow path: {base}"),
        ):
            body = {"id": "1", "storage_path": path, **KEY}
            reply = await client.admin("POST", f"{DEVSHARDS}/import", body)
            assert (reply.status, reply.message) == (400, text)
        kept = {"id": "1", "storage_path": "kept", "active": True, **KEY}
        imported = await client.good("POST", f"{DEVSHARDS}/import", kept)
        assert imported["storage_path"] == str(base / "kept")
        assert (await client.status_of("1"))["nonce"] == 1

    play(tmp_path, scenario)


def test_a_store_of_v3_with_its_prefix(tmp_path: Path) -> None:
    """§1: one v4 holds escrows of both; v3 finds its own changed afterwards."""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway("old", **V3)
        await client.create()
        await client.open_models()
        assert (await client.chat()).status == 200
        await setup.stop(client)
        client = await setup.gateway(**V4)
        await client.create()
        await client.open_models()
        shutil.copytree(tmp_path / "old" / "escrow-1", tmp_path / "main" / "old")
        body = {"id": "1", "storage_path": "old", "active": True, **KEY}
        reply = await client.admin("POST", f"{DEVSHARDS}/import", body)
        assert reply.status == 400
        assert "session version mismatch: stored v3, requested v4" in reply.message
        await client.good("POST", f"{DEVSHARDS}/import", {**body, "route_prefix": "/devshard/v3"})
        state = await client.state()
        assert state["1"]["route_prefix"] == "/devshard/v3"
        versions = {name: item["runtime"]["session_version"] for name, item in state.items()}
        assert versions == {"1": "v3", "2": "v4"}
        assert (await client.chat(devshard="1")).status == 200
        old = await setup.gateway("old", **V3)
        reply = await old.chat(devshard="1", key=None)
        assert reply.status == 502
        assert "host state hash does not match local state" in reply.message
        await setup.stop(old)
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0

    play(tmp_path, scenario)


def test_inactive_records_are_loaded_and_stop_nothing(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        client = await setup.restart(client, **V4)
        assert list(client.gateway.runtimes) == ["1"]
        client = await setup.restart(client, **{**V4, "DEVSHARD_ROUTE_PREFIX": "/devshard/v9"})
        assert client.gateway.runtimes == {}
        mismatch = "session version mismatch: stored v4, requested v9"
        for verb in ("activate", "settle"):
            reply = await client.admin("POST", f"{DEVSHARDS}/1/{verb}")
            assert reply.status == 502
            assert mismatch in reply.message

    play(tmp_path, scenario)


def test_broken_state_is_fatal(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await setup.stop(client)
        (path,) = (tmp_path / "main" / "escrow-1").glob("epoch_*.db")
        db = sqlite3.connect(path)
        db.execute("DELETE FROM diffs WHERE nonce = 1")
        db.commit()
        db.close()
        with pytest.raises(FatalError, match="state root mismatch at nonce 1"):
            await setup.gateway(**V4)

    play(tmp_path, scenario)


def test_an_unreachable_chain(tmp_path: Path) -> None:
    """§2: with nothing active it starts, and a create says why; with something it ends."""

    async def scenario(setup: Setup) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            nowhere = f"127.0.0.1:{probe.getsockname()[1]}"
        client = await setup.gateway("other", **V4, DEVSHARD_CHAIN_GRPC=nowhere)
        reply = await client.admin("POST", CREATE, BODY)
        assert reply.status == 502
        assert reply.message.startswith("fetch account ")
        assert "rpc error: code = Unavailable" in reply.message
        client = await serving(setup)
        await setup.stop(client)
        with pytest.raises(FatalError, match="create runtimes: .*code = Unavailable"):
            await setup.gateway(**V4, DEVSHARD_CHAIN_GRPC=nowhere)

    play(tmp_path, scenario)


@pytest.mark.parametrize("scheme", ["http", "tcp"])
def test_an_address_has_no_scheme(tmp_path: Path, scheme: str) -> None:
    async def scenario(setup: Setup) -> None:
        address = f"{scheme}://{setup.network.urls['chain_grpc']}"
        client = await setup.gateway(**V4, DEVSHARD_CHAIN_GRPC=address)
        reply = await client.admin("POST", CREATE, BODY)
        assert reply.status == 502
        assert "too many colons in address" in reply.message

    play(tmp_path, scenario)


def test_the_address_is_of_this_start(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**V4, DEVSHARD_CHAIN_GRPC="127.0.0.1:1")
        shown = await client.good("GET", "/v1/admin/settings")
        assert (shown["chain_rest"], shown["chain_grpc"]) == ("", "127.0.0.1:1")
        assert (await client.settings(chain_rest="http://else.test"))["chain_rest"] == ""
        state = await client.good("GET", "/v1/admin/state")
        assert "chain_grpc" not in state["settings"]
        assert "suspicious_hosts" not in state
        client = await setup.restart(client, **V4)
        assert (await client.admin("POST", CREATE, BODY)).status == 200

    play(tmp_path, scenario)


def test_without_a_chain_id_it_signs_for_mainnet(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**{**V4, "DEVSHARD_CHAIN_ID": ""})
        reply = await client.admin("POST", CREATE, BODY)
        assert reply.status == 502
        assert reply.message.startswith("broadcast tx failed code=4")

    play(tmp_path, scenario)
