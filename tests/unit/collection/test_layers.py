# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Imports go only downwards: modules, adapter, use cases, clients, transport and models."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    MODULE_UTILS,
    PACKAGE,
    PLUGINS,
    ROOT,
    parse,
)

# Lower ones know nothing of higher ones. Above the adapter lies the work of modules that another one asks.
PACKAGES = (
    "_core",
    "_host",
    "_chain",
    "_gateway",
    "_edge",
    "_escrows",
    "_swap",
    "_presence",
    "_adopt",
    "_monitor",
    "_status",
    "_site",
    "_argspec",
    "_adapter",
    "_clients",
    "_wiring",
)
RANK = {package: rank for rank, package in enumerate(PACKAGES)}
# Rules: they decide over what others saw. A controller's plugins use them too.
PURE = frozenset(
    {
        "_adopt.choose",
        "_adopt.faults",
        "_adopt.inventory",
        "_adopt.model",
        "_adopt.places",
        "_argspec",
        "_chain.fees",
        "_chain.limits",
        "_chain.models",
        "_chain.node",
        "_chain.releases",
        "_core.address",
        "_core.decoding",
        "_core.errors",
        "_core.exchange",
        "_core.keys",
        "_core.options",
        "_core.outcomes",
        "_core.reader",
        "_core.urls",
        "_edge.certificate",
        "_edge.nginx_conf",
        "_edge.redirect",
        "_escrows.create_window",
        "_escrows.deadlines",
        "_escrows.funding",
        "_escrows.gateway_replies",
        "_escrows.ledger.states",
        "_escrows.mint_terms",
        "_escrows.payment",
        "_escrows.absence",
        "_escrows.pool_rules",
        "_escrows.settle_rules",
        "_gateway.beyond",
        "_gateway.drain_rules",
        "_gateway.drift",
        "_gateway.instance",
        "_gateway.key_rotation",
        "_gateway.models",
        "_gateway.image_plan",
        "_gateway.plan",
        "_gateway.plan_model",
        "_gateway.storage_plan",
        "_gateway.profiles",
        "_gateway.profiles.v2",
        "_gateway.profiles.v3",
        "_gateway.profiles.v4",
        "_gateway.profiles.v4_1",
        "_gateway.record",
        "_gateway.report",
        "_gateway.rotation_settings",
        "_gateway.settings",
        "_gateway.startup",
        "_host.image",
        "_host.options",
        "_monitor.burn",
        "_monitor.exposition",
        "_monitor.metrics",
        "_presence.model",
        "_presence.retirement",
        "_presence.rules",
        "_site.model",
        "_site.reasons",
        "_status.ask",
        "_status.client_rules",
        "_status.host_rules",
        "_status.idle_rules",
        "_status.keys",
        "_status.model_rules",
        "_status.money_rules",
        "_status.rotation_rules",
        "_status.rules",
        "_status.scene",
        "_status.verdict",
        "_swap.aftermath",
        "_swap.journal_model",
        "_swap.notes",
        "_swap.plan",
        "_swap.session_rules",
        "_swap.steps",
        "_swap.window_rules",
    }
)


def unit_of(path: Path) -> str:
    parts = path.relative_to(MODULE_UTILS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    unit_of(path): path
    for path in sorted(MODULE_UTILS.rglob("*.py"))
    if "__pycache__" not in path.parts
}
UNITS = sorted(FILES)
SOURCES = sorted(PLUGINS.rglob("*.py"))
# All of Python's library that a rule may use. What is missing here waits, reads, asks or guesses:
# files, clocks, the environment, programs, the network, randomness.
HARMLESS = {
    *("__future__", "abc", "base64", "binascii", "collections", "contextlib", "copy"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib"),
    *("ipaddress", "itertools", "json", "math", "operator", "pathlib", "re", "types", "typing"),
    *("urllib.parse",),
}
BUILTINS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
# A path may be named and joined, and an instant compared. These look at the disk or at the clock,
# whatever the object is called. None of them is a method of what rules work with.
METHODS = {
    *("absolute", "chmod", "cwd", "exists", "expanduser", "glob", "hardlink_to", "home"),
    *("is_dir", "is_file", "is_socket", "is_symlink", "iterdir", "lstat", "mkdir", "open"),
    *("read_bytes", "read_text", "readlink", "rename", "resolve", "rglob", "rmdir", "samefile"),
    *("stat", "symlink_to", "touch", "unlink", "write_bytes", "write_text"),
    *("now", "today", "utcnow"),
}
# With one argument or none these ask for the time zone of the machine.
LOCAL_TIME = {"astimezone": 1, "fromtimestamp": 2}


def import_nodes(tree: ast.Module, *, type_checking: bool) -> list[ast.Import | ast.ImportFrom]:
    """All import statements, or all except those that only a type checker follows."""
    for node in ast.walk(tree):
        if not type_checking and isinstance(node, ast.If):
            node.body = [ast.Pass()] if "TYPE_CHECKING" in ast.unparse(node.test) else node.body
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]


def names_in(nodes: list[ast.Import | ast.ImportFrom], package: tuple[str, ...]) -> set[str]:
    """Full names of what a file of a package imports."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        else:
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found.update(f"{module}.{alias.name}" for alias in node.names)
            found.add(module)
    return found


def imported(path: Path, *, type_checking: bool = False) -> set[str]:
    """Full names of what a file imports when it runs, or when its types are checked too."""
    package = (PACKAGE, *path.relative_to(PLUGINS).parts[:-1])
    return names_in(import_nodes(parse(path), type_checking=type_checking), package)


def units_of(path: Path) -> set[str]:
    """The units of module_utils that a file imports when it runs."""
    prefix = f"{PACKAGE}.module_utils."
    return {name.removeprefix(prefix) for name in imported(path) if prefix in name} & set(UNITS)


def imports_of(unit: str) -> set[str]:
    return units_of(FILES[unit]) - {unit}


def package_of(unit: str) -> str:
    return unit.split(".")[0]


def test_every_unit_lies_in_a_package() -> None:
    assert [unit for unit in UNITS if package_of(unit) not in RANK] == []
    assert set(UNITS) >= PURE


@pytest.mark.parametrize("unit", UNITS)
def test_imports_go_downwards(unit: str) -> None:
    mine = RANK[package_of(unit)]
    assert [other for other in sorted(imports_of(unit)) if RANK[package_of(other)] > mine] == []


def test_imports_make_no_circle() -> None:
    # a profile is an instance of the class that its package defines
    graph = {
        unit: {other for other in imports_of(unit) if not unit.startswith(f"{other}.")}
        for unit in UNITS
    }
    assert set(graphlib.TopologicalSorter(graph).static_order()) == set(UNITS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_ansible_module_is_made_in_one_place(path: Path) -> None:
    uses = "ansible.module_utils.basic.AnsibleModule" in imported(path)
    allowed = path.name == "_adapter.py" or path.parent.name == "modules"
    assert allowed or not uses


@pytest.mark.parametrize("unit", sorted(set(UNITS) - {"_adapter"}))
def test_ansible_is_known_to_the_adapter_only(unit: str) -> None:
    assert [name for name in imported(FILES[unit]) if name.split(".")[0] == "ansible"] == []


def foreign(names: set[str]) -> set[str]:
    """The imported names that are neither ours nor harmless."""
    ours = {name for name in names if f"{name}.".startswith(f"{PACKAGE}.")}
    harmless = {
        name for name in names if any(f"{name}.".startswith(f"{known}.") for known in HARMLESS)
    }
    return names - ours - harmless - {"urllib"}


def effects(tree: ast.Module) -> list[str]:
    """Calls that look at files, the clock, the environment or the user."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name):
            bad = called.id in BUILTINS
        elif isinstance(called, ast.Attribute):
            given = len(node.args) + len(node.keywords)
            bad = called.attr in METHODS or given < LOCAL_TIME.get(called.attr, 0)
        else:
            bad = False
        if bad:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def handed(unit: str) -> set[str]:
    """The units whose types a unit names, also those that only a type checker follows."""
    prefix = f"{PACKAGE}.module_utils."
    names = {
        name.removeprefix(prefix)
        for name in imported(FILES[unit], type_checking=True)
        if name.startswith(prefix)
    }
    return names & set(UNITS) - {unit}


@pytest.mark.parametrize("unit", sorted(PURE))
def test_a_rule_only_decides(unit: str) -> None:
    """No file, clock, environment or randomness: what it is not given, it does not know."""
    assert foreign(imported(FILES[unit])) == set()
    assert effects(parse(FILES[unit])) == []
    assert imports_of(unit) - PURE == set()


def is_port(unit: str) -> bool:
    """Who is given one can do what is behind it."""
    return unit.endswith(".ports")


def test_the_list_of_rules_is_complete() -> None:
    """A unit that does nothing, and is given nothing that could, is one of the rules."""
    quiet = {
        unit
        for unit, path in FILES.items()
        if not foreign(imported(path)) and not effects(parse(path)) and not is_port(unit)
    }
    while loud := {unit for unit in quiet if handed(unit) - quiet}:
        quiet -= loud
    assert sorted(quiet - PURE) == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("import os", True),
        ("from os import environ", True),
        ("import time", True),
        ("from random import choice", True),
        ("import secrets", True),
        ("import uuid", True),
        ("import urllib.request", True),
        ("import tempfile", True),
        ("open('/etc/passwd')", True),
        ("Path('/etc').joinpath('passwd').read_text()", True),
        ("path.exists()", True),
        ("datetime.now(timezone.utc)", True),
        ("datetime.date.today()", True),
        ("moment.astimezone()", True),
        ("datetime.fromtimestamp(5)", True),
        ("datetime.fromtimestamp(5, tz=timezone.utc)", False),
        ("moment.astimezone(timezone.utc)", False),
        ("from pathlib import PurePosixPath, Path", False),
        ("from urllib.parse import urlsplit", False),
        ("Path('/srv') / 'x'", False),
    ],
)
def test_what_a_rule_may_not_do_is_seen(line: str, seen: bool) -> None:
    names = names_in(import_nodes(ast.parse(line), type_checking=False), (PACKAGE,))
    assert bool(foreign(names) or effects(ast.parse(line))) is seen


@pytest.mark.parametrize(
    "kind", ["action", "doc_fragments", "filter", "inventory", "lookup", "plugin_utils", "test"]
)
def test_controller_plugins_import_nothing_but_rules(kind: str) -> None:
    """Rules are pure, so they may decide on the controller what was seen on the host."""
    allowed = PURE | {"_core.timer"}
    for path in sorted((PLUGINS / kind).rglob("*.py")):
        assert units_of(path) <= allowed, path.name


@pytest.mark.parametrize(
    "path",
    sorted([*(PLUGINS / "filter").glob("*.py"), *(PLUGINS / "test").glob("*.py")]),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_a_filter_loads_its_code_when_it_is_used(path: Path) -> None:
    """Ansible loads all filters of a collection to find one of them, again in each of its workers."""
    imported = {node.module for node in ast.walk(parse(path)) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", f"{PACKAGE}.plugin_utils._lazily"}


def test_relative_imports_are_resolved() -> None:
    """The tests above say nothing if imports are not seen."""
    seen = imports_of("_adapter")
    assert {"_core.errors", "_core.transport", "_gateway.profiles"} <= seen
    chain = imports_of("_escrows.ports")
    assert "_core.errors" in chain
    assert "_chain.ports" not in chain, "it is imported for type checking only"
