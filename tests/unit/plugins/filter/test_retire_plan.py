# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The plan of a retirement from what the module presence_info returns."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.retire_plan import retire_plan
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    # this machine's own docker program is not meant
    monkeypatch.setattr(docker_cli, "PATH", (str(tmp_path / "bin"),))
    return FakeHost(tmp_path)


def test_it_is_decided_by_the_first_look(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    host.write(host.nginx / "devshard/server.d/locations.conf")
    presence = host.look().to_result()
    steps = ["settle", "stop", "edge", "remove"]
    assert retire_plan(presence, remove=True) == {
        "state": "serving",
        "steps": steps,
        "refusal": "",
    }
    host.redirected("https://other.example.org")
    assert retire_plan(host.look().to_result())["steps"] == ["settle", "stop"]


def test_an_engine_that_does_not_answer_leaves_the_state_unknown(host: FakeHost) -> None:
    host.deployed()
    host.engine_fails("Cannot connect to the Docker daemon")
    found = retire_plan(host.look().to_result())
    assert found["state"] == "unknown"
    assert f"the gateway in {host.deploy} is running" in found["refusal"]


@pytest.mark.parametrize("presence", [None, "text", {}])
def test_anything_else_is_refused(presence: object) -> None:
    with pytest.raises(AnsibleFilterError, match="presence"):
        retire_plan(presence)
