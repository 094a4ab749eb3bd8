# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A task that refuses says what is wrong once, by the names of the variables."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
    run_ansible,
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


VALIDATE = "roles/devshard/tasks/validate.yml"


@pytest.mark.parametrize(
    ("models", "faults"),
    [
        ([{"id": "a", "amount": 5}, {"id": "b", "amount": "7", "count": 0}], []),
        (
            [{"id": "a", "amount": "5 GNK"}, {"id": "b", "amount": 0, "count": "x"}],
            [
                "devshard_models, a: amount must be a whole number of ngonka greater than 0, not 5 GNK",
                "devshard_models, b: amount must be a whole number of ngonka greater than 0, not 0",
                "devshard_models, b: count must be a whole number, not x",
            ],
        ),
    ],
)
def test_all_models_that_are_wrong_are_named_at_once(models: list[Data], faults: list[str]) -> None:
    task = task_of(VALIDATE, "Verify the deposits and counts")
    assert evaluated(task["vars"]["__devshard_wrong"], {"devshard_models": models}) == faults


@pytest.mark.parametrize(
    ("main", "temp", "faults"),
    [
        ("http://127.0.0.1:18080", "http://127.0.0.1:18081/", []),
        (
            "http://gw.example.org:18080",
            "http://127.0.0.1",
            [
                "devshard_gateway_url: http://gw.example.org:18080",
                "devshard_temp_url: http://127.0.0.1",
            ],
        ),
    ],
)
def test_a_gateway_listens_on_the_loopback_alone(main: str, temp: str, faults: list[str]) -> None:
    task = task_of(VALIDATE, "Verify that the gateways listen on the loopback alone")
    variables = {"devshard_gateway_url": main, "devshard_temp_url": temp}
    assert evaluated(task["vars"]["__devshard_elsewhere"], variables) == faults


@pytest.mark.parametrize(
    ("role", "variable", "name"),
    [
        ("docker_engine", "docker_engine_repo_url", "Verify the URL of the repository"),
        ("inferenced", "inferenced_release_url", "Verify the URL of the release"),
    ],
)
def test_a_download_url_with_a_password_is_refused_without_showing_it(
    role: str, variable: str, name: str
) -> None:
    (expression,) = task_of(f"roles/{role}/tasks/settings.yml", name)["vars"].values()

    def faults(url: str) -> str:
        run = run_ansible(
            *("adhoc", "localhost", "--connection", "local", "--module-name"),
            *("ansible.builtin.debug", "--args", json.dumps({"msg": f"FAULTS {expression}"})),
            *("--extra-vars", json.dumps({variable: url})),
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout.partition("FAULTS ")[2]

    assert faults("https://mirror.example.org/x").strip().startswith("[]")
    fault = faults("https://me:geheim@mirror.example.org/x")
    assert variable in fault
    assert "geheim" not in fault


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


@pytest.mark.parametrize(
    "path", ["roles/hot_swap/tasks/steps/check_main.yml", "roles/devshard/tasks/chat.yml"]
)
def test_each_model_is_asked_streamed_and_at_once(path: str) -> None:
    (chat,) = [
        task
        for task in tasks_of(read_yaml(ROOT / Path(path)))
        if "gonka.devshard.chat_completion" in task
    ]
    assert "product([true, false])" in chat["loop"]
    assert ".1 " in chat["gonka.devshard.chat_completion"]["stream"]


# names of tasks say what is done, in the imperative
VAGUE = re.compile(r"^(Look|Note|Let|Say|Keep|Forget|Give|Tell|Before|Check that)\b")


def test_task_names_say_what_is_done() -> None:
    names = [
        f"{path.relative_to(ROOT)}: {task['name']}"
        for path in FILES
        for task in tasks_of(read_yaml(path))
        if "name" in task and "hosts" not in task and VAGUE.match(str(task["name"]))
    ]
    assert names == []
