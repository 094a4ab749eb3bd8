# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A run that would leave out checks is refused before anything is done."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    PLAYBOOK_TAGS,
    SKIPPABLE,
    refuse_part,
    task_names,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    Data,
    run_ansible,
)

FLEET = "inventories/fleet"
FOLDER = ROOT / "playbooks"
CONFIRMED = [word for name in ("retire", "restore") for word in ("-e", f"{name}_confirm=all")]


def listed(*playbooks: str | Path, options: t.Sequence[str] = ()) -> tuple[int, str]:
    done = run_ansible(
        "playbook", "--inventory", FLEET, "--list-tasks", *CONFIRMED, *options, *playbooks
    )
    return done.returncode, done.stdout + done.stderr


def refusal(
    *playbooks: str,
    start: str | None = None,
    step: bool = False,
    skipped: t.Collection[str] = (),
) -> str | None:
    """``playbooks`` are ours; without any, a playbook of the user's own imports ours."""
    return refuse_part(list(playbooks) or None, start, step, skipped, FOLDER)


# of our playbooks


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_no_playbook_starts_in_the_middle(name: str) -> None:
    told = str(refusal(name, start="Anything"))
    assert told.startswith("--start-at-task 'Anything' leaves out the tasks before it")
    assert str(refusal(name, step=True)).startswith("--step can leave out")
    assert refusal(name) is None


@pytest.mark.parametrize(
    "tag", sorted({tag for tags in PLAYBOOK_TAGS.values() for tag in tags} | {"always", "untagged"})
)
def test_no_tag_of_a_check_is_skipped(tag: str) -> None:
    for playbooks in (["site"], []):
        told = refusal(*playbooks, skipped=["mine", tag])
        if tag in SKIPPABLE:
            assert told is None
        else:
            assert told == (
                f"--skip-tags {tag} can leave out checks that other tasks rely on. Choose the"
                " parts to run with --tags. Only chat can be skipped"
            )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--start-at-task", "Hot swap"], "--start-at-task 'Hot swap' leaves out the tasks"),
        (["--start-at-task", "No task of ours"], "--start-at-task 'No task of ours' leaves"),
        (["--step"], "--step can leave out single tasks"),
        (["--skip-tags", "hot_swap"], "--skip-tags hot_swap can leave out checks"),
        (["--skip-tags", "always"], "--skip-tags always can leave out checks"),
    ],
)
def test_ansible_playbook_ends_with_the_refusal(options: list[str], told: str) -> None:
    code, text = listed(f"{FULL_NAME}.hot_swap", options=options)
    assert code != 0
    assert told in text
    assert "Swap the gateways" not in text


def test_the_last_request_can_be_skipped() -> None:
    code, text = listed(f"{FULL_NAME}.site", options=["--skip-tags", "chat"])
    assert code == 0, text
    assert "Send a chat request" not in text


# of playbooks that import ours


def test_each_task_where_ansible_can_start_is_known() -> None:
    """Those that it lists are those that it looks through for the name."""
    code, text = listed(*(f"{FULL_NAME}.{name}" for name in PLAYBOOKS))
    assert code == 0, text
    found = set(re.findall(r"^      (\S.*?)\tTAGS: ", text, re.MULTILINE))
    assert len(found) > 100
    assert found - task_names(FOLDER) == set()
    # without its role, too
    short = {name.partition(" : ")[2] for name in found} - {""}
    assert short - task_names(FOLDER) == set()


@pytest.mark.parametrize(
    "start",
    [
        "Settle the escrows",
        "gonka.devshard.settlement : Settle the escrows",
        "*Swap*",
        "*",
        "Stop and remove the container",
        "Validating arguments against arg spec 'main'*",
    ],
)
def test_a_playbook_that_imports_ours_does_not_start_in_it(start: str) -> None:
    assert str(refusal(start=start)).startswith("--start-at-task")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    own = {
        "name": "Prepare what is mine",
        "ansible.builtin.debug": {"msg": "mine"},
        "tags": ["mine"],
    }
    plays = [
        {"hosts": "all", "gather_facts": False, "tasks": [own]},
        {"import_playbook": f"{FULL_NAME}.escrow"},
    ]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(plays))
    return path


def test_it_starts_at_a_task_of_the_users_own(mine: Path) -> None:
    code, text = listed(mine, options=["--start-at-task", "Prepare what*", "--skip-tags", "mine"])
    assert code == 0, text
    code, text = listed(mine, options=["--start-at-task", "Ensure the wanted*"])
    assert code != 0
    assert "--start-at-task 'Ensure the wanted*' leaves out" in text
    code, text = listed(mine, options=["--skip-tags", "mine,escrow_create"])
    assert code != 0
    assert "--skip-tags escrow_create can leave out" in text


# of plays that use the roles themselves

STARTS = [
    ("settlement", "main", "Settle the escrows"),
    ("escrow", "main", "Ensure the wanted number of usable escrows"),
    ("escrow", "main", "Set the access mode of each model"),
    ("rotation", "main", "Set the rotation, or show how it is set"),
    ("creator", "main", "Import the key into the keyring"),
    ("redirect", "main", "Send clients elsewhere"),
    ("redirect", "main", "Send clients to this gateway again"),
    ("rotate_keys", "main", "Make the new keys, which wait for the next container"),
    ("hot_swap", "main", "Plan and run the steps"),
    ("backup", "main", "Make a backup"),
    ("backup", "restore", "Determine what a restore would cost, before the gateway is stopped"),
    ("backup", "restore", "Stop the gateway"),
    ("retire", "main", "Determine what retiring this gateway means"),
    ("retire", "main", "Stop and remove the container"),
    ("retire", "main", "Remove the storage"),
    ("gateway", "main", "Write the environment file, with secrets that are generated once"),
    ("gateway", "main", "Start the container"),
]

URLS = ("chain_rest", "chain_rpc", "public_api", "client_base_url")


def start_role(folder: Path, role: str, point: str, task: str) -> subprocess.CompletedProcess[str]:
    content: Data = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "devshard_deploy_dir": str(folder / "deploy"),
            "devshard_state_dir": str(folder / "state"),
            "devshard_gateway_url": "http://127.0.0.1:1",
            "devshard_temp_url": "http://127.0.0.1:2",
            "devshard_chain_id": "chain",
            **{f"devshard_{name}": "http://127.0.0.1:3" for name in URLS},
            "devshard_models": [{"id": "m", "amount": 1}],
            "redirect_enabled": role == "redirect" and task == "Send clients elsewhere",
            "redirect_base_url": "https://other.example.org",
            "hot_swap_image": "image:1",
            "gateway_image": "image:1",
            "rotate_keys_actions": ["admin"],
            "backup_name": "a",
        },
        "tasks": [
            {
                "ansible.builtin.import_role": {
                    "name": f"{FULL_NAME}.{role}",
                    "tasks_from": point,
                }
            }
        ],
    }
    path = folder / "play.json"
    path.write_text(json.dumps([content]))
    return run_ansible("playbook", "-i", "localhost,", path, "--start-at-task", task)


@pytest.mark.parametrize(("role", "point", "task"), STARTS)
def test_a_role_that_starts_in_the_middle_does_nothing(
    tmp_path: Path, role: str, point: str, task: str
) -> None:
    done = start_role(tmp_path, role, point, task)
    told = done.stdout + done.stderr
    assert done.returncode != 0, told
    missing = r"the first check has not run. Run the play from|'__\w+' is undefined"
    assert re.search(missing, told), told
    assert re.search(r"localhost +: ok=\d+ +changed=0 ", done.stdout), told
    assert not (tmp_path / "deploy").exists()
    assert not (tmp_path / "state").exists()
