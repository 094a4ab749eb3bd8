# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Where gateway, chain, key and ledger are is said once for all roles, and every task gets it."""

from __future__ import annotations

import importlib
import json
import re
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PACKAGE,
    ROLES,
    ROOT,
    Data,
    read_yaml,
    run_ansible,
)

SHARED: t.Final = ROOT / "roles/devshard/vars/main.yml"
GROUPS = ("admin", "generation", "chain", "inferenced", "ledger")
OPTIONS: dict[str, Data] = {group: read_yaml(SHARED)[f"__devshard_{group}"] for group in GROUPS}
MEMBERS: dict[str, list[str]] = read_yaml(ROOT / "meta/runtime.yml")["action_groups"]
BLOCKS = ("block", "rescue", "always")
ROLE = ("ansible.builtin.import_role", "ansible.builtin.include_role")
TASKS = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")


class Found(t.NamedTuple):
    """A task with the groups whose options it gets."""

    path: Path
    task: Data
    groups: frozenset[str]

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}: {self.task['name']}"

    @property
    def modules(self) -> list[str]:
        return [key.removeprefix(f"{FULL_NAME}.") for key in self.task if FULL_NAME in key]

    def given(self, module: str) -> Data:
        return self.task[f"{FULL_NAME}.{module}"] or {}


def walk(path: Path, groups: frozenset[str] = frozenset()) -> t.Iterator[Found]:
    """All tasks of a file, with those of the files that it includes."""
    yield from _tasks(read_yaml(path), path, groups)


def _tasks(items: list[Data] | None, path: Path, groups: frozenset[str]) -> t.Iterator[Found]:
    for item in items or ():
        given = {name.rpartition(".")[2] for name in item.get("module_defaults", {})}
        mine = groups | (given & set(GROUPS))
        for word in BLOCKS:
            yield from _tasks(item.get(word), path, mine)
        yield Found(path, item, mine)
        for file in _included(item, path):
            yield from walk(file, mine)


def _included(item: Data, path: Path) -> list[Path]:
    role = next((item[word] for word in ROLE if word in item), None)
    file = next((item[word] for word in TASKS if word in item), None)
    if role is not None:
        # with a name of the run, it is one of the roles that preflight asks what they refuse
        name = role["name"].removeprefix(f"{FULL_NAME}.")
        return [] if "{{" in name else [entry(name, role.get("tasks_from", "main"))]
    if file is None:
        return []
    name = file if isinstance(file, str) else file["file"]
    return (
        sorted(path.parent.glob(name.partition("{{")[0] + "*.yml"))
        if "{{" in name
        else [path.parent / name]
    )


def entry(role: str, point: str) -> Path:
    return ROOT / "roles" / role / "tasks" / f"{point}.yml"


def found() -> list[Found]:
    specs = {role: read_yaml(ROOT / f"roles/{role}/meta/argument_specs.yml") for role in ROLES}
    return [
        one
        for role, spec in specs.items()
        for point in spec["argument_specs"]
        for one in walk(entry(role, point))
    ]


FOUND = found()


def options_of(fragment: str) -> Data:
    module = importlib.import_module(f"{PACKAGE}.doc_fragments._{fragment}")
    found: Data = yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"]
    return found


def fragments_of_all(members: list[str]) -> set[str]:
    """The fragments that each of these modules extends."""
    line = re.compile(rf"^  - {FULL_NAME}\._(\w+)$", re.MULTILINE)
    texts = [(ROOT / f"plugins/modules/{name}.py").read_text() for name in members]
    return set.intersection(*(set(line.findall(text)) for text in texts))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_gets_only_what_all_its_modules_take(group: str) -> None:
    taken = {
        name
        for fragment in {group, "http"} & fragments_of_all(MEMBERS[group])
        for name in options_of(fragment)
    }
    assert set(OPTIONS[group]) <= taken
    options = options_of(group)
    required = {name for name, option in options.items() if option.get("required")}
    assert required <= set(OPTIONS[group])


@pytest.mark.parametrize("group", GROUPS)
def test_every_module_of_a_group_gets_its_options(group: str) -> None:
    """A task without them would ask the wrong gateway, or the wrong chain, by the defaults."""
    left = {
        one.place
        for one in FOUND
        for module in one.modules
        if module in MEMBERS[group]
        and group not in one.groups
        and not set(OPTIONS[group]) <= set(one.given(module))
    }
    assert sorted(left) == []


@pytest.mark.parametrize("group", GROUPS)
def test_no_role_spells_these_options_out(group: str) -> None:
    written = {
        f"{one.place}: {name}"
        for one in FOUND
        for module in one.modules
        if module in MEMBERS[group]
        for name, value in OPTIONS[group].items()
        if one.given(module).get(name) == value
    }
    template = f"{{{{ __devshard_{group} }}}}"
    written |= {
        one.place
        for one in FOUND
        for name, value in one.task.get("module_defaults", {}).items()
        if name == f"group/{FULL_NAME}.{group}" and value != template
    }
    assert sorted(written) == []
    used = [one for one in FOUND if template in one.task.get("module_defaults", {}).values()]
    assert len({one.path.parent.parent for one in used}) > 2


OUTER = """
- module_defaults:
    group/gonka.devshard.admin: "{{ __devshard_admin }}"
    group/gonka.devshard.chain: "{{ __devshard_chain }}"
  block:
    - ansible.builtin.include_tasks: included.yml
    - ansible.builtin.include_role: {name: inner}
"""
INCLUDED = """
- gonka.devshard.gateway_info:
  register: by_the_block
  failed_when: false
- gonka.devshard.gateway_info:
    gateway_url: ftp://of-the-task
  register: by_the_task
  failed_when: false
- gonka.devshard.swap_sessions:
    state: stoppable
  register: by_two_groups
  failed_when: false
"""
INNER = """
- gonka.devshard.gateway_info:
  register: by_the_outer_role
  failed_when: false
- module_defaults:
    group/gonka.devshard.admin: "{{ __devshard_admin | combine({'gateway_url': 'ftp://inner'}) }}"
  block:
    - gonka.devshard.gateway_info:
      register: by_the_inner_role
      failed_when: false
"""
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: outer}
    - ansible.builtin.debug:
        msg: "{{ 'told' ~ ({'block': by_the_block.msg, 'task': by_the_task.msg, 'two': by_two_groups.msg,
                            'outer': by_the_outer_role.msg, 'inner': by_the_inner_role.msg} | to_json) }}"
"""


def test_ansible_takes_the_options_of_a_group_from_a_variable(tmp_path: Path) -> None:
    """Through dynamic includes and into another role; what is omitted falls back to its default."""
    env = tmp_path / "env"
    env.write_text("DEVSHARD_ADMIN_API_KEY=k\n")
    for name, text in (("outer/tasks/main", OUTER), ("outer/tasks/included", INCLUDED)):
        path = tmp_path / "roles" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    inner = tmp_path / "roles/inner/tasks/main.yml"
    inner.parent.mkdir(parents=True)
    inner.write_text(INNER)
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    variables = {
        **{f"__devshard_{group}": options for group, options in OPTIONS.items()},
        "devshard_gateway_url": "ftp://shared",
        "devshard_profile": "{{ omit }}",
        "devshard_env_file": str(env),
        "devshard_chain_rest": "ftp://rest",
        "devshard_chain_rpc": "{{ omit }}",
        "devshard_chain_id": "c",
        "devshard_public_api": "http://127.0.0.1:1",
        "ansible_python_interpreter": sys.executable,
    }
    file = tmp_path / "vars.json"
    file.write_text(json.dumps(variables))
    done = run_ansible("playbook", "-i", "localhost,", play, "--extra-vars", f"@{file}")
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if '"told' in line)
    told = json.loads(json.loads(line.partition(": ")[2]).removeprefix("told"))
    assert "'ftp://shared'" in told["block"]
    assert "'ftp://of-the-task'" in told["task"]
    assert "'ftp://shared'" in told["outer"]
    assert "'ftp://inner'" in told["inner"]
    assert "'ftp://rest'" in told["two"]
