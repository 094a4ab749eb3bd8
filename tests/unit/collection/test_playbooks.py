# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every playbook can be read, with each inventory that the collection brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    names,
    read_yaml,
    run_ansible,
)

INVENTORIES = names("inventories/*")


def test_syntax_of_all_playbooks() -> None:
    checked = run_ansible(
        "playbook",
        "--syntax-check",
        *("--inventory", "inventories/mainnet"),
        *(f"{FULL_NAME}.{name}" for name in PLAYBOOKS),
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("playbook: ") == len(PLAYBOOKS)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_hosts_can_be_chosen(name: str) -> None:
    plays = read_yaml(ROOT / "playbooks" / f"{name}.yml")
    for play in plays:
        if "hosts" in play:
            assert "devshard_hosts" in play["hosts"], play["name"]
            assert play["gather_facts"] is False, play["name"]


@pytest.mark.parametrize("name", INVENTORIES)
def test_inventory_can_be_read(name: str) -> None:
    listed = run_ansible("inventory", "--inventory", f"inventories/{name}", "--list")
    assert listed.returncode == 0, listed.stderr
    assert '"devshard_gateways"' in listed.stdout
    assert "[WARNING]" not in listed.stderr


SETTINGS_OF = sorted(
    {
        role
        for name in PLAYBOOKS
        for play in read_yaml(ROOT / "playbooks" / f"{name}.yml")
        for task in play.get("tasks", [])
        for role in task.get("vars", {}).get("devshard_settings_of", [])
    }
)


def check_settings(folder: Path, **given: object) -> str:
    """What the check of all roles' settings says, run on this machine."""
    include = {"name": f"{FULL_NAME}.devshard", "tasks_from": "settings"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "devshard_chain_id": "c",
            "devshard_chain_rest": "http://rest.example.org",
            "devshard_chain_rpc": "http://rpc.example.org",
            "devshard_public_api": "http://api.example.org",
            "devshard_models": [{"id": "m", "amount": 5}],
            **given,
        },
        "tasks": [
            {"ansible.builtin.include_role": include, "vars": {"devshard_settings_of": SETTINGS_OF}}
        ],
    }
    file = folder / "play.json"
    file.write_text(json.dumps([play]))
    done = run_ansible("playbook", "--inventory", "localhost,", str(file))
    assert (done.returncode == 0) == ("failed=0" in done.stdout), done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_setting_may_name_a_default_of_its_role(tmp_path: Path) -> None:
    url = "http://releases.example.org/{{ inferenced_version }}"
    assert check_settings(tmp_path, inferenced_release_url=url) == ""


def test_settings_are_checked_before_the_roles_run(tmp_path: Path) -> None:
    told = check_settings(tmp_path, inferenced_release_url="{{ no_such_variable }}")
    assert "no_such_variable" in told
    assert "edge_http_port" in check_settings(tmp_path, edge_http_port="none")
