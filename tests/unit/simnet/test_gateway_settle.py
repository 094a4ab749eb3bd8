# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Finalize and settle: quorum, the false success, what a kill leaves, lost sessions."""

from __future__ import annotations

import asyncio
import base64
import shutil
import sqlite3
from pathlib import Path

import pytest

from simnet import crypto, txs
from simnet.gateway.environment import FatalError
from simnet.gateway.testing import CREATOR, QWEN, Client, Setup, play, until

DEVSHARDS = "/v1/admin/devshards"
FINALIZE = "/devshard/1/v1/finalize"
SETTLE = f"{DEVSHARDS}/1/settle"
KEY = {"private_key_env": "DEVSHARD_PRIVATE_KEY"}


async def served(setup: Setup, chats: int = 2, **more: str) -> Client:
    client = await setup.gateway(**more)
    await client.create()
    await client.open_models()
    for _unused in range(chats):
        assert (await client.chat()).status == 200
    return client


async def block_of(setup: Setup, digest: str) -> tuple[int, str]:
    record = await until(lambda: setup.chain.tx(digest))
    return record.code, record.raw_log


def shut_down(setup: Setup, client: Client, weight: int) -> None:
    """Hosts go down until no more than ``weight`` slots answer."""
    links = list(client.gateway.runtimes["1"].session.links.values())
    left = sum(len(link.slots) for link in links)
    down = set()
    for link in links:
        if left > weight:
            down.add(link.address)
            left -= len(link.slots)
    setup.network.hosts.down = down


def test_finalize_then_settle(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        early = await client.admin("GET", FINALIZE)
        assert (early.status, early.message) == (409, "session not yet finalized")
        reply = await client.admin("POST", FINALIZE)
        assert not reply.body.endswith(b"\n")
        settlement = reply.json
        assert settlement["escrow_id"] == "1"
        assert (settlement["nonce"], settlement["fees"]) == (2 + 17, 10_000 + 2 * 1_000)
        assert len(settlement["host_stats"]) == len(settlement["signatures"]) == 16
        item = await client.devshard("1")
        assert (item["active"], item["runtime"]["phase"]) == (False, "settlement")
        assert (await client.good("POST", FINALIZE)) == settlement, "a repeat returns at once"
        assert (await client.good("GET", FINALIZE)) == settlement
        before = setup.chain.bank.balance(CREATOR.address)
        answer = await client.good("POST", SETTLE)
        assert answer == {
            "active": False,
            "escrow_id": 1,
            "id": "1",
            "settler": CREATOR.address,
            "tx_hash": answer["tx_hash"],
        }
        assert await block_of(setup, answer["tx_hash"]) == (0, "")
        assert setup.escrow("1")["settled"] is True
        cost = sum(int(entry["cost"]) for entry in settlement["host_stats"])
        refund = 5_000_000_000 - cost - settlement["fees"]
        assert setup.chain.bank.balance(CREATOR.address) == before + refund - 1_000_000
        # Once more: 200 and a new hash, the chain says no, the fee is gone.
        again = await client.good("POST", SETTLE)
        code, log = await block_of(setup, again["tx_hash"])
        assert (code, log.rpartition(": ")[2]) == (1, "escrow 1 already settled")
        assert setup.violations == []

    play(tmp_path, scenario)


def test_the_finalize_json_is_a_settlement_for_anybody_with_the_key(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        settlement = await client.good("POST", FINALIZE)
        message = txs.MsgSettle.from_settlement(CREATOR.address, settlement)
        setup.chain.escrows.settle(message, setup.chain.effective_epoch)
        assert setup.escrow("1")["settled"] is True

    play(tmp_path, scenario)


def test_settle_answers_before_the_block(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        setup.chain.inclusion.mode = "never"
        answer = await client.good("POST", SETTLE)
        assert setup.chain.tx(answer["tx_hash"]) is None
        assert setup.escrow("1")["settled"] is False
        setup.chain.release_pending()
        await until(lambda: setup.escrow("1")["settled"])

    play(tmp_path, scenario)


def test_too_little_gas_is_seen_in_the_block_only(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        answer = await client.good("POST", SETTLE, {"gas_limit": 300_000})
        code, log = await block_of(setup, answer["tx_hash"])
        assert (code, "out of gas" in log) == (11, True)
        assert setup.escrow("1")["settled"] is False

    play(tmp_path, scenario)


def test_a_failed_settle_leaves_it_inactive(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        body = {"private_key_env": "NOPE"}
        missing = await client.admin("POST", SETTLE, body)
        text = "private_key or private_key_env is required"
        assert (missing.status, missing.message) == (502, text)
        assert (await client.devshard("1"))["active"] is False
        assert (await client.devshard("1"))["runtime"]["phase"] == "active"
        await client.good("POST", DEVSHARDS, {"id": "1"})
        bad = await client.admin("POST", SETTLE, {"private_key": "xyz"})
        assert (bad.status, "private key" in bad.message) == (400, True)
        wrong = await client.admin("POST", SETTLE, {"gas_limit": "1"})
        assert wrong.status == 400
        setup.network.rules.add({"action": "status", "path": "accounts", "status": 503})
        await client.good("POST", DEVSHARDS, {"id": "1"})
        down = await client.admin("POST", SETTLE)
        assert down.status == 502
        assert down.message.startswith("fetch account ")
        assert (await client.devshard("1"))["active"] is False
        setup.network.rules.clear()
        await client.good("POST", SETTLE)
        await until(lambda: setup.escrow("1")["settled"])

    play(tmp_path, scenario)


def test_another_creator_cannot_settle_and_hears_nothing_of_it(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        stranger = crypto.PrivateKey.from_seed("stranger")
        setup.chain.bank.set_balance(stranger.address, 10**9)
        client = await served(setup)
        answer = await client.good("POST", SETTLE, {"private_key": stranger.hex})
        code, _unused = await block_of(setup, answer["tx_hash"])
        assert code == 1173

    play(tmp_path, scenario)


def test_without_a_quorum_the_second_settle_is_a_false_success(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        shut_down(setup, client, 10)
        failed = await client.admin("POST", FINALIZE)
        assert failed.status == 500
        assert failed.message.startswith("insufficient signatures: ")
        assert failed.message.endswith("/11 weight")
        item = await client.devshard("1")
        assert (item["active"], item["runtime"]["phase"]) == (True, "settlement")
        again = await client.admin("POST", FINALIZE)
        assert again.status == 500
        assert again.message.startswith("insufficient signatures: ")
        answer = await client.good("POST", SETTLE)
        code, log = await block_of(setup, answer["tx_hash"])
        assert code == 1
        assert "insufficient quorum: " in log
        assert setup.escrow("1")["settled"] is False
        # The hosts are back: finalize collects what is missing.
        setup.network.hosts.down = set()
        settlement = await client.good("POST", FINALIZE)
        assert len(settlement["signatures"]) == 16
        await client.good("POST", SETTLE)
        await until(lambda: setup.escrow("1")["settled"])

    play(tmp_path, scenario)


def test_signatures_are_only_in_memory(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        await client.good("POST", FINALIZE)
        client = await setup.restart(client)
        assert (await client.good("GET", FINALIZE))["signatures"] == []
        answer = await client.good("POST", SETTLE)
        code, log = await block_of(setup, answer["tx_hash"])
        assert (code, "insufficient quorum: 0 slot votes" in log) == (1, True)
        assert len((await client.good("POST", FINALIZE))["signatures"]) == 16
        await client.good("POST", SETTLE)
        await until(lambda: setup.escrow("1")["settled"])

    play(tmp_path, scenario)


def test_interrupted_it_stays_finalizing_for_ever(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        client.gateway.points.arm({"point": "finalize.round", "action": "error", "after": 5})
        assert (await client.admin("POST", FINALIZE)).status == 500
        for _unused in range(2):
            stuck = await client.admin("POST", FINALIZE)
            text = "finalize already in progress (phase=finalizing, nonce=7)"
            assert (stuck.status, stuck.message) == (500, text)
            settle = await client.admin("POST", SETTLE)
            assert (settle.status, settle.message) == (502, text)
            client = await setup.restart(client)
        assert (await client.status_of("1"))["phase"] == "finalizing"
        direct = await client.chat(devshard="1")
        assert direct.status == 409

    play(tmp_path, scenario)


def test_a_client_that_leaves_does_less_harm(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        client.gateway.points.arm({"point": "finalize.round", "action": "wait", "after": 3})
        call = asyncio.create_task(client.admin("POST", FINALIZE))
        session = client.gateway.runtimes["1"].session
        await until(lambda: session.nonce == 5)
        call.cancel()
        await until(lambda: session.client_gone)
        client.gateway.points.clear()
        await until(lambda: session.phase == "settlement" and not session.client_gone)
        assert session.signatures == {}
        settlement = await client.good("POST", FINALIZE)
        assert len(settlement["signatures"]) == 16
        assert settlement["nonce"] == 2 + 17

    play(tmp_path, scenario)


def test_finalizes_run_one_at_a_time(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        await client.create()
        client.gateway.points.arm({"point": "finalize.before_signatures", "action": "wait"})
        first = asyncio.create_task(client.admin("POST", FINALIZE))
        session = client.gateway.runtimes["1"].session
        await until(lambda: session.phase == "settlement")
        second = asyncio.create_task(client.admin("POST", "/devshard/2/v1/finalize"))
        assert (await client.get("/v1/status")).status == 200, "only finalizes wait"
        assert (await client.status_of("2"))["phase"] == "active"
        assert not second.done()
        client.gateway.points.clear()
        assert [(await first).status, (await second).status] == [200, 200]

    play(tmp_path, scenario)


def test_bare_finalize_neither_looks_for_requests_nor_deactivates(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        stream = await client.begin_stream()
        assert (await client.admin("POST", "/v1/finalize")).status == 200
        assert (await client.devshard("1"))["active"] is True
        client.go_on()
        assert (await stream).body.endswith(b"[DONE]\n\n")

    play(tmp_path, scenario)


def test_epochs_pass(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        settlement = await client.good("POST", FINALIZE)
        assert settlement["nonce"] == 19
        setup.chain.advance_epochs(2)
        assert setup.escrow("1") is None, "the deposit went to the hosts, the row is gone"
        answer = await client.good("POST", SETTLE)
        code, log = await block_of(setup, answer["tx_hash"])
        assert (code, "escrow 1 not found" in log) == (1, True)
        await client.good("POST", DEVSHARDS, {"id": "1"})
        client = await setup.restart(client)
        item = await client.devshard("1")
        assert item["active"] is False, "an active record of a gone escrow becomes inactive"
        assert "runtime" not in item

    play(tmp_path, scenario)


def test_a_lost_session_begins_anew_and_is_not_recoverable(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup, chats=8)
        await client.good("POST", "/devshard/1/v1/debug/sync-hosts")
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        await client.good("DELETE", f"{DEVSHARDS}/1")
        body = {"id": "1", "model": QWEN, **KEY}
        await client.good("POST", DEVSHARDS, body)
        assert (await client.status_of("1"))["nonce"] == 0
        first = await client.chat()
        assert (first.status, first.kind) == (502, "application/json")
        assert first.message.startswith("host state hash does not match local state: host ")
        assert "fork" in setup.violations
        failed = await client.admin("POST", FINALIZE)
        assert failed.status == 500
        answer = await client.admin("POST", SETTLE)
        if answer.status == 200:
            code, _unused = await block_of(setup, answer.json["tx_hash"])
            assert code == 1
        assert setup.escrow("1")["settled"] is False

    play(tmp_path, scenario)


def test_an_older_copy_is_stuck_in_finalizing(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        await setup.stop(client)
        shutil.copytree(tmp_path / "main" / "escrow-1", tmp_path / "old")
        client = await setup.gateway()
        for _unused in range(30):
            assert (await client.chat()).status == 200
        await client.good("POST", "/devshard/1/v1/debug/sync-hosts")
        await setup.stop(client)
        shutil.rmtree(tmp_path / "main" / "escrow-1")
        shutil.copytree(tmp_path / "old", tmp_path / "main" / "escrow-1")
        client = await setup.gateway()
        assert (await client.status_of("1"))["nonce"] == 2
        chat = await client.chat()
        assert chat.status == 502
        failed = await client.admin("POST", FINALIZE)
        assert failed.message.startswith("host state hash does not match local state: host ")
        stuck = await client.admin("POST", FINALIZE)
        assert stuck.message.startswith("finalize already in progress")
        client = await setup.restart(client)
        assert (await client.admin("POST", FINALIZE)).message == stuck.message
        assert {"fork"} <= set(setup.violations)

    play(tmp_path, scenario)


async def host_diffs(setup: Setup, client: Client) -> dict[int, dict[str, str]]:
    """The union of what the hosts tell anybody, as a restore would read it."""
    found: dict[int, dict[str, str]] = {}
    for link in client.gateway.runtimes["1"].session.links.values():
        async with setup.http.get(f"{link.url}/diffs?from=1&to=1000") as response:
            for entry in await response.json():
                found[entry["diff"]["nonce"]] = {**entry["diff"], "state": entry["state_hash"]}
    return found


def test_a_lost_session_can_be_rebuilt_from_the_hosts(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup, chats=7)
        await client.good("POST", "/devshard/1/v1/debug/sync-hosts")
        before = await client.status_of("1")
        diffs = await host_diffs(setup, client)
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        await setup.stop(client)
        shutil.rmtree(tmp_path / "main" / "escrow-1")
        client = await setup.gateway()
        assert (await client.status_of("1"))["nonce"] == 0
        await setup.stop(client)
        assert sorted(diffs) == list(range(1, 8))
        path = next((tmp_path / "main" / "escrow-1").glob("epoch_*.db"))
        db = sqlite3.connect(path)
        for nonce, diff in diffs.items():
            values = [base64.b64decode(diff[name]) for name in ("txs", "user_sig")]
            values += [base64.b64decode(diff[name]) for name in ("post_state_root", "state")]
            assert values[0].startswith(bytes([8, nonce]))
            values[0] = values[0][2:]
            db.execute(
                "INSERT INTO diffs (escrow_id, nonce, txs_proto, user_sig, post_state_root, "
                "state_hash, warm_keys_json, created_at) VALUES ('1', ?, ?, ?, ?, ?, '', 0)",
                (nonce, *values),
            )
        db.execute("UPDATE sessions SET latest_nonce = 7")
        db.commit()
        db.close()
        client = await setup.gateway()
        after = await client.status_of("1")
        assert (after["nonce"], after["balance"]) == (before["nonce"], before["balance"])
        await client.good("POST", DEVSHARDS, {"id": "1"})
        assert (await client.chat()).status == 200
        await client.good("POST", SETTLE)
        await until(lambda: setup.escrow("1")["settled"])
        assert setup.violations == []

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("UPDATE diffs SET txs_proto = x'1200' WHERE nonce = 2", "state root mismatch at nonce 2"),
        ("DELETE FROM diffs WHERE nonce = 1", "state root mismatch at nonce 1"),
        (
            "UPDATE sessions SET version = 'v3'",
            "session version mismatch: stored v3, requested v1",
        ),
        ("UPDATE sessions SET group_json = '[]'", "stored group does not match"),
    ],
)
def test_a_wrong_session_is_refused_at_load(tmp_path: Path, change: str, text: str) -> None:
    async def scenario(setup: Setup) -> None:
        client = await served(setup)
        await setup.stop(client)
        db = sqlite3.connect(next((tmp_path / "main" / "escrow-1").glob("epoch_*.db")))
        db.execute(change)
        db.commit()
        db.close()
        # Active: the whole gateway does not start. Inactive: it is left out.
        with pytest.raises(FatalError, match=f"create runtimes: runtime 1: create session: {text}"):
            await setup.gateway()
        db = sqlite3.connect(tmp_path / "main" / "gateway.db")
        db.execute("UPDATE gateway_devshards SET active = 0")
        db.commit()
        db.close()
        client = await setup.gateway()
        assert "runtime" not in await client.devshard("1")
        add = await client.admin("POST", DEVSHARDS, {"id": "1"})
        assert (add.status, text in add.message) == (400, True)

    play(tmp_path, scenario)
