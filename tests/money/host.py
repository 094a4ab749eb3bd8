# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A managed host of its own for each cell: ledger, keyring and environment file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
    State,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.tests.money.network import ROOT, Creator, Network
from simnet import crypto
from simnet.keyring import Keyring

KILLED = -9
WAIT = 3


@dataclass(frozen=True)
class Run:
    """What one run of a module came to; ``result`` is empty when it was killed."""

    code: int
    output: str
    result: dict[str, t.Any]

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def kind(self) -> str:
        """The cause of a failure, as the module names it."""
        return str(self.result.get("failure", {}).get("kind", ""))

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    def __str__(self) -> str:
        return f"{self.code}: {self.result.get('msg') or self.output[-600:]}"


class Forks:
    """The process that forks one child per run of a module."""

    def __init__(self, log: Path) -> None:
        path = os.pathsep.join((str(ROOT / ".tree"), str(ROOT / "tests" / "simnet")))
        with log.open("ab") as handle:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "money" / "child.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                env={**os.environ, "PYTHONPATH": path},
                text=True,
            )
        if self._line() != "ready\n":
            raise AssertionError(log.read_text()[-4000:])

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def run(self, job: dict[str, t.Any]) -> Run:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._line())
        result: dict[str, t.Any] = {}
        if answer["code"] in (0, 1):
            result = json.loads(answer["output"])
        elif answer["code"] != KILLED:
            raise AssertionError(f"{job['module']} broke: {answer['output'][-4000:]}")
        return Run(code=answer["code"], output=answer["output"], result=result)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


class Host:
    def __init__(self, folder: Path, network: Network, forks: Forks) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.network = network
        self.creator: Creator = network.creator()
        self._forks = forks
        self._runs = 0
        self.ledger_path = folder / "state" / "ledger.db"
        environment = folder / "config.env"
        environment.write_text(
            f"DEVSHARD_ADMIN_API_KEY={network.ready['admin_key']}\n"
            f"{self.creator.variable}={self.creator.key}\n"
            f"DEVSHARD_STORAGE_DIR={network.storage}\n"
        )
        keyring = folder / "keyring"
        Keyring(keyring).add("devshard-create", crypto.PrivateKey.from_hex(self.creator.key))
        ready = network.ready
        self._admin = {"gateway_url": ready["gateway"], "env_file": str(environment)}
        self._generation = {"gateway_profile": network.generation}
        if network.generation != "v2":
            self._generation["gateway_protocol"] = network.generation
        self._chain = {
            "chain_rest": ready["chain_rest"],
            "public_api": ready["public_api"],
            "chain_id": ready["chain_id"],
            "request_timeout": 2,
        }
        self._ledger = {"ledger_path": str(self.ledger_path)}
        self._inferenced = {
            "inferenced_path": ready["inferenced"],
            "inferenced_home": str(folder / "home"),
            "keyring_dir": str(keyring),
        }

    def run(self, module: str, args: dict[str, t.Any], kill: tuple[str, str] | None = None) -> Run:
        options = {**self._chain, **self._ledger, **self._generation}
        if module != "gateway_backup":
            options |= {**self._admin, "wait_timeout": WAIT}
        if module in ("escrow", "escrow_settle"):
            options |= self._inferenced
        self._runs += 1
        out = self.folder / f"run-{self._runs}.json"
        return self._forks.run(
            {"module": module, "args": {**options, **args}, "kill": kill, "out": str(out)}
        )

    def intents(self) -> list[Intent]:
        ledger = Ledger.read(str(self.ledger_path))
        if ledger is None:
            return []
        with ledger:
            return ledger.intents()

    def explained(self) -> int:
        """What the wallet must have paid, by the ledger alone."""
        paid = 0
        for intent in self.intents():
            done = intent.state in (State.INCLUDED, State.DONE)
            if intent.kind in (Kind.CREATE, Kind.SETTLE) and (
                done or intent.state is State.REJECTED
            ):
                paid += intent.fee or 0
            if done and intent.kind is Kind.CREATE:
                paid += intent.amount or 0
            if done and intent.kind is Kind.SETTLE:
                paid -= (intent.result or {})["refund"]
        return paid
