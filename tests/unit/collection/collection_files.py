# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Reads the collection's own files, for the tests that keep them in step."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
FULL_NAME = "gonka.devshard"
PACKAGE = "ansible_collections.gonka.devshard.plugins"

Data = dict[str, t.Any]


def read_yaml(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text())


def names(pattern: str) -> list[str]:
    """Names, without the ending, of the files or folders that a pattern finds."""
    found = sorted(path.stem for path in ROOT.glob(pattern) if path.stem != "__pycache__")
    return [name for name in found if name != "__init__"]


MODULES = names("plugins/modules/*.py")
FILTERS = names("plugins/filter/*.py")
INVENTORIES = names("plugins/inventory/*.py")
LOOKUPS = names("plugins/lookup/*.py")
TESTS = names("plugins/test/*.py")
EVENT_SOURCES = names("extensions/eda/plugins/event_source/*.py")
RULEBOOKS = names("extensions/eda/rulebooks/*.yml")
ROLES = names("roles/*")
PLAYBOOKS = names("playbooks/*.yml")


@functools.cache
def role_settings() -> dict[str, Data]:
    """The settings of all entry points of all roles, as the argument specs have them."""
    found: dict[str, Data] = {}
    for role in ROLES:
        specs = read_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
        for point in specs.values():
            found.update(point.get("options", {}))
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def module_path(name: str) -> Path:
    return PLUGINS / "modules" / f"{name}.py"


@functools.cache
def doc_constants(name: str) -> dict[str, str]:
    """DOCUMENTATION, EXAMPLES and RETURN of a module, as text."""
    found = {}
    for node in parse(module_path(name)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[node.targets[0].id] = value.value
    return found


def documentation(name: str) -> Data:
    data: Data = yaml.safe_load(doc_constants(name)["DOCUMENTATION"])
    return data


def fragments(name: str) -> set[str]:
    """The documentation fragments of a module, without the collection's name."""
    listed = documentation(name).get("extends_documentation_fragment", [])
    words = [listed] if isinstance(listed, str) else listed
    return {word.removeprefix(f"{FULL_NAME}.") for word in words}


def run_ansible(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One of Ansible's programs, of the very ansible-core that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [sys.executable, "-m", "ansible", tool, *map(str, arguments)],
        cwd=ROOT,
        env={**kept, "ANSIBLE_COLLECTIONS_PATH": str(collections()), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def collections() -> Path:
    """The collection path of the checkout, with the collections that ours depends on."""
    made = subprocess.run(
        [sys.executable, ROOT / "tests" / "tools" / "tree.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(made.stdout.strip())


@functools.cache
def rendered_docs() -> dict[str, dict[str, Data]]:
    """What ansible-doc makes of all our documentation: kind, full name, contents."""
    shown = run_ansible("doc", "--metadata-dump", "--no-fail-on-errors", FULL_NAME)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, dict[str, Data]] = json.loads(shown.stdout)["all"]
    return found


def rendered(kind: str, name: str) -> Data:
    data = rendered_docs()[kind][f"{FULL_NAME}.{name}"]
    assert "error" not in data, data["error"]
    doc: Data = data["doc"]
    return doc


def module_docs(name: str) -> Data:
    return rendered("module", name)
