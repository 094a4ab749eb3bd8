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


# What the swap of one host does, without one: it fails on host2, or host2 cannot be reached.
STAND_IN = [
    {
        "block": [
            {"ansible.builtin.ping": {}},
            {
                "ansible.builtin.fail": {"msg": "the swap fails"},
                "when": "inventory_hostname == 'host2'",
            },
            {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is swapped"}},
        ],
        "rescue": [
            {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is told what to do"}},
            {"ansible.builtin.fail": {"msg": "the swap stopped"}},
        ],
    }
]


@pytest.mark.parametrize("reachable", [True, False])
def test_no_host_begins_after_one_that_did_not_finish(tmp_path: Path, reachable: bool) -> None:
    """Not even when it only could not be reached, and its batch goes on to the end."""
    play = read_yaml(ROOT / "playbooks/hot_swap.yml")[1]
    assert play["tasks"][-1]["ansible.builtin.import_role"]["name"] == f"{FULL_NAME}.hot_swap"
    play["tasks"][-1:] = STAND_IN
    (tmp_path / "play.json").write_text(json.dumps([play]))
    local: dict[str, object] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    silent = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {f"host{number}": local for number in range(1, 7)}
    if not reachable:
        hosts["host2"] = silent
    groups = {"canary": {"hosts": {"host3": {}}}, "devshard_gateways": {"hosts": hosts}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"children": groups}}))
    run = run_ansible(
        "playbook",
        *("--inventory", tmp_path / "hosts.json"),
        *("--extra-vars", "hot_swap_batch=2"),
        tmp_path / "play.json",
    )
    assert run.returncode != 0
    swapped = [number for number in range(1, 7) if f"host{number} is swapped" in run.stdout]
    # the canary alone, then the batch of the host that fails
    assert swapped == [1, 3]
    assert "host4 was not touched, since the swap of host2 did not finish" in run.stdout
    assert ("host2 is told what to do" in run.stdout) is reachable
