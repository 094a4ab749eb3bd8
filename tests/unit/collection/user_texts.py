# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every text that a user reads: messages, documentation, docstrings, tasks and guides."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    PLUGINS,
    ROOT,
    parse,
    read_yaml,
)

PYTHON = sorted(PLUGINS.rglob("*.py"))
DOCS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
NAME_OF_URL = ("base_url", "swapped_text")
# The changelog of earlier releases is history; the fragments are the next release.
PROSE = sorted(
    path
    for pattern in (
        *("*.md", "roles/*/README.md", "docs/docsite/rst/*.rst", "changelogs/fragments/*.yml"),
        *("plugins/**/*.yml", "roles/*/**/*.yml", "roles/*/templates/*", "playbooks/*.yml"),
    )
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
TASKS = sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml")])
BLOCKS = ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers")
# It names the phrases that are refused.
GLOSSARY = re.compile(r"(?ms)^## Language$.*?(?=^## )")
EXAMPLE = re.compile(r"(?m)^\s*- name: (.+)$")

Located = tuple[int, str]


def _left_out(tree: ast.Module) -> set[int]:
    """Docstrings, documentation, and the parts of a text with fields."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in DOCS:
                found.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            found |= {id(part) for part in node.values}
    return found


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        return "".join(str(part) for part in parts)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def messages(path: Path) -> list[Located]:
    """Texts of more than one word, and the names by which a URL is refused."""
    tree = parse(path)
    left_out = _left_out(tree)
    found = []
    for node in ast.walk(tree):
        text = None if id(node) in left_out else _text(node)
        if text is not None and " " in text.strip() and not text.lstrip().startswith("CREATE "):
            found.append((node.lineno, text))  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAME_OF_URL:
            named = [_text(argument) for argument in node.args]
            found += [(node.lineno, name) for name in named if name is not None]
    return found


def docstrings(path: Path) -> list[Located]:
    """Docstrings, the text below a constant or a field, and documentation for users."""
    found = []
    for node in ast.walk(parse(path)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value if node.targets[0].id in DOCS else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.append((value.lineno, value.value))
    return found


def texts() -> t.Iterator[tuple[Path, int, str]]:
    """All texts, each with its file and the line on which it begins."""
    for path in PYTHON:
        yield from ((path, *located) for located in messages(path) + docstrings(path))
    for path in PROSE:
        text = path.read_text(encoding="utf-8")
        yield path, 1, GLOSSARY.sub(lambda match: "\n" * match[0].count("\n"), text)


def _named(items: t.Any) -> t.Iterator[str]:
    for item in items or ():
        if "name" in item:
            yield str(item["name"])
        for key in BLOCKS:
            yield from _named(item.get(key))


def task_names() -> t.Iterator[tuple[Path, str]]:
    """The names of plays and tasks, those in examples included."""
    for path in TASKS:
        yield from ((path, name) for name in _named(read_yaml(path)))
    for path in [*PYTHON, *PLUGINS.rglob("*.yml"), *ROOT.glob("docs/docsite/rst/*.rst")]:
        yield from ((path, name) for name in EXAMPLE.findall(path.read_text(encoding="utf-8")))
