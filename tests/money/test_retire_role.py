# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The whole role ``retire``, whose archive fails once: the next run archives, and pays nothing again."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._presence.notes import read_retirement
from ansible_collections.gonka.devshard.tests.money.network import AMOUNT, wait_for
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import run_ansible
from ansible_collections.gonka.devshard.tests.unit.plugins.fake_engine import (
    FakeContainer,
    FakeEngine,
    serving,
)

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.gonka.devshard.tests.money.host import Host

NAME: t.Final = "devshardctl-multi"


class Retirement:
    """A gateway with one escrow, in a container that ends with its process."""

    def __init__(self, host: Host, engine: FakeEngine) -> None:
        self.host, self.engine = host, engine
        self.network = host.network
        self.gateway = self.network.second_gateway(host.creator, "retire")
        engine.containers.append(FakeContainer(name=NAME))
        engine.on_end = lambda _container: self.gateway.stop()
        self.escrow_id = self.network.create(host.creator, self.gateway.admin)
        self.network.chat(self.escrow_id, "the last request", self.gateway.admin)
        wait_for(self._quiet, "the session to be quiet")
        self.deploy = host.folder / "deploy"
        self.deploy.mkdir()
        self.archive = host.folder / "archive"

    def _quiet(self) -> bool:
        (record,) = self.gateway.admin.get("/v1/admin/state")["devshards"]
        return bool(record["runtime"]["active_requests"] == 0)

    @property
    def note(self) -> Path:
        return self.deploy / ".retired.json"

    def _presence(self) -> dict[str, t.Any]:
        """What the first look finds."""
        storage = self.gateway.storage
        running = self.engine.named(NAME) is not None
        noted = read_retirement(self.note, storage / "gateway.db", serving=running).to_result()
        there, absent = {"known": True, "exists": True}, {"known": True, "exists": False}
        return {
            "deploy_dir": str(self.deploy),
            "container": {"name": NAME, "known": True, "exists": running, "running": running},
            "record": {**there, "error": None, "storage": str(storage)},
            "retired": {**noted, "retired": noted["exists"] and not running},
            "redirect": absent,
            "storage": there,
            "paths": {"compose": absent, "storage": there, "edge": absent},
            "libraries": {"requests": True, "docker": True},
        }

    def run(self) -> subprocess.CompletedProcess[str]:
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
                "retire_archive_dir": str(self.archive),
                "retire_wait_timeout": 60,
            },
            "tasks": [{"ansible.builtin.include_role": {"name": "gonka.devshard.retire"}}],
        }
        path = host.folder / "play.json"
        path.write_text(json.dumps([play]))
        return run_ansible("playbook", "-i", "localhost,", path)

    def stage(self) -> str:
        return str(json.loads(self.note.read_text())["stage"])


@pytest.fixture
def retirement(host: Host, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Retirement]:
    if host.network.generation != "v2":
        pytest.skip("the role asks gateways of every generation by the same modules")
    engine = FakeEngine()
    with serving(engine) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        made = Retirement(host, engine)
        try:
            yield made
        finally:
            made.gateway.stop()


def test_an_archive_that_failed_once_is_made_by_the_next_run(retirement: Retirement) -> None:
    network, creator = retirement.network, retirement.host.creator
    # no folder can be made there
    retirement.archive.write_text("in the way")
    first = retirement.run()
    assert first.returncode != 0
    assert "Archive the state, sessions included" in first.stdout.rpartition("TASK")[2], (
        first.stdout
    )
    assert retirement.stage() == "settled"
    assert retirement.engine.containers == []
    assert len(network.settles(retirement.escrow_id)) == 1
    balance = network.balance(creator)

    retirement.archive.unlink()
    second = retirement.run()
    assert second.returncode == 0, second.stdout
    assert "everything is settled, and its state is still to be archived" in second.stdout
    assert retirement.stage() == "archived"
    (archive,) = retirement.archive.iterdir()
    assert list(archive.rglob(f"escrow-{retirement.escrow_id}/*.db"))
    # it needed neither the gateway nor a transaction
    assert not any(call.startswith("start") for call in retirement.engine.done)
    assert len(network.settles(retirement.escrow_id)) == 1
    assert network.balance(creator) == balance

    third = retirement.run()
    assert third.returncode == 0, third.stdout
    assert "it is already retired" in third.stdout
    assert "changed=0 " in third.stdout
    assert len(list(retirement.archive.iterdir())) == 1
