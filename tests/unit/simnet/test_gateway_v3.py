# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What v3 does otherwise than v2: unloading, busy escrows, repairs, start, rotation.

The numbers in the names are those of generations.md, "Money and waiting".
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from simnet.gateway.environment import FatalError
from simnet.gateway.testing import QWEN, Client, Reply, Setup, play, until

DEVSHARDS = "/v1/admin/devshards"
ACTIVATE, DEACTIVATE = f"{DEVSHARDS}/1/activate", f"{DEVSHARDS}/1/deactivate"
SETTLE = f"{DEVSHARDS}/1/settle"
FINALIZE = "/devshard/1/v1/finalize"
V3 = {"SIMNET_GATEWAY": "v3", "DEVSHARD_ROUTE_PREFIX": "/devshard/v3"}
LOCKED = "database is locked (5) (SQLITE_BUSY)"


async def serving(setup: Setup, **more: str) -> Client:
    client = await setup.gateway(**{**V3, **more})
    await client.create()
    await client.open_models()
    assert (await client.chat()).status == 200
    return client


async def block_of(setup: Setup, reply: Reply) -> tuple[int, str]:
    assert reply.status == 200, reply.body
    record = await until(lambda: setup.chain.tx(reply.json["tx_hash"]))
    return record.code, record.raw_log


def settled(setup: Setup) -> bool:
    return bool(setup.escrow("1")["settled"])


def test_tags_of_a_prefix(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        tags = client.gateway.runtimes["1"].session.tags
        assert (tags.bind, tags.state) == ("v3", "v3")
        settlement = await client.good("POST", FINALIZE)
        assert settlement["version"] == "v3"
        assert "required_validations" not in settlement["host_stats"][0]

    play(tmp_path, scenario)


def test_a_settle_that_failed_is_repaired_by_activate_finalize_settle_1(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        setup.network.hosts.down = {host.address for host in setup.chain.hosts}
        failed = await client.admin("POST", SETTLE)
        assert (failed.status, failed.message) == (502, "insufficient signatures: 0/11 weight")
        setup.network.hosts.down = set()
        for _unused in range(2):
            code, log = await block_of(setup, await client.admin("POST", SETTLE))
            assert code == 1
            assert "insufficient quorum: 0 slot votes, need 11" in log
        portable = await client.good("GET", FINALIZE)
        assert portable["signatures"] == []
        assert (await client.admin("POST", FINALIZE)).status == 404
        await client.good("POST", ACTIVATE)
        assert len((await client.good("POST", FINALIZE))["signatures"]) >= 11
        assert (await block_of(setup, await client.admin("POST", SETTLE)))[0] == 0
        await until(lambda: settled(setup))

    play(tmp_path, scenario)


def test_an_unapproved_tag_is_accepted_and_fails_in_the_block_5(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        setup.network.hosts.versions = {"v3"}
        approved = {"approved_versions": [{"name": "v2", "binary": "", "sha256": ""}]}
        setup.chain.merge_params({"devshard_escrow_params": approved})
        code, log = await block_of(setup, await client.admin("POST", SETTLE))
        assert code == 1
        assert 'settlement version "v3" is not listed' in log
        setup.chain.merge_params({"devshard_escrow_params": {"approved_versions": []}})
        code, log = await block_of(setup, await client.admin("POST", SETTLE))
        assert "insufficient quorum: 0 slot votes" in log

    play(tmp_path, scenario)


def test_busy_that_no_field_shows_2(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        broken = await client.chat("[sim fail=2]", stream=True)
        assert b"[DONE]" not in broken.body
        runtime = (await client.devshard("1"))["runtime"]
        assert runtime["active_requests"] == 0
        assert "pending_race_cleanup" not in runtime
        for method, path in (("POST", SETTLE), ("POST", FINALIZE)):
            reply = await client.admin(method, path)
            assert (reply.status, reply.message) == (409, "devshard 1 has active requests")
        await client.good("POST", DEACTIVATE)
        reply = await client.admin("DELETE", f"{DEVSHARDS}/1")
        assert (reply.status, reply.message) == (409, "devshard 1 has active requests")
        assert "runtime" in await client.devshard("1")
        client.gateway.clock.advance(1200)
        await until(lambda: not client.gateway.runtimes)
        assert "runtime" not in await client.devshard("1")
        assert (await client.admin("POST", SETTLE)).status == 200

    play(tmp_path, scenario)


@pytest.mark.parametrize("path", [ACTIVATE, SETTLE])
def test_the_store_is_open_after_its_runtime_is_gone_3(tmp_path: Path, path: str) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        client.gateway.points.arm({"point": "unload.before_close", "action": "wait"})
        await client.good("POST", DEACTIVATE)
        assert "runtime" not in await client.devshard("1")
        reply = await client.admin("POST", path)
        assert reply.status == 502
        assert LOCKED in reply.message
        client.gateway.points.release("unload.before_close")
        await until(lambda: not client.gateway.closing)
        assert (await client.admin("POST", path)).status == 200

    play(tmp_path, scenario)


def test_delete_outside_the_base_directory_4(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await client.good("POST", DEACTIVATE)
        outside = tmp_path / "outside"
        shutil.move(tmp_path / "main" / "escrow-1", outside)
        assert (await client.admin("DELETE", f"{DEVSHARDS}/1")).status == 200
        body = {"id": "1", "storage_path": str(outside), "private_key_env": "DEVSHARD_PRIVATE_KEY"}
        await client.good("POST", f"{DEVSHARDS}/import", body)
        reply = await client.admin("DELETE", f"{DEVSHARDS}/1")
        assert (reply.status, reply.message) == (
            500,
            f"refusing to delete storage outside base dir: {outside}",
        )
        assert await client.state() == {}
        assert outside.is_dir()

    play(tmp_path, scenario)


def test_protocol_version_tells_nothing_10(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        assert (await client.devshard("1"))["runtime"]["protocol_version"] == "1"
        client = await setup.restart(client, **V3)
        assert (await client.devshard("1"))["runtime"]["protocol_version"] == "3"

    play(tmp_path, scenario)


def test_a_prefix_that_no_host_serves(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**{**V3, "DEVSHARD_ROUTE_PREFIX": "/devshard/v9"})
        await client.create()
        await client.open_models()
        setup.network.hosts.versions = {"v3"}
        reply = await client.chat()
        assert reply.status == 502
        assert reply.json["error"]["message"] == "inference: no non-probe attempt finished"
        reply = await client.admin("POST", SETTLE)
        assert (reply.status, reply.message) == (502, "insufficient signatures: 0/11 weight")

    play(tmp_path, scenario)


def test_start_loads_active_records_only(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await client.create()
        await client.good("POST", DEACTIVATE)
        client = await setup.restart(client, **V3)
        assert sorted(client.gateway.runtimes) == ["2"]
        await client.good("POST", ACTIVATE)
        assert (await client.chat(devshard="1")).status == 200

    play(tmp_path, scenario)


def test_broken_state_is_set_inactive_at_the_start(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await setup.stop(client)
        (path,) = (tmp_path / "main" / "escrow-1").glob("epoch_*.db")
        db = sqlite3.connect(path)
        db.execute("DELETE FROM diffs WHERE nonce = 1")
        db.commit()
        db.close()
        client = await setup.gateway(**V3)
        assert (await client.devshard("1"))["active"] is False
        metrics = (await client.get("/metrics")).body.decode()
        assert 'devshard_gateway_startup_skipped_escrow{escrow_id="1"' in metrics

    play(tmp_path, scenario)


@pytest.mark.parametrize("prefix", ["/devshard/v3", "/devshard/v1"])
def test_a_store_of_v2(tmp_path: Path, prefix: str) -> None:
    """§1: fatal, or silently set inactive, never opened."""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        assert (await client.chat()).status == 200
        await setup.stop(client)
        more = {**V3, "DEVSHARD_ROUTE_PREFIX": prefix}
        if prefix == "/devshard/v1":
            client = await setup.gateway(**more)
            assert (await client.devshard("1"))["active"] is False
        else:
            mismatch = "session version mismatch: stored v1, requested v3"
            with pytest.raises(FatalError, match=mismatch):
                await setup.gateway(**more)

    play(tmp_path, scenario)


def test_v2_opens_what_v3_has_migrated(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.good("POST", DEACTIVATE)
        await setup.stop(client)
        client = await setup.gateway(**V3)
        await setup.stop(client)
        client = await setup.gateway()
        assert list(client.gateway.runtimes) == ["1"]

    play(tmp_path, scenario)


def test_rotation_adopts_what_it_had_sent_before_it_died(tmp_path: Path) -> None:
    """§5: the hash is kept before the broadcast, so the deposit is not orphaned."""

    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**V3)
        await client.poc_known()
        point = {"point": "create.before_register", "action": "wait"}
        client.gateway.points.arm(point)
        model = {"model_id": QWEN, "temp_count": 1, "target_count": 1, "amount": 5_000_000_000}
        rotation = {
            "enabled": True,
            "pre_poc_blocks": 30_000,
            "models": [{**model, "private_key_env": "DEVSHARD_PRIVATE_KEY"}],
        }
        await client.settings(escrow_rotation=rotation)
        await client.poc_known()
        work = asyncio.create_task(client.gateway.rotator.one_pass())
        await until(lambda: client.gateway.points.hits("create.before_register"))
        work.cancel()
        await asyncio.wait({work})
        client = await setup.restart(client, **V3)
        assert await client.state() == {}
        await client.gateway.rotator.one_pass()
        record = await client.devshard("1")
        assert (record["rotation_role"], record["active"]) == ("temp", True)
        assert client.gateway.db.commitments() == []
        assert len(setup.chain.escrows.all()) == 1

    play(tmp_path, scenario)


def test_a_refused_create_is_tried_again_after_1_2_4_ticks(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(**V3)
        model = {"model_id": QWEN, "temp_count": 1, "target_count": 1, "amount": 1}
        rotation = {
            "enabled": True,
            "pre_poc_blocks": 30_000,
            "models": [{**model, "private_key_env": "DEVSHARD_PRIVATE_KEY"}],
        }
        await client.settings(escrow_rotation=rotation)
        await client.poc_known()
        errors = []
        for _unused in range(8):
            await client.gateway.rotator.one_pass()
            (status,) = client.gateway.db.latest_rotation() or []
            errors.append("suppressed (backoff)" in status["create_error"])
        tried, suppressed = False, True
        assert errors == [
            tried, tried, suppressed, tried, suppressed, suppressed, suppressed, tried
        ]  # fmt: skip

    play(tmp_path, scenario)


def test_a_depleted_escrow_is_settled_by_the_next_process(tmp_path: Path) -> None:
    """§5: settlement_pending is kept and acted upon after a restart when settling is on."""

    async def scenario(setup: Setup) -> None:
        client = await serving(setup)
        await client.settings(escrow_rotation={"settlement_enabled": True})
        client.gateway.db.change("1", active=False, settlement_pending=True)
        assert (await client.devshard("1"))["settlement_pending"] is True
        client = await setup.restart(client, **V3)
        await until(lambda: settled(setup))
        await until(lambda: not client.gateway.db.records()[0].settlement_pending)

    play(tmp_path, scenario)
