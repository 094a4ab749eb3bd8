# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A part of a role that is chosen by its tag finds everything that it needs."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROLES,
    ROOT,
    Data,
    read_yaml,
)

BLOCK_WORDS = ("block", "rescue", "always")
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
SETUP = "ansible.builtin.setup"
FACTS = "the facts of the host"


@dataclass(frozen=True)
class Step:
    """One task, with what it inherits from the blocks and imports around it."""

    name: str
    tags: frozenset[str]
    makes: frozenset[str]
    needs: frozenset[str]


def tags_of(item: Data) -> frozenset[str]:
    tags = item.get("tags", [])
    return frozenset([tags] if isinstance(tags, str) else tags)


def step_of(role: str, task: Data, tags: frozenset[str], given: frozenset[str]) -> Step:
    text = yaml.safe_dump({key: value for key, value in task.items() if key != "register"})
    # a loop's results keep its variable, which is no variable of the task that reads them
    needs = set(re.findall(rf"\b__{role}_(?!item\b)\w+", text))
    makes = {task["register"]} if "register" in task else set()
    makes |= set(task.get("ansible.builtin.set_fact", {}))
    if "ansible_facts[" in text and SETUP not in task:
        needs.add(FACTS)
    if SETUP in task:
        makes.add(FACTS)
    own = set(task.get("vars", {})) | {task.get("loop_control", {}).get("loop_var", "")}
    # conditions such as until and failed_when look at the result of their own task
    return Step(task["name"], tags, frozenset(makes), frozenset(needs - own - given - makes))


def steps_of(
    role: str, path: Path, tags: frozenset[str] = frozenset(), given: frozenset[str] = frozenset()
) -> t.Iterator[Step]:
    yield from steps_in(role, read_yaml(path) or [], path.parent, tags, given)


def steps_in(
    role: str, items: list[Data], folder: Path, tags: frozenset[str], given: frozenset[str]
) -> t.Iterator[Step]:
    for item in items:
        mine = tags | tags_of(item)
        looped = item.get("loop_control", {}).get("loop_var", "")
        around = given | frozenset({*item.get("vars", {}), looped})
        nested = [word for word in BLOCK_WORDS if word in item]
        included = next((item[word] for word in INCLUDES if word in item), None)
        if nested:
            outer = {key: value for key, value in item.items() if key not in BLOCK_WORDS}
            # the condition of a block is looked at by each task in it
            if "when" in outer:
                yield step_of(role, {"name": item["name"], "when": outer["when"]}, mine, around)
            for word in nested:
                yield from steps_in(role, item[word], folder, mine, around)
        elif included is None:
            yield step_of(role, item, mine, given)
        else:
            yield step_of(role, item, mine, given)
            name = included if isinstance(included, str) else included["file"]
            # what is included while the play runs has not the tags of its include, only those around
            # it and those that are applied to it
            applied = included.get("apply", {}) if isinstance(included, dict) else {}
            inner = mine if INCLUDES[0] in item else tags | tags_of(applied)
            # Ansible looks beside the file and among the tasks of the role
            wanted = re.sub(r"{{.*?}}", "*", name)
            places = (folder, ROOT / "roles" / role / "tasks")
            found = next(filter(None, (sorted(place.glob(wanted)) for place in places)), [])
            # one of a folder is chosen while the play runs, as the steps of a swap are
            for file in found if "/" in wanted or "*" not in wanted else ():
                yield from steps_of(role, file, inner, around)


def constants(role: str) -> set[str]:
    path = ROOT / "roles" / role / "vars/main.yml"
    return set(read_yaml(path)) if path.is_file() else set()


def points(role: str) -> list[str]:
    specs = read_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    return sorted(specs)


CASES = [
    (role, point, tag)
    for role in ROLES
    for point in points(role)
    for tag in sorted(
        {
            tag
            for step in steps_of(role, ROOT / "roles" / role / "tasks" / f"{point}.yml")
            for tag in step.tags
        }
    )
]


def test_there_are_tags() -> None:
    assert len(CASES) > 30


@pytest.mark.parametrize(("role", "point", "tag"), CASES)
def test_a_tag_runs_what_it_needs(role: str, point: str, tag: str) -> None:
    known = constants(role)
    missing = []
    for step in steps_of(role, ROOT / "roles" / role / "tasks" / f"{point}.yml"):
        if not step.tags & {tag, "always"}:
            continue
        missing += [f"{step.name}: {name}" for name in sorted(step.needs - known)]
        known |= step.makes
    assert missing == []
