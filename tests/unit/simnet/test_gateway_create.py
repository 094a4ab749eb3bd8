# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Create: what it mints, what it answers, and what is left behind when it goes wrong."""

from __future__ import annotations

import asyncio
import time
import typing as t
from pathlib import Path

import aiohttp
import pytest

from simnet import crypto, txs
from simnet.faultrules import CLIENT_GONE
from simnet.gateway.testing import ADMIN, AMOUNT, CREATOR, KIMI, QWEN, Setup, play, until

CREATE = "/v1/admin/escrows"
BODY = {"amount": AMOUNT, "model_id": QWEN}
STRANGER = crypto.PrivateKey.from_seed("stranger")


def test_create_registers_and_a_repeat_mints_again(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        first = await client.good("POST", CREATE, BODY)
        assert first == {
            "creator": CREATOR.address,
            "escrow_id": 1,
            "id": "1",
            "model": QWEN,
            "registered": True,
            "storage_path": str(tmp_path / "main" / "escrow-1"),
            "tx_hash": first["tx_hash"],
        }
        assert setup.chain.tx(first["tx_hash"]).code == 0
        again = await client.good("POST", CREATE, BODY)
        assert again["escrow_id"] == 2
        assert len(setup.chain.escrows.all()) == 2, "a second deposit is locked"
        record = await client.devshard("1")
        assert record["private_key_env"] == "DEVSHARD_PRIVATE_KEY"
        assert "private_key" not in record
        assert record["active"] is True
        assert sorted(path.name for path in (tmp_path / "main" / "escrow-1").glob("*.db")) == [
            "_meta.db",
            f"epoch_{setup.escrow('1')['epoch_index']}.db",
        ]

    play(tmp_path, scenario)


def test_create_without_registering(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        answer = await client.good("POST", CREATE, {**BODY, "register": False})
        assert answer == {
            "creator": CREATOR.address,
            "escrow_id": 1,
            "registered": False,
            "tx_hash": answer["tx_hash"],
        }
        assert await client.state() == {}
        body = {"id": "1", "private_key_env": "DEVSHARD_PRIVATE_KEY"}
        assert (await client.good("POST", "/v1/admin/devshards", body))["active"] is True

    play(tmp_path, scenario)


def test_keys(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(EMPTY="", PREFIXED="0x" + CREATOR.hex)
        body = {**BODY, "private_key": "0x" + CREATOR.hex}
        clear = (await client.good("POST", CREATE, body))["id"]
        record = await client.devshard(clear)
        assert record["private_key"] == "0x" + CREATOR.hex, "in clear, as the real one does"
        for key, text in (
            ({"private_key_env": "EMPTY"}, "private_key or private_key_env is required"),
            ({"private_key_env": "NOPE"}, "private_key or private_key_env is required"),
            ({"private_key": "xyz"}, "parse hex key: invalid hex data for private key"),
            ({"private_key": "abcd"}, "parse hex key: private key must be 32 bytes"),
        ):
            reply = await client.admin("POST", CREATE, {**BODY, **key})
            assert reply.status == 400
            assert reply.message.startswith(text)
        assert len(setup.chain.escrows.all()) == 1
        # The prefix is fine for signing and not for the session: minted, not registered.
        reply = await client.admin("POST", CREATE, {**BODY, "private_key_env": "PREFIXED"})
        assert reply.status == 500
        error = reply.json["error"]
        assert "create session: create signer: parse hex key" in error["message"]
        assert error["escrow_id"] == "2"
        assert setup.chain.tx(error["tx_hash"]).code == 0
        assert "2" not in await client.state()

    play(tmp_path, scenario)


def test_refusals(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(POOR=STRANGER.hex, DEVSHARD_CHAIN_ID="")
        setup.chain.bank.set_balance(CREATOR.address, 3 * AMOUNT)
        for more, status, text in (
            ({"amount": None}, 400, "amount is required"),
            ({"amount": 0}, 400, "amount is required"),
            ({"amount": 1.5}, 400, "json: cannot unmarshal number 1.5 into Go struct field"),
            (
                {"private_key_env": "POOR"},
                502,
                (
                    f"fetch account {STRANGER.address}: "
                    f"GET /cosmos/auth/v1beta1/accounts/{STRANGER.address} status 404: "
                ),
            ),
            ({"chain_id": "other"}, 502, "broadcast tx failed code=4 codespace=sdk raw_log="),
            ({"fee_denom": "gold"}, 502, "broadcast tx failed code=10"),
            ({"amount": 1}, 502, "tx "),
            ({"model_id": "nope"}, 502, "tx "),
            ({"gas_limit": 60_000}, 502, "tx "),
        ):
            reply = await client.admin("POST", CREATE, {**BODY, **more})
            assert (reply.status, reply.kind) == (status, "text/plain; charset=utf-8"), more
            assert reply.message.startswith(text), (more, reply.message)
            if text == "tx ":
                assert " failed code=" in reply.message
        await client.create(amount=2 * AMOUNT)
        poor = await client.admin("POST", CREATE, {**BODY, "amount": 2 * AMOUNT})
        assert "insufficient funds" in poor.message, "a deposit is missed in the block only"
        setup.chain.inclusion.mode = "never"
        call = asyncio.create_task(client.admin("POST", CREATE, BODY))
        await until(setup.chain.pending)
        await until(lambda: setup.network.log.entries(path=setup.chain.pending()[0]))
        lost = await client.gives_up(call)
        assert lost.status == 502
        digest = lost.message.split()[3].rstrip(":")
        assert lost.message.startswith(f"wait for tx {digest}: {setup.network.urls['chain_rest']}")
        assert setup.chain.pending() == [digest]
        await client.settings(chain_rest="")
        assert (await client.admin("POST", CREATE, BODY)).message == "chain REST URL is required"

    play(tmp_path, scenario)


def test_the_block_comes_after_the_gateway_gave_up(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        setup.chain.inclusion.mode = "never"
        call = asyncio.create_task(client.admin("POST", CREATE, BODY))
        await until(setup.chain.pending)
        assert (await client.gives_up(call)).status == 502
        setup.chain.release_pending()
        await until(lambda: setup.escrow("1"))
        assert await client.state() == {}, "funded on the chain, unknown here"

    play(tmp_path, scenario)


def test_an_unknown_field_is_ignored_at_the_cost_of_a_deposit(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        answer = await client.good("POST", CREATE, {"amount": AMOUNT, "model": KIMI})
        assert answer["model"] == QWEN

    play(tmp_path, scenario)


def test_client_leaves_during_create(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        setup.chain.inclusion.mode = "never"
        call = asyncio.create_task(client.admin("POST", CREATE, BODY))
        await until(setup.chain.pending)
        call.cancel()
        await until(
            lambda: [
                entry
                for entry in setup.servers[0].log.entries(path=CREATE)
                if entry["status"] == CLIENT_GONE
            ]
        )
        asked = setup.network.log
        setup.chain.release_pending()
        await until(lambda: setup.escrow("1"))
        asked.clear()
        # A second create is polled for; the first one is not any more.
        setup.chain.inclusion.mode = "normal"
        await client.create()
        hashes = {entry["path"] for entry in asked.entries(path="txs/")}
        assert len(hashes) == 1
        assert list(await client.state()) == ["2"]

    play(tmp_path, scenario)


@pytest.mark.parametrize("where", ["before", "after"])
def test_chain_silent(tmp_path: Path, where: str) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        path = "accounts" if where == "before" else "txs/"
        setup.network.rules.add({"action": "hang", "service": "chain", "path": path})
        call = asyncio.create_task(client.admin("POST", CREATE, BODY))
        await setup.asked(path=path)
        reply = await client.gives_up(call)
        assert reply.status == 502
        assert "context deadline exceeded (Client.Timeout exceeded while" in reply.message
        if where == "before":
            assert reply.message.startswith(f"fetch account {CREATOR.address}: Get ")
            assert setup.network.log.entries(method="POST", path="txs") == []
        else:
            assert reply.message.startswith("wait for tx ")
            await until(lambda: setup.escrow("1"))

    play(tmp_path, scenario)


def test_lost_reply_and_failed_registration_by_fault(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        rule = {"action": "drop_after", "method": "POST", "path": "escrows", "times": 1}
        client.server.rules.add(rule)
        with pytest.raises(aiohttp.ClientError):
            await client.admin("POST", CREATE, BODY)
        assert "1" in await client.state()
        client.gateway.points.arm(
            {"point": "create.before_register", "action": "error", "message": "disk full"}
        )
        reply = await client.admin("POST", CREATE, BODY)
        assert (reply.status, reply.kind) == (500, "text/plain; charset=utf-8")
        assert reply.json["error"]["escrow_id"] == "2"
        assert reply.message == "disk full"
        assert "2" not in await client.state()
        client.gateway.points.arm({"point": "create.after_broadcast", "action": "error"})
        assert (await client.admin("POST", CREATE, BODY)).status == 502

    play(tmp_path, scenario)


@pytest.mark.parametrize("call", ["create", "add", "import"])
def test_new_requests_wait_while_a_runtime_is_built(tmp_path: Path, call: str) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        stream = await client.begin_stream()
        minted = await client.good("POST", CREATE, {**BODY, "register": False})
        point = "create.before_register" if call == "create" else f"{call}.before_build"
        client.gateway.points.arm({"point": point, "action": "wait"})
        record = {"id": str(minted["escrow_id"]), "private_key_env": "DEVSHARD_PRIVATE_KEY"}
        session = {**record, "storage_path": str(tmp_path / "main" / "escrow-2")}
        calls: dict[str, tuple[str, dict[str, t.Any]]] = {
            "create": (CREATE, BODY),
            "add": ("/v1/admin/devshards", record),
            "import": ("/v1/admin/devshards/import", session),
        }
        path, body = calls[call]
        slow = asyncio.create_task(client.admin("POST", path, body))
        await until(client.gateway.mutex.locked)
        status = asyncio.create_task(client.get("/v1/status"))
        metrics = asyncio.create_task(client.get("/metrics"))
        client.go_on()
        assert (await stream).body.endswith(b"[DONE]\n\n"), "who is served already goes on"
        assert not status.done()
        assert not metrics.done()
        client.gateway.points.clear()
        assert (await slow).status == 200
        assert (await status).status == (await metrics).status == 200

    play(tmp_path, scenario)


def test_the_transaction_is_unordered_and_valid_for_nine_minutes(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(DEVSHARD_TX_GAS_LIMIT="600000")
        answer = await client.good("POST", CREATE, {**BODY, "fee_amount": 2_000_000})
        record = setup.chain.tx(answer["tx_hash"])
        tx = txs.Tx.decode(record.raw)
        assert tx.body.unordered
        assert tx.body.timeout_timestamp is not None
        assert 530 < tx.body.timeout_timestamp.seconds - time.time() <= 541
        assert tx.auth_info.gas_limit == 600_000
        assert tx.auth_info.fee == (txs.Coin("ngonka", 2_000_000),)

    play(tmp_path, scenario)


def test_admin_key_is_needed(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        assert (await client.ask("POST", CREATE, BODY, key=ADMIN[:-1])).status == 401
        assert setup.chain.escrows.all() == []

    play(tmp_path, scenario)
