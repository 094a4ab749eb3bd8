# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Three gateways with one creator, by the collection's own playbooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.tests.money.network import (
    AMOUNT,
    ROOT,
    Creator,
    Network,
    SecondGateway,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import DOCKER, IMAGE
from simnet import crypto
from simnet.keyring import Keyring

if t.TYPE_CHECKING:
    from collections.abc import Iterator

FEE = 1_000_000
HOSTS = ("gw1", "gw2", "gw3")
# one temporary and one regular escrow, one for an escrow that is used up, two fees for each
NEED = 3 * (AMOUNT + 2 * FEE)


def container(name: str, gateway: SecondGateway, number: int) -> dict[str, t.Any]:
    """A gateway on this machine, as an engine would show it."""
    storage = str(gateway.storage)
    return {
        "Id": f"{number:064x}",
        "Name": f"/{name}",
        "Image": f"sha256:{number:064x}",
        "Config": {
            "Image": IMAGE,
            "Env": [f"DEVSHARD_STORAGE_DIR={storage}"],
            "Labels": {},
            "Entrypoint": ["devshardctl"],
            "Cmd": None,
            "WorkingDir": "/",
        },
        "State": {"Status": "running", "Pid": gateway.pid, "ExitCode": 0},
        "HostConfig": {
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(gateway.port)}]}
        },
        "NetworkSettings": {"Ports": {"8080/tcp": None}},
        "Mounts": [{"Destination": storage, "Source": storage, "Type": "bind"}],
    }


class Fleet:
    """Three hosts on this machine, each with its own gateway, ledger and keyring."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        self.network = network
        self.creator: Creator = network.creator()
        self.gateways = {name: network.second_gateway(self.creator, name) for name in HOSTS}
        self._engine()
        inventory = {
            "devshard_gateways": {
                "hosts": {name: self._host(name, gw) for name, gw in self.gateways.items()},
                "vars": self._settings(),
            }
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps(inventory))

    def _settings(self) -> dict[str, t.Any]:
        ready = self.network.ready
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "devshard_chain_rest": ready["chain_rest"],
            "devshard_chain_rpc": ready["chain_rpc"],
            "devshard_public_api": ready["public_api"],
            "devshard_chain_id": ready["chain_id"],
            "devshard_inferenced_path": ready["inferenced"],
            "devshard_models": [
                {"id": ready["models"][0], "amount": AMOUNT, "count": 1, "access_mode": "open"}
            ],
            "rotation_enabled": True,
            "rotation_settlement_enabled": True,
            "rotation_pre_poc_blocks": 10,
        }

    def _engine(self) -> None:
        """A docker program that knows the gateways as containers: plays ask whose a port is."""
        (self.folder / "bin").mkdir()
        program = self.folder / "bin" / "docker"
        program.write_text(DOCKER.format(python=sys.executable))
        program.chmod(0o755)
        found = [
            container(name, gateway, number)
            for number, (name, gateway) in enumerate(self.gateways.items(), start=1)
        ]
        (self.folder / "bin" / "containers.json").write_text(json.dumps(found))

    def _host(self, name: str, gateway: SecondGateway) -> dict[str, t.Any]:
        home = self.folder / name
        home.mkdir()
        record = {
            "profile": "v2",
            "storage": str(gateway.storage),
            "image": IMAGE,
            "digest": IMAGE,
            "container": name,
            "state_dir": str(home),
        }
        (home / ".gonka-devshard.json").write_text(json.dumps(record))
        Keyring(home / "keyring").add(
            "devshard-create", crypto.PrivateKey.from_hex(self.creator.key)
        )
        environment = home / "config.env"
        environment.write_text(
            f"DEVSHARD_ADMIN_API_KEY={self.network.ready['admin_key']}\n"
            f"DEVSHARD_PRIVATE_KEY={self.creator.key}\n"
        )
        return {
            "devshard_gateway_url": gateway.admin.url,
            "gateway_container_name": name,
            "devshard_deploy_dir": str(home),
            "devshard_env_file": str(environment),
            "devshard_state_dir": str(home),
            "devshard_keyring_dir": str(home / "keyring"),
        }

    def play(self, name: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.tree'}:{ROOT / '.cache' / 'collections'}",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_FORKS": "3",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        return subprocess.run(
            [str(program), "-i", str(self.inventory), str(ROOT / "playbooks" / f"{name}.yml")],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            timeout=300,
            check=False,
        )

    def fund(self, balance: int) -> None:
        body = {"address": self.creator.address, "balance": balance}
        self.network.chain.post("/chain/accounts", body)

    def stop(self) -> None:
        for gateway in self.gateways.values():
            gateway.stop()


@pytest.fixture
def fleet(tmp_path: Path, network: Network) -> Iterator[Fleet]:
    made = Fleet(tmp_path, network)
    try:
        yield made
    finally:
        made.stop()


def creates(fleet: Fleet, name: str) -> list[tuple[str, str]]:
    """When each create of a host began and when its outcome was known."""
    ledger = Ledger.read(str(fleet.folder / name / "ledger.db"))
    assert ledger is not None
    with ledger:
        spans = []
        for intent in ledger.intents():
            steps = ledger.history(intent.id)
            spans.append((steps[0].at, steps[-1].at))
        return spans


def test_the_plan_covers_the_sum_and_only_one_mints_at_a_time(
    fleet: Fleet, network: Network
) -> None:
    created = fleet.play("escrow")
    assert created.returncode == 0, created.stdout
    spans = sorted(span for name in HOSTS for span in creates(fleet, name))
    assert len(spans) == len(network.escrows(fleet.creator)) == 3
    for (_unused, end), (begin, _unused) in zip(spans, spans[1:], strict=False):
        assert end <= begin, "two hosts paid at the same time"
    again = fleet.play("escrow")
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("changed=0") == 3
    assert "no record of unsettled" not in again.stdout + again.stderr

    fleet.fund(3 * NEED - 1)
    short = fleet.play("rotation")
    assert short.returncode != 0
    assert f"needs {3 * NEED}: 1 ngonka are missing" in " ".join(short.stdout.split())

    fleet.fund(3 * NEED)
    enough = fleet.play("rotation")
    assert enough.returncode == 0, enough.stdout
    for gateway in fleet.gateways.values():
        assert gateway.admin.get("/v1/debug/rotation")["settings"]["enabled"] is True
