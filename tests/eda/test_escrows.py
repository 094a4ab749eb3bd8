# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The rulebook, run by ansible-rulebook; each playbook that it names is one that only records it."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["DEVSHARD_EDA"]) / "bin"
Data = dict[str, t.Any]

RECORD = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.lineinfile": {
                    "path": "{{ calls }}",
                    "line": (
                        "{{ {'play': 'PLAY', 'hosts': devshard_hosts,"
                        " 'select': settle_select | default('')} | to_json }}"
                    ),
                    "create": True,
                    "mode": "0600",
                }
            }
        ],
    }
]


def alarm(number: int, kind: str, severity: str = "danger", run: str = "settle") -> Data:
    return {
        "id": number,
        "kind": kind,
        "severity": severity,
        "reason": "its deadline is near",
        "advice": "Settle it",
        "run": f"gonka.devshard.{run}" if run else "",
    }


def finding(about: str, severity: str = "danger", run: str = "") -> Data:
    return {"severity": severity, "about": about, "text": f"about {about}", "run": run}


def state(alarms: t.Sequence[Data] = (), findings: t.Sequence[Data] = ()) -> Data:
    return {"alarms": list(alarms), "findings": list(findings)}


LOOKS: dict[str, Data] = {
    "two-at-risk": state([alarm(7, "deadline"), alarm(8, "version")]),
    "warned": state([alarm(9, "last_epoch", "warning")]),
    "hopeless": state([alarm(10, "too_late", run="")]),
    "empty": state((), [finding("models", run="gonka.devshard.escrow")]),
    "poor": state((), [finding("wallet", "warning")]),
    "fine": state((), [finding("clients", "ok")]),
    "silent": {"findings": None, "alarms": None},
}
# as status_json_file has it
STATUS = {"hosts": [{"host": name, **look} for name, look in LOOKS.items()]}


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """The collection with its own rulebook and source, and with playbooks that record."""
    ours = tmp_path / "collections/ansible_collections/gonka/devshard"
    (ours / "playbooks").mkdir(parents=True)
    for name in ("extensions", "galaxy.yml", "meta"):
        (ours / name).symlink_to(ROOT / name)
    for name in ("settle", "escrow", "status"):
        assert (ROOT / "playbooks" / f"{name}.yml").is_file()
        text = yaml.safe_dump(RECORD).replace("PLAY", name)
        (ours / "playbooks" / f"{name}.yml").write_text(text)
    return tmp_path / "collections"


def run(folder: Path, collections: Path, *, create: bool) -> tuple[list[Data], str]:
    (folder / "status.json").write_text(json.dumps(STATUS))
    calls = folder / "calls.json"
    settings = {
        "alarms_file": str(folder / "status.json"),
        "alarms_create": create,
        "alarms_looks": 1,
    }
    (folder / "vars.yml").write_text(yaml.safe_dump(settings))
    given = {"calls": str(calls), "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {"all": {"hosts": {"localhost": {}}, "vars": given}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(hosts))
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ANSIBLE_")}
    ran = subprocess.run(
        [
            *(PROGRAMS / "ansible-rulebook", "--rulebook", "gonka.devshard.escrows"),
            *("-i", folder / "inventory.yml", "--vars", folder / "vars.yml"),
        ],
        cwd=folder,
        env={
            **kept,
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert calls.is_file(), said
    return [json.loads(line) for line in calls.read_text().splitlines()], said


def test_each_alarm_runs_its_playbook_on_its_host(tmp_path: Path, collections: Path) -> None:
    calls, said = run(tmp_path, collections, create=True)
    made = sorted((call["play"], call["hosts"], call["select"]) for call in calls)
    # one settle for both escrows of a host, and none where it cannot help
    assert made == [
        ("escrow", "empty", ""),
        ("settle", "two-at-risk", "at_risk"),
        ("status", "poor", ""),
    ], said
    assert "silent: not known: the state of the host could not be determined" in said
    assert "hopeless: danger: escrow 10" in said


def test_nothing_is_paid_for_where_that_was_not_allowed(tmp_path: Path, collections: Path) -> None:
    calls, _said = run(tmp_path, collections, create=False)
    assert sorted(call["play"] for call in calls) == ["settle", "status"]
