# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Task files that decide about money, run on this machine without a gateway."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._presence.retirement import STEPS
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost

MODULE = "gonka.devshard.gateway_backup"


class Deployment:
    """A host with a deploy directory, and what the role ``retire`` makes of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._host = FakeHost(folder)
        self.storage = self._host.storage

    def serve(self, content: str) -> None:
        self._host.deployed()
        (self.storage / "gateway.db").write_text(content)

    def noted(self, content: str) -> None:
        digest = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        note = self._host.deploy / ".retired.json"
        note.write_text(json.dumps({"settled": [], "gateway_db": digest}))

    def settled(self, *records: int) -> None:
        """What a run left that ended after everything was settled, and the records of the database."""
        note = self._host.deploy / ".retired.json"
        known = {"settled": [], "left_to_others": [], "gateway_records": [11, 12]}
        note.write_text(json.dumps({"stage": "settled", **known}))
        self._host.deployed()
        database = self.storage / "gateway.db"
        database.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(database)) as db:
            db.execute("CREATE TABLE gateway_devshards (id TEXT, storage_path TEXT)")
            for number in records:
                db.execute("INSERT INTO gateway_devshards VALUES (?, '')", (str(number),))
            db.commit()

    def run(self, *, remove: bool = False) -> subprocess.CompletedProcess[str]:
        """The plan, and of its steps the one that needs no gateway."""
        tasks = ROOT / "roles/retire/tasks"
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [
                str(ROOT / "roles" / role / "vars/main.yml") for role in ("devshard", "retire")
            ],
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "devshard_deploy_dir": str(self._host.deploy),
                "devshard_presence": self._host.look().to_result(),
                "retire_remove_state": remove,
            },
            "tasks": [
                {"ansible.builtin.include_tasks": str(tasks / "preflight.yml")},
                {
                    "ansible.builtin.include_tasks": str(tasks / "remove.yml"),
                    "when": "'remove' in __retire_plan.steps",
                },
            ],
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
    refused = deployment.run()
    assert refused.returncode != 0
    assert "has not settled" in refused.stdout


def test_a_storage_that_served_after_the_note_is_kept(deployment: Deployment) -> None:
    deployment.serve("records")
    deployment.noted("earlier records")
    refused = deployment.run(remove=True)
    assert refused.returncode != 0
    assert "has served again" in refused.stdout
    assert deployment.storage.exists()


def test_a_storage_that_was_settled_and_archived_may_go(deployment: Deployment) -> None:
    deployment.serve("records")
    deployment.noted("records")
    assert deployment.run().returncode == 0
    assert deployment.storage.exists()
    assert deployment.run(remove=True).returncode == 0
    assert not deployment.storage.exists()
    assert "changed=0 " in deployment.run(remove=True).stdout


def test_a_run_that_ended_after_everything_was_settled_is_continued(deployment: Deployment) -> None:
    deployment.serve("records")
    deployment.settled(11, 12)
    going_on = deployment.run()
    assert going_on.returncode == 0, going_on.stdout
    assert "everything is settled, and its state is still to be archived" in going_on.stdout
    deployment.settled(11, 12, 13)
    refused = deployment.run()
    assert refused.returncode != 0
    assert "escrows that it did not have then" in refused.stdout


def test_each_step_of_a_retirement_waits_for_the_plan() -> None:
    main: t.Any = read_yaml(ROOT / "roles/retire/tasks/main.yml")
    (block,) = [item for item in main if "block" in item]
    guarded = [
        (re.findall(r"'(\w+)' in __retire_plan.steps", item["when"]), item["name"])
        for item in block["block"]
    ]
    told = [steps[0] for steps, _name in guarded]
    assert list(dict.fromkeys(told)) == list(STEPS)
    assert all(len(steps) == 1 for steps, _name in guarded)


def test_both_looks_of_a_restore_get_the_sum_that_is_given_up() -> None:
    tasks: t.Any = read_yaml(ROOT / "roles/backup/tasks/restore.yml")
    (outer,) = [task for task in tasks if "block" in task]
    (anew,) = [task for task in outer["block"] if "block" in task]
    (inner,) = [task for task in anew["block"] if "block" in task]
    calls = [task for task in (*anew["block"], *inner["block"]) if MODULE in task]
    assert [call[MODULE] for call in calls] == [None, None]
    assert outer["module_defaults"][MODULE]["force"] == "{{ backup_force | default(omit) }}"
    assert calls[0]["check_mode"] is True
    assert "__backup_plan.actions" in inner["when"]


NOTE = "{{ __backup_note }}"


def test_a_restored_gateway_does_not_rotate_by_itself() -> None:
    """Its database may have rotation on, and no record of what was created since the backup."""
    restore: t.Any = read_yaml(ROOT / "roles/backup/tasks/restore.yml")
    (outer,) = [task for task in restore if "block" in task]
    *_looks, anew, predicted, switch = outer["block"]
    assert anew["when"] == "not __backup_is_in_place"
    assert predicted["when"] == ["ansible_check_mode", "__backup_is_continued"]
    put = anew["block"][-1]
    *_there, unrecorded, started = put["always"]
    assert started["ansible.builtin.include_role"]["tasks_from"] == "container_started"
    assert switch["ansible.builtin.include_tasks"]["file"] == "restored.yml"
    # an interrupted run is known by its note, which is there before the storage is another one
    _stopped, noted, storage, in_place, _others = put["block"]
    assert noted["ansible.builtin.copy"]["dest"] == NOTE
    assert MODULE in storage
    # and that it has been put there, before the gateway may serve
    assert in_place["ansible.builtin.copy"]["dest"] == NOTE
    assert unrecorded["when"] == f"{in_place['register']} | default({{}}) is failed"
    assert "ansible.builtin.fail" in unrecorded
    assert switch["when"][-1] == "__backup_is_continued or __backup_plan.actions | length > 0"


def test_nothing_waits_for_health_before_the_rotation_of_a_backup_is_off() -> None:
    """Fifteen seconds after its start the gateway may pay."""
    off, removed, _reported, healthy, finished = read_yaml(ROOT / "roles/backup/tasks/restored.yml")
    left, answers, switched = off["block"]
    assert left["when"] == finished["when"] == "__backup_is_continued"
    assert answers["gonka.devshard.gateway_wait"] == {"wait_interval": 0.2, "health_check": False}
    assert switched["gonka.devshard.escrow_rotation"] == {"enabled": False}
    # one error of a gateway that answers does not stop it
    assert switched["retries"] > 0
    assert removed["ansible.builtin.file"] == {"path": NOTE, "state": "absent"}
    assert "health_check" not in healthy["gonka.devshard.gateway_wait"]
    # one that cannot be switched off does not run
    stopped, told = off["rescue"]
    assert stopped["ansible.builtin.include_role"]["tasks_from"] == "container_stopped"
    assert "ansible.builtin.fail" in told


def test_a_restore_stops_a_gateway_by_the_rule_of_the_swap() -> None:
    tasks: t.Any = read_yaml(ROOT / "roles/backup/tasks/stoppable.yml")
    asked = tasks[-1]["gonka.devshard.swap_sessions"]
    assert (asked["state"], asked["idle"]) == ("stoppable", True)
    swap: t.Any = read_yaml(ROOT / "roles/hot_swap/tasks/steps/replace_main.yml")
    assert swap[0]["gonka.devshard.swap_sessions"]["state"] == asked["state"]


TASKS = sorted((ROOT / "roles").rglob("tasks/**/*.yml"))


def test_no_role_takes_a_result_by_its_position() -> None:
    """Another path in the loop would move the answers to other questions."""
    assert len(TASKS) > 60
    found = [path for path in TASKS if re.search(r"results\[\d", path.read_text())]
    assert found == []


def test_no_role_looks_for_a_library_by_a_path() -> None:
    """Another interpreter has its libraries elsewhere; the first look tries to import them."""
    found = [path for path in TASKS if "-packages/" in path.read_text()]
    assert found == []


def assigned(node: t.Any) -> set[str]:
    """The names that tasks register or set as facts."""
    if isinstance(node, list):
        return {name for item in node for name in assigned(item)}
    if not isinstance(node, dict):
        return set()
    found = {name for value in node.values() for name in assigned(value)}
    if isinstance(node.get("register"), str):
        found.add(node["register"])
    facts = node.get("ansible.builtin.set_fact")
    return found | {str(name) for name in facts} if isinstance(facts, dict) else found


def test_no_task_gives_another_value_to_a_variable_of_a_role() -> None:
    """It would hold for the rest of the run, also where the role is applied once more."""
    fixed = {
        name
        for kind in ("vars", "defaults")
        for path in ROOT.glob(f"roles/*/{kind}/*.yml")
        for name in read_yaml(path) or {}
    }

    clashes = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in TASKS
        if (names := assigned(read_yaml(path)) & fixed)
    }
    assert fixed
    assert clashes == {}
