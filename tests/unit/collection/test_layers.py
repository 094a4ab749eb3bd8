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

# Lower ones know nothing of higher ones. The last two stand beside the packages.
PACKAGES = (
    "_core",
    "_host",
    "_chain",
    "_gateway",
    "_edge",
    "_escrows",
    "_swap",
    "_presence",
    "_status",
    "_argspec",
    "_adapter",
)
RANK = {package: rank for rank, package in enumerate(PACKAGES)}
# Rules: they decide over what others saw. A controller's plugins use them too.
PURE = frozenset(
    {
        "_chain.models",
        "_chain.node",
        "_core.address",
        "_core.errors",
        "_core.keys",
        "_core.outcomes",
        "_core.reader",
        "_core.urls",
        "_edge.certificate",
        "_edge.nginx_conf",
        "_escrows.deadlines",
        "_escrows.funding",
        "_escrows.gateway_replies",
        "_escrows.ledger.states",
        "_escrows.payment",
        "_escrows.pool_rules",
        "_escrows.settle_rules",
        "_gateway.drain_rules",
        "_gateway.drift",
        "_gateway.models",
        "_gateway.plan",
        "_gateway.profiles",
        "_gateway.profiles.v2",
        "_gateway.record",
        "_gateway.report",
        "_gateway.settings",
        "_host.image",
        "_presence.model",
        "_presence.rules",
        "_status.rules",
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
# they wait for requests, read answers and call Ansible; none of it belongs into a rule
IMPURE = {"requests", "socket", "sqlite3", "subprocess", "time", "urllib", "docker", "ansible"}


def run_time_nodes(tree: ast.Module) -> list[ast.stmt]:
    """All import statements except those that only a type checker follows."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]


def imported(path: Path) -> set[str]:
    """Full names of what a file imports when it runs."""
    package = (PACKAGE, *path.relative_to(PLUGINS).parts[:-1])
    found: set[str] = set()
    for node in run_time_nodes(parse(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


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


@pytest.mark.parametrize("unit", sorted(PURE))
def test_rules_do_no_input_or_output(unit: str) -> None:
    assert {name.split(".")[0] for name in imported(FILES[unit])} & IMPURE == set()


@pytest.mark.parametrize("kind", ["action", "doc_fragments", "filter", "plugin_utils"])
def test_controller_plugins_import_nothing_but_rules(kind: str) -> None:
    """Rules are pure, so they may decide on the controller what was seen on the host."""
    allowed = PURE | {"_argspec", "_core.timer"}
    for path in sorted((PLUGINS / kind).glob("*.py")):
        assert units_of(path) <= allowed, path.name


def test_relative_imports_are_resolved() -> None:
    """The tests above say nothing if imports are not seen."""
    seen = imports_of("_adapter")
    assert {"_core.errors", "_core.transport", "_gateway.profiles"} <= seen
    assert "_argspec" not in seen, "it is imported for type checking only"
