# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The process: environment in, ports open, killed by any signal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import typing as t
from collections.abc import Mapping

import aiohttp
from aiohttp import web

from simnet.faultrules import FaultError, FaultRules, RequestLog, middleware
from simnet.gateway.api import Api, application
from simnet.gateway.core import Gateway
from simnet.gateway.environment import Environment, FatalError, read_environment
from simnet.gateway.faultsport import GatewayFaults

LOG = logging.getLogger("devshardctl")
_CONNECTIONS = 200


class Server:
    """A gateway with its ports; tests run it in their own process."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.rules = FaultRules()
        self.log = RequestLog()
        self._runners: list[web.AppRunner] = []
        self._http: aiohttp.ClientSession | None = None
        self.gateway: Gateway | None = None
        self.port = 0
        self.faults_port = 0
        self.stats_port = 0

    async def start(self) -> None:
        environment = self.environment
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            # The gateway's own clock limits every request.
            timeout=aiohttp.ClientTimeout(),
            trust_env=False,
        )
        gateway = Gateway(environment, self._http)
        self.gateway = gateway
        for armed in json.loads(environment.points or "[]"):
            gateway.points.arm(armed)
        if environment.faults_port is not None:
            # Before the runtimes load: a start that waits at a point can be released.
            app = web.Application()
            app.add_routes(GatewayFaults(gateway, self.rules, self.log).routes())
            self.faults_port = await self._listen(
                app, environment.faults_host, environment.faults_port
            )
        await gateway.start()
        await self._serve_accounting(gateway)
        await gateway.points.reach("start.before_listen")
        LOG.info(
            "gateway API keys loaded (%d key(s)) suffixes=%s",
            len(environment.api_keys),
            ",".join(key[-8:] for key in environment.api_keys),
        )
        layers: list[t.Any] = [middleware("gateway", self.rules, self.log)]
        if environment.fail == "unhealthy":
            layers.append(_never_status)
        app = application(Api(gateway), layers)
        self.port = await self._listen(app, environment.host, environment.port)
        LOG.info(
            "devshardctl gateway listening on :%d (devshards=%d storage=%s)",
            self.port, len(gateway.runtimes), environment.storage,
        )  # fmt: skip

    async def _serve_accounting(self, gateway: Gateway) -> None:
        """Without it the process goes on."""
        port = self.environment.stats_port
        if gateway.accounting is None or port is None:
            return
        app = web.Application()
        app.add_routes(gateway.accounting.routes())
        try:
            self.stats_port = await self._listen(app, self.environment.host, port)
        except OSError as error:
            LOG.info("start accounting server: %s", error)

    async def _listen(self, app: web.Application, host: str, port: int) -> int:
        # Handlers end when their client leaves: the real one's request context does that.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port, backlog=1024).start()
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self.gateway is not None:
            await self.gateway.stop()
        if self._http is not None:
            await self._http.close()


@web.middleware
async def _never_status(
    request: web.Request, handler: t.Callable[[web.Request], t.Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.path == "/v1/status":
        await asyncio.Event().wait()
    return await handler(request)


def _die_at_once() -> None:
    """No drain, no goodbye: a signal ends the process, streams and all."""
    if os.getpid() == 1:
        # The kernel gives the first process of a container no default action.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_unused: os._exit(2))
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)


async def _serve(environment: Environment) -> None:
    server = Server(environment)
    await server.start()
    await asyncio.Event().wait()


def run(variables: Mapping[str, str]) -> int:
    try:
        environment = read_environment(variables)
        LOG.info("simulated gateway image_version=%s", environment.image_version or "unknown")
        if environment.fail == "exit":
            raise FatalError("this image ends at its start")
        asyncio.run(_serve(environment))
    except (FatalError, FaultError, OSError) as error:
        LOG.info("%s", error)
        return 1
    return 0


def main(argv: list[str]) -> int:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(message)s",
        datefmt="%Y/%m/%d %H:%M:%S",
    )
    if argv:
        LOG.info("unknown arguments: %s", " ".join(argv))
        return 2
    _die_at_once()
    return run(os.environ)
