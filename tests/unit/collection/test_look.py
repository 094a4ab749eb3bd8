# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the look of the playbook site compares is what the tasks of the roles do."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._site.model import PARTS
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    ROOT,
    Data,
    read_yaml,
)

(SITE_PLAN,) = [
    task[f"{FULL_NAME}.site_plan"]["roles"]
    for play in read_yaml(ROOT / "playbooks/site.yml")[:1]
    for task in play["tasks"]
    if f"{FULL_NAME}.site_plan" in task
]
ROLES: list[str] = ["devshard", *SITE_PLAN]


def look_of(role: str) -> Data:
    return read_yaml(ROOT / f"roles/{role}/meta/look.yml") or {}


def constants(role: str) -> Data:
    path = ROOT / f"roles/{role}/vars/main.yml"
    return read_yaml(path) or {} if path.is_file() else {}


def tasks_of(items: t.Any) -> t.Iterator[Data]:
    for item in items or ():
        for word in ("block", "rescue", "always"):
            yield from tasks_of(item.get(word))
        yield item


def tasks(role: str) -> list[Data]:
    return [
        task
        for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
        for task in tasks_of(read_yaml(path))
    ]


def normal(value: object) -> str:
    return re.sub(r"\s+", " ", str(value)).strip()


def asked(role: str, module: str) -> list[Data]:
    """The arguments with which a role's look asks a module."""
    look = look_of(role)
    parts = [*look.get("first", {}).get("parts", []), *look.get("parts", [])]
    return [
        question["args"]
        for part in parts
        if isinstance(part.get("questions"), list)
        for question in part["questions"]
        if question["module"] == module
    ]


def test_every_part_is_declared_by_one_role() -> None:
    declared = [part["name"] for role in ROLES for part in look_of(role).get("parts", [])]
    assert sorted(declared) == sorted(PARTS)


def test_site_acts_on_every_part() -> None:
    text = (ROOT / "playbooks/site.yml").read_text() + (
        ROOT / "playbooks/tasks/site_deploy.yml"
    ).read_text()
    assert [part for part in PARTS if f"'{part}' in devshard_look.plan" not in text] == []


# what the look gives once for all questions, and secrets, which have an option of their own
GROUPS = re.findall(r"__devshard_\w+", look_of("devshard")["common"])
COMMON = {
    *(option for group in GROUPS for option in constants("devshard")[group]),
    *look_of("gateway")["secrets"],
}


@pytest.mark.parametrize(
    ("role", "module", "file", "left_out"),
    [
        ("gateway", "gateway_plan_info", "preflight.yml", set()),
        ("gateway", "gateway_env", "configure.yml", set()),
        ("gateway", "gateway_settings", "verify.yml", set()),
    ],
)
def test_a_module_is_asked_as_the_task_runs_it(
    role: str, module: str, file: str, left_out: set[str]
) -> None:
    name = f"{FULL_NAME}.{module}"
    (done,) = [
        task[name]
        for task in tasks_of(read_yaml(ROOT / "roles" / role / "tasks" / file))
        if name in task
    ]
    (question,) = asked(role, module)
    secrets = {"private_key", "api_keys", "admin_api_key"}
    skipped = left_out | secrets | (COMMON - set(question))
    told = {key: normal(value) for key, value in done.items() if key not in skipped}
    assert {key: normal(value) for key, value in question.items() if key not in left_out} == told


def test_every_playbook_asks_for_the_same_first_look() -> None:
    (part,) = look_of("devshard")["first"]["parts"]
    (question,) = part["questions"]
    name = f"{FULL_NAME}.presence_info"
    looks = [
        task
        for file in ("devshard/tasks/first_check.yml", "status/tasks/main.yml")
        for task in tasks_of(read_yaml(ROOT / "roles" / file))
        if name in task
    ]
    assert [task["module_defaults"][name] for task in looks] == ["{{ __devshard_look }}"] * 2
    assert normal(question["args"]).endswith("| combine(__devshard_look) }}")
    asked = set(re.findall(r"'(\w+)':", question["args"]))
    assert [set(task[name] or {}) for task in looks] == [asked, set()]


@pytest.mark.parametrize(
    ("role", "variable", "name"),
    [
        ("edge", "__edge_config_args", "Apply the configuration and verify it"),
        ("edge", "__edge_retired_args", "Remove the answer for a retired gateway"),
    ],
)
def test_the_edge_is_asked_for_what_its_tasks_write(role: str, variable: str, name: str) -> None:
    text = constants(role)[variable]
    (task,) = [task for task in tasks(role) if task["name"] == name]
    given = set(task[f"{FULL_NAME}.edge_config"])
    told = set(re.findall(r"'(\w+)':", text)) | {"probe_name"}
    assert told == given


def test_escrows_are_asked_for_as_they_are_ensured() -> None:
    (task,) = [
        task
        for task in tasks("escrow")
        if f"{FULL_NAME}.escrow" in task and task["name"].startswith("Ensure the wanted")
    ]
    given = set(task[f"{FULL_NAME}.escrow"])
    told = set(re.findall(r"'(\w+)':", constants("escrow")["__escrow_pools"]))
    # other hosts have said nothing yet, and a look waits for nothing
    assert given - told == {"others_create_after", "wait_timeout", "create_pause"}
    assert told - given == {"module", "what", "args", "adopt_orphans"}


def test_the_rotation_is_asked_for_as_it_is_set() -> None:
    (task,) = [
        task
        for task in tasks("rotation")
        if f"{FULL_NAME}.escrow_rotation" in task and task["name"].startswith("Set the rotation")
    ]
    told = set(re.findall(r"'(\w+)':", constants("rotation")["__rotation_args"]))
    assert told == set(task[f"{FULL_NAME}.escrow_rotation"])


WRITES = {
    "ansible.builtin.file": "path",
    "ansible.builtin.copy": "dest",
    "ansible.builtin.template": "dest",
    "ansible.builtin.get_url": "dest",
}
# Notes of a work that is under way, and copies that are kept.
PASSING = {
    "roles/docker_engine: Record which options are about to change",
    "roles/gateway: Back up the owner's files",
}


@pytest.mark.parametrize("role", SITE_PLAN)
def test_every_file_that_a_role_writes_is_looked_at(role: str) -> None:
    """By the same words: the look and the task name a path by one variable."""
    looked = yaml.safe_dump(look_of(role)) + yaml.safe_dump(constants(role))
    for task in tasks(role):
        for module, option in WRITES.items():
            if module not in task or f"roles/{role}: {task['name']}" in PASSING:
                continue
            path = task[module].get(option) or task[module]["dest"]
            words = re.findall(r"__\w+|\w+_\w+", path)
            looped = "item" in path
            source = yaml.safe_dump(task.get("loop")) if looped else path
            names = re.findall(r"__\w+|devshard_\w+", source) if looped else words
            assert names, (task["name"], path)
            assert all(name in looked for name in names), (task["name"], names)


@pytest.mark.parametrize("role", SITE_PLAN)
def test_every_service_of_a_role_is_looked_at(role: str) -> None:
    text = normal(yaml.safe_dump(look_of(role)))
    for task in tasks(role):
        service = task.get("ansible.builtin.systemd_service")
        if service and "enabled" in service:
            assert f"'{service['name']}'" in text.replace("''", "'"), task["name"]


@pytest.mark.parametrize("role", SITE_PLAN)
def test_every_package_of_a_role_is_looked_at(role: str) -> None:
    text = yaml.safe_dump(look_of(role)) + yaml.safe_dump(constants(role))
    for task in tasks(role):
        wanted = task.get("vars", {}).get("devshard_packages")
        if wanted is None:
            continue
        # of nginx the program is looked at, whichever package brought it
        names = re.findall(r"__\w+", normal(wanted)) or ["/usr/sbin/nginx"]
        assert all(name in text for name in names), task["name"]
