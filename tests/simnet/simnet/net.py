# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""All services of the simulated network in one process."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from simnet.chain import Chain
from simnet.faultrules import FaultRules, RequestLog, middleware
from simnet.faults_api import FaultsApi
from simnet.grpcapi import GrpcApi
from simnet.hosts import HostApi, Hosts
from simnet.network import NetworkConfig
from simnet.public_api import PublicApi
from simnet.release import ReleaseApi
from simnet.rest import RestApi
from simnet.rpc import RpcApi
from simnet.store import Store

if t.TYPE_CHECKING:
    import grpc.aio

_LOG = logging.getLogger("simnet")
_MAX_BODY = 64 * 1024 * 1024


@dataclass(slots=True)
class Ports:
    """Zero: any free port."""

    chain_rest: int = 0
    chain_rpc: int = 0
    chain_grpc: int = 0
    public_api: int = 0
    faults: int = 0
    release: int = 0


@dataclass(slots=True)
class NetOptions:
    directory: Path
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)
    block_interval: float = 1.0
    # Base URL of the public API as hosts are told to others; by default the
    # address that the asker used to reach us.
    advertise: str | None = None


class Network:
    """Starts, runs and stops every service."""

    def __init__(self, options: NetOptions, config: NetworkConfig) -> None:
        options.directory.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.store = Store(options.directory / "chain.db")
        self.chain = Chain(self.store, config)
        self.chain.controls.block_interval = options.block_interval
        self.hosts = Hosts(self.chain)
        self.rules = FaultRules()
        self.log = RequestLog()
        self.urls: dict[str, str] = {}
        self._runners: list[web.AppRunner] = []
        self._public_port = 0
        self._grpc: grpc.aio.Server | None = None
        self.blocks: asyncio.Task[None] | None = None

    def _public_url(self, request: web.Request) -> str:
        if self.options.advertise is not None:
            return self.options.advertise
        host = request.url.host or self.options.host
        return f"http://{host}:{self._public_port}"

    @property
    def _shown_host(self) -> str:
        return "127.0.0.1" if self.options.host == "0.0.0.0" else self.options.host

    def _own_public_url(self) -> str:
        """For who asks by a way that does not tell by which name it knows us."""
        return self.options.advertise or self.urls["public_api"]

    async def start(self) -> None:
        ports = self.options.ports
        rest = RestApi(self.chain, self._public_url)
        public = PublicApi(self.chain, self._public_url)
        faults = FaultsApi(self.chain, self.hosts, self.rules, self.log)
        release = ReleaseApi()
        rpc = RpcApi(self.chain, self._own_public_url)
        routes = {
            "chain_rest": ("chain", rest.routes(), ports.chain_rest),
            "chain_rpc": ("rpc", rpc.routes(), ports.chain_rpc),
            "public_api": (
                "public",
                [*HostApi(self.hosts).routes(), *public.routes()],
                ports.public_api,
            ),
            "release": ("release", release.routes(), ports.release),
            "faults": (None, faults.routes(), ports.faults),
        }
        for name, (service, table, port) in routes.items():
            self.urls[name] = await self._serve(service, table, port)
        self._public_port = int(self.urls["public_api"].rsplit(":", 1)[1])
        if importlib.util.find_spec("grpc") is not None:
            self.urls["chain_grpc"] = await self._serve_grpc(ports.chain_grpc)
        self.blocks = asyncio.create_task(self._produce_blocks())

    async def _serve(self, service: str | None, routes: list[web.RouteDef], port: int) -> str:
        layers = [] if service is None else [middleware(service, self.rules, self.log)]
        app = web.Application(middlewares=layers, client_max_size=_MAX_BODY)
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self.options.host, port)
        await site.start()
        bound = runner.addresses[0][1]
        return f"http://{self._shown_host}:{bound}"

    async def _serve_grpc(self, port: int) -> str:
        """The address of the gRPC port, as a gateway is told it: without a scheme."""
        api = GrpcApi(self.chain, self._own_public_url, self.rules, self.log)
        self._grpc, bound = await api.serve(self.options.host, port)
        return f"{self._shown_host}:{bound}"

    async def _produce_blocks(self) -> None:
        while True:
            await asyncio.sleep(self.chain.controls.block_interval)
            if not self.chain.controls.paused:
                self.chain.produce_block()

    async def stop(self) -> None:
        if self.blocks is not None:
            self.blocks.cancel()
            await asyncio.wait({self.blocks})
        for runner in self._runners:
            await runner.cleanup()
        if self._grpc is not None:
            await self._grpc.stop(None)
        self.store.close()
        _LOG.info("network stopped")
