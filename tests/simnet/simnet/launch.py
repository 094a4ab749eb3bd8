# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Starts the simulated gateway as a child process and says when all is ready."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp

from simnet import crypto
from simnet.gateway.generation import generation_of
from simnet.net import Network
from simnet.network import DEFAULT_AMOUNT
from simnet.release import write_inferenced

_LOG = logging.getLogger("simnet")
_READY_SECONDS = 120.0
_STOP_SECONDS = 10.0
_RESTART_SECONDS = 0.3


class GatewayStartError(Exception):
    """The gateway did not come up."""


def _secret(name: str, directory: Path) -> str:
    """A key that stays the same for one state directory, also after a restart."""
    path = directory / f"{name}.txt"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(hashlib.sha256(os.urandom(32)).hexdigest() + "\n")
    return path.read_text().strip()


def ready_line(network: Network, creator: crypto.PrivateKey, directory: Path) -> dict[str, Any]:
    """What a user of the network needs to know, secrets of the simulation included."""
    models = [model.id for model in network.chain.models if model.active]
    return {
        "chain_rest": network.urls["chain_rest"],
        "chain_rpc": network.urls["chain_rpc"],
        "chain_grpc": network.urls.get("chain_grpc", ""),
        "public_api": network.urls["public_api"],
        "faults": network.urls["faults"],
        "release": network.urls["release"],
        "chain_id": network.chain.config.chain_id,
        "creator_key": creator.hex,
        "creator": creator.address,
        "models": models[:2],
        "amount": DEFAULT_AMOUNT,
        "chain_version": network.chain.release.version,
        "inferenced": str(
            write_inferenced(
                directory / "bin" / "inferenced", network.chain.release.version
            ).resolve()
        ),
    }


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def prefix_environment(generation: str) -> dict[str, str]:
    """From v3 on the prefix names the protocol, and its default is nothing to rely on."""
    return {} if generation == "v2" else {"DEVSHARD_ROUTE_PREFIX": f"/devshard/{generation}"}


def grpc_environment(generation: str, urls: dict[str, str]) -> dict[str, str]:
    """From v4 on the chain is asked by gRPC, if it can be."""
    if generation_of(generation).chain == "rest":
        return {}
    if "chain_grpc" not in urls:
        raise GatewayStartError(f"--gateway {generation} needs grpcio: pip install grpcio")
    return {
        "DEVSHARD_CHAIN_GRPC": urls["chain_grpc"],
        "DEVSHARD_CHAIN_RPC": f"{urls['chain_rpc']}/",
    }


class GatewayProcess:
    def __init__(
        self,
        network: Network,
        creator: crypto.PrivateKey,
        directory: Path,
        options: argparse.Namespace,
    ) -> None:
        self._network = network
        self._creator = creator
        self._directory = directory.resolve()
        self._host = options.host
        self._port = options.gateway_port or free_port(options.host)
        self._faults_port = free_port(options.host)
        self._generation, self._face = options.gateway, options.face or ""
        self._stats_port = free_port(options.host)
        self._more = dict(entry.split("=", 1) for entry in options.gateway_env)
        self._process: asyncio.subprocess.Process | None = None

    def _environment(self, admin_key: str, api_key: str) -> dict[str, str]:
        urls, chain = self._network.urls, self._network.chain
        models = [model.id for model in chain.models if model.active]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEVSHARD", "GATEWAY_", "SIMNET_"))
        }
        return {
            **inherited,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "DEVSHARD_PORT": str(self._port),
            "DEVSHARD_STORAGE_DIR": str(self._directory),
            "DEVSHARD_CHAIN_REST": urls["chain_rest"],
            "DEVSHARD_TX_QUERY_REST": urls["chain_rest"],
            "DEVSHARD_PUBLIC_API": urls["public_api"],
            "DEVSHARD_CHAIN_ID": chain.config.chain_id,
            "DEVSHARD_MODEL": models[0],
            "DEVSHARD_PRIVATE_KEY": self._creator.hex,
            "DEVSHARD_API_KEYS": api_key,
            "DEVSHARD_ADMIN_API_KEY": admin_key,
            "DEVSHARDS_JSON": "[]",
            # The real default is two seconds; blocks are faster here.
            "DEVSHARD_TX_POLL_INTERVAL_MS": "200",
            "SIMNET_FAULTS_PORT": str(self._faults_port),
            "SIMNET_GATEWAY": self._generation,
            "SIMNET_FACE": self._face,
            "DEVSHARD_STATS_PORT": str(self._stats_port),
            **prefix_environment(self._generation),
            **grpc_environment(self._generation, urls),
            **self._more,
        }

    async def start(self) -> dict[str, Any]:
        self._directory.mkdir(parents=True, exist_ok=True)
        await self._spawn()
        url = f"http://{self._host}:{self._port}".replace("0.0.0.0", "127.0.0.1")
        await self._until_ready(f"{url}/v1/status")
        admin_key, api_key = self._keys()
        return {
            "gateway": url,
            "gateway_faults": url.rsplit(":", 1)[0] + f":{self._faults_port}",
            "accounting": (
                f"{url.rsplit(':', 1)[0]}:{self._stats_port}"
                if generation_of(self._generation, self._face).accounting
                else ""
            ),
            "admin_key": admin_key,
            "api_key": api_key,
        }

    def _keys(self) -> tuple[str, str]:
        state = self._directory.parent
        return _secret("admin-key", state), _secret("api-key", state)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simnet",
            "gateway",
            # What is relative to it must not be found where the network was started.
            cwd=self._directory,
            env=self._environment(*self._keys()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )

    async def _until_ready(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_SECONDS
        async with aiohttp.ClientSession() as session:
            while loop.time() < deadline:
                if self._process is not None and self._process.returncode is not None:
                    break
                try:
                    async with session.get(url) as response:
                        if response.status < 500:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        raise GatewayStartError("the gateway does not answer")

    async def supervise(self) -> None:
        """Start the gateway again whenever it ends, as a container engine would."""
        while self._process is not None:
            status = await self._process.wait()
            _LOG.warning("gateway ended with status %s, starting it again", status)
            await asyncio.sleep(_RESTART_SECONDS)
            # It may end again at once, for instance while the chain is silent.
            await self._spawn()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
