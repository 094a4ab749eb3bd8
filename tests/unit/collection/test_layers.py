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

# A new file fails the test until it has its place here. Lower ones know nothing of higher ones.
LAYERS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "models and transport",
        frozenset(
            {
                "_argspec",
                "_errors",
                "_funding",
                "_image",
                "_keys",
                "_models",
                "_address",
                "_node",
                "_payment",
                "_profiles",
                "_record",
                "_transport",
                "_urls",
                "_wait",
            }
        ),
    ),
    (
        "clients",
        frozenset(
            {
                "_chain_api",
                "_docker",
                "_docker_cli",
                "_env_file",
                "_gateway_api",
                "_hosts",
                "_inferenced",
                "_ledger",
                "_nginx",
                "_nginx_conf",
                "_processes",
                "_sockets",
                "_storage",
            }
        ),
    ),
    (
        "rules",
        frozenset(
            {
                "_certificate",
                "_drain",
                "_drift",
                "_gateway_plan",
                "_escrow_rules",
                "_gateway_report",
                "_presence",
                "_presence_rules",
                "_settings",
                "_settle_rules",
                "_status",
                "_swap",
            }
        ),
    ),
    (
        "use cases",
        frozenset(
            {
                "_backup",
                "_devshard",
                "_chat",
                "_creator",
                "_drain_wait",
                "_edge",
                "_edge_config",
                "_escrow",
                "_escrow_observe",
                "_escrow_report",
                "_gateway_env",
                "_gateway_look",
                "_gateway_wait",
                "_money",
                "_presence_look",
                "_redirect",
                "_rotation",
                "_settle",
                "_settlement_files",
                "_signed_tx",
                "_status_look",
                "_swap_gateway",
                "_swap_handover",
                "_swap_host",
                "_swap_journal",
            }
        ),
    ),
    ("adapter", frozenset({"_adapter"})),
)
RANK = {name: rank for rank, (_layer, files) in enumerate(LAYERS) for name in files}
UNITS = sorted(
    path.relative_to(MODULE_UTILS).parts[0].removesuffix(".py")
    for path in MODULE_UTILS.iterdir()
    if path.name not in ("__pycache__", "__init__.py")
)
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
    """The files of module_utils that a file imports when it runs."""
    prefix = f"{PACKAGE}.module_utils."
    parts = {name.removeprefix(prefix).split(".")[0] for name in imported(path) if prefix in name}
    return parts & set(UNITS)


def files_of(unit: str) -> list[Path]:
    place = MODULE_UTILS / unit
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imports_of(unit: str) -> set[str]:
    return set().union(*(units_of(path) for path in files_of(unit))) - {unit}


def test_every_file_has_a_layer() -> None:
    assert [unit for unit in UNITS if unit not in RANK] == []


@pytest.mark.parametrize("unit", UNITS)
def test_imports_go_downwards(unit: str) -> None:
    assert unit in RANK, f"give {unit} its place in LAYERS"
    known = {other for other in imports_of(unit) if other in RANK}
    assert [other for other in sorted(known) if RANK[other] > RANK[unit]] == []


def test_imports_make_no_circle() -> None:
    order = graphlib.TopologicalSorter({unit: imports_of(unit) for unit in UNITS})
    assert set(order.static_order()) == set(UNITS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_ansible_module_is_made_in_one_place(path: Path) -> None:
    uses = "ansible.module_utils.basic.AnsibleModule" in imported(path)
    allowed = path.name == "_adapter.py" or path.parent.name == "modules"
    assert allowed or not uses


@pytest.mark.parametrize("unit", sorted(set(UNITS) - {"_adapter"}))
def test_ansible_is_known_to_the_adapter_only(unit: str) -> None:
    for path in files_of(unit):
        assert [name for name in imported(path) if name.split(".")[0] == "ansible"] == []


@pytest.mark.parametrize("unit", sorted(LAYERS[2][1]))
def test_rules_do_no_input_or_output(unit: str) -> None:
    for path in files_of(unit):
        assert {name.split(".")[0] for name in imported(path)} & IMPURE == set()


@pytest.mark.parametrize("kind", ["action", "doc_fragments", "filter", "plugin_utils"])
def test_controller_plugins_import_nothing_but_rules(kind: str) -> None:
    """Rules are pure, so they may decide on the controller what was seen on the host."""
    rules = LAYERS[2][1]
    for path in sorted((PLUGINS / kind).glob("*.py")):
        assert all(RANK[unit] <= RANK["_errors"] or unit in rules for unit in units_of(path)), (
            path.name
        )


def test_relative_imports_are_resolved() -> None:
    """The tests above say nothing if imports are not seen."""
    seen = imports_of("_adapter")
    assert {"_errors", "_transport", "_profiles"} <= seen
    assert "_argspec" not in seen, "it is imported for type checking only"
