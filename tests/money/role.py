# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Runs whole roles on a host of the matrix, whose gateway is the one of a container that it names."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils._presence.notes import read_retirement
from ansible_collections.gonka.devshard.tests.money.network import AMOUNT, SecondGateway, wait_for
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import run_ansible
from ansible_collections.gonka.devshard.tests.unit.plugins.fake_engine import (
    FakeContainer,
    FakeEngine,
)

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.gonka.devshard.tests.money.host import Host

NAME: t.Final = "devshardctl-multi"


class RoleHost:
    """A gateway with one escrow, whose process ends and begins with its container."""

    def __init__(self, host: Host, engine: FakeEngine, kind: str) -> None:
        self.host, self.engine, self._kind = host, engine, kind
        self.network = host.network
        self.gateway = self.network.second_gateway(host.creator, kind)
        engine.containers.append(FakeContainer(name=NAME))
        engine.on_end = lambda _container: self.gateway.stop()
        engine.on_start = lambda _container: self.start()
        self.escrow_id = self.network.create(host.creator, self.gateway.admin)
        self.network.chat(self.escrow_id, "the last request", self.gateway.admin)
        wait_for(self._quiet, "the session to be quiet")
        self.deploy = host.folder / "deploy"
        self.deploy.mkdir()

    def start(self) -> None:
        port = self.gateway.port
        self.gateway = SecondGateway(self.network, self.host.creator, self._kind, port)

    def _quiet(self) -> bool:
        (record,) = self.gateway.admin.get("/v1/admin/state")["devshards"]
        return bool(record["runtime"]["active_requests"] == 0)

    @property
    def note(self) -> Path:
        return self.deploy / ".retired.json"

    def _presence(self) -> dict[str, t.Any]:
        """What the first look finds."""
        storage = self.gateway.storage
        container = self.engine.named(NAME)
        running = container is not None and container.state == "running"
        noted = read_retirement(self.note, storage / "gateway.db", serving=running).to_result()
        there, absent = {"known": True, "exists": True}, {"known": True, "exists": False}
        return {
            "deploy_dir": str(self.deploy),
            "container": {
                **(absent if container is None else there),
                "name": NAME,
                "running": running,
                "state": None if container is None else container.state,
            },
            "record": {**there, "error": None, "storage": str(storage)},
            "retired": {**noted, "retired": noted["exists"] and not running},
            "redirect": absent,
            "storage": there,
            "paths": {"compose": absent, "storage": there, "edge": absent},
            "libraries": {"requests": True, "docker": True},
        }

    def run(
        self, role: dict[str, str], *options: str, **given: t.Any
    ) -> subprocess.CompletedProcess[str]:
        ready, host = self.network.ready, self.host
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "__devshard_looked": True,
                "devshard_presence": self._presence(),
                "devshard_profile": self.network.generation,
                "devshard_deploy_dir": str(self.deploy),
                "devshard_state_dir": str(host.ledger_path.parent),
                "devshard_ledger_path": str(host.ledger_path),
                "devshard_env_file": str(host.folder / "config.env"),
                "devshard_keyring_dir": str(host.folder / "keyring"),
                "devshard_inferenced_path": ready["inferenced"],
                "devshard_inferenced_home": str(host.folder / "home"),
                "devshard_chain_id": ready["chain_id"],
                "devshard_chain_rest": ready["chain_rest"],
                "devshard_chain_rpc": ready["chain_rpc"],
                "devshard_public_api": ready["public_api"],
                "devshard_gateway_url": f"http://127.0.0.1:{self.gateway.port}",
                "devshard_models": [{"id": ready["models"][0], "amount": AMOUNT}],
                **given,
            },
            "tasks": [{"ansible.builtin.include_role": role}],
        }
        path = host.folder / "play.json"
        path.write_text(json.dumps([play]))
        return run_ansible("playbook", "-i", "localhost,", *options, path)
