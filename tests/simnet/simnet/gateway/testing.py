# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""For the gateway's tests: a network and gateways in one loop, and a client for them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp

from simnet.chainrelease import V0_2_13, ChainRelease
from simnet.gateway.core import Gateway
from simnet.gateway.environment import read_environment
from simnet.gateway.process import Server
from simnet.net import NetOptions, Network
from simnet.network import DEFAULT_MODELS, NetworkConfig, creator_key

CREATOR = creator_key("gonka-sim")
AMOUNT = 5_000_000_000
QWEN, KIMI = DEFAULT_MODELS
ADMIN, API_KEY = "admin-key-of-the-tests-0123456789", "client-key-of-the-tests-0123456789"
DEADLINE = 120.0
_UNIQUE = itertools.count()
_CHUNK = "chat.chunk"


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    kind: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Client:
    """Talks to one gateway."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._http = http

    @property
    def gateway(self) -> Gateway:
        assert self.server.gateway is not None
        return self.server.gateway

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def ask(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        key: str | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        async with self._http.request(
            method, self.url + path, data=data, headers=headers, allow_redirects=False
        ) as response:
            content = await response.read()
            return Reply(
                response.status, response.headers.get("Content-Type", ""), response.headers, content
            )

    async def get(self, path: str, key: str | None = None) -> Reply:
        return await self.ask("GET", path, key=key)

    async def admin(self, method: str, path: str, body: t.Any = None) -> Reply:
        return await self.ask(method, path, body, key=ADMIN)

    async def good(self, method: str, path: str, body: t.Any = None) -> t.Any:
        reply = await self.admin(method, path, body)
        assert reply.status == 200, (path, reply.status, reply.body)
        return reply.json

    async def create(self, model: str = QWEN, **more: t.Any) -> str:
        body = {"amount": AMOUNT, "model_id": model, **more}
        return str((await self.good("POST", "/v1/admin/escrows", body))["escrow_id"])

    async def settings(self, **patch: t.Any) -> t.Any:
        return await self.good("POST", "/v1/admin/settings", patch)

    async def open_models(self, mode: str = "open", **more: t.Any) -> t.Any:
        limits = [{"model_id": model, "access_mode": mode} for model in (QWEN, KIMI)]
        return await self.settings(
            model_limits=limits, max_concurrent_requests_per_10000_weight=10_000, **more
        )

    async def chat(
        self,
        script: str = "",
        *,
        key: str | None = None,
        devshard: str | None = None,
        prompt: str | None = None,
        **more: t.Any,
    ) -> Reply:
        path = "/v1/chat/completions"
        text = prompt if prompt is not None else f"unique {next(_UNIQUE)} {script}"
        body = {"model": QWEN, "messages": [{"role": "user", "content": text}], **more}
        return await self.ask(
            "POST", path if devshard is None else f"/devshard/{devshard}{path}", body, key=key
        )

    async def begin_stream(self, **more: t.Any) -> asyncio.Task[Reply]:
        """A stream whose first chunk is sent; the others wait until ``go_on``."""
        points = self.gateway.points
        points.arm({"point": _CHUNK, "action": "wait", "after": 1})
        stream = asyncio.create_task(self.chat(stream=True, **more))
        await until(lambda: points.hits(_CHUNK))
        return stream

    def go_on(self) -> None:
        self.gateway.points.release(_CHUNK)

    async def gives_up(self, call: asyncio.Task[Reply]) -> Reply:
        """The answer of a request that hangs, once the gateway's time limits are over."""

        def done() -> bool:
            if not call.done():
                self.gateway.clock.advance(60)
            return call.done()

        await until(done)
        return await call

    async def state(self) -> dict[str, t.Any]:
        """The admin state's devshards by id."""
        data = await self.good("GET", "/v1/admin/state")
        return {item["id"]: item for item in data["devshards"]}

    async def devshard(self, devshard_id: str) -> t.Any:
        return (await self.state())[devshard_id]

    async def status_of(self, devshard_id: str) -> t.Any:
        return (await self.get(f"/devshard/{devshard_id}/v1/status")).json

    async def poc_known(self) -> None:
        """The next poll of the public API has been made."""
        poller = self.gateway.poller
        await poller.poll()


class Setup:
    """A network whose blocks come when somebody waits for them, and gateways."""

    def __init__(self, directory: Path, network: Network, http: aiohttp.ClientSession) -> None:
        self.directory = directory
        self.network = network
        self.http = http
        self.servers: list[Server] = []

    @property
    def chain(self) -> t.Any:
        return self.network.chain

    def environment(self, name: str, **more: str) -> dict[str, str]:
        urls = self.network.urls
        return {
            "DEVSHARD_PORT": "0",
            "DEVSHARD_STORAGE_DIR": str(self.directory / name),
            "DEVSHARD_CHAIN_REST": urls["chain_rest"],
            "DEVSHARD_TX_QUERY_REST": urls["chain_rest"],
            "DEVSHARD_CHAIN_GRPC": urls.get("chain_grpc", ""),
            "DEVSHARD_CHAIN_RPC": f"{urls['chain_rpc']}/",
            "DEVSHARD_STATS_ENABLED": "false",
            "DEVSHARD_PUBLIC_API": urls["public_api"],
            "DEVSHARD_PRIVATE_KEY": CREATOR.hex,
            "DEVSHARD_API_KEYS": f"{API_KEY}, second-key",
            "DEVSHARD_ADMIN_API_KEY": ADMIN,
            "DEVSHARDS_JSON": "[]",
            "DEVSHARD_TX_POLL_INTERVAL_MS": "20",
            "SIMNET_HOST": "127.0.0.1",
            "SIMNET_POLL_SECONDS": "3600",
            "SIMNET_ROTATION_SECONDS": "3600",
            "SIMNET_BALANCE_SECONDS": "3600",
            "SIMNET_SIGNATURE_RETRY_SECONDS": "0.01",
            **more,
        }

    async def gateway(self, name: str = "main", **more: str) -> Client:
        server = Server(read_environment(self.environment(name, **more)))
        self.servers.append(server)
        await server.start()
        assert server.gateway is not None
        await until(lambda: server.gateway is not None and server.gateway.snapshot.phase != "")
        return Client(server, self.http)

    async def stop(self, client: Client) -> None:
        self.servers.remove(client.server)
        await client.server.stop()

    async def restart(self, client: Client, name: str = "main", **more: str) -> Client:
        await self.stop(client)
        return await self.gateway(name, **more)

    async def asked(self, **what: str) -> None:
        """A request that waits for an answer has come to the network."""
        await until(
            lambda: [entry for entry in self.network.log.entries(**what) if not entry["status"]]
        )

    @property
    def violations(self) -> list[str]:
        return [entry["kind"] for entry in self.network.hosts.violations()]

    def escrow(self, devshard_id: str) -> t.Any:
        return self.chain.escrows.get(int(devshard_id))


async def until(condition: Callable[[], t.Any], seconds: float = DEADLINE) -> t.Any:
    """Wait until something is true; fails when the deadline passes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert loop.time() < deadline, "still not true"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def network_in(directory: Path, release: ChainRelease = V0_2_13) -> AsyncIterator[Network]:
    config = NetworkConfig(
        release=release,
        balances={CREATOR.address: 1000 * AMOUNT},
        allowlist=[CREATOR.address],
    )
    network = Network(NetOptions(directory, block_interval=0.02), config)
    await network.start()
    try:
        yield network
    finally:
        await network.stop()


Scenario = Callable[[Setup], Awaitable[None]]


def play(directory: Path, scenario: Scenario, release: ChainRelease = V0_2_13) -> None:
    """Run a scenario; every gateway in it is stopped at its end."""

    async def whole() -> None:
        async with (
            network_in(directory / "net", release) as network,
            aiohttp.ClientSession() as http,
        ):
            setup = Setup(directory, network, http)
            try:
                await scenario(setup)
            finally:
                for server in setup.servers:
                    await server.stop()

    asyncio.run(whole())
