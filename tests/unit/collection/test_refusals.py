# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A task that refuses says what is wrong once, by the names of the variables."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)

FILES = sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml")])
ASSERT = "ansible.builtin.assert"


def tasks_of(found: t.Any) -> t.Iterator[Data]:
    for item in found or ():
        if not isinstance(item, dict):
            continue
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
            yield from tasks_of(item.get(part))
        yield item


def refusals() -> list[tuple[str, Data]]:
    return [
        (f"{path.relative_to(ROOT)}: {task.get('name')}", task)
        for path in FILES
        for task in tasks_of(read_yaml(path))
        if ASSERT in task or "ansible.builtin.fail" in task
    ]


REFUSALS = refusals()


def test_there_are_refusals() -> None:
    assert len(REFUSALS) > 40


@pytest.mark.parametrize(("where", "task"), REFUSALS, ids=[where for where, _task in REFUSALS])
def test_a_refusal_is_said_once(where: str, task: Data) -> None:
    """A loop prints the message for each item, and the item with it; a plain assert all it asked."""
    assert "loop" not in task, where
    if ASSERT in task:
        asked = task[ASSERT]
        assert "fail_msg" in asked, where
        assert asked.get("quiet") is True or "success_msg" in asked, where


def task_of(path: str, name: str) -> Data:
    (found,) = [task for task in tasks_of(read_yaml(ROOT / path)) if task.get("name") == name]
    return found


def evaluated(expression: str, variables: Data) -> t.Any:
    given = {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in variables.items()
    }
    return Templar(DataLoader(), variables=given).template(trust_as_template(expression))


def test_all_public_paths_that_are_refused_are_named_at_once() -> None:
    task = task_of("roles/edge/tasks/preflight.yml", "Verify the public paths")
    closed = read_yaml(ROOT / "roles/edge/vars/main.yml")["__edge_closed"]
    paths = ["/v1/models", "/v1/admin/state", "/a b"]
    variables = {"edge_public_paths": paths, "__edge_closed": closed}
    assert sorted(evaluated(task["vars"]["__edge_refused"], variables)) == [
        "/a b",
        "/v1/admin/state",
    ]
    variables["edge_public_paths"] = read_yaml(ROOT / "roles/edge/defaults/main.yml")[
        "edge_public_paths"
    ]
    assert evaluated(task["vars"]["__edge_refused"], variables) == []


def test_each_model_is_asked_streamed_and_at_once() -> None:
    path = "roles/hot_swap/tasks/steps/check_main.yml"
    (chat,) = [
        task
        for task in tasks_of(read_yaml(ROOT / path))
        if "gonka.devshard.chat_completion" in task
    ]
    assert "__hot_swap_models" in chat["gonka.devshard.chat_completion"]["models"]
    assert "stream" not in chat["gonka.devshard.chat_completion"]
