# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Which variables of the roles feed which option of a module, as the roles' own tasks have it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    ROOT,
    read_yaml,
    role_settings,
)

WORD = re.compile(r"(?<![\w.'/])[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


def variables() -> frozenset[str]:
    """Every variable that a user may set."""
    return frozenset(role_settings())


def _walk(part: t.Any, known: frozenset[str], found: dict[str, set[str]]) -> None:
    if isinstance(part, list):
        for item in part:
            _walk(item, known, found)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if str(name).startswith((f"{FULL_NAME}.", f"group/{FULL_NAME}.")):
            _feed(value, known, found)
        _walk(value, known, found)


def _feed(options: t.Any, known: frozenset[str], found: dict[str, set[str]]) -> None:
    for option, expression in options.items() if isinstance(options, dict) else ():
        named = set(WORD.findall(expression)) if isinstance(expression, str) else set()
        # some variables are handed over under their own name
        if fed := {word for word in named & known if word != option}:
            found.setdefault(option, set()).update(fed)


def fed_options() -> dict[str, set[str]]:
    """The options whose value comes from variables, each with these."""
    known, found = variables(), dict[str, set[str]]()
    for path in (*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml")):
        _walk(read_yaml(path), known, found)
    # said once for the tasks of all roles, by the name of the action group
    shared = read_yaml(ROOT / "roles/devshard/vars/main.yml")
    for group in read_yaml(ROOT / "meta/runtime.yml")["action_groups"]:
        _feed(shared.get(f"__devshard_{group}"), known, found)
    return found
