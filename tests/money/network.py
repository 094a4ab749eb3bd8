# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Starts the simulated network, talks to its faults ports and knows the truth about its money."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import requests

from simnet import crypto

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 300
FUNDS = 10**13
AMOUNT = 5_000_000_000
CREATORS = 160


class Port:
    """A JSON interface of the simulator, with or without a key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = requests.Session()
        self._http.trust_env = False
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> t.Any:
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, t.Any] | None = None) -> t.Any:
        return self.call("POST", path, body or {})

    def delete(self, path: str) -> t.Any:
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> t.Any:
        answer = self._http.request(method, self.url + path, json=body, timeout=300)
        if answer.status_code != 200:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


@dataclass(frozen=True)
class Creator:
    """A wallet of its own for each cell, so that cells explain their money alone."""

    number: int
    key: str
    address: str

    @property
    def variable(self) -> str:
        return f"MONEY_KEY_{self.number}"


def creators() -> list[Creator]:
    keys = [crypto.PrivateKey.from_seed(f"money/{number}") for number in range(CREATORS)]
    return [Creator(number, key.hex, key.address) for number, key in enumerate(keys)]


class Process:
    """A child in a process group of its own."""

    def __init__(self, argv: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as handle:
            self._process = subprocess.Popen(
                argv,
                stdout=subprocess.PIPE,
                stderr=handle,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def first_line(self) -> bytes:
        assert self._process.stdout is not None
        timer = threading.Timer(READY_SECONDS, self.stop)
        timer.start()
        try:
            return self._process.stdout.readline()
        finally:
            timer.cancel()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Network:
    """A whole network with a gateway."""

    def __init__(
        self,
        folder: Path,
        *,
        block_interval: float = 0.1,
        generation: str = "v2",
        more: t.Sequence[str] = (),
    ) -> None:
        """``generation`` of the gateway, with ``more`` options of the simulator."""
        self.generation = generation
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.creators = creators()
        self._free = iter(self.creators)
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "simnet")}
        options = [f"--account={c.address}={FUNDS}" for c in self.creators]
        options += [f"--gateway-env={c.variable}={c.key}" for c in self.creators]
        options += ["--gateway-env=DEVSHARD_TX_POLL_INTERVAL_MS=100"]
        # The real one waits 45 s for inclusion; which of the two ends first is no matter here.
        options += ["--gateway-env=DEVSHARD_TX_POLL_TIMEOUT_MS=2500"]
        options += ["--gateway-env=SIMNET_SIGNATURE_RETRY_SECONDS=0.05", "--open"]
        argv = [sys.executable, "-m", "simnet", "run", "--dir", str(folder / "simnet")]
        argv += ["--block-interval", str(block_interval), "--gateway", generation]
        argv += [*options, *more]
        self._process = Process(argv, self._environment, folder / "simnet.log")
        line = self._process.first_line()
        if not line:
            self.stop()
            raise AssertionError((folder / "simnet.log").read_text()[-4000:])
        self.ready: dict[str, t.Any] = json.loads(line)
        self.chain = Port(self.ready["faults"])
        self.gateway = Port(self.ready["gateway_faults"])
        self.admin = Port(self.ready["gateway"], self.ready["admin_key"])
        named = "gateway" if generation == "v2" else f"gateway-{generation}"
        self.storage = folder / "simnet" / named

    def stop(self) -> None:
        self._process.stop()

    def creator(self) -> Creator:
        return next(self._free)

    # faults

    def heal(self) -> None:
        """No fault is left; what happened stays."""
        self.chain.post("/reset")
        wait_for(lambda: self.gateway.post("/reset") == {}, "the gateway's faults port")
        wait_for(self._answers, "the gateway")

    def _answers(self) -> bool:
        self.admin.get("/v1/admin/state")
        return True

    def expire(self) -> None:
        """Let the chain's clock pass every lifetime; what is held back is evicted."""
        self.chain.post("/chain/advance", {"blocks": 1, "seconds": 1300})

    def on_time(self) -> None:
        """The chain's clock is the hosts' clock again."""
        self.chain.post("/chain", {"time_offset": 0})
        self.chain.post("/chain/advance", {"blocks": 1})

    # the truth

    def escrows(self, creator: Creator) -> list[dict[str, t.Any]]:
        found = self.chain.get("/chain/escrows")["escrows"]
        return [escrow for escrow in found if escrow["creator"] == creator.address]

    def balance(self, creator: Creator) -> int:
        path = f"/cosmos/bank/v1beta1/balances/{creator.address}/by_denom?denom=ngonka"
        return int(Port(self.ready["chain_rest"]).get(path)["balance"]["amount"])

    def records(self) -> dict[int, dict[str, t.Any]]:
        found = self.admin.get("/v1/admin/state")["devshards"]
        return {int(record["id"]): record for record in found}

    def settles(self, escrow_id: int) -> list[dict[str, t.Any]]:
        """What the chain's settle events say about one escrow."""
        found = []
        for tx in self.chain.get("/chain/txs")["txs"]:
            for event in tx["events"]:
                values = {entry["key"]: entry["value"] for entry in event["attributes"]}
                if event["type"] != "devshard_escrow_settled" or tx["code"] != 0:
                    continue
                if values["escrow_id"] == str(escrow_id):
                    found.append(values)
        return found

    # preparing, by the gateway's own interface

    def create(self, creator: Creator, admin: Port | None = None) -> int:
        body = {
            "amount": AMOUNT,
            "model_id": self.ready["models"][0],
            "private_key_env": creator.variable,
        }
        return int((admin or self.admin).post("/v1/admin/escrows", body)["escrow_id"])

    def chat(self, escrow_id: int, words: str, admin: Port | None = None) -> None:
        body = {
            "model": self.ready["models"][0],
            "messages": [{"role": "user", "content": words}],
            "max_tokens": 16,
        }
        (admin or self.admin).post(f"/devshard/{escrow_id}/v1/chat/completions", body)

    def settle(self, creator: Creator, escrow_id: int) -> None:
        self.admin.post(f"/v1/admin/devshards/{escrow_id}/deactivate")
        if self.generation == "v2":
            self.admin.post(f"/devshard/{escrow_id}/v1/finalize")
        else:
            # with work in the background it stays in memory, and a settle is refused
            wait_for(
                lambda: "runtime" not in self.records()[escrow_id], "the session to be unloaded"
            )
        body = {"private_key_env": creator.variable, "gas_limit": 1_000_000}
        self.admin.post(f"/v1/admin/devshards/{escrow_id}/settle", body)
        wait_for(lambda: len(self.settles(escrow_id)) == 1, f"escrow {escrow_id} to be settled")

    def second_gateway(self, creator: Creator, name: str = "temp") -> SecondGateway:
        return SecondGateway(self, creator, name)


class SecondGateway:
    """Another gateway whose storage lies below the first one's, as the temp slot's does."""

    def __init__(
        self, network: Network, creator: Creator, name: str, port: int | None = None
    ) -> None:
        ready = network.ready
        self.storage = network.storage / f"{name}-{creator.number}"
        port, faults_port = port or _free_port(), _free_port()
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEVSHARD", "GATEWAY_", "SIMNET_"))
        }
        environment |= {
            "PYTHONPATH": str(ROOT / "tests" / "simnet"),
            "DEVSHARD_PORT": str(port),
            "DEVSHARD_STORAGE_DIR": str(self.storage),
            "DEVSHARD_CHAIN_REST": ready["chain_rest"],
            "DEVSHARD_TX_QUERY_REST": ready["chain_rest"],
            "DEVSHARD_PUBLIC_API": ready["public_api"],
            "DEVSHARD_CHAIN_ID": ready["chain_id"],
            "DEVSHARD_MODEL": ready["models"][0],
            "DEVSHARD_API_KEYS": "temp-key",
            "DEVSHARD_ADMIN_API_KEY": ready["admin_key"],
            "DEVSHARDS_JSON": "[]",
            "DEVSHARD_TX_POLL_INTERVAL_MS": "100",
            "SIMNET_FAULTS_PORT": str(faults_port),
            "DEVSHARD_PRIVATE_KEY": creator.key,
            creator.variable: creator.key,
            **_of_generation(network),
        }
        argv = [sys.executable, "-m", "simnet", "gateway"]
        self._process = Process(argv, environment, network.folder / "second.log")
        self.admin = Port(f"http://127.0.0.1:{port}", ready["admin_key"])
        self.faults = Port(f"http://127.0.0.1:{faults_port}")
        self.port, self.pid = port, self._process.pid
        wait_for(lambda: bool(self.admin.get("/v1/admin/state")), "the second gateway")

    def stop(self) -> None:
        self._process.stop()


def _of_generation(network: Network) -> dict[str, str]:
    if network.generation == "v2":
        return {}
    ready = network.ready
    return {
        "SIMNET_GATEWAY": network.generation,
        "DEVSHARD_ROUTE_PREFIX": f"/devshard/{network.generation}",
        "DEVSHARD_CHAIN_GRPC": ready["chain_grpc"],
        "DEVSHARD_CHAIN_RPC": f"{ready['chain_rpc']}/",
        "DEVSHARD_STATS_ENABLED": "false",
    }


def wait_for(reached: t.Callable[[], bool], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.RequestException):
            if reached():
                return
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
