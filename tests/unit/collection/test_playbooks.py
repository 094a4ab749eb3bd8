# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every playbook can be read, with each inventory that the collection brings."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    Data,
    names,
    read_yaml,
    run_ansible,
)

INVENTORIES = names("inventories/*")


def play_it(folder: Path, *extra_vars: str) -> subprocess.CompletedProcess[str]:
    """Runs ``play.yml`` of a folder with its ``hosts.yml``."""
    return run_ansible(
        "playbook",
        *("--inventory", folder / "hosts.yml", folder / "play.yml"),
        *(word for given in extra_vars for word in ("--extra-vars", given)),
    )


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


@pytest.mark.parametrize(
    ("chosen", "order"),
    [
        (None, "gw1 gw2 gw3"),
        ("rest", "gw2 gw3"),
        ("gw3:gw1", "gw1 gw3"),
        ("gw3,gw1", "gw1 gw3"),
        ("devshard_gateways:!gw2", "gw1 gw3"),
    ],
)
def test_a_swap_takes_all_chosen_hosts_the_canary_first(
    chosen: str | None, order: str, tmp_path: Path
) -> None:
    swap = next(
        play
        for play in read_yaml(ROOT / "playbooks/hot_swap.yml")
        if play["name"] == "Swap the gateways"
    )
    play = {name: swap[name] for name in ("name", "hosts", "gather_facts", "serial")}
    play |= {"tasks": [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"}}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text(
        "devshard_gateways: {children: {rest: {hosts: {gw2: , gw3: }}, canary: {hosts: {gw1: }}}}"
    )
    run = play_it(tmp_path, *([f"devshard_hosts={chosen}"] if chosen else []))
    assert run.returncode == 0, run.stderr
    assert " ".join(re.findall(r"ok: \[(\w+)\]", run.stdout)) == order


@pytest.mark.parametrize(
    ("name", "said", "given", "wanted"),
    [
        ("settle", {}, [], {"settlement_ids": [], "settlement_select": "expiring"}),
        ("settle", {"settlement_select": "all"}, [], {"settlement_select": "all"}),
        (
            "settle",
            {"settlement_select": "all"},
            ["settle_select=depleted"],
            {"settlement_select": "depleted"},
        ),
        ("settle", {}, ["settle_ids=7,12"], {"settlement_ids": ["7", "12"]}),
        ("settle", {}, ['{"settle_ids": [7, 12]}'], {"settlement_ids": ["7", "12"]}),
        ("settle", {}, ["settle_ids=x"], {"settlement_ids": ["x"]}),
        ("status", {}, [], {"devshard_deadline_warn": "500", "devshard_status_query": ""}),
        ("status", {"devshard_deadline_warn": 900}, [], {"devshard_deadline_warn": "900"}),
        (
            "status",
            {"devshard_deadline_warn": 900},
            ["escrow_deadline_warn=9"],
            {"devshard_deadline_warn": "9"},
        ),
        (
            "status",
            {"devshard_status_query": "a"},
            ["status_query=b"],
            {"devshard_status_query": "b"},
        ),
    ],
)
def test_short_names_go_before_the_inventory(
    name: str, said: Data, given: list[str], wanted: Data, tmp_path: Path
) -> None:
    """An ``x`` for a role's setting is not a number, and the role's own check says so."""
    play = read_yaml(ROOT / "playbooks" / f"{name}.yml")[-1]
    task = {"name": "Show", "vars": play["tasks"][-1]["vars"]}
    shown = "{{ {" + ", ".join(f"'{key}': {key}" for key in wanted) + "} | to_json }}"
    task |= {"ansible.builtin.debug": {"msg": f"<<{shown}>>"}}
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump([{"name": "P", "hosts": "gw1", "gather_facts": False, "tasks": [task]}])
    )
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"gw1": said}}}))
    run = play_it(tmp_path, *given)
    assert run.returncode == 0, run.stderr
    found = json.loads(re.findall(r"<<(.*)>>", run.stdout)[0].replace('\\"', '"'))
    assert {
        key: found[key] if isinstance(found[key], list) else str(found[key]) for key in found
    } == wanted


@pytest.mark.parametrize(
    ("deployed", "retired", "good"),
    [(False, False, True), (True, True, True), (True, False, False)],
)
def test_a_gateway_that_stands_still_is_not_called_retired(
    deployed: bool, retired: bool, good: bool, tmp_path: Path
) -> None:
    tasks = read_yaml(ROOT / "roles/retire/tasks/preflight.yml")
    checks = [task for task in tasks if task["name"].startswith(("Refuse", "Say"))]
    there = [{"stat": {"exists": exists}} for exists in (deployed, deployed, True, retired)]
    told = {"__retire_running": False, "__retire_files": {"results": there}}
    told |= {"devshard_deploy_dir": "/srv/x"}
    play = {"name": "P", "hosts": "gw1", "gather_facts": False, "vars": told, "tasks": checks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {gw1: }}")
    run = play_it(tmp_path)
    assert (run.returncode == 0) == good, run.stdout + run.stderr
    assert ("no gateway runs here" in run.stdout) == good
