# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Rotation: prepare, finish, retire, promote, suppress; depletion; the end of an epoch."""

from __future__ import annotations

import asyncio
import typing as t
from pathlib import Path

from simnet.gateway.testing import AMOUNT, KIMI, QWEN, Client, Setup, play, until

DEVSHARDS = "/v1/admin/devshards"
SUPPRESSED = "escrow rotation create already failed for this epoch"


def models(**more: t.Any) -> list[dict[str, t.Any]]:
    model = {
        "model_id": QWEN,
        "temp_count": 1,
        "target_count": 2,
        "amount": AMOUNT,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
    }
    return [{**model, **more}]


async def enable(client: Client, *, settle: bool | None = None, **more: t.Any) -> None:
    rotation: dict[str, t.Any] = {"enabled": True, "models": models(**more)}
    if settle is not None:
        rotation["settlement_enabled"] = settle
    await client.settings(escrow_rotation=rotation)


async def one_pass(client: Client) -> t.Any:
    """What a tick does after a poll; returns the newest row."""
    await client.poc_known()
    await client.gateway.rotator.one_pass()
    latest = (await client.good("GET", "/v1/debug/rotation"))["latest"]
    return None if latest is None else latest[0]


def near_the_switch(setup: Setup) -> None:
    # Far enough from PoC, which begins 19 blocks before the switch, for a slow machine.
    setup.chain.advance_to("set_new_validators", -280)


async def roles(client: Client) -> dict[str, tuple[bool, str]]:
    state = await client.state()
    return {key: (item["active"], item.get("rotation_role", "")) for key, item in state.items()}


def test_a_whole_epoch_without_settlement_which_is_the_default(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.create(KIMI)
        await client.open_models()
        await enable(client)
        assert await one_pass(client) is None, "nothing to do between windows"
        near_the_switch(setup)
        row = await one_pass(client)
        epoch = setup.chain.epoch.index
        assert row == {
            "model_id": QWEN,
            "stage": "prepare_temp",
            "epoch": epoch,
            "role": "temp",
            "target_count": 1,
            "existing_count": 0,
            "created_count": 1,
            "promoted_count": 0,
            "settled_count": 0,
            "settle_failed_count": 0,
            "completed": True,
            "updated_at": row["updated_at"],
        }
        # The manual escrow is retired too, another model's is not; nothing is settled.
        assert await roles(client) == {"1": (False, ""), "2": (True, ""), "3": (True, "temp")}
        item = await client.devshard("3")
        assert item["rotation_epoch"] == epoch
        assert (await client.devshard("1"))["runtime"]["phase"] == "active"
        assert setup.escrow("1")["settled"] is False
        assert await one_pass(client) == row, "a pass that does nothing saves nothing"
        setup.chain.advance_to("set_new_validators", 1)
        row = await one_pass(client)
        assert (row["stage"], row["role"], row["created_count"]) == ("finish_regular", "regular", 2)
        assert await roles(client) == {
            "1": (False, ""), "2": (True, ""), "3": (False, "temp"), "4": (True, "regular"),
            "5": (True, "regular"),
        }  # fmt: skip
        assert len((await client.good("GET", "/v1/debug/rotation"))["latest"]) == 2

    play(tmp_path, scenario)


def test_with_settlement(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        assert (await client.chat()).status == 200
        await enable(client, settle=True)
        near_the_switch(setup)
        row = await one_pass(client)
        assert (row["settled_count"], row["settle_failed_count"]) == (1, 0)
        await until(lambda: setup.escrow("1")["settled"])
        setup.chain.advance_to("set_new_validators", 1)
        row = await one_pass(client)
        assert (row["created_count"], row["settled_count"]) == (2, 1)
        await until(lambda: setup.escrow("2")["settled"])
        assert setup.violations == []

    play(tmp_path, scenario)


def test_a_busy_escrow_is_tried_again_and_another_failure_is_not(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        runtime = client.gateway.runtimes["1"]
        stream = await client.begin_stream()
        await enable(client, settle=True)
        near_the_switch(setup)
        row = await one_pass(client)
        assert (row["created_count"], row["settled_count"], row["completed"]) == (1, 0, False)
        assert (await roles(client))["1"] == (True, "")
        stream.cancel()
        await until(lambda: not runtime.active_requests)
        client.gateway.points.arm({"point": "settle.before_broadcast", "action": "error"})
        row = await one_pass(client)
        assert (row["created_count"], row["settle_failed_count"]) == (0, 1)
        assert (await roles(client))["1"] == (False, "")
        assert await one_pass(client) == row, "an inactive record is looked at by nobody"
        assert setup.escrow("1")["settled"] is False

    play(tmp_path, scenario)


def test_without_settlement_requests_in_flight_do_not_count(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        stream = await client.begin_stream()
        await enable(client)
        near_the_switch(setup)
        await one_pass(client)
        assert (await roles(client))["1"] == (False, "")
        client.go_on()
        assert (await stream).body.endswith(b"[DONE]\n\n")

    play(tmp_path, scenario)


def test_a_failed_create_promotes_and_its_error_is_soon_replaced(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await enable(client, private_key_env="NOPE", temp_count=2)
        near_the_switch(setup)
        row = await one_pass(client)
        assert row["create_error"] == "private_key or private_key_env is required"
        assert (row["promoted_count"], row["completed"]) == (1, False)
        assert (await roles(client))["1"] == (True, "temp"), "it keeps serving"
        row = await one_pass(client)
        assert (row["create_error"], row["promoted_count"]) == (SUPPRESSED, 0)
        assert row["existing_count"] == 1, "the promoted one counts as a temp"
        await enable(client, temp_count=2)
        assert (await one_pass(client))["create_error"] == SUPPRESSED, "also when mended"
        await client.settings(escrow_rotation={"enabled": False})
        await enable(client, temp_count=2)
        assert (await one_pass(client))["create_error"] == SUPPRESSED
        assert len(setup.chain.escrows.all()) == 1

    play(tmp_path, scenario)


def test_a_restart_arms_again(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await enable(client)
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 1}})
        near_the_switch(setup)
        assert "already has 1 escrows" in (await one_pass(client))["create_error"]
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 100}})
        # One more temp is wanted than the promoted one.
        await enable(client, temp_count=2)
        assert (await one_pass(client))["create_error"] == SUPPRESSED
        client = await setup.restart(client)
        row = await one_pass(client)
        assert (row["created_count"], row["existing_count"]) == (1, 1)

    play(tmp_path, scenario)


def test_a_failed_finish_leaves_the_temps_serving(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await enable(client)
        near_the_switch(setup)
        await one_pass(client)
        setup.chain.advance_to("set_new_validators", 1)
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 1}})
        row = await one_pass(client)
        assert (row["stage"], row["created_count"]) == ("finish_regular", 1)
        assert "already has 1 escrows" in row["create_error"]
        assert (await roles(client))["2"] == (True, "temp")
        # Until the next epoch's index nothing is tried any more.
        assert (await one_pass(client))["create_error"] == SUPPRESSED
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 100}})
        assert (await one_pass(client))["create_error"] == SUPPRESSED

    play(tmp_path, scenario)


def test_an_empty_pool_is_not_healed(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await enable(client)
        assert await one_pass(client) is None
        assert setup.chain.escrows.all() == []

    play(tmp_path, scenario)


def test_nothing_is_finished_during_poc(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await enable(client)
        near_the_switch(setup)
        await one_pass(client)
        setup.chain.advance_to("set_new_validators", 1)
        setup.chain.set_phase("PoCValidate")
        assert (await one_pass(client))["stage"] == "prepare_temp"
        setup.chain.set_phase(None)
        assert (await one_pass(client))["stage"] == "finish_regular"

    play(tmp_path, scenario)


def test_turning_off_waits_for_the_pass_under_way(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await enable(client)
        near_the_switch(setup)
        client.gateway.points.arm({"point": "create.before_broadcast", "action": "wait"})
        await client.poc_known()
        rotating = asyncio.create_task(client.gateway.rotator.one_pass())
        armed = client.gateway.points
        await until(lambda: armed.to_json()["points"][0]["hits"])
        body = {"escrow_rotation": {"enabled": False}}
        turning = asyncio.create_task(client.admin("POST", "/v1/admin/settings", body))
        await until(lambda: client.gateway.settings["escrow_rotation"]["enabled"] is False)
        assert (await client.get("/v1/status")).status == 200, "only this answer waits"
        assert not turning.done()
        client.gateway.points.clear()
        assert (await turning).status == 200
        assert rotating.done()
        assert len(await client.state()) == 2

    play(tmp_path, scenario)


def test_the_loop_ticks_by_itself(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(SIMNET_POLL_SECONDS="0.05", SIMNET_ROTATION_SECONDS="0.05")
        await client.create()
        await enable(client)
        near_the_switch(setup)
        db = client.gateway.db
        await until(lambda: [record.id for record in db.records() if record.active] == ["2"])

    play(tmp_path, scenario)


def test_depletion(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(SIMNET_NONCE_LIMIT="2", SIMNET_AUTO_SETTLE_SECONDS="0.01")
        await client.create()
        await client.open_models()
        runtime = client.gateway.runtimes["1"]
        runtime.session.state.balance = 999_999
        await client.gateway.rotator.check_balances()
        assert len(await client.state()) == 1, "with rotation off nobody looks"
        await enable(client, settle=True)
        await client.poc_known()
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 0}})
        await client.gateway.rotator.check_balances()
        await until(lambda: not runtime.being_replaced)
        assert (await roles(client))["1"] == (True, ""), "a failed replacement changes nothing"
        setup.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 100}})
        await client.gateway.rotator.check_balances()
        await until(lambda: "2" in client.gateway.runtimes)
        await until(lambda: not runtime.active)
        assert (await roles(client))["2"] == (True, "regular")
        runtime.session.state.balance = 4_999_990_000
        await until(lambda: setup.escrow("1")["settled"])
        # A high nonce is noticed when a request is routed.
        for _unused in range(2):
            assert (await client.chat()).status == 200
        assert (await client.chat()).status == 502
        await until(lambda: "3" in client.gateway.runtimes)
        assert (await client.chat()).headers["X-Devshard-Id"] == "3"

    play(tmp_path, scenario)


def test_one_dear_request_replaces_the_escrow_when_rotation_is_on(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        await enable(client)
        await client.poc_known()
        client.gateway.runtimes["1"].session.state.balance = 1_000
        assert (await client.chat()).status == 502
        await until(lambda: "2" in client.gateway.runtimes)
        await until(lambda: not client.gateway.runtimes["1"].active)
        assert (await client.chat()).headers["X-Devshard-Id"] == "2"

    play(tmp_path, scenario)


def test_settings_that_became_invalid_stop_it(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(
            DEVSHARD_ESCROW_ROTATION_ENABLED="true",
            DEVSHARD_ESCROW_ROTATION_MODELS_JSON="[]",
        )
        await client.create()
        near_the_switch(setup)
        assert await one_pass(client) is None
        assert len(await client.state()) == 1

    play(tmp_path, scenario)
