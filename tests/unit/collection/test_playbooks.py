# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every playbook can be read, with each inventory that the collection brings."""

from __future__ import annotations

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
