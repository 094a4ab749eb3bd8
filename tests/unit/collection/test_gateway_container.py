# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway's container is stopped, started, restarted and removed by one rule, and alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
    run_ansible,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_refusals import evaluated
from ansible_collections.gonka.devshard.tests.unit.plugins.fake_engine import (
    FakeContainer,
    FakeEngine,
    serving,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAY: t.Final = "llm-gateway"
DEFAULT: t.Final = "owner_default"
ROLE: t.Final = ROOT / "roles/devshard"

# writes what it is asked, and answers as Compose does that has made the containers
COMPOSE: t.Final = """#!{python}
import json, pathlib, sys
argv = sys.argv[1:]
with (pathlib.Path(__file__).parent / "asked").open("a") as file:
    file.write(json.dumps(argv) + "\\n")
if "version" in argv:
    version = "2.32.4" if "compose" in argv else {{"Client": {{"Version": "27.5.1"}}}}
    print(json.dumps({{"version": version}} if "compose" in argv else version))
"""


class Host:
    """A host with an engine, on which one of the task files is run."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.folder = folder
        self.engine = engine
        self.deploy = folder / "deploy"
        self.deploy.mkdir()
        (self.deploy / "docker-compose.yml").write_text("services: {}\n")
        self.record: Data = {}

    def run(self, point: str, *options: str, **given: t.Any) -> subprocess.CompletedProcess[str]:
        role = {"name": "gonka.devshard.devshard", "tasks_from": f"container_{point}"}
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "devshard_deploy_dir": str(self.deploy),
                "devshard_presence": {"container": {"name": GATEWAY}, "record": self.record},
            },
            "tasks": [
                {"ansible.builtin.include_role": role, "vars": given},
                {"ansible.builtin.debug": {"msg": "the storage may be touched"}},
            ],
        }
        path = self.folder / "play.json"
        path.write_text(json.dumps([play]))
        return run_ansible("playbook", "-i", "localhost,", path, *options)

    @property
    def composed(self) -> list[list[str]]:
        """The commands of Compose that make or change containers."""
        path = self.folder / "bin/asked"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [argv for argv in found if {"up", "down", "stop", "start", "restart"} & set(argv)]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(COMPOSE.format(python=sys.executable))
    (programs / "docker").chmod(0o755)
    engine = FakeEngine()
    with serving(engine) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        yield Host(tmp_path, engine)


def by_docker_run(**changes: t.Any) -> FakeContainer:
    """As its owner started it, without Compose."""
    return FakeContainer(name=GATEWAY, **changes)


def by_compose(name: str = GATEWAY, **changes: t.Any) -> FakeContainer:
    return FakeContainer(name=name, project="owner", networks=(DEFAULT,), **changes)


def well(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stdout + done.stderr
    return "the storage may be touched" in done.stdout


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Why the run ended before the storage was touched."""
    assert done.returncode != 0, done.stdout
    assert "the storage may be touched" not in done.stdout
    return " ".join((done.stdout + done.stderr).split())


# stop


@pytest.mark.parametrize(
    "gateway",
    [by_docker_run(), by_docker_run(state="restarting"), by_compose(), by_compose(state="paused")],
    ids=lambda one: f"{one.state}, project {one.project}",
)
def test_a_container_is_stopped_alone(host: Host, gateway: FakeContainer) -> None:
    host.engine.containers += [gateway, by_compose("web"), by_compose("database")]
    assert well(host.run("stopped"))
    assert host.engine.done == [f"stop {GATEWAY}"]
    assert host.composed == []


def test_a_role_names_another_container_and_less_patience(host: Host) -> None:
    host.engine.containers += [by_docker_run(), by_compose("web")]
    given = {"__devshard_container": "web", "__devshard_container_stop_timeout": 1}
    assert well(host.run("stopped", **given))
    assert host.engine.done == ["stop web within 1 s"]


def test_one_that_does_not_run_is_left_as_it_is(host: Host) -> None:
    assert well(host.run("stopped"))
    host.engine.containers.append(by_docker_run(state="exited"))
    assert well(host.run("stopped"))
    assert host.engine.done == []


def test_one_that_runs_on_is_not_stopped(host: Host) -> None:
    """Its storage would be replaced while it writes."""
    host.engine.containers.append(by_docker_run(stuck=True))
    told = refusal(host.run("stopped"))
    assert f"The container {GATEWAY} was stopped, and it is still running" in told
    assert f"stop it with 'docker stop {GATEWAY}'" in told


def test_a_state_that_proves_nothing_is_not_stopped(host: Host) -> None:
    host.engine.containers.append(by_docker_run(state=""))
    assert "it is still unknown" in refusal(host.run("stopped"))


@pytest.mark.parametrize("point", ["stopped", "removed"])
def test_an_engine_that_does_not_answer_proves_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "Error connecting" in refusal(host.run(point))


# start and restart


def test_a_container_is_started_as_it_is(host: Host) -> None:
    host.engine.containers += [by_docker_run(state="exited"), by_compose("web", state="exited")]
    assert well(host.run("started"))
    assert well(host.run("started"))
    assert host.engine.done == [f"start {GATEWAY}"]
    assert host.composed == []


def test_a_missing_one_is_made_without_the_other_services_of_its_file(host: Host) -> None:
    host.record = {"service": "llm"}
    assert well(host.run("started"))
    (up,) = host.composed
    assert up[-2:] == ["--", "llm"]
    assert {"--no-recreate", "--pull", "never"} <= set(up)
    assert "--remove-orphans" not in up


def test_a_container_is_restarted_alone(host: Host) -> None:
    host.engine.containers += [by_docker_run(), by_compose("web")]
    assert well(host.run("restarted"))
    assert host.engine.done == [f"restart {GATEWAY} within 10 s"]
    assert host.composed == []


# remove


def test_a_container_that_compose_did_not_make_is_removed(host: Host) -> None:
    host.engine.containers += [by_docker_run(), by_compose("web")]
    host.engine.networks[DEFAULT] = "owner"
    assert well(host.run("removed"))
    assert [one.name for one in host.engine.containers] == ["web"]
    assert list(host.engine.networks) == [DEFAULT]
    assert well(host.run("removed"))


def test_the_network_of_a_project_without_another_container_goes_too(host: Host) -> None:
    host.engine.containers.append(by_compose())
    host.engine.networks |= {DEFAULT: "owner", "other_default": "other"}
    predicted = host.run("removed", "--check")
    assert "changed=2 " in predicted.stdout
    assert host.engine.done == []
    assert well(host.run("removed"))
    assert host.engine.done[-1] == f"remove network {DEFAULT}"
    assert list(host.engine.networks) == ["other_default"]
    assert "changed=0 " in host.run("removed").stdout


def test_a_run_that_was_interrupted_between_both_removes_the_network(host: Host) -> None:
    host.record = {"project": "owner"}
    host.engine.networks[DEFAULT] = "owner"
    assert well(host.run("removed"))
    assert host.engine.networks == {}


def test_another_service_of_the_project_and_the_network_stay(host: Host) -> None:
    stopped = by_compose("web", state="exited")
    host.engine.containers += [by_compose(), stopped]
    host.engine.networks[DEFAULT] = "owner"
    assert well(host.run("removed"))
    assert host.engine.done == [f"stop {GATEWAY}", f"remove {GATEWAY}"]
    assert (host.engine.containers, stopped.state) == ([stopped], "exited")
    assert list(host.engine.networks) == [DEFAULT]


OTHERS: t.Final = {
    "a service": (by_compose("web"), []),
    "a service on another network": (FakeContainer(name="web", project="owner"), []),
    "a container of its owner on that network": (
        FakeContainer(name="mine", networks=(DEFAULT,)),
        ["owner_more"],
    ),
    "a container on the bridge": (FakeContainer(name="mine"), [DEFAULT, "owner_more"]),
}


@pytest.mark.parametrize(("other", "unused"), OTHERS.values(), ids=OTHERS)
def test_a_network_stays_for_what_else_needs_it(other: FakeContainer, unused: list[str]) -> None:
    mine = by_compose()
    around = {
        "containers": [mine.listed(), other.listed()],
        "networks": [{"Name": DEFAULT}, {"Name": "owner_more"}],
    }
    variables = {
        **read_yaml(ROLE / "vars/main.yml"),
        "__devshard_container_found": {"container": mine.inspected()},
        "__devshard_container_around": around,
    }
    assert evaluated("{{ __devshard_container_networks }}", variables) == unused


def test_one_that_is_there_again_is_not_removed(host: Host) -> None:
    host.engine.containers.append(by_compose(stuck=True))
    host.engine.networks[DEFAULT] = "owner"
    told = refusal(host.run("removed"))
    assert f"The container {GATEWAY} was removed, and there is one of this name again" in told
    assert list(host.engine.networks) == [DEFAULT]


# the roles

MODULES: t.Final = ("docker_container", "docker_compose_v2", "docker_compose_v2_exec")
OWN: t.Final = {
    # the gateway's container made anew from its compose file, without its other services
    "roles/gateway/tasks/service.yml": "present",
    "roles/gateway/tasks/replaced.yml": "present",
    # a project that has nothing but the temporary gateway
    "roles/hot_swap/tasks/steps/start_temp.yml": "present",
    "roles/hot_swap/tasks/steps/stop_temp.yml": "absent",
}


def tasks_in(node: t.Any) -> Iterator[Data]:
    if isinstance(node, list):
        for item in node:
            yield from tasks_in(item)
    elif isinstance(node, dict):
        yield node
        for word in ("block", "rescue", "always"):
            yield from tasks_in(node.get(word, []))


def all_tasks() -> Iterator[tuple[str, Data]]:
    for path in sorted((ROOT / "roles").rglob("tasks/**/*.yml")):
        for task in tasks_in(read_yaml(path)):
            yield str(path.relative_to(ROOT)), task


def test_no_role_has_a_rule_of_its_own() -> None:
    found = {}
    for path, task in all_tasks():
        if path.startswith("roles/devshard/tasks/container_"):
            continue
        for name in MODULES:
            if (given := task.get(f"community.docker.{name}")) is not None:
                found[path] = given["state"]
        words = task.get("ansible.builtin.command", {}).get("argv", [])
        assert not {"start", "stop", "rm", "restart"} & set(words[1:2]) or words[0] != "docker", (
            path
        )
    assert found == OWN


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("roles/backup/tasks/restore.yml", "stopped"),
        ("roles/retire/tasks/stop.yml", "removed"),
        ("roles/hot_swap/tasks/steps/retire_main.yml", "removed"),
    ],
)
def test_the_storage_is_touched_after_the_proof(path: str, point: str) -> None:
    order = [
        task.get("ansible.builtin.include_role", {}).get("tasks_from")
        or ("storage" if "gonka.devshard.gateway_backup" in task else None)
        for task in tasks_in(read_yaml(ROOT / path))
        # the look before the stop
        if not task.get("check_mode")
    ]
    assert f"container_{point}" in order
    assert order.index(f"container_{point}") < order.index("storage")


def test_each_of_them_is_run_with_any_tag() -> None:
    """The role that includes it has decided by its own tags."""
    for path in sorted((ROLE / "tasks").glob("container_*.yml")):
        (only,) = read_yaml(path)
        assert only["tags"] == ["always"], path
        assert not re.search("gateway_container_name", path.read_text()), path
