# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the long scenarios expect of messages is still said. They run too seldom to notice a change."""

from __future__ import annotations

import ast
import functools

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    PLUGINS,
    ROOT,
    parse,
)

FAULTS = ROOT / "tests/swap/faults.py"
# The functions that take parts of a message, and how many arguments stand before those.
QUOTING = {"stops": 2, "refuses": 0}
# Values that a message takes in.
VALUES = {"PoCGenerate", "generation v3", "hot_swap_rollback=true", "hot_swap_wait_for_window=true"}


def quotes() -> list[str]:
    found = []
    for node in ast.walk(parse(FAULTS)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        for argument in node.args[QUOTING.get(name, len(node.args)) :]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.append(argument.value)
    return sorted(set(found) - VALUES)


@functools.cache
def texts() -> str:
    """Texts of the product, those that stand in several lines as one."""
    parts = []
    for path in sorted(PLUGINS.rglob("*.py")):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
    parts += [path.read_text() for path in sorted((ROOT / "roles").glob("*/tasks/**/*.yml"))]
    return "\n".join(" ".join(part.split()) for part in parts)


@pytest.mark.parametrize("quote", quotes())
def test_a_quoted_message_is_one_of_the_product(quote: str) -> None:
    assert quote in texts()


def test_quotes_are_found() -> None:
    assert {"continue waiting", "nearly full", "keepalive_timeout 0"} <= set(quotes())
