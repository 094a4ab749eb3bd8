# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A gateway that was made by hand is asked what it is, with the key of its own container."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adopt.model import Answers, Deposit
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import Escrow
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    TransportError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.adopt_info import ask_chain
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

if t.TYPE_CHECKING:
    from ansible_collections.gonka.devshard.plugins.module_utils._chain.api import ChainApi


@pytest.fixture
def host(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """The simulated gateway, as a container of this host."""
    made = FakeHost(tmp_path)
    port = int(site.net.ready["gateway"].rpartition(":")[2])
    made.container("hand-made", made.folder / "data", port=port)
    made.containers[0]["Config"]["Env"] = [
        f"DEVSHARD_ADMIN_API_KEY={site.net.ready['admin_key']}",
        "DEVSHARD_PRIVATE_KEY=" + "ab" * 32,
        f"CHAIN_ID={site.chain()['chain_id']}",
        "OWN_NOTE=kept",
    ]
    made.install()
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(docker_cli, "PATH", ("/nonexistent",))
    return made


def asked(site: Site, **more: t.Any) -> dict[str, t.Any]:
    chain = site.chain()
    names = ("chain_rest", "chain_rpc", "public_api")
    return {**{name: chain[name] for name in names if name in chain}, **more}


def test_what_it_is(host: FakeHost, site: Site) -> None:
    found = succeeded("adopt_info", asked(site, chain_rpc="http://rpc.example.org"))["adopt"]
    assert (found["generation"], found["container"]["name"]) == ("v2", "hand-made")
    assert found["chain_error"] is None
    inventory = found["inventory"]
    assert inventory["devshard_profile"] == "v2"
    assert inventory["gateway_env_extra"] == {"OWN_NOTE": "kept"}
    assert inventory["devshard_gateway_url"] == site.net.ready["gateway"]
    assert str(site.net.ready["admin_key"]) not in str(found)
    assert "ab" * 32 not in str(found)
    assert host.containers
    assert site.net.writes() == []


def test_it_can_be_taken_over(host: FakeHost, site: Site) -> None:
    """A simulated gateway without an escrow: the models are those of the inventory."""
    models = [{"id": site.model, "amount": 5_000_000_000, "count": 1}]
    more = {"chain_rpc": "http://rpc.example.org", "models": models}
    found = succeeded("adopt_info", asked(site, **more))["adopt"]
    assert found["problems"] == []
    assert found["inventory"]["devshard_models"] == models
    assert found["overridden"] == []


class Halfway:
    """A chain that answers for one escrow."""

    def head(self) -> None:
        return None

    def escrow(self, number: int) -> Escrow | None:
        if number != 7:
            raise TransportError("HTTP 429")
        return Escrow(
            id=7,
            creator="gonka1owner",
            amount=5,
            slots=(),
            epoch_index=1,
            settled=False,
            model_id="m/1",
        )


@pytest.mark.parametrize("proof", [True, False, None])
def test_an_escrow_that_the_chain_has_pruned_is_settled_only_with_proof(proof: bool | None) -> None:
    class Pruned:
        def head(self) -> None: ...

        def escrow(self, _number: int) -> None:
            return None

        def settled_event(self, _number: int) -> object:
            if proof is None:
                raise UnknownStateError("the index is off")
            return object() if proof else None

    one = Deposit(id="7", model="m/1", active=True, loaded=True, key="", protocol="v2", role=None)
    (found,) = ask_chain(Answers(deposits=(one,)), t.cast("ChainApi", Pruned())).deposits
    assert (found.pruned, found.over, found.settled) == (True, True, True if proof else None)


def test_an_escrow_that_the_chain_does_not_answer_for_stays_unknown() -> None:
    there = [
        Deposit(id=number, model="m/1", active=True, loaded=True, key="", protocol="v2", role=None)
        for number in ("7", "8", "9")
    ]
    found = ask_chain(Answers(deposits=tuple(there)), t.cast("ChainApi", Halfway()))
    assert [one.settled for one in found.deposits] == [False, None, None]
    assert [one.amount for one in found.deposits] == [5, None, None]
    assert found.chain_error == "HTTP 429"


class Elsewhere(Halfway):
    """A node of another chain."""

    def head(self) -> None:
        raise ConfigurationError("serves chain other")

    def escrow(self, number: int) -> Escrow | None:
        return None


def test_what_another_chain_does_not_have_is_not_settled() -> None:
    there = Deposit(id="7", model="m/1", active=True, loaded=True, key="", protocol="v2", role=None)
    found = ask_chain(Answers(deposits=(there,)), t.cast("ChainApi", Elsewhere()))
    assert [one.settled for one in found.deposits] == [None]
    assert found.chain_error == "serves chain other"


def test_clients_may_come_past_the_edge(host: FakeHost, site: Site) -> None:
    port = site.net.ready["gateway"].rpartition(":")[2]
    bound = host.containers[0]["HostConfig"]["PortBindings"]["8080/tcp"]
    bound.append({"HostIp": "10.0.0.5", "HostPort": port})
    bound.append({"HostIp": "", "HostPort": "18999"})
    host.container("proxy", None, number=2, port=18000)
    host.containers[1]["Config"]["Env"] = []
    host.containers[1]["Config"]["Labels"]["com.docker.compose.service"] = "proxy"
    host.install()
    found = succeeded("adopt_info", asked(site))["adopt"]
    assert found["past_edge"] == [
        f"its port {port}, which is open to other hosts",
        "its port 18999, which is open to other hosts",
        "the Docker network that it shares with proxy",
    ]
    assert found["closed"] == [
        f"10.0.0.5:{port} (port 8080/tcp in the container)",
        "18999 on all addresses (port 8080/tcp in the container)",
    ]


def test_a_client_of_another_project_may_come_by_the_network(host: FakeHost, site: Site) -> None:
    host.container("web", None, number=2, port=18000)
    host.containers[1]["Config"]["Env"] = []
    host.containers[1]["Config"]["Labels"] = {"com.docker.compose.project": "web"}
    for one in host.containers:
        one["NetworkSettings"]["Networks"] = {"gateway_default": {}}
    host.install()
    found = succeeded("adopt_info", asked(site))["adopt"]
    assert found["past_edge"] == ["the Docker network that it shares with web"]


def test_a_key_that_it_does_not_take(host: FakeHost, site: Site) -> None:
    host.containers[0]["Config"]["Env"][0] = "DEVSHARD_ADMIN_API_KEY=sk-admin-of-another-gateway"
    host.install()
    found = succeeded("adopt_info", asked(site))["adopt"]
    assert found["inventory"] == {}
    assert "The gateway could not be asked" in found["problems"][0]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (["DEVSHARD_PORT=9"], "none of its ports is published"),
        (["DEVSHARD_PORT=8080"], "it has no DEVSHARD_ADMIN_API_KEY"),
    ],
)
def test_one_that_cannot_be_asked(
    host: FakeHost, site: Site, environment: list[str], said: str
) -> None:
    host.containers[0]["Config"]["Env"] = environment
    host.install()
    assert said in succeeded("adopt_info", asked(site))["adopt"]["problems"][0]


def test_one_that_is_not_there(host: FakeHost, site: Site) -> None:
    assert "hand-made" in failed("adopt_info", asked(site, container_name="other")).msg
    assert host.containers
