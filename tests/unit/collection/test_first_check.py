# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every playbook looks first; no key goes to, and no probe follows, what is not proved ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._presence.model import PLAYS
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost

BLOCKS = ("block", "rescue", "always")
ROLE = ("ansible.builtin.import_role", "ansible.builtin.include_role")
TASKS = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
# its one look is part of its own report, which refuses nothing and shows what it can
REPORTS = {"adopt", "status"}


def steps(items: list[Data], folder: Path) -> t.Iterator[Data]:
    """All tasks in the order in which they run, those of roles and included files in place."""
    for item in items or ():
        role = next((item[word] for word in ROLE if word in item), None)
        file = next((item[word] for word in TASKS if word in item), None)
        if any(word in item for word in BLOCKS):
            for word in BLOCKS:
                yield from steps(item.get(word, []), folder)
        elif role is not None:
            yield item
            name, point = role["name"].removeprefix(f"{FULL_NAME}."), role.get("tasks_from", "main")
            if "{{" not in name and point != "first_check":
                path = ROOT / "roles" / name / "tasks" / f"{point}.yml"
                yield from steps(read_yaml(path), path.parent)
        elif file is not None:
            name = file if isinstance(file, str) else file["file"]
            if "{{" not in name:
                yield from steps(read_yaml(folder / name), (folder / name).parent)
        else:
            yield item


def playbook(name: str) -> t.Iterator[Data]:
    for play in read_yaml(ROOT / "playbooks" / f"{name}.yml"):
        if "ansible.builtin.import_playbook" in play:
            yield from playbook(play["ansible.builtin.import_playbook"].removesuffix(".yml"))
        yield from steps(play.get("tasks", []), ROOT / "playbooks")


def checks(item: Data) -> bool:
    role: Data = next((item[word] for word in ROLE if word in item), {})
    return bool(role.get("tasks_from") == "first_check") or f"{FULL_NAME}.site_plan" in item


def play_of(item: Data, playbook_name: str) -> str:
    """For which playbook it checks. The look of site asks the same module as the others."""
    if "vars" in item:
        text = str(item["vars"]["devshard_play"])
        # a role that two playbooks run names both
        return playbook_name if f"'{playbook_name}'" in text else text
    look = read_yaml(ROOT / "roles/devshard/meta/look.yml")["first"]["parts"]
    (asked,) = [one["args"] for part in look for one in part["questions"]]
    (play,) = re.findall(r"'play': '(\w+)'", asked)
    return str(play)


def reaches_the_host(item: Data) -> bool:
    """It asks or changes something, and is not a check of settings on the controller."""
    idle = ("assert", "debug", "set_fact", "fail", "include_role", "import_role", "settings_check")
    action = next(key for key in item if "." in key)
    return action.rpartition(".")[2] not in idle


@pytest.mark.parametrize("name", sorted(set(PLAYBOOKS) - REPORTS))
def test_every_playbook_looks_first(name: str) -> None:
    for item in playbook(name):
        if checks(item):
            assert play_of(item, name) == name
            return
        assert not reaches_the_host(item), item["name"]
    raise AssertionError("it never looks")


def test_the_rule_knows_every_playbook() -> None:
    # its own look asks for nothing else, and its takeover is the playbook site
    assert sorted({*PLAYS, "adopt"}) == PLAYBOOKS
    specs = read_yaml(ROOT / "roles/devshard/meta/argument_specs.yml")["argument_specs"]
    assert specs["first_check"]["options"]["devshard_play"]["choices"] == list(PLAYS)


def requests(value: object) -> t.Iterator[Data]:
    if isinstance(value, list):
        for item in value:
            yield from requests(item)
    elif isinstance(value, dict):
        if "ansible.builtin.uri" in value:
            yield value["ansible.builtin.uri"]
        for word in BLOCKS:
            yield from requests(value.get(word, []))


def test_no_probe_of_this_host_follows_a_redirect() -> None:
    """It would judge the host to which the playbook redirect sends the clients."""
    paths = [*(ROOT / "roles").rglob("tasks/**/*.yml")]
    asked = [one for path in paths for one in requests(read_yaml(path)) if "use_proxy" in one]
    assert len(asked) > 4
    assert [one["url"] for one in asked if one.get("follow_redirects") != "none"] == []


# the tasks themselves, on this machine


class Run:
    def __init__(self, folder: Path) -> None:
        self.host = FakeHost(folder)
        self._folder = folder

    def first_check(self, play: str, **given: object) -> tuple[int, str]:
        self.host.install()
        include = {"name": f"{FULL_NAME}.devshard", "tasks_from": "first_check"}
        content: Data = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "devshard_deploy_dir": str(self.host.deploy),
                "devshard_state_dir": str(self.host.state),
                # ports that nobody has on a machine of ours
                "devshard_gateway_url": "http://127.0.0.1:1",
                "devshard_temp_url": "http://127.0.0.1:2",
                "edge_http_port": 3,
                **given,
            },
            "tasks": [
                {"ansible.builtin.include_role": include, "vars": {"devshard_play": play}},
                {"ansible.builtin.debug": {"msg": "it goes on, {{ devshard_refusal | length }}"}},
            ],
        }
        file = self._folder / "play.json"
        file.write_text(json.dumps([content]))
        program = Path(sys.executable).parent / "ansible-playbook"
        done = subprocess.run(
            [str(program), "-i", "localhost,", str(file)],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": f"{self.host.bin}:{os.environ['PATH']}",
                "ANSIBLE_LOCAL_TEMP": str(self._folder / "tmp"),
            },
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_refusal_ends_the_playbook_with_its_sentence(run: Run) -> None:
    run.host.keys()
    code, told = run.first_check("settle")
    assert code != 0
    assert "localhost: There is no deploy record in" in told
    assert f"ledger {run.host.state}/ledger.db" in told
    assert "it goes on" not in told


def test_preflight_shows_the_refusal_in_its_table_instead(run: Run) -> None:
    run.host.deployed()
    run.host.retired()
    code, told = run.first_check("preflight")
    assert code == 0, told
    assert "it goes on, 0" not in told
    code, told = run.first_check("preflight", gateway_unretire="true")
    assert code == 0, told
    assert "it goes on, 0" in told


def test_a_host_in_order_goes_on(run: Run) -> None:
    run.host.deployed()
    code, told = run.first_check("settle")
    assert code == 0, told
    assert "it goes on, 0" in told
