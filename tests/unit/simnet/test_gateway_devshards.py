# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Records: add, activate, import, deactivate, delete, and moving a session."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simnet.gateway.testing import KIMI, QWEN, Setup, play, until

DEVSHARDS = "/v1/admin/devshards"
KEY = {"private_key_env": "DEVSHARD_PRIVATE_KEY"}


def test_add_ignores_active_and_activating_only_flips_the_flag(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create(register=False)
        for body, text in (
            ({}, "id is required"),
            ({"id": "1"}, "private_key or private_key_env is required for a new devshard"),
            ({"id": "1", "private_key_env": "NOPE"}, "runtime 1: private key missing"),
            (
                {"id": "1", "protocol_version": "2", **KEY},
                'runtime 1: unsupported protocol version "2"',
            ),
        ):
            reply = await client.admin("POST", DEVSHARDS, body)
            assert (reply.status, reply.message) == (400, text)
        added = await client.good("POST", DEVSHARDS, {"id": "1", "active": False, **KEY})
        path = str(tmp_path / "main" / "escrow-1")
        assert added == {"active": True, "id": "1", "model": QWEN, "storage_path": path}
        again = await client.admin("POST", DEVSHARDS, {"id": "1"})
        assert (again.status, again.message) == (409, "devshard already active")
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        before = client.gateway.runtimes["1"]
        flipped = await client.good("POST", DEVSHARDS, {"id": "1", "model": KIMI})
        assert flipped["model"] == KIMI
        assert client.gateway.runtimes["1"] is before, "not built again"
        item = await client.devshard("1")
        assert (item["active"], item["model"]) == (True, KIMI)
        assert (item["runtime"]["active"], item["runtime"]["model"]) == (True, QWEN)
        client = await setup.restart(client)
        assert (await client.devshard("1"))["runtime"]["model"] == KIMI

    play(tmp_path, scenario)


def test_an_unknown_escrow_leaves_an_empty_directory(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        reply = await client.admin("POST", DEVSHARDS, {"id": "999", **KEY})
        assert reply.message.endswith("get escrow: escrow not found")
        directory = tmp_path / "main" / "escrow-999"
        assert directory.is_dir()
        assert list(directory.iterdir()) == []
        assert await client.state() == {}

    play(tmp_path, scenario)


def test_deactivate_is_idempotent_and_lets_requests_finish(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        stream = await client.begin_stream()
        for method, path in (
            ("POST", "/devshard/1/v1/finalize"),
            ("POST", f"{DEVSHARDS}/1/settle"),
        ):
            busy = await client.admin(method, path)
            assert (busy.status, busy.message) == (409, "devshard 1 has active requests")
        active = await client.admin("DELETE", f"{DEVSHARDS}/1")
        assert active.message == "devshard 1 is active; deactivate it first"
        for _unused in range(2):
            assert await client.good("POST", f"{DEVSHARDS}/1/deactivate") == {
                "active": False,
                "id": "1",
            }
        busy = await client.admin("DELETE", f"{DEVSHARDS}/1")
        assert (busy.status, busy.message) == (409, "devshard 1 has active requests")
        client.go_on()
        assert (await stream).body.endswith(b"[DONE]\n\n")
        assert await client.good("DELETE", f"{DEVSHARDS}/1") == {"deleted": True, "id": "1"}
        assert not (tmp_path / "main" / "escrow-1").exists()
        assert (await client.admin("DELETE", f"{DEVSHARDS}/1")).status == 404

    play(tmp_path, scenario)


def test_delete_outside_the_storage_dir_half_fails(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        outside = tmp_path / "elsewhere"
        await client.create(storage_path=str(outside))
        await client.good("POST", f"{DEVSHARDS}/1/deactivate")
        reply = await client.admin("DELETE", f"{DEVSHARDS}/1")
        text = f"refusing to delete storage outside base dir: {outside}"
        assert (reply.status, reply.message) == (500, text)
        assert await client.state() == {}
        assert (outside / "_meta.db").exists()

    play(tmp_path, scenario)


def test_import_of_a_wrong_path_begins_a_new_session(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        await client.chat()
        other = await setup.gateway("other")
        wrong = str(tmp_path / "other" / "wrong")
        body = {"id": "1", "storage_path": wrong, **KEY}
        answer = await other.good("POST", f"{DEVSHARDS}/import", body)
        assert (answer["active"], answer["perf_path"]) == (False, "")
        assert (await other.status_of("1"))["nonce"] == 0
        twice = await other.admin("POST", f"{DEVSHARDS}/import", body)
        assert (twice.status, twice.message) == (409, "devshard 1 already loaded")
        # Repaired: delete the inactive record, import again.
        await other.good("DELETE", f"{DEVSHARDS}/1")
        await setup.stop(client)
        right = {**body, "storage_path": str(tmp_path / "main" / "escrow-1")}
        right["perf_path"] = str(tmp_path / "main" / "perf.db")
        answer = await other.good("POST", f"{DEVSHARDS}/import", right)
        assert answer["accounting_records_imported"] == 1
        assert answer["accounting_attempts_imported"] == 1
        assert (await other.status_of("1"))["nonce"] == 1
        other.gateway.runtimes.clear()
        exists = await other.admin("POST", f"{DEVSHARDS}/import", right)
        assert exists.message == "devshard 1 already exists in gateway state"

    play(tmp_path, scenario)


def test_import_freezes_the_state_that_it_read(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        source = await setup.gateway("source")
        await source.create()
        await source.open_models()
        await source.chat()
        target = await setup.gateway("target")
        await target.open_models()
        path = str(tmp_path / "source" / "escrow-1")
        body = {"id": "1", "storage_path": path, **KEY}
        await target.good("POST", f"{DEVSHARDS}/import", body)
        assert setup.network.hosts.violations() == []
        await source.chat()
        assert (await target.status_of("1"))["nonce"] == 1, "frozen at the import"
        activated = await target.good("POST", DEVSHARDS, {"id": "1"})
        assert activated["active"] is True
        assert (await target.status_of("1"))["nonce"] == 1, "and not read again"
        # The same directory: the second author of nonce 2 fails, and from then on every time.
        for _unused in range(2):
            failed = await target.chat()
            text = "UNIQUE constraint failed: diffs.escrow_id, diffs.nonce"
            assert (failed.status, failed.message) == (502, text)
        assert (await source.chat()).status == 200
        finalize = await target.admin("POST", "/devshard/1/v1/finalize")
        assert (finalize.status, finalize.message) == (500, text)
        await until(lambda: setup.violations)
        # The cure: stop both, start one alone.
        await setup.stop(source)
        target = await setup.restart(target, "target")
        assert (await target.status_of("1"))["nonce"] == 3
        await target.good("POST", f"{DEVSHARDS}/1/deactivate")
        await target.good("POST", "/devshard/1/v1/finalize")
        await target.good("POST", f"{DEVSHARDS}/1/settle")
        await until(lambda: setup.escrow("1")["settled"])
        assert set(setup.violations) == {"fork"}, "the hosts saw the second author"

    play(tmp_path, scenario)


def test_a_move_keeps_nonce_and_balance(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        source = await setup.gateway("source")
        await source.create()
        await source.open_models()
        for _unused in range(3):
            await source.chat()
        before = await source.status_of("1")
        await source.good("POST", f"{DEVSHARDS}/1/deactivate")
        await setup.stop(source)
        target = await setup.gateway("target")
        await target.open_models()
        shutil.copytree(tmp_path / "source" / "escrow-1", tmp_path / "target" / "escrow-1")
        body = {"id": "1", "storage_path": str(tmp_path / "target" / "escrow-1"), **KEY}
        await target.good("POST", f"{DEVSHARDS}/import", body)
        after = await target.status_of("1")
        assert (after["nonce"], after["balance"]) == (before["nonce"], before["balance"])
        await target.good("POST", DEVSHARDS, {"id": "1"})
        assert (await target.chat(devshard="1")).status == 200
        assert setup.violations == []

    play(tmp_path, scenario)


def test_two_processes_on_copies_are_noticed_by_the_hosts(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        source = await setup.gateway("source")
        await source.create()
        await source.open_models()
        await source.chat()
        await setup.stop(source)
        shutil.copytree(tmp_path / "source", tmp_path / "copy")
        source = await setup.gateway("source")
        # The copied record names the source's directory.
        copy = await setup.gateway("copy")
        await copy.good("POST", f"{DEVSHARDS}/1/deactivate")
        own_path = str(tmp_path / "copy" / "escrow-1")
        await copy.good("POST", DEVSHARDS, {"id": "1", "storage_path": own_path})
        copy = await setup.restart(copy, "copy")
        assert (await source.chat()).status == 200
        forked = await copy.chat()
        assert forked.status == 502
        assert forked.message.startswith("host state hash does not match local state: host ")
        assert setup.violations[0] == "fork"

    play(tmp_path, scenario)


def test_a_relative_path_is_an_empty_session_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        for _unused in range(3):
            assert (await client.chat()).status == 200
        await client.good("POST", "/devshard/1/v1/debug/sync-hosts")
        await setup.stop(client)
        monkeypatch.chdir(tmp_path)
        other = await setup.gateway("other")
        body = {"id": "1", "storage_path": "main/x", "private_key_env": "DEVSHARD_PRIVATE_KEY"}
        answer = await other.good("POST", f"{DEVSHARDS}/import", body)
        assert answer["storage_path"] == "main/x"
        assert (tmp_path / "main" / "x").is_dir()
        assert (await other.status_of("1"))["nonce"] == 0
        assert (await other.admin("POST", "/devshard/1/v1/finalize")).status == 500

    play(tmp_path, scenario)
