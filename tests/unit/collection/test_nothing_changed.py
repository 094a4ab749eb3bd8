# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A role says 'Nothing was changed' only where no task before that one writes."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROLES,
    ROOT,
    Data,
    documentation,
    read_yaml,
)

CLAIM = re.compile(r"nothing was (changed|done|touched|written)", re.IGNORECASE)
READS = {
    f"ansible.builtin.{name}"
    for name in ("assert", "debug", "fail", "include_vars", "meta", "set_fact", "setup", "slurp")
} | {"ansible.builtin.stat", "ansible.builtin.getent"}
# entry points of other roles that only look
LOOKS = ("first_check", "refusals", "observe", "status")
KEYWORDS = ("block", "rescue", "always")


def action(task: Data) -> str | None:
    return next((name for name in task if "." in name), None)


def writes(task: Data) -> bool:
    """Whether a task may change the host. What is not known to read counts as writing."""
    name = action(task)
    if name is None or name in READS or task.get("check_mode") is True:
        return False
    if name == "ansible.builtin.command":
        return task.get("changed_when") is not False
    if name == "ansible.builtin.uri":
        return str(task[name].get("method", "GET")) not in ("GET", "HEAD")
    if name == "ansible.builtin.include_role":
        looks = task[name].get("tasks_from") in LOOKS
        return not looks and (task[name].get("apply") or {}).get("check_mode") is not True
    if name.startswith("gonka.devshard."):
        short = name.rpartition(".")[2]
        fragments = documentation(short)["extends_documentation_fragment"]
        return "gonka.devshard._attributes.info_module" not in fragments and short not in (
            *("allowlist", "chat_completion", "swap_window", "settings_check"),
        )
    return True


def included(task: Data, folder: Path) -> Path | None:
    """The file of this role that a task takes in."""
    for name in ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks"):
        if name in task:
            given = task[name]["file"] if isinstance(task[name], dict) else task[name]
            found = folder / str(given)
            return found if found.exists() else None
    return None


def in_order(path: Path) -> t.Iterator[tuple[Path, Data]]:
    """The tasks of a role in the order in which they run."""

    def walk(tasks: t.Any) -> t.Iterator[tuple[Path, Data]]:
        for task in tasks or ():
            inner = included(task, path.parent)
            if inner is not None:
                yield from in_order(inner)
                continue
            for part in KEYWORDS:
                yield from walk(task.get(part))
            if action(task) not in (None, "ansible.builtin.include_tasks"):
                yield path, task

    yield from walk(read_yaml(path))


def claims() -> list[tuple[str, str]]:
    found = []
    for role in ROLES:
        main = ROOT / "roles" / role / "tasks/main.yml"
        found += [
            (role, str(task.get("name")))
            for _path, task in in_order(main)
            if CLAIM.search(json.dumps(task)) and role != "hot_swap"
        ]
    return found


def test_there_are_such_messages() -> None:
    assert len(claims()) > 5


@pytest.mark.parametrize(("role", "name"), claims())
def test_no_task_writes_before_it_says_that_nothing_was_changed(role: str, name: str) -> None:
    before = []
    for path, task in in_order(ROOT / "roles" / role / "tasks/main.yml"):
        if task.get("name") == name:
            break
        if writes(task):
            before.append(f"{path.name}: {task.get('name')}")
    assert before == []


def test_a_swap_has_written_nothing_before_its_journal_begins() -> None:
    """Until then ``after_failure`` says so; the rescue does not know by its place how far it came."""
    tasks = read_yaml(ROOT / "roles/hot_swap/tasks/swap.yml")
    names = [task["name"] for task in tasks]
    before = tasks[: names.index("Create the journal")]
    flat = [inner for task in before for inner in (*task.get("block", ()), task)]
    # the plan is asked for, not run; the edge is only read
    reads = ("gonka.devshard.swap_step", "gonka.devshard.edge_slot")
    assert [
        task["name"]
        for task in flat
        if writes(task)
        and action(task) not in (*reads, "ansible.builtin.include_tasks")
        # the part of another role that only looks and refuses
        and (task.get("ansible.builtin.include_role") or {}).get("tasks_from") != "preflight"
    ] == []
