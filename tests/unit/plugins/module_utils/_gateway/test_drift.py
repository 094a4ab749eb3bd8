# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Containers as the engine shows them, and whether they are what is wanted."""

from __future__ import annotations

import dataclasses
import typing as t

import docker
import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import TransportError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import (
    PORT,
    Wanted,
    find_drift,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker as _docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)

DIGEST = "registry.example.org/gateway@sha256:" + "ab" * 32
STORAGE = "/srv/gonka/devshard-gateway/.devshardctl"
SECRET = "0f1e" * 16
INSPECT: dict[str, t.Any] = {
    "Name": "/devshardctl-multi",
    "Image": "sha256:" + "cd" * 32,
    "RestartCount": 2,
    "Config": {
        "Image": "registry.example.org/gateway:v2",
        "Env": [f"DEVSHARD_PRIVATE_KEY={SECRET}", "DEVSHARD_PORT=8080", "PATH=/bin", "ODD"],
        "Labels": {"com.docker.compose.project": "gateway"},
    },
    "State": {
        "Status": "running",
        "Pid": 4321,
        "StartedAt": "2026-07-02T10:11:12.123456789Z",
        "Health": {"Status": "healthy"},
    },
    "HostConfig": {
        "RestartPolicy": {"Name": "unless-stopped"},
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}], "9/tcp": None},
    },
    "Mounts": [{"Type": "bind", "Source": STORAGE, "Destination": "/root/.devshardctl"}],
}
CONTAINER = from_inspect(INSPECT, (DIGEST,))
WANTED = Wanted(
    image=DIGEST,
    environment={"DEVSHARD_PRIVATE_KEY": SECRET, "DEVSHARD_PORT": "8080"},
    storage=STORAGE,
    address="127.0.0.1:18080",
)


def drift(wanted: Wanted = WANTED, container: Container | None = CONTAINER) -> dict[str, t.Any]:
    return find_drift(container, wanted, profile("v2")).to_result()


V4_1 = profile("v4.1", "v4.1")


def of_v4_1(wanted: dict[str, str], found: dict[str, str], **more: t.Any) -> dict[str, t.Any]:
    container = dataclasses.replace(CONTAINER, environment=found, **more.pop("container", {}))
    wish = dataclasses.replace(WANTED, environment=wanted, **more)
    return find_drift(container, wish, V4_1).to_result()


@pytest.mark.parametrize(
    ("wanted", "found", "starts"),
    [
        ("https://api", "https://other", False),
        ("none", "https://api", True),
        ("https://api", "none", True),
        ("none", "disabled", False),
    ],
)
def test_no_public_api_is_read_at_every_start(wanted: str, found: str, starts: bool) -> None:
    name = "DEVSHARD_PUBLIC_API"
    seen = of_v4_1({name: wanted}, {name: found})
    assert (seen["recreate"], seen["variables"]) == (starts, [name] if starts else [])
    assert seen["bootstrap"] == ([] if starts else [name])


def test_what_a_new_container_takes_for_the_same() -> None:
    same = {"CHAIN_GRPC_TLS": "false", "DEVSHARD_CHAIN_ID": "gonka-mainnet"}
    assert of_v4_1({**same, "DEVSHARD_STATS_ENABLED": "true"}, {})["recreate"] is False
    assert of_v4_1({"DEVSHARD_STATS_ENABLED": "false"}, {})["variables"] == [
        "DEVSHARD_STATS_ENABLED"
    ]
    # never asked from v4 on: unset is mainnet, whatever the chain answers
    assert of_v4_1({"DEVSHARD_CHAIN_ID": "gonka-test"}, {})["recreate"] is True
    assert of_v4_1({"DEVSHARD_CHAIN_REST": "http://a"}, {})["recreate"] is False


def test_the_accounting_is_closed_or_on_the_loopback() -> None:
    main = CONTAINER.ports
    closed = {"ports": main}
    open_wide = {"ports": {**main, "9091/tcp": ("0.0.0.0:9091",)}}
    on_loopback = {"ports": {**main, "9091/tcp": ("127.0.0.1:9091",)}}
    assert of_v4_1({}, {}, container=closed)["recreate"] is False
    assert of_v4_1({}, {}, container=on_loopback, accounting_port=9091)["recreate"] is False
    for container, port in ((open_wide, None), (open_wide, 9091), (on_loopback, None), (closed, 9)):
        (why,) = of_v4_1({}, {}, container=container, accounting_port=port)["reasons"]
        assert "its accounting is published on" in why


def test_a_port_that_is_open_to_other_hosts_needs_another_container() -> None:
    """On the same port a swap makes it; on another one it does not."""
    for port, variables in ((18080, (PORT,)), (18090, ())):
        container = dataclasses.replace(CONTAINER, ports={"8080/tcp": (f"0.0.0.0:{port}",)})
        found = find_drift(container, WANTED, profile("v2"))
        assert found.variables == variables
        assert found.reasons == (f"it is published on 0.0.0.0:{port}, wanted is 127.0.0.1:18080",)
        assert found.moved == (() if variables else found.reasons)


def test_another_port_in_the_container_is_for_a_swap() -> None:
    """The port of the host is the one that counts, and it stays."""
    container = dataclasses.replace(
        CONTAINER,
        environment={**CONTAINER.environment, "DEVSHARD_PORT": "9000"},
        ports={"9000/tcp": ("127.0.0.1:18080",)},
    )
    found = find_drift(container, WANTED, profile("v2"))
    assert (found.variables, found.moved) == (("DEVSHARD_PORT",), ())


def test_a_container_as_the_engine_shows_it() -> None:
    assert CONTAINER.to_result() == {
        "name": "devshardctl-multi",
        "image": "registry.example.org/gateway:v2",
        "image_id": "sha256:" + "cd" * 32,
        "digests": [DIGEST],
        "state": "running",
        "health": "healthy",
        "restart_count": 2,
        "started_at": "2026-07-02T10:11:12.123456789Z",
        "restart_policy": "unless-stopped",
    }
    assert CONTAINER.pid == 4321
    assert CONTAINER.ports == {"8080/tcp": ("127.0.0.1:18080",), "9/tcp": ()}
    assert CONTAINER.environment["PATH"] == "/bin"


def test_its_environment_is_never_shown() -> None:
    assert SECRET not in repr(CONTAINER)
    assert SECRET not in str(CONTAINER.to_result())


def test_a_container_with_little() -> None:
    bare = {
        "Name": "/x",
        "Image": "sha256:00",
        "Config": {"Image": "x", "Env": None, "Labels": None},
        "State": {"Status": "exited"},
        "HostConfig": {"RestartPolicy": {"Name": ""}, "PortBindings": None},
        "Mounts": None,
    }
    found = from_inspect(bare, ())
    assert (found.health, found.restart_policy, found.pid) == (None, "no", 0)
    assert (found.environment, found.mounts, found.ports) == ({}, {}, {})


def test_nothing_differs() -> None:
    assert drift() == {
        "exists": True,
        "running": True,
        "recreate": False,
        "reasons": [],
        "variables": [],
        "bootstrap": [],
        "project": "gateway",
        "composed": True,
    }


def test_a_container_that_compose_did_not_make() -> None:
    found = drift(container=dataclasses.replace(CONTAINER, labels={}))
    assert (found["project"], found["composed"]) == (None, False)


def test_what_the_gateway_never_reads_is_no_reason_to_cut_streams() -> None:
    """Another node for the guide's commands, say."""
    changed = dict.fromkeys(("NODE_RPC", "NODE_BASE", "INFERENCED_HOME"), "another")
    wanted = dataclasses.replace(WANTED, environment={**(WANTED.environment or {}), **changed})
    assert (drift(wanted)["reasons"], drift(wanted)["bootstrap"]) == ([], [])


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        # the guide leaves it out: the gateway asks its node
        ("DEVSHARD_CHAIN_ID", "gonka-mainnet", None),
        ("DEVSHARD_TX_QUERY_REST", "http://node1.gonka.ai:8000/chain-api", None),
        ("DEVSHARD_POC_REQUEST_MODE", "off", None),
        ("DEVSHARD_POC_REQUEST_MODE", "", "off"),
        ("DEVSHARD_CAPACITY_AWARE_LIMITS", "on", "true"),
        ("DEVSHARD_CAPACITY_AWARE_LIMITS", "off", None),
        ("DEVSHARD_OF_THE_OWNER", "", None),
    ],
)
def test_what_the_gateway_takes_by_itself_is_no_drift(
    name: str, value: str, found: str | None
) -> None:
    there = {} if found is None else {name: found}
    container = dataclasses.replace(CONTAINER, environment=there)
    wanted = dataclasses.replace(WANTED, environment={name: value})
    assert drift(wanted, container)["reasons"] == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DEVSHARD_CHAIN_ID", "gonka-mainnet", "gonka-testnet"),
        ("DEVSHARD_TX_QUERY_REST", "http://node3.example.org", None),
        ("DEVSHARD_POC_REQUEST_MODE", "relaxed", None),
        ("DEVSHARD_CAPACITY_AWARE_LIMITS", "on", "off"),
        ("DEVSHARD_CAPACITY_AWARE_LIMITS", "on", "enabled"),
        ("DEVSHARD_API_KEYS", "sk-new-0123456789", "sk-old-0123456789"),
    ],
)
def test_what_the_gateway_takes_otherwise_is_drift(
    name: str, value: str, found: str | None
) -> None:
    there = {} if found is None else {name: found}
    container = dataclasses.replace(CONTAINER, environment=there)
    wanted = dataclasses.replace(WANTED, environment={name: value})
    (reason,) = drift(wanted, container)["reasons"]
    assert f"reads {name} only" in reason
    assert len(value) < 4 or value not in reason


def test_no_container() -> None:
    assert drift(container=None) == {
        "exists": False,
        "running": False,
        "recreate": False,
        "reasons": [],
        "variables": [],
        "bootstrap": [],
        "project": None,
        "composed": True,
    }


def test_it_is_stopped() -> None:
    stopped = dataclasses.replace(CONTAINER, state="exited")
    assert drift(container=stopped)["running"] is False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": DIGEST.replace("ab", "ef")}, "its image is registry.example.org/gateway:v2, w"),
        ({"storage": "/elsewhere"}, f"its storage is {STORAGE}, wanted is /elsewhere"),
        ({"address": "127.0.0.1:18081"}, "it is published on 127.0.0.1:18080, wanted is 127.0.0.1"),
        (
            {"environment": {"DEVSHARD_API_KEYS": "x"}},
            "reads DEVSHARD_API_KEYS only when it starts",
        ),
        ({"environment": {"DEVSHARD_PORT": "9"}}, "reads DEVSHARD_PORT only when it starts"),
        ({"environment": None}, "there is no environment file to compare it with"),
    ],
)
def test_what_needs_a_recreate(change: dict[str, t.Any], reason: str) -> None:
    found = drift(dataclasses.replace(WANTED, **change))
    assert found["recreate"]
    assert len(found["reasons"]) == 1
    assert reason in found["reasons"][0]


def test_the_image_by_its_tag_is_the_same_image() -> None:
    tag = dataclasses.replace(WANTED, image="registry.example.org/gateway:v2")
    assert not drift(tag)["recreate"]


def test_bootstrap_variables_are_no_reason() -> None:
    more = {**(WANTED.environment or {}), "GATEWAY_MAX_TOKENS_CAP": "4096", "DEVSHARD_MODEL": "m"}
    found = drift(dataclasses.replace(WANTED, environment=more))
    assert not found["recreate"]
    assert found["bootstrap"] == ["DEVSHARD_MODEL", "GATEWAY_MAX_TOKENS_CAP"]


def test_values_are_not_told() -> None:
    wanted = dataclasses.replace(WANTED, environment={"DEVSHARD_PRIVATE_KEY": "ab" * 32})
    found = str(drift(wanted))
    assert "DEVSHARD_PRIVATE_KEY" in found
    assert SECRET not in found
    assert "ab" * 32 not in found.replace(DIGEST, "")


def test_a_container_without_ports_and_storage() -> None:
    found = drift(container=dataclasses.replace(CONTAINER, ports={}, mounts={}))
    assert found["reasons"] == [
        f"its storage is None, wanted is {STORAGE}",
        "it is published on no port of the host, wanted is 127.0.0.1:18080",
    ]


# the engine


def given(what: dict[str, t.Any] | Exception) -> dict[str, t.Any]:
    if isinstance(what, Exception):
        raise what
    return what


class FakeEngine:
    """The part of the SDK's client that is used; raises what it is told to."""

    def __init__(self) -> None:
        self.api = self
        self.closed = 0
        self.container: dict[str, t.Any] | Exception = INSPECT
        self.image: dict[str, t.Any] | Exception = {"RepoDigests": [DIGEST]}

    def inspect_container(self, name: str) -> dict[str, t.Any]:
        assert name == "devshardctl-multi"
        return given(self.container)

    def inspect_image(self, image: str) -> dict[str, t.Any]:
        assert image == INSPECT["Image"]
        return given(self.image)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda timeout: fake)
    return fake


def test_inspect(engine: FakeEngine) -> None:
    assert _docker.inspect("devshardctl-multi") == CONTAINER
    engine.image = {"RepoDigests": None}
    found = _docker.inspect("devshardctl-multi")
    assert found is not None
    assert found.digests == ()
    engine.image = ImageNotFound("gone")
    assert _docker.inspect("devshardctl-multi") == found
    assert engine.closed == 3


def test_no_such_container(engine: FakeEngine) -> None:
    engine.container = NotFound("no such container")
    assert _docker.inspect("devshardctl-multi") is None
    assert engine.closed == 1


@pytest.mark.parametrize(
    "problem",
    [
        APIError("500 Server Error"),
        DockerException("no socket"),
        requests.exceptions.ConnectionError("the daemon died"),
        requests.exceptions.ReadTimeout("it hangs"),
    ],
)
def test_an_engine_that_does_not_answer_is_not_an_absent_container(
    engine: FakeEngine, problem: Exception
) -> None:
    engine.container = problem
    with pytest.raises(TransportError, match="the Docker Engine of this host does not answer"):
        _docker.inspect("devshardctl-multi")
    engine.container = INSPECT
    engine.image = problem
    with pytest.raises(TransportError, match="does not answer"):
        _docker.inspect("devshardctl-multi")
