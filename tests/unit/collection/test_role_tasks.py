# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Task files that decide about money, run on this machine without a gateway."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)

MODULE = "gonka.devshard.gateway_backup"


class Deployment:
    """A deploy directory, and the tasks of the role ``retire`` on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.deploy = folder / "deploy"
        self.storage = self.deploy / ".devshardctl"
        self.note = self.deploy / ".retired.json"
        self.storage.mkdir(parents=True)

    def serve(self, content: str) -> None:
        (self.storage / "gateway.db").write_text(content)

    def noted(self, content: str) -> None:
        digest = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.note.write_text(json.dumps({"settled": [], "gateway_db": digest}))

    def run(self, *files: str) -> subprocess.CompletedProcess[str]:
        tasks = [
            {"ansible.builtin.include_tasks": str(ROOT / "roles/retire/tasks" / f"{file}.yml")}
            for file in files
        ]
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(ROOT / "roles/retire/vars/main.yml")],
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "devshard_deploy_dir": str(self.deploy),
            },
            "tasks": tasks,
        }
        playbook = self._folder / "play.yml"
        playbook.write_text(json.dumps([play]))
        program = Path(sys.executable).parent / "ansible-playbook"
        return subprocess.run(
            [str(program), "-i", "localhost,", str(playbook)],
            capture_output=True,
            text=True,
            env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(self._folder / "tmp")},
            timeout=120,
            check=False,
        )


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_a_gateway_that_only_does_not_run_is_not_called_retired(deployment: Deployment) -> None:
    deployment.serve("records")
    refused = deployment.run("preflight")
    assert refused.returncode != 0
    assert "has not settled" in refused.stdout


def test_a_storage_that_served_after_the_note_is_kept(deployment: Deployment) -> None:
    deployment.serve("records")
    deployment.noted("records of before")
    refused = deployment.run("preflight", "remove")
    assert refused.returncode != 0
    assert "is not removed" in refused.stdout
    assert deployment.storage.exists()


def test_a_storage_that_was_settled_and_archived_may_go(deployment: Deployment) -> None:
    deployment.serve("records")
    deployment.noted("records")
    assert deployment.run("preflight", "remove").returncode == 0
    assert not deployment.storage.exists()


def test_both_looks_of_a_restore_get_the_sum_that_is_given_up() -> None:
    tasks: t.Any = read_yaml(ROOT / "roles/backup/tasks/restore.yml")
    (outer,) = [task for task in tasks if "block" in task]
    (inner,) = [task for task in outer["block"] if "block" in task]
    calls = [task for task in (*outer["block"], *inner["block"]) if MODULE in task]
    assert [call[MODULE] for call in calls] == [None, None]
    assert outer["module_defaults"][MODULE]["force"] == "{{ backup_force | default(omit) }}"
    assert calls[0]["check_mode"] is True
    assert "__backup_plan.actions" in inner["when"]


def test_a_restore_stops_a_gateway_by_the_rule_of_the_swap() -> None:
    tasks: t.Any = read_yaml(ROOT / "roles/backup/tasks/stoppable.yml")
    asked = tasks[-1]["gonka.devshard.swap_sessions"]
    assert (asked["state"], asked["idle"]) == ("stoppable", True)
    swap: t.Any = read_yaml(ROOT / "roles/hot_swap/tasks/steps/replace_main.yml")
    assert swap[0]["gonka.devshard.swap_sessions"]["state"] == asked["state"]
