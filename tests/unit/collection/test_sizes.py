# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A class of the product does one thing, so it is short; ruff limits its functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    PLUGINS,
    ROOT,
    parse,
)

LINES = 300
METHODS = 30


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(PLUGINS.rglob("*.py")):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef):
                yield f"{path.relative_to(ROOT)}: {node.name}", node


CLASSES = dict(classes())


def test_there_are_classes() -> None:
    assert len(CLASSES) > 100


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_short(name: str) -> None:
    node = CLASSES[name]
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    assert (node.end_lineno or 0) - node.lineno < LINES
    assert len(methods) <= METHODS
