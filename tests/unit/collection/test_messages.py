# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The guide says what to do about each failure; it quotes messages that the code really has."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import PLUGINS, ROOT

GUIDES = [
    (ROOT / "docs/docsite/rst" / name).read_text(encoding="utf-8")
    for name in ("deposits.rst", "failures.rst")
]
QUOTED = [quoted for guide in GUIDES for quoted in re.findall(r'(?m)^"(.+)"$', guide)]
# What is wrong with an option, or with what a server answered, its message says by itself.
EXPLAINED = {
    *("AuthenticationError", "BusyError", "ChainRejectedError", "ConflictError", "NotFoundError"),
    *("NotListedError", "PocPhaseError", "UnknownStateError", "UnsafeError", "WaitTimeoutError"),
}
# no run of a play can meet it
OURS = ("refused to write to the ledger in check mode",)


def text_of(node: ast.AST) -> str | None:
    """A text, with ``...`` for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values
        )
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def trees() -> list[ast.Module]:
    paths = sorted((PLUGINS / "module_utils").rglob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


def texts() -> list[str]:
    found = [text_of(node) for tree in trees() for node in ast.walk(tree)]
    tasks = sorted((ROOT / "roles").rglob("tasks/**/*.yml"))
    of_roles = [" ".join(path.read_text(encoding="utf-8").split()) for path in tasks]
    return [text for text in (*found, *of_roles) if text is not None]


def failures() -> list[str]:
    """The messages of failures after which somebody has to do something."""
    calls = [node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [
        text_of(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in EXPLAINED and call.args
    ]
    # one that only passes on what a server said has nothing to look for
    return sorted({text for text in found if text and re.search(r"[a-z]{3}", text)})


def pattern_of(message: str) -> re.Pattern[str]:
    pieces = [re.escape(piece.strip()) for piece in message.split("...") if piece.strip()]
    return re.compile(".*".join(pieces), re.DOTALL)


TEXTS = texts()


def test_the_guide_quotes_messages() -> None:
    assert len(QUOTED) > 20


@pytest.mark.parametrize("message", QUOTED)
def test_each_quoted_message_is_in_the_code(message: str) -> None:
    pattern = pattern_of(message)
    assert any(pattern.search(text) for text in TEXTS), message


def test_each_failure_has_an_entry() -> None:
    patterns = [pattern_of(message) for message in QUOTED]
    left = [text for text in failures() if not any(one.search(text) for one in patterns)]
    assert [text for text in left if not text.startswith(OURS)] == []
