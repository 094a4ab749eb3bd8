# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A job that could not run is refused before anything is written."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    ROOT,
    collections,
    read_yaml,
    run_ansible,
)

PROGRAM = Path(sys.executable).parent / "ansible-playbook"


def refused(folder: Path, **given: object) -> str:
    """What the checks of the role say of a job; an empty text when it may be installed."""
    inventory = folder / "hosts.json"
    if not inventory.exists():
        hosts = {"devshard_gateways": {"hosts": {"gateway1": {"ansible_connection": "local"}}}}
        inventory.write_text(json.dumps(hosts))
    settings: dict[str, object] = {
        "schedule_inventory": str(inventory),
        "schedule_ansible_playbook": str(PROGRAM),
        "schedule_playbook": f"{FULL_NAME}.settle",
        "schedule_collections_path": str(collections()),
        "schedule_user": getpass.getuser(),
        # the checks are of the files and programs of this machine, whatever starts its services
        "__schedule_systemd": str(folder),
        "ansible_python_interpreter": sys.executable,
        **given,
    }
    role = {"name": f"{FULL_NAME}.schedule", "tasks_from": "preflight"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": role}],
    }
    (folder / "play.json").write_text(json.dumps([play]))
    (folder / "vars.json").write_text(json.dumps(settings))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run_ansible(
        "playbook", "-i", "localhost,", "-e", f"@{folder / 'vars.json'}", folder / "play.json"
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    text = done.stdout + done.stderr
    assert (done.returncode == 0) == ("failed=0" in text), text
    return "" if done.returncode == 0 else " ".join(text.split())


def test_a_job_that_can_run_is_accepted(tmp_path: Path) -> None:
    assert refused(tmp_path, schedule_extra_vars={"settle_select": "expiring"}) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"__schedule_systemd": "/no/such/systemd"},
            "systemd: this controller does not run it, use its own scheduler",
        ),
        (
            {"schedule_ansible_playbook": "/no/such/ansible-playbook"},
            "schedule_ansible_playbook: /no/such/ansible-playbook does not exist",
        ),
        (
            {"schedule_inventory": "/no/such/inventory"},
            "schedule_inventory: /no/such/inventory does not exist",
        ),
        (
            {"schedule_vault_password_file": "/no/such/password"},
            "schedule_vault_password_file: /no/such/password does not exist",
        ),
        (
            {"schedule_on_calendar": "Sunday at three"},
            "systemd does not understand schedule_on_calendar = Sunday at three",
        ),
        ({"schedule_time_limit": "soon"}, "systemd does not understand schedule_time_limit = soon"),
        (
            {"schedule_playbook": f"{FULL_NAME}.setle"},
            f"{FULL_NAME}.setle does not run with schedule_inventory",
        ),
        (
            {"schedule_extra_vars": {"devshard_hosts": "gatewy1"}},
            "the pattern 'gatewy1' matches no host. Did you mean 'gateway1'?",
        ),
        (
            # ours may be found on Python's path as well
            {
                "schedule_collections_path": "/no/such/collections",
                "schedule_playbook": "no.such_collection.settle",
            },
            "schedule_collections_path says where the collection is",
        ),
    ],
)
def test_a_job_that_could_not_run_is_refused(
    tmp_path: Path, given: dict[str, object], said: str
) -> None:
    assert said in refused(tmp_path, **given)


def test_a_vault_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("right\n")
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    hosts: dict[str, object] = {"devshard_gateways": {"hosts": {"gateway1": {}}}}
    (folder / "hosts.json").write_text(json.dumps(hosts))
    vault = folder / "group_vars" / "devshard_gateways.yml"
    vault.write_text("vault_secret: very-secret\n")
    sealed = run_ansible("vault", "encrypt", "--vault-password-file", password, vault)
    assert sealed.returncode == 0, sealed.stderr
    given = {"schedule_inventory": str(folder), "schedule_vault_password_file": str(password)}
    assert refused(tmp_path, **given) == ""
    password.write_text("wrong\n")
    said = refused(tmp_path, **given)
    assert "cannot read schedule_inventory" in said
    assert "very-secret" not in said


def test_the_checks_come_before_the_first_write() -> None:
    tasks = read_yaml(ROOT / "roles/schedule/tasks/present.yml")
    assert tasks[0]["ansible.builtin.import_tasks"] == "preflight.yml"
