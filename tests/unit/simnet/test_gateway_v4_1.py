# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway-v4.1.md §11, its checklist: each test quotes the line that it is about.

By reading, never run: base is the nearest to 4.1.x, 4.0 is what was before, late what came later.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import typing as t
from pathlib import Path

import aiohttp
import pytest

from simnet import crypto
from simnet.gateway.environment import FatalError
from simnet.gateway.testing import (
    AMOUNT,
    CREATOR,
    QWEN,
    Client,
    Reply,
    Setup,
    network_in,
    play,
    until,
)
from simnet.gateway.warmup import warm_up

DEVSHARDS = "/v1/admin/devshards"
CREATE = "/v1/admin/escrows"
SETTLE, ACTIVATE = f"{DEVSHARDS}/1/settle", f"{DEVSHARDS}/1/activate"
DEACTIVATE = f"{DEVSHARDS}/1/deactivate"
KEY = {"private_key_env": "DEVSHARD_PRIVATE_KEY"}
BODY = {"amount": AMOUNT, "model_id": QWEN}
BUSY = "devshard 1 has active requests"
BASE = {
    "SIMNET_GATEWAY": "v4.1",
    "DEVSHARD_ROUTE_PREFIX": "/devshard/v4.1",
    "DEVSHARD_CHAIN_ID": "gonka-sim",
    "SIMNET_AUTO_SETTLE_SECONDS": "0.05",
}
LATE = {**BASE, "SIMNET_FACE": "late"}
FOUR_0 = {**BASE, "SIMNET_FACE": "4.0"}
ALL = pytest.mark.parametrize("face", [FOUR_0, BASE, LATE], ids=["4.0", "base", "late"])
NEWER = pytest.mark.parametrize("face", [BASE, LATE], ids=["base", "late"])


async def serving(setup: Setup, face: dict[str, str], chats: int = 1, **more: str) -> Client:
    client = await setup.gateway(**{**face, **more})
    await client.create()
    await client.open_models()
    await warm(client)
    # A change of settings makes the epoch unknown until the next look.
    await client.poc_known()
    for _unused in range(chats):
        assert (await client.chat()).status == 200
    return client


async def warm(client: Client) -> None:
    await until(lambda: all(not each.background for each in client.gateway.runtimes.values()))


async def settled(setup: Setup, number: str = "1") -> None:
    await until(lambda: setup.escrow(number)["settled"])


async def block_of(setup: Setup, reply: Reply) -> tuple[int, str]:
    assert reply.status == 200, reply.body
    record = await until(lambda: setup.chain.tx(reply.json["tx_hash"]))
    return record.code, record.raw_log


def rotating(**more: t.Any) -> dict[str, t.Any]:
    model = {"model_id": QWEN, "temp_count": 1, "target_count": 1, "amount": AMOUNT, **KEY}
    return {"enabled": True, "pre_poc_blocks": 30_000, "models": [model], **more}


# --- settle --------------------------------------------------------------------------


@NEWER
def test_busy_settle(tmp_path: Path, face: dict[str, str]) -> None:
    """settle with `active_requests=1` → 409 exact text, `active=false`,
    `settlement_pending=true`, and chain settled after the drain although
    `settlement_enabled=false`"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        stream = await client.begin_stream()
        reply = await client.admin("POST", SETTLE)
        assert (reply.status, reply.message) == (409, BUSY)
        record = await client.devshard("1")
        assert (record["active"], record["settlement_pending"]) == (False, True)
        assert record["runtime"]["active_requests"] == 1
        assert not client.gateway.settings["escrow_rotation"]["settlement_enabled"]
        client.go_on()
        assert (await stream).status == 200
        await settled(setup)
        await until(lambda: not client.gateway.runtimes)
        assert "settlement_pending" not in await client.devshard("1")

    play(tmp_path, scenario)


@NEWER
def test_busy_by_cleanup_alone(tmp_path: Path, face: dict[str, str]) -> None:
    """the same with only `pending_race_cleanup=1`"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        await client.chat("[sim fail=2]", stream=True)
        runtime = (await client.devshard("1"))["runtime"]
        assert (runtime["active_requests"], runtime["pending_race_cleanup"]) == (0, 1)
        reply = await client.admin("POST", SETTLE)
        assert (reply.status, reply.message) == (409, BUSY)
        assert (await client.devshard("1"))["settlement_pending"] is True
        client.gateway.clock.advance(1200)
        await settled(setup)

    play(tmp_path, scenario)


def test_busy_settle_of_4_0(tmp_path: Path) -> None:
    """face 4.0: the 409 changes nothing"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, FOUR_0)
        stream = await client.begin_stream()
        before = await client.devshard("1")
        assert (await client.admin("POST", SETTLE)).status == 409
        assert await client.devshard("1") == before
        client.go_on()
        await stream

    play(tmp_path, scenario)


@pytest.mark.parametrize("enabled", [False, True])
def test_restart_between(tmp_path: Path, enabled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """restart between 409 and drain: settled only when `settlement_enabled`; otherwise flag
    stays, log `settlement_reconcile_skipped`"""
    caplog.set_level(logging.INFO, "devshardctl")

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, BASE)
        await client.settings(escrow_rotation={"settlement_enabled": enabled})
        stream = await client.begin_stream()
        assert (await client.admin("POST", SETTLE)).status == 409
        # The process ends before the settlement that it owes.
        client.gateway.points.arm({"point": "settle.before_finalize", "action": "wait"})
        stream.cancel()
        await setup.stop(client)
        client = await setup.gateway(**BASE)
        if enabled:
            await settled(setup)
            return
        assert "settlement_reconcile_skipped" in caplog.text
        assert (await client.devshard("1"))["settlement_pending"] is True
        assert not setup.escrow("1")["settled"]

    play(tmp_path, scenario)


@ALL
def test_settle_waits(tmp_path: Path, face: dict[str, str]) -> None:
    """settle answers only after inclusion; with a stalled chain 502 `wait for tx …` after 45 s,
    tx lands later"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        setup.chain.inclusion.mode = "never"
        setup.network.log.clear()
        call = asyncio.create_task(client.admin("POST", SETTLE))
        await until(setup.chain.pending)
        (digest,) = setup.chain.pending()
        await until(lambda: setup.network.log.entries(service="grpc", path="GetTx"))
        assert not call.done()
        reply = await client.gives_up(call)
        assert reply.status == 502
        assert reply.message.startswith(f"wait for tx {digest}: ")
        assert (await client.devshard("1"))["active"] is False
        setup.chain.inclusion.mode = "normal"
        setup.chain.release_pending()
        await settled(setup)

    play(tmp_path, scenario)


@ALL
def test_client_leaves(tmp_path: Path, face: dict[str, str]) -> None:
    """client disconnect during settle: tx still lands, record inactive"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        setup.chain.inclusion.mode = "never"
        call = asyncio.create_task(client.admin("POST", SETTLE))
        await until(setup.chain.pending)
        call.cancel()
        setup.chain.inclusion.mode = "normal"
        setup.chain.release_pending()
        await settled(setup)
        assert (await client.devshard("1"))["active"] is False

    play(tmp_path, scenario)


@NEWER
def test_settle_of_a_settled_escrow(tmp_path: Path, face: dict[str, str]) -> None:
    """settle of settled escrow: 502 in both faces; text differs; no new 200"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0
        reply = await client.admin("POST", SETTLE)
        assert reply.status == 502
        assert "escrow 1 already settled" in reply.message
        start = "escrow settled" if face is LATE else "tx "
        assert reply.message.startswith(start)

    play(tmp_path, scenario)


def test_success_leaves_the_flag(tmp_path: Path) -> None:
    """manual settle success leaves `settlement_pending` as it was"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, BASE)
        client.gateway.db.change("1", settlement_pending=True)
        assert (await client.admin("POST", SETTLE)).status == 200
        assert (await client.devshard("1"))["settlement_pending"] is True

    play(tmp_path, scenario)


@ALL
def test_signatures_are_collected_again(tmp_path: Path, face: dict[str, str]) -> None:
    """§4.5: phase `settlement` without signatures for a quorum: signatures are collected again"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        setup.network.hosts.down = {host.address for host in setup.chain.hosts}
        failed = await client.admin("POST", SETTLE)
        assert (failed.status, failed.message) == (502, "insufficient signatures: 0/11 weight")
        setup.network.hosts.down = set()
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0

    play(tmp_path, scenario)


# --- activate, deactivate, delete ------------------------------------------------------


@ALL
def test_activate_before_the_drain(tmp_path: Path, face: dict[str, str]) -> None:
    """activate of a deactivated-but-busy escrow: `already_resident`, then unloaded by the drain;
    record active without runtime"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        stream = await client.begin_stream()
        await client.good("POST", DEACTIVATE)
        reply = await client.good("POST", ACTIVATE)
        assert reply == {"active": True, "already_resident": True, "id": "1"}
        client.go_on()
        await stream
        await until(lambda: not client.gateway.runtimes)
        record = await client.devshard("1")
        assert (record["active"], "runtime" in record) == (True, False)

    play(tmp_path, scenario)


@ALL
def test_deactivate_twice(tmp_path: Path, face: dict[str, str]) -> None:
    """deactivate twice → 404"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        await client.good("POST", DEACTIVATE)
        reply = await client.admin("POST", DEACTIVATE)
        assert (reply.status, reply.message) == (404, "devshard 1 is not active")

    play(tmp_path, scenario)


@ALL
def test_delete(tmp_path: Path, face: dict[str, str]) -> None:
    """DELETE removes the directory"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        assert (tmp_path / "main" / "escrow-1").is_dir()
        await client.good("POST", DEACTIVATE)
        await client.good("DELETE", f"{DEVSHARDS}/1")
        assert not (tmp_path / "main" / "escrow-1").exists()

    play(tmp_path, scenario)


# --- create, add, import ---------------------------------------------------------------


@ALL
def test_create(tmp_path: Path, face: dict[str, str]) -> None:
    """create 200 number / 500 string id in `error`; `register:false` four keys"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        made = await client.good("POST", CREATE, BODY)
        assert (made["escrow_id"], made["id"]) == (1, "1")
        bare = await client.good("POST", CREATE, {**BODY, "register": False})
        assert set(bare) == {"escrow_id", "tx_hash", "creator", "registered"}
        client.gateway.points.arm({"point": "create.before_register", "action": "error"})
        failed = await client.admin("POST", CREATE, BODY)
        assert failed.status == 500
        assert failed.json["error"]["escrow_id"] == "3"

    play(tmp_path, scenario)


@ALL
def test_warm_up(tmp_path: Path, face: dict[str, str]) -> None:
    """warm-up raises nonce to 1 and balance drops without a client"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        client.gateway.points.arm({"point": "warmup.before_start", "action": "wait"})
        await client.create()
        before = (await client.devshard("1"))["runtime"]
        assert before["pending_race_cleanup"] == 1
        assert "nonce" not in before
        client.gateway.points.release("warmup.before_start")
        await warm(client)
        after = (await client.devshard("1"))["runtime"]
        assert after["nonce"] == 1
        assert after["balance"] < before["balance"]
        await warm_up(client.gateway, client.gateway.runtimes["1"])
        assert (await client.devshard("1"))["runtime"]["nonce"] == 1, "only a new one"

    play(tmp_path, scenario)


@ALL
def test_add_by_other_names(tmp_path: Path, face: dict[str, str]) -> None:
    """add with `escrow_id`/`model_id` only → 400 `id is required`"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        reply = await client.admin("POST", DEVSHARDS, {"escrow_id": "1", "model_id": QWEN, **KEY})
        assert (reply.status, reply.message) == (400, "id is required")

    play(tmp_path, scenario)


@ALL
def test_import(tmp_path: Path, face: dict[str, str]) -> None:
    """import default inactive but loaded; after restart not loaded"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        await client.create(register=False)
        body = {"id": "1", "storage_path": "kept", **KEY}
        assert (await client.good("POST", f"{DEVSHARDS}/import", body))["active"] is False
        assert "runtime" in await client.devshard("1")
        client = await setup.restart(client, **face)
        assert "runtime" not in await client.devshard("1")

    play(tmp_path, scenario)


@ALL
def test_paths(tmp_path: Path, face: dict[str, str]) -> None:
    """absolute and `..` storage paths → 400 exact texts"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        for path, text in (
            ("/root/x", "storage_path must be relative to the gateway base dir"),
            ("../x", "storage_path must not contain .."),
        ):
            for where, body in (
                (CREATE, BODY),
                (DEVSHARDS, {"id": "1", **KEY}),
                (f"{DEVSHARDS}/import", {"id": "1", **KEY}),
            ):
                reply = await client.admin("POST", where, {**body, "storage_path": path})
                assert (reply.status, reply.message) == (400, text)
        assert setup.chain.escrows.all() == []

    play(tmp_path, scenario)


# --- start -----------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("why", ["broken", "missing", "keyless"])
def test_tolerant_start(
    tmp_path: Path, face: dict[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """start: unrecoverable / missing / keyless active record → inactive, process up; degraded
    line + gauge only for the first"""
    caplog.set_level(logging.INFO, "devshardctl")

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face, OTHER_KEY=CREATOR.hex)
        await client.create(private_key_env="OTHER_KEY")
        await client.open_models()
        await warm(client)
        assert (await client.chat()).status == 200
        await setup.stop(client)
        more = {"OTHER_KEY": CREATOR.hex}
        if why == "broken":
            (path,) = (tmp_path / "main" / "escrow-1").glob("epoch_*.db")
            with sqlite3.connect(path) as db:
                db.execute("DELETE FROM diffs WHERE nonce = 1")
        elif why == "missing":
            setup.chain.store.run("DELETE FROM escrows")
        else:
            more = {}
        client = await setup.gateway(**face, **more)
        assert (await client.devshard("1"))["active"] is False
        gauge = b"devshard_gateway_startup_skipped_escrow{" in (await client.get("/metrics")).body
        degraded = "devshard_gateway_startup_degraded deactivated_escrows=1" in caplog.text
        assert (gauge, degraded) == (why == "broken", why == "broken")

    play(tmp_path, scenario)


@ALL
def test_start_without_a_chain(tmp_path: Path, face: dict[str, str]) -> None:
    """start: RPC down with an active record → exit 1; with none → up"""

    async def scenario(setup: Setup) -> None:
        nowhere = {
            "DEVSHARD_CHAIN_GRPC": "127.0.0.1:1",
            "DEVSHARD_CHAIN_RPC": "http://127.0.0.1:1/",
        }
        await setup.gateway("empty", **face, **nowhere)
        client = await serving(setup, face)
        await setup.stop(client)
        with pytest.raises(FatalError, match="create runtimes: "):
            await setup.gateway(**face, **nowhere)

    play(tmp_path, scenario)


@ALL
@pytest.mark.parametrize("pinned", [False, True])
def test_route_prefix_trap(tmp_path: Path, face: dict[str, str], pinned: bool) -> None:
    """start: unpinned v4 record, prefix changed to v4.1 → exit with `session version mismatch:
    stored v4, requested v4.1`; pinned record → up"""

    async def scenario(setup: Setup) -> None:
        old = {**face, "DEVSHARD_ROUTE_PREFIX": "/devshard/v4"}
        client = await setup.gateway(**old)
        await client.create(**({"route_prefix": "/devshard/v4"} if pinned else {}))
        await warm(client)
        await setup.stop(client)
        if pinned:
            client = await setup.gateway(**face)
            record = await client.devshard("1")
            assert record["route_prefix"] == "/devshard/v4"
            assert record["runtime"]["session_version"] == "v4"
        else:
            text = "session version mismatch: stored v4, requested v4.1"
            with pytest.raises(FatalError, match=text):
                await setup.gateway(**face)

    play(tmp_path, scenario)


@ALL
def test_inactive_foreign_record(tmp_path: Path, face: dict[str, str]) -> None:
    """inactive foreign record never stops the start"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(SIMNET_GATEWAY="v3", DEVSHARD_ROUTE_PREFIX="/devshard/v3")
        await client.create()
        await client.good("POST", DEACTIVATE)
        await setup.stop(client)
        client = await setup.gateway(**face)
        assert client.gateway.runtimes == {}

    play(tmp_path, scenario)


def test_settled_at_the_start(tmp_path: Path) -> None:
    """§2.2 [R5]: chain says `settled:true` → set inactive; base loads it as usual"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, BASE)
        await client.good("POST", SETTLE)
        await client.good("POST", ACTIVATE)
        client = await setup.restart(client, **BASE)
        assert "runtime" in await client.devshard("1")
        client = await setup.restart(client, **LATE)
        record = await client.devshard("1")
        assert (record["active"], "runtime" in record) == (False, False)
        assert (await client.admin("POST", ACTIVATE)).status == 409

    play(tmp_path, scenario)


# --- environment -----------------------------------------------------------------------


@ALL
def test_public_api_none(tmp_path: Path, face: dict[str, str]) -> None:
    """`DEVSHARD_PUBLIC_API=none` once, URL later: stays `none` until POST"""

    async def scenario(setup: Setup) -> None:
        api = setup.network.urls["public_api"]
        client = await setup.gateway(**{**face, "DEVSHARD_PUBLIC_API": "none"})
        assert client.gateway.snapshot.phase == "Inference", "the chain was asked"
        assert client.gateway.poller.weights
        client = await setup.restart(client, **face)
        shown = await client.good("GET", "/v1/admin/settings")
        assert shown["public_api"] == "none"
        assert (await client.settings(public_api=api))["public_api"] == api
        client = await setup.restart(client, **face)
        assert (await client.good("GET", "/v1/admin/settings"))["public_api"] == api

    play(tmp_path, scenario)


def test_public_api_that_fails(tmp_path: Path) -> None:
    """§1 [R5]: the chain is asked when the public API fails"""

    async def scenario(setup: Setup) -> None:
        more = {"DEVSHARD_PUBLIC_API": "http://127.0.0.1:1"}
        client = await setup.gateway("late", **{**LATE, **more})
        assert client.gateway.snapshot.phase == "Inference"

    play(tmp_path, scenario)


@ALL
def test_grpc_none(tmp_path: Path, face: dict[str, str]) -> None:
    """gRPC none + RPC ok: queries work; gRPC none without RPC: 502 on create"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face, DEVSHARD_CHAIN_GRPC="none")
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0
        without = {**face, "DEVSHARD_CHAIN_GRPC": "none", "DEVSHARD_CHAIN_RPC": ""}
        client = await setup.gateway("other", **without)
        reply = await client.admin("POST", CREATE, BODY)
        assert reply.status == 502
        assert reply.message.startswith("fetch account ")

    play(tmp_path, scenario)


@ALL
def test_chain_grpc(tmp_path: Path, face: dict[str, str]) -> None:
    """`chain_grpc` in GET settings, absent in admin/state.settings"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        shown = await client.good("GET", "/v1/admin/settings")
        assert shown["chain_grpc"] == setup.network.urls["chain_grpc"]
        assert shown["redundancy"]["force_upstream_streaming"] is True
        assert not [name for name in shown["redundancy"] if name.startswith("non_stream_")]
        state = await client.good("GET", "/v1/admin/state")
        assert "chain_grpc" not in state["settings"]

    play(tmp_path, scenario)


@ALL
def test_post_settings(tmp_path: Path, face: dict[str, str]) -> None:
    """POST settings `{}` changes nothing visible; `{"escrow_rotation":{"models":[one]}}` drops
    the others"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        one, two = ({**rotating()["models"][0], "model_id": name} for name in ("a/one", "b/two"))
        both = await client.settings(escrow_rotation={"models": [one, two]})
        assert await client.settings() == both
        assert await client.settings(redundancy={"non_stream_response_floor_ms": 1}) == both
        kept = await client.settings(escrow_rotation={"models": [one]})
        assert [model["model_id"] for model in kept["escrow_rotation"]["models"]] == ["a/one"]

    play(tmp_path, scenario)


def test_sigterm(tmp_path: Path) -> None:
    """SIGTERM cuts a running stream; exit 143 (2 as PID 1)"""

    async def scenario() -> None:
        async with network_in(tmp_path / "net") as network, aiohttp.ClientSession() as http:
            setup = Setup(tmp_path, network, http)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            environment = {**setup.environment("main", **BASE), "DEVSHARD_PORT": str(port)}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "simnet",
                "gateway",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
                stderr=subprocess.DEVNULL,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                admin = {"Authorization": f"Bearer {environment['DEVSHARD_ADMIN_API_KEY']}"}
                await until_up(http, url)
                async with http.post(f"{url}{CREATE}", json=BODY, headers=admin) as made:
                    assert made.status == 200
                chat = {
                    "model": QWEN,
                    "stream": True,
                    "messages": [{"role": "user", "content": "[sim seconds=600 chunks=600]"}],
                }
                path = "/v1/chat/completions"
                async with http.post(f"{url}{path}", json=chat, headers=admin) as stream:
                    assert await stream.content.readline()
                    process.send_signal(signal.SIGTERM)
                    with pytest.raises(aiohttp.ClientError):
                        await stream.content.read()
                assert await process.wait() == -signal.SIGTERM, "143 for a shell"
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    asyncio.run(scenario())


async def until_up(http: aiohttp.ClientSession, url: str) -> None:
    for _unused in range(600):
        try:
            async with http.get(f"{url}/v1/status") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise AssertionError("the gateway does not answer")


# --- accounting ------------------------------------------------------------------------


@ALL
def test_accounting(tmp_path: Path, face: dict[str, str]) -> None:
    """9091 answers without key; `error` is a string; stats off → nothing listens and no
    `accounting.db`"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway("off", **face)
        assert client.server.stats_port == 0
        assert not (tmp_path / "off" / "accounting.db").exists()
        on = {"DEVSHARD_STATS_ENABLED": "true", "DEVSHARD_STATS_PORT": "0"}
        client = await serving(setup, {**face, **on})
        url = f"http://127.0.0.1:{client.server.stats_port}/api/v1/epochs"
        async with setup.http.get(url) as response:
            body = await response.json()
        assert body["schema_version"] == 4
        (epoch,) = body["epochs"]
        assert epoch["dispositions"] == {"finished_used": 1}
        async with setup.http.get(f"{url}/current/participants") as response:
            (participant,) = (await response.json())["participants"]
        async with setup.http.get(
            f"{url}/current/participants/{participant['participant']}"
        ) as response:
            assert len((await response.json())["records"]) == 1
        for path, status, text in (
            ("x/participants", 400, "invalid epoch"),
            ("current/participants/nobody", 404, "participant not found"),
        ):
            async with setup.http.get(f"{url}/{path}") as response:
                assert (response.status, await response.json()) == (status, {"error": text})
        async with setup.http.get(f"{url}/current/events") as response:
            assert (await response.json())["events"] == []
        async with setup.http.post(url) as response:
            assert response.status == 405
        number = {"epoch": epoch["epoch_index"]}
        purged = await client.good("POST", "/v1/admin/accounting/purge", number)
        assert purged == {**number, "escrows_removed": 1}

    play(tmp_path, scenario)


def test_accounting_port_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """accounting port taken: gateway still starts"""
    caplog.set_level(logging.INFO, "devshardctl")

    async def scenario(setup: Setup) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = str(other.getsockname()[1])
            on = {"DEVSHARD_STATS_ENABLED": "true", "DEVSHARD_STATS_PORT": port}
            client = await setup.gateway(**BASE, **on)
            assert (await client.get("/v1/status")).status == 200
        assert "start accounting server: " in caplog.text

    play(tmp_path, scenario)


# --- chat ------------------------------------------------------------------------------


async def nearly_empty(client: Client, *numbers: str) -> None:
    for number in numbers:
        client.gateway.runtimes[number].session.state.balance = 1_500_000
    await warm(client)


@pytest.mark.parametrize("face", [BASE, LATE], ids=["4.1.1", "4.1.2 and later"])
def test_oversized_request(tmp_path: Path, face: dict[str, str]) -> None:
    """oversized request: 503 + `Retry-After: 10`, count in text, all escrows stay active (face ≥
    4.1.2); face 4.1.1: replacement minted"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face, chats=0)
        await client.create()
        await client.settings(escrow_rotation=rotating(), request_max_tokens_cap=10_000_000)
        await nearly_empty(client, "1", "2")
        reply = await client.chat(max_tokens=9_000_000)
        if face is LATE:
            assert (reply.status, reply.headers["Retry-After"]) == (503, "10")
            assert reply.message.startswith("no escrow can fund this request (2 refused): ")
            assert "cannot_fund_request=2" in reply.message
            assert "X-Devshard-Id" not in reply.headers
            assert all(item["active"] for item in (await client.state()).values())
            assert len(setup.chain.escrows.all()) == 2
        else:
            assert reply.status == 502
            await until(lambda: len(setup.chain.escrows.all()) == 3)

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("face", "status", "text"),
    [
        (LATE, 503, "no live host capacity"),
        (BASE, 429, "rate limit exceeded: too many concurrent requests (0/0)"),
    ],
    ids=["late", "base"],
)
def test_no_host(tmp_path: Path, face: dict[str, str], status: int, text: str) -> None:
    """all hosts throttled: 503 `no live host capacity` (late) / 429 (base)"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        await client.poc_known()
        for host in setup.chain.hosts:
            client.gateway.participants.failed(host.address, client.gateway.settings)
        reply = await client.chat()
        assert (reply.status, reply.message) == (status, text)

    play(tmp_path, scenario)


@pytest.mark.parametrize("face", [BASE, LATE], ids=["base", "late"])
def test_truncated_stream(tmp_path: Path, face: dict[str, str]) -> None:
    """truncated stream replayed from cache (base) / not cached (late)"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        prompt = "the same words [sim fail=2]"
        first = await client.chat(prompt=prompt, stream=True)
        again = await client.chat(prompt=prompt, stream=True)
        asked = client.gateway.runtimes["1"].session.nonce
        assert b"[DONE]" not in first.body + again.body
        assert (again.body == first.body) is (face is BASE)
        assert asked == (3 if face is BASE else 4)

    play(tmp_path, scenario)


# --- rotation --------------------------------------------------------------------------


@NEWER
def test_absent_model(tmp_path: Path, face: dict[str, str]) -> None:
    """rotation: model absent → regulars retired, no temps"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        client.gateway.db.change("1", rotation_role="regular")
        await client.settings(escrow_rotation=rotating())
        setup.chain.models = [model for model in setup.chain.models if model.id != QWEN]
        await client.poc_known()
        await client.gateway.rotator.one_pass()
        assert [item["active"] for item in (await client.state()).values()] == [False]
        assert len(setup.chain.escrows.all()) == 1

    play(tmp_path, scenario)


@NEWER
def test_busy_regular(tmp_path: Path, face: dict[str, str]) -> None:
    """rotation: busy regular → `settle_failed_count 1`, later settled by drain"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        await client.settings(escrow_rotation=rotating(settlement_enabled=True))
        stream = await client.begin_stream()
        await client.poc_known()
        await client.gateway.rotator.one_pass()
        (status,) = client.gateway.db.latest_rotation() or []
        assert (status["settle_failed_count"], status["completed"]) == (1, False)
        client.go_on()
        await stream
        await settled(setup)

    play(tmp_path, scenario)


@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_commitment(tmp_path: Path, on: bool) -> None:
    """commitment: kill between broadcast and bookkeeping, rotation on → adopted; rotation off →
    not adopted"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**BASE)
        client.gateway.points.arm({"point": "create.before_register", "action": "wait"})
        await client.settings(escrow_rotation=rotating())
        await client.poc_known()
        work = asyncio.create_task(client.gateway.rotator.one_pass())
        await until(lambda: client.gateway.points.hits("create.before_register"))
        work.cancel()
        await asyncio.wait({work})
        if not on:
            client.gateway.settings["escrow_rotation"]["enabled"] = False
            client.gateway.db.save_settings(client.gateway.settings)
        client = await setup.restart(client, **BASE)
        await client.gateway.rotator.one_pass()
        assert list(await client.state()) == (["1"] if on else [])

    play(tmp_path, scenario)


@pytest.mark.parametrize(("face", "shown"), [(BASE, "4"), (LATE, "4.1")], ids=["base", "late"])
def test_protocol_version(tmp_path: Path, face: dict[str, str], shown: str) -> None:
    """`protocol_version` shows `4` for a v4.1 rotation escrow"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        await client.settings(escrow_rotation=rotating())
        await client.poc_known()
        await client.gateway.rotator.one_pass()
        record = await client.devshard("1")
        assert record["protocol_version"] == shown
        assert record["route_prefix"] == "/devshard/v4.1"
        assert record["runtime"]["session_version"] == "v4.1"

    play(tmp_path, scenario)


# --- depletion -------------------------------------------------------------------------


def test_hold(tmp_path: Path) -> None:
    """held escrow: `active:true`, not served, released when the reservation returns"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, LATE)
        await client.settings(escrow_rotation=rotating())
        session = client.gateway.runtimes["1"].session
        op = {"t": "start", "slot": 0, "model": QWEN, "length": 1, "max": 1, "hash": "", "at": 0}
        reserved = session.state.balance - 500_000
        nonce = session.append([{**op, "reserved": reserved}])
        await client.gateway.rotator.check_balances()
        record = await client.devshard("1")
        assert (record["active"], record["runtime"]["on_hold"]) == (True, True)
        assert record["on_hold_since"]
        reply = await client.chat(devshard="1")
        assert (reply.status, reply.message) == (
            409,
            "devshard 1 is unavailable for new inferences: on_hold",
        )
        assert len(setup.chain.escrows.all()) == 1
        session.append([{"t": "timeout", "id": nonce}])
        await client.gateway.rotator.check_balances()
        record = await client.devshard("1")
        assert (record["runtime"]["on_hold"], "on_hold_since" in record) == (False, False)
        assert (await client.chat(devshard="1")).status == 200

    play(tmp_path, scenario)


@ALL
def test_high_nonce(tmp_path: Path, face: dict[str, str]) -> None:
    """nonce 19,800 with rotation off → still `active:true`, pooled chat refuses with
    `high_nonce=1`; exhausted with rotation off → inactive, unloaded, not settled"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face, SIMNET_NONCE_LIMIT="2")
        await client.gateway.rotator.check_balances()
        reply = await client.chat()
        assert reply.status == 502
        assert "high_nonce=1" in reply.message
        assert (await client.devshard("1"))["active"] is True
        client.gateway.runtimes["1"].session.state.balance = 0
        assert (await client.chat(devshard="1")).status == 502
        await until(lambda: not client.gateway.runtimes)
        record = await client.devshard("1")
        assert (record["active"], "settlement_pending" in record) == (False, False)
        assert not setup.escrow("1")["settled"]

    play(tmp_path, scenario)


@pytest.mark.parametrize("face", [BASE, LATE], ids=["base", "late"])
def test_epoch_retention(tmp_path: Path, face: dict[str, str]) -> None:
    """epoch +3: loaded escrow dropped without settlement (late face)"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, face)
        setup.chain.advance_epochs(3)
        await client.poc_known()
        await client.gateway.rotator.check_balances()
        record = await client.devshard("1")
        assert ("runtime" in record) is (face is BASE)
        assert record["active"] is (face is BASE)

    play(tmp_path, scenario)


# --- views -----------------------------------------------------------------------------


@pytest.mark.parametrize("face", [BASE, LATE], ids=["base", "late"])
def test_empty_status(tmp_path: Path, face: dict[str, str]) -> None:
    """status with 0 runtimes: late face has `phase:not_found`"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        reply = await client.get("/v1/status")
        assert (reply.status, reply.json["runtimes"]) == (200, 0)
        if face is LATE:
            assert reply.json["phase"] == "not_found"
            assert reply.json["error"] == {"message": "no active escrow", "type": "not_found"}
        else:
            assert "phase" not in reply.json

    play(tmp_path, scenario)


@ALL
def test_views(tmp_path: Path, face: dict[str, str]) -> None:
    """§4.8: keys are blank, and who has no key sees the record of an unloaded escrow only"""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**face)
        await client.create(private_key=CREATOR.hex)
        record = await client.devshard("1")
        assert "private_key" not in record
        assert "on_hold" in record["runtime"] or face is not LATE
        await warm(client)
        await client.good("POST", DEACTIVATE)
        reply = await client.get("/devshard/1/v1/status")
        assert reply.headers["X-Devshard-Metadata-Only"] == "1"
        assert reply.json["metadata_only"] is True
        reply = await client.admin("GET", "/devshard/1/v1/status")
        assert reply.headers["X-Devshard-Readonly"] == "1"
        assert (await client.admin("GET", "/debug/pprof/cmdline")).status == 200

    play(tmp_path, scenario)


def test_probe_of_the_batch(tmp_path: Path) -> None:
    """§10 rule 22: `POST /v1/admin/devshards/settle` with `{}` tells the faces apart"""

    async def scenario(setup: Setup) -> None:
        path = f"{DEVSHARDS}/settle"
        client = await setup.gateway("base", **BASE)
        assert (await client.admin("POST", path, {})).status == 404
        client = await serving(setup, LATE)
        reply = await client.admin("POST", path, {})
        assert (reply.status, reply.message) == (400, "escrow_ids is required")
        reply = await client.admin("POST", path, {"escrow_ids": ["1", "77"]})
        lines = [json.loads(line) for line in reply.body.splitlines()]
        found = {line["escrow_id"]: line.get("reason", line["ok"]) for line in lines}
        assert found == {"1": True, "77": "not_found"}

    play(tmp_path, scenario)


def test_settle_with_another_key_is_not_remembered(tmp_path: Path) -> None:
    """§8.2: a settle request with another key is *not* remembered"""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup, BASE)
        stream = await client.begin_stream()
        other = {"private_key": crypto.PrivateKey.from_seed("other").hex}
        assert (await client.admin("POST", SETTLE, other)).status == 409
        assert "settlement_pending" not in await client.devshard("1")
        client.go_on()
        await stream

    play(tmp_path, scenario)
