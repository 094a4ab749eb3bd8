# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A module takes a block of options, documents it, and is in its action group: all or none."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    MODULE_UTILS,
    MODULES,
    ROOT,
    fragments,
    module_docs,
    module_path,
    names,
    parse,
    read_yaml,
)

GROUPS: dict[str, list[str]] = read_yaml(ROOT / "meta/runtime.yml")["action_groups"]
FRAGMENTS = names("plugins/doc_fragments/*.py")


def spec_parts(name: str) -> set[str]:
    """The functions of `_argspec` that a module calls."""
    # the work of a module that others ask too lies beside the others
    wiring = MODULE_UTILS / "_wiring" / f"{name}.py"
    tree = parse(wiring if wiring.is_file() else module_path(name))
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("_argspec")
        for alias in node.names
    }
    whole = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "_argspec"
    }
    called = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name):
            called.add(imported.get(function.id, ""))
        elif (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id in whole
        ):
            called.add(function.attr)
    return expanded(called - {""})


def expanded(called: set[str]) -> set[str]:
    """With the parts that a part consists of in its place."""
    tree = parse(ROOT / "plugins/module_utils/_argspec.py")
    of_parts = {
        node.name: {
            inner.func.id
            for inner in ast.walk(node)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
        }
        & part_names()
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    found = set()
    for name in called:
        inner = of_parts.get(name, set())
        found |= expanded(inner) if inner else {name}
    return found


def part_names() -> set[str]:
    tree = parse(ROOT / "plugins/module_utils/_argspec.py")
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_group_equals_the_modules_that_use_its_options(group: str) -> None:
    using = [name for name in MODULES if group in spec_parts(name)]
    assert GROUPS[group] == using


@pytest.mark.parametrize("name", MODULES)
def test_options_and_fragments_agree(name: str) -> None:
    with_fragment = {f"_{part}" for part in spec_parts(name) & part_names()}
    documented = {fragment.split(".")[0] for fragment in fragments(name)}
    assert with_fragment == documented - {"_attributes"}


@pytest.mark.parametrize("name", MODULES)
def test_notes_name_the_groups(name: str) -> None:
    said = re.findall(
        rf"C\(group/{FULL_NAME}\.(\w+)\)", " ".join(module_docs(name).get("notes", []))
    )
    assert sorted(said) == [group for group in sorted(GROUPS) if name in GROUPS[group]]


def test_each_part_of_the_specs_has_a_fragment() -> None:
    parts = expanded(part_names())
    assert {f"_{part}" for part in parts} | {"_attributes"} == set(FRAGMENTS)
