# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The whole module swap_step beside containers that a test gives: what it writes, and when."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import run_module, succeeded

OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"
MAIN = "devshardctl-multi"


def container(image: str, *, number: str = "a", environment: dict[str, str]) -> Container:
    return from_inspect(
        {
            "Id": number,
            "Name": f"/{MAIN}",
            "Image": "sha256:1",
            "Config": {"Image": image, "Env": [f"{k}={v}" for k, v in environment.items()]},
            "State": {"Status": "running", "Running": True},
            "HostConfig": {
                "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]}
            },
            "Mounts": [{"Destination": "/root/.devshardctl", "Source": "/s"}],
        },
        (),
    )


class Host:
    """A host whose engine has the containers that the test puts there."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "state" / "swap.json"
        self.env_file = folder / "env"
        self.env_file.write_text("GATEWAY_EXTRA=1\n")
        self.containers = {MAIN: container(OLD, environment={"GATEWAY_EXTRA": "1"})}
        self.record: dict[str, t.Any] = {"image": "r:5000/gateway:old", "digest": OLD}
        self.record["storage"] = "/s"

    def params(self, state: str = "planned", **given: t.Any) -> dict[str, t.Any]:
        plain = {"path": str(self.journal), "run": "r1", "image": "r:5000/gateway:new"}
        known = {"record": self.record, "env_file": str(self.env_file), "port": 18080}
        return {**plain, **known, "state": state, **given}

    def swap(self, state: str = "planned", *, check: bool = False, **given: t.Any) -> t.Any:
        return succeeded("swap_step", self.params(state, **given), check=check)["swap"]

    def note(self, step: str, **given: t.Any) -> None:
        succeeded("swap_step", self.params("started", step=step, **given))
        succeeded("swap_step", self.params("finished", step=step, **given))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(docker, "inspect", made.containers.get)
    monkeypatch.setattr(docker, "resolve", lambda image: image if "@" in image else NEW)
    return made


def test_a_swap_that_is_only_planned_leaves_no_journal(host: Host) -> None:
    """A preflight that refuses it comes between, and a later rollback has nothing to turn around."""
    found = host.swap()
    assert (found["open"], found["id"], found["steps"][0]) == (False, None, "preflight")
    assert not host.journal.exists()
    found = host.swap("begun", check=True)
    assert not host.journal.exists()
    found = host.swap("begun")
    assert (found["open"], found["started"], found["done"]) == (True, ["preflight"], ["preflight"])
    assert found["steps"][0] == "freeze_rotation"
    assert json.loads(host.journal.read_text())["origin"] == OLD


def test_the_journal_of_a_refused_preflight_of_an_earlier_version_is_put_away(host: Host) -> None:
    host.swap("begun")
    body = json.loads(host.journal.read_text())
    host.journal.write_text(json.dumps({**body, "done": []}))
    found = run_module("swap_step", host.params(rollback=True))
    assert "nothing to roll back to" in found.msg
    assert host.swap()["open"] is False
    assert not host.journal.exists()


def test_an_image_that_does_not_exist_is_refused_in_check_mode_too(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(image: str) -> str:
        raise ConfigurationError(f"the registry has no image {image}")

    monkeypatch.setattr(docker, "resolve", absent)
    for check in (True, False):
        found = run_module("swap_step", host.params(image=NEW), check=check)
        assert "has no image" in found.msg


def test_a_swap_that_another_run_began_while_this_one_waited_is_left_alone(host: Host) -> None:
    host.swap()
    host.swap("begun", run="r2")
    host.note("freeze_rotation", run="r2")
    found = run_module("swap_step", host.params("begun"))
    assert (found.kind, "another run began" in found.msg) == ("busy", True)


def test_another_environment_is_planned_and_only_its_names_are_shown(host: Host) -> None:
    host.env_file.write_text("GATEWAY_EXTRA=secretly\n")
    run = run_module("swap_step", host.params(image=OLD))
    assert "GATEWAY_EXTRA" in run.result["swap"]["reason"]
    assert run.result["swap"]["steps"][0] == "preflight"
    assert "secretly" not in run.output
    assert host.swap(image=OLD, env_file=None)["steps"] == []


def test_what_a_step_needs_to_know_is_decided_by_digest(host: Host) -> None:
    host.swap("begun")
    host.note("freeze_rotation")
    found = host.swap("observed")
    assert found["ask_before_stop"] is True
    assert found["record"]["previous_image"] == "r:5000/gateway:old"
    mirrored = NEW.replace("r:5000/gateway", "mirror/other")
    host.containers[MAIN] = container(mirrored, number="b", environment={"GATEWAY_EXTRA": "1"})
    assert host.swap("observed")["ask_before_stop"] is False


def test_a_swap_ends_on_the_image_of_its_journal_or_not_at_all(host: Host) -> None:
    host.swap("begun")
    host.note("freeze_rotation")
    done = host.params("finished", step="done")
    found = run_module("swap_step", done)
    assert "should have the image r:5000/gateway:new (sha256:111111111111)" in found.msg
    assert host.journal.exists()
    host.containers[MAIN] = container(NEW, environment={})
    succeeded("swap_step", done)
    assert not host.journal.exists()


def test_a_record_that_lies_is_corrected_where_no_step_is_to_be_run(host: Host) -> None:
    host.record["digest"], host.record["image"] = NEW, "r:5000/gateway:new"
    found = host.swap(image=OLD)
    assert found["steps"] == []
    assert found["record"] == {"image": OLD, "digest": OLD, "storage": "/s"}
