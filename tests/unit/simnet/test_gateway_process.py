# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The process: how it starts, what ends it, what is left after a kill; its faults port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from simnet.gateway.environment import FatalError
from simnet.gateway.testing import ADMIN, AMOUNT, QWEN, Setup, play, until
from simnet.launch import free_port

SIMNET = Path(__file__).resolve().parents[2] / "simnet"
HEADERS = {"Authorization": f"Bearer {ADMIN}"}
KEY = {"private_key_env": "DEVSHARD_PRIVATE_KEY"}


class Child:
    """A gateway in a process of its own."""

    def __init__(self, setup: Setup, name: str = "main", **more: str) -> None:
        self._setup = setup
        self.port, self.faults_port = free_port("127.0.0.1"), free_port("127.0.0.1")
        self._variables = setup.environment(
            name,
            DEVSHARD_PORT=str(self.port),
            SIMNET_FAULTS_PORT=str(self.faults_port),
            **more,
        )
        self.log = setup.directory / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self, *, ready: bool = True) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "simnet",
                "gateway",
                env={**kept, "PYTHONPATH": str(SIMNET), **self._variables},
                stderr=log,
            )
        if ready:
            assert await self.answers(), self.log.read_text()

    async def answers(self) -> bool:
        """Wait until it answers, or has ended."""
        while self.process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                await self.get("/v1/models")
                return True
            await asyncio.sleep(0.02)
        return False

    async def _ask(self, method: str, port: int, path: str, body: t.Any) -> t.Any:
        url = f"http://127.0.0.1:{port}{path}"
        async with self._setup.http.request(method, url, json=body, headers=HEADERS) as response:
            assert response.status == 200, (path, response.status, await response.text())
            return await response.json(content_type=None)

    async def get(self, path: str) -> t.Any:
        return await self._ask("GET", self.port, path, None)

    async def post(self, path: str, body: t.Any = None) -> t.Any:
        return await self._ask("POST", self.port, path, body)

    async def fault(self, path: str, body: t.Any = None, method: str = "POST") -> t.Any:
        return await self._ask(method, self.faults_port, path, body)

    async def create(self) -> str:
        body = {"amount": AMOUNT, "model_id": QWEN}
        return str((await self.post("/v1/admin/escrows", body))["escrow_id"])

    async def state(self) -> dict[str, t.Any]:
        return {item["id"]: item for item in (await self.get("/v1/admin/state"))["devshards"]}

    async def stop(self) -> int:
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.kill()
        return await self._process.wait()


@contextlib.asynccontextmanager
async def child(setup: Setup, *, ready: bool = True, **more: str) -> AsyncIterator[Child]:
    process = Child(setup, **more)
    try:
        await process.start(ready=ready)
        yield process
    finally:
        await process.stop()


def test_sigterm_kills_at_once_and_streams_with_it(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        async with child(setup) as gateway:
            await gateway.create()
            body = {
                "stream": True,
                "messages": [{"role": "user", "content": "Say hello"}],
            }
            point = {"point": "chat.chunk", "action": "wait", "after": 1}
            await gateway.fault("/points", point)
            url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
            async with setup.http.post(url, json=body, headers=HEADERS) as response:
                await response.content.readuntil(b"\n\n")
                nonce = (await gateway.get("/v1/status"))["nonce"]
                gateway.process.send_signal(signal.SIGTERM)
                assert await gateway.process.wait() == -signal.SIGTERM
                with pytest.raises(aiohttp.ClientError):
                    await response.content.read()
            # What was written before is still there.
            await gateway.start()
            assert (await gateway.get("/v1/status"))["nonce"] == nonce == 1

    play(tmp_path, scenario)


def test_a_kill_in_the_middle_of_finalizing(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        async with child(setup) as gateway:
            await gateway.create()
            await gateway.fault(
                "/points", {"point": "finalize.round", "action": "crash", "after": 3}
            )
            with pytest.raises(aiohttp.ClientError):
                await gateway.post("/devshard/1/v1/finalize")
            assert await gateway.process.wait() == -signal.SIGKILL
            await gateway.start()
            status = await gateway.get("/v1/status")
            assert (status["phase"], status["nonce"]) == ("finalizing", 3)
            url = f"http://127.0.0.1:{gateway.port}/devshard/1/v1/finalize"
            async with setup.http.post(url, headers=HEADERS) as response:
                assert response.status == 500
                assert "finalize already in progress" in await response.text()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("point", "minted", "registered"),
    [
        ("create.before_broadcast", False, False),
        ("create.after_broadcast", True, False),
        ("create.before_register", True, False),
        ("create.after_register", True, True),
    ],
)
def test_a_kill_during_create(tmp_path: Path, point: str, minted: bool, registered: bool) -> None:
    async def scenario(setup: Setup) -> None:
        points = f'[{{"point": "{point}", "action": "crash"}}]'
        async with child(setup, SIMNET_POINTS=points) as gateway:
            with pytest.raises(aiohttp.ClientError):
                await gateway.create()
            assert await gateway.process.wait() == -signal.SIGKILL
            if minted:
                await until(lambda: setup.escrow("1"))
        async with child(setup) as gateway:
            assert (setup.escrow("1") is not None) is minted
            assert ("1" in await gateway.state()) is registered

    play(tmp_path, scenario)


@pytest.mark.parametrize("point", ["settle.before_broadcast", "settle.after_broadcast"])
def test_a_kill_during_settle(tmp_path: Path, point: str) -> None:
    async def scenario(setup: Setup) -> None:
        async with child(setup) as gateway:
            await gateway.create()
            await gateway.fault("/points", {"point": point, "action": "crash"})
            with pytest.raises(aiohttp.ClientError):
                await gateway.post("/v1/admin/devshards/1/settle")
            await gateway.process.wait()
            await gateway.start()
            item = (await gateway.state())["1"]
            assert (item["active"], item["runtime"]["phase"]) == (False, "settlement")
            if point.endswith("after_broadcast"):
                await until(lambda: setup.escrow("1")["settled"])
            else:
                assert setup.escrow("1")["settled"] is False

    play(tmp_path, scenario)


def test_it_listens_when_everything_is_loaded(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        points = '[{"point": "start.before_listen", "action": "wait"}]'
        async with child(setup, ready=False, SIMNET_POINTS=points) as gateway:

            async def waiting() -> bool:
                try:
                    armed = await gateway.fault("/points", method="GET")
                except aiohttp.ClientError:
                    return False
                return bool(armed["points"][0]["hits"])

            while not await waiting():
                await asyncio.sleep(0.02)
            with pytest.raises(aiohttp.ClientConnectorError):
                await gateway.get("/v1/status")
            await gateway.fault("/points", method="DELETE")
            assert await gateway.answers()

    play(tmp_path, scenario)


def test_silent_chain_at_start(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        rule = {"action": "hang", "service": "chain"}
        impatient: dict[str, t.Any] = {"SIMNET_CHAIN_TIMEOUT": "0.1"}
        async with child(setup) as gateway:
            await gateway.create()
        setup.network.rules.add(rule)
        async with child(setup, ready=False, **impatient) as gateway:
            assert await gateway.process.wait() == 1, "an active record: it ends"
            assert "create runtimes: runtime 1: create session" in gateway.log.read_text()
        setup.network.rules.clear()
        async with child(setup) as gateway:
            assert (await gateway.state())["1"]["active"] is True, "nothing was changed"
            await gateway.post("/v1/admin/devshards/1/deactivate")
        setup.network.rules.add(rule)
        async with child(setup, **impatient) as gateway:
            assert "runtime" not in (await gateway.state())["1"], "an inactive one is left out"
            text = gateway.log.read_text()
            assert "inactive devshard 1 could not be loaded, skipping runtime" in text

    play(tmp_path, scenario)


def test_no_escrows_no_chain_needed(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        setup.network.rules.add({"action": "drop", "service": "chain"})
        setup.network.rules.add({"action": "drop", "service": "public"})
        async with child(setup) as gateway:
            assert (await gateway.get("/v1/status"))["runtimes"] == 0

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("status", "body"), [(404, "nothing here"), (200, '{"escrow":null,"found":false}')]
)
def test_a_chain_that_knows_no_escrow_deactivates_for_good(
    tmp_path: Path, status: int, body: str
) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        for _unused in range(2):
            await client.create()
        setup.network.rules.add(
            {"action": "status", "status": status, "body": body, "path": "devshard_escrow/"}
        )
        client = await setup.restart(client)
        assert (await client.get("/v1/status")).json["runtimes"] == 0
        setup.network.rules.clear()
        client = await setup.restart(client)
        state = await client.state()
        assert [item["active"] for item in state.values()] == [False, False]
        await client.good("POST", "/v1/admin/devshards", {"id": "1"})
        assert (await client.devshard("1"))["active"] is True

    play(tmp_path, scenario)


def test_a_key_that_is_gone_deactivates_too(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        client = await setup.restart(client, DEVSHARD_PRIVATE_KEY="")
        assert (await client.devshard("1"))["active"] is False

    play(tmp_path, scenario)


def test_a_failed_first_start_is_none(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        with pytest.raises(FatalError):
            await setup.gateway(DEVSHARDS_JSON="")
        client = await setup.gateway(GATEWAY_MAX_TOKENS_CAP="9999")
        settings = await client.good("GET", "/v1/admin/settings")
        assert settings["request_max_tokens_cap"] == 9999

    play(tmp_path, scenario)


def test_first_start_with_escrows(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        first = await setup.gateway("first")
        for _unused in range(2):
            await first.create()
        text = '[{"id":"1","private_key_env":"DEVSHARD_PRIVATE_KEY"}]'
        second = await setup.gateway("second", DEVSHARDS_JSON=text)
        assert (await second.devshard("1"))["active"] is True
        third = await setup.gateway("third", DEVSHARDS_JSON="", DEVSHARD_ESCROW_ID="2")
        assert (await third.get("/v1/status")).json["escrow_id"] == "2"

    play(tmp_path, scenario)


def test_broken_images(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        async with child(setup, SIMNET_IMAGE_VERSION="v9") as gateway:
            for _unused in range(2):
                await gateway.create()
            process = await gateway.fault("/process", method="GET")
            assert process["image_version"] == "v9"
            assert "image_version=v9" in gateway.log.read_text()
        async with child(setup, ready=False, SIMNET_FAIL="exit") as gateway:
            assert await gateway.process.wait() == 1
        async with child(setup, SIMNET_FAIL="unhealthy") as gateway:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(gateway.get("/v1/status"), 0.2)
            assert len(await gateway.state()) == 2
        async with child(setup, SIMNET_FAIL="deactivate") as gateway:
            state = await gateway.state()
            assert [item["active"] for item in state.values()] == [False, True]
        async with child(setup) as gateway:
            state = await gateway.state()
            assert [item["active"] for item in state.values()] == [False, True], "for good"

    play(tmp_path, scenario)


def test_the_faults_port(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        async with child(setup) as gateway:
            await gateway.create()
            assert await gateway.fault("/health", method="GET") == {"ok": True}
            rule = {"action": "status", "status": 502, "path": "/v1/models", "times": 1}
            added = await gateway.fault("/faults", rule)
            with pytest.raises(AssertionError, match="502"):
                await gateway.get("/v1/models")
            await gateway.get("/v1/models")
            listed = await gateway.fault("/faults", method="GET")
            assert listed["faults"][0]["hits"] == 1
            await gateway.fault(f"/faults/{added['id']}", method="DELETE")
            assert (await gateway.fault("/faults", method="GET"))["faults"] == []
            await gateway.fault("/requests", method="DELETE")
            await gateway.get("/v1/admin/state")
            await gateway.post("/v1/admin/settings", {})
            log = (await gateway.fault("/requests", method="GET"))["requests"]
            assert [(entry["method"], entry["path"], entry["status"]) for entry in log] == [
                ("GET", "/v1/admin/state", 200),
                ("POST", "/v1/admin/settings", 200),
            ]
            written = await gateway.fault("/requests?method=POST&path=settings", method="GET")
            assert len(written["requests"]) == 1
            await gateway.fault("/reply", {"chunks": 2})
            body = {"messages": [{"role": "user", "content": "x"}]}
            answer = await gateway.post("/v1/chat/completions", body)
            assert answer["usage"]["completion_tokens"] == 2
            assert (await gateway.fault("/reply", method="GET"))["chunks"] == 2
            await gateway.fault("/reset")
            assert (await gateway.fault("/reply", method="GET"))["chunks"] == 5
            for path, bad in (
                ("/points", {"point": "nowhere", "action": "crash"}),
                ("/points", {"point": "create.before_register", "action": "explode"}),
                ("/points", {"point": "create.before_register", "action": "wait", "x": 1}),
                ("/faults", {"action": "burn"}),
                ("/reply", {"speed": 1}),
                ("/reply", {"chunks": "many"}),
            ):
                with pytest.raises(AssertionError, match="400"):
                    await gateway.fault(path, bad)
            with pytest.raises(aiohttp.ClientError):
                await gateway.fault("/crash", {})
            assert await gateway.process.wait() == -signal.SIGKILL

    play(tmp_path, scenario)


def test_storage_holds_what_the_real_one_has(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.open_models()
        await client.chat()
        await setup.stop(client)
        tables = {}
        for path in (tmp_path / "main").rglob("*.db"):
            db = sqlite3.connect(path)
            rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            tables[path.name] = {row[0] for row in rows}
            if path.name == "gateway.db":
                assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
                assert path.stat().st_mode & 0o777 == 0o600
            if path.name.startswith("epoch_"):
                row = db.execute("SELECT nonce, txs_proto, state_hash FROM diffs").fetchone()
                assert row[0] == 1
                assert len(row[2]) == 32
                assert db.execute("SELECT latest_nonce FROM sessions").fetchone() == (1,)
            db.close()
        assert tables["gateway.db"] == {
            "gateway_settings", "gateway_devshards", "participant_throttle_state",
            "gateway_rotation_status",
        }  # fmt: skip
        assert "perf.db" in tables
        assert "_meta.db" in tables

    play(tmp_path, scenario)
