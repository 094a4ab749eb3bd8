# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A task that refuses says what is wrong once, by the names of the variables."""

from __future__ import annotations

import json
import typing as t
from base64 import b64encode

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


@pytest.mark.parametrize(
    ("known", "check_mode", "preflight", "goes_on"),
    [
        (True, False, {}, True),
        # the role itself: the engine was started by now, but not in check mode
        (False, False, {}, False),
        (False, True, {}, True),
        # preflight: the verdict is the same in check mode
        (False, False, {"__preflight_engine_starts": True}, True),
        (False, False, {"__preflight_engine_starts": False}, False),
        (False, True, {"__preflight_engine_starts": False}, False),
    ],
)
def test_unknown_containers_stop_only_what_does_not_start_the_engine(
    known: bool, check_mode: bool, preflight: Data, goes_on: bool
) -> None:
    name = "Refuse a host whose containers are unknown"
    task = task_of("roles/gateway/tasks/preflight.yml", name)
    (condition,) = task[ASSERT]["that"]
    look = {"plan": {"known": known}}
    variables = {"__gateway_look": look, "ansible_check_mode": check_mode, **preflight}
    assert evaluated(f"{{{{ {condition} }}}}", variables) is goes_on


@pytest.mark.parametrize(
    ("service", "starts"),
    [({"startable": True}, True), ({"startable": False}, False), (None, False)],
)
def test_preflight_tells_the_roles_whether_site_starts_the_engine(
    service: Data | None, starts: bool
) -> None:
    name = "Determine what the roles would refuse"
    task = task_of("roles/preflight/tasks/main.yml", name)
    variables = {"__preflight_observed": {"preflight": {"docker_service": {"value": service}}}}
    assert evaluated(task["vars"]["__preflight_engine_starts"], variables) is starts
    # the engine comes before the gateway, and the look before both
    assert task["loop"].index("docker_engine") < task["loop"].index("gateway")
    files = [
        one.get("ansible.builtin.include_tasks")
        for one in read_yaml(ROOT / "roles/preflight/tasks/main.yml")
    ]
    assert files[:2] == ["observe.yml", "refusals.yml"]


DAEMON = "/etc/docker/daemon.json"
PENDING = "/etc/docker/gonka-devshard-pending.json"


def engine(wanted: Data, there: Data, pending: list[str]) -> Data:
    """The role's variables after its look at the options of the daemon."""
    files = {DAEMON: there, PENDING: pending}
    read = [
        {"__docker_engine_item": path, "content": b64encode(json.dumps(text).encode()).decode()}
        for path, text in files.items()
        if text
    ]
    return {
        **read_yaml(ROOT / "roles/docker_engine/vars/main.yml"),
        "docker_engine_daemon_options": wanted,
        "__docker_engine_read": {"results": read},
        "__docker_engine_answers": True,
    }


@pytest.mark.parametrize(
    ("wanted", "there", "pending", "differ", "restart"),
    [
        ({}, {}, [], [], False),
        ({"debug": True}, {"debug": True}, [], [], False),
        ({"debug": True}, {"debug": False}, [], ["debug"], False),
        ({"log-driver": "local"}, {"debug": True}, [], ["log-driver"], True),
        # an interrupted run wrote it, and the engine does not have it yet
        ({"log-driver": "local"}, {"log-driver": "local"}, ["log-driver"], ["log-driver"], True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, [], [], False),
    ],
)
def test_options_that_need_a_restart_ask_which_containers_run(
    wanted: Data, there: Data, pending: list[str], differ: list[str], restart: bool
) -> None:
    variables = engine(wanted, there, pending)
    assert evaluated("{{ __docker_engine_differing }}", variables) == differ
    task = task_of("roles/docker_engine/tasks/options.yml", "Get the running containers")
    conditions = [evaluated(f"{{{{ {one} }}}}", variables) for one in task["when"]]
    assert all(conditions) is restart


@pytest.mark.parametrize(
    ("presence", "answers"),
    [
        ({}, False),
        ({"engine": {"exists": True}, "libraries": {"docker": True}}, True),
        # a bare host, and one whose engine site starts
        ({"engine": {"exists": False}, "libraries": {"docker": True}}, False),
        ({"engine": {"exists": True}, "libraries": {"docker": False}}, False),
    ],
)
def test_preflight_refuses_what_the_options_of_the_daemon_would_cut(
    presence: Data, answers: bool
) -> None:
    name = "Verify that the daemon's options can be applied"
    before = task_of("roles/docker_engine/tasks/preflight.yml", name)
    after = task_of("roles/docker_engine/tasks/configure.yml", name)
    imported = "ansible.builtin.import_tasks"
    assert before[imported] == after[imported] == "options.yml"
    variables = {"devshard_presence": presence} if presence else {}
    assert evaluated(before["vars"]["__docker_engine_answers"], variables) is answers


def test_preflight_asks_an_engine_of_the_owner_for_compose() -> None:
    name = "Verify that the engine has Compose v2"
    before = task_of("roles/docker_engine/tasks/preflight.yml", name)
    after = task_of("roles/docker_engine/tasks/verify.yml", name)
    imported = "ansible.builtin.import_tasks"
    assert before[imported] == after[imported] == "compose.yml"
    assert before["when"] == "docker_engine_source == 'existing'"


def test_each_model_is_asked_streamed_and_at_once() -> None:
    path = "roles/hot_swap/tasks/steps/check_main.yml"
    (chat,) = [
        task
        for task in tasks_of(read_yaml(ROOT / path))
        if "gonka.devshard.chat_completion" in task
    ]
    assert "__hot_swap_models" in chat["gonka.devshard.chat_completion"]["models"]
    assert "stream" not in chat["gonka.devshard.chat_completion"]


@pytest.mark.parametrize(
    ("record", "image", "differing"),
    [
        (None, "sim:1.0", []),
        (None, "sim:1.1", ["gateway_image is sim:1.1, and the gateway has sim:1.0"]),
        # after a swap the image is named by its digest, and site judges it
        ("/srv/gonka/devshard-gateway/.gonka-devshard.json", "sim:1.1", []),
    ],
)
def test_an_inventory_that_describes_another_gateway_is_refused(
    record: str | None, image: str, differing: list[str]
) -> None:
    variables = read_yaml(ROOT / "roles/adopt/vars/main.yml")
    identity = variables["__adopt_identity"].items()
    variables |= {
        "__adopt_identity": {name: trust_as_template(value) for name, value in identity},
        "devshard_models": [],
        "__adopt_names": {"deploy_dir": "/srv/g", "container": "c"},
        "gateway_image": image,
        "adopt_found": {
            "container": {"record": record},
            "inventory": {
                "devshard_profile": "v2",
                "devshard_deploy_dir": "/srv/g",
                "devshard_env_file": "/srv/g/config.devshard.env",
                "devshard_gateway_url": "http://127.0.0.1:18080",
                "gateway_container_name": "c",
                "gateway_image": "sim:1.0",
                "devshard_models": ["a"],
            },
        },
    }
    assert evaluated("{{ __adopt_differing }}", variables) == differing
