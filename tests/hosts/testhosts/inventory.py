# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What Ansible needs to know about a project's hosts and the network around them."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from testhosts.images import DEFAULT_GENERATION, gateway_image
from testhosts.project import GRPC, NET, NET_PORTS, REGISTRY, Project, fetch

_RELEASES = "/gonka-ai/gonka/releases/download/release"
# Their tag keeps its slash escaped.
_ESCAPED_SINCE = (0, 2, 15)


def connection() -> dict[str, t.Any]:
    """How Ansible reaches the containers, with the engine that we use."""
    found: dict[str, t.Any] = {"ansible_connection": "community.docker.docker"}
    engine = os.environ.get("DOCKER_HOST")
    if engine:
        found["ansible_docker_extra_args"] = f"--host={engine}"
    return found


def checksums(project: Project) -> dict[str, dict[str, str]]:
    """Of the simulated releases of inferenced: version, architecture, checksum."""
    listed = fetch(project.published("net", NET_PORTS["release"]) + "/checksums.json")
    return {
        version: {arch: f"sha256:{value.removeprefix('sha256:')}" for arch, value in table.items()}
        for version, table in listed.items()
    }


def dynamic(project: Project) -> dict[str, t.Any]:
    """What cannot be written down beforehand.

    Not the connection itself: these are given as extra variables, by which even a task that is
    delegated to the controller would look for a container.
    """
    found = {**connection(), "inferenced_checksums": checksums(project)}
    del found["ansible_connection"]
    return found


def generation_variables(name: str) -> dict[str, t.Any]:
    """Of a gateway that is not of the default generation; each has the protocol of its name."""
    if name == DEFAULT_GENERATION:
        return {}
    accounting = {"gateway_accounting_port": 9091, "edge_accounting": True}
    return {
        **(accounting if name == "v4.1" else {}),
        "devshard_profile": name,
        "devshard_protocol": name,
        "devshard_chain_grpc": GRPC,
        "gateway_image": f"{REGISTRY}/{gateway_image('1.0', name)}",
    }


def release_url(base: str, chain_version: str) -> str:
    """Where releases of inferenced are, with the version to be filled in."""
    numbers = chain_version.removeprefix("v").partition("-")[0].split(".")
    escaped = tuple(int(number) for number in numbers) >= _ESCAPED_SINCE
    return f"{base}{_RELEASES}{'%2F' if escaped else '/'}{{{{ inferenced_version }}}}"


def variables(project: Project) -> dict[str, t.Any]:
    ready = project.ready_line()
    net = {name: f"http://{NET}:{port}" for name, port in NET_PORTS.items()}
    models = [
        {"id": name, "amount": ready["amount"], "count": 1, "access_mode": "api_key"}
        for name in ready["models"][:1]
    ]
    return {
        **connection(),
        **dynamic(project),
        "ansible_python_interpreter": "/usr/bin/python3",
        "devshard_chain_id": ready["chain_id"],
        "devshard_chain_rest": net["chain_rest"],
        "devshard_chain_rpc": net["chain_rpc"],
        "devshard_public_api": net["public_api"],
        "devshard_models": models,
        "creator_address": ready["creator"],
        "gateway_image": f"{REGISTRY}/{gateway_image('1.0')}",
        "gateway_private_key": ready["creator_key"],
        "inferenced_version": ready["chain_version"],
        "inferenced_release_url": release_url(net["release"], ready["chain_version"]),
        "docker_engine_daemon_options": {"insecure-registries": [REGISTRY]},
        # Where a test on this machine reaches the simulator.
        "simnet_urls": project.state()["urls"],
    }


def inventory(project: Project, generations: t.Mapping[str, str]) -> dict[str, t.Any]:
    """``generations`` of the gateways by host; what is missing is of the default one."""
    edges = {name: host["edge"] for name, host in project.state()["hosts"].items()}
    hosts = {
        name: {
            "ansible_host": project.container(name),
            "test_host_edge": edges[name],
            **generation_variables(generations.get(name, DEFAULT_GENERATION)),
        }
        for name in project.hosts()
    }
    return {"devshard_gateways": {"hosts": hosts, "vars": variables(project)}}


def write(path: Path, content: t.Mapping[str, t.Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
