# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The guide says what to do about each failure; it quotes messages that the code really has."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import PLUGINS, ROOT

GUIDE = (ROOT / "docs/docsite/rst/deposits.rst").read_text(encoding="utf-8")
QUOTED = re.findall(r'(?m)^"(.+)"$', GUIDE)


def texts() -> list[str]:
    """Every text in the module utilities, with ``...`` for what is filled in."""
    found = []
    for path in sorted((PLUGINS / "module_utils").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else "..."
                    for part in node.values
                ]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


TEXTS = texts()


def test_the_guide_quotes_messages() -> None:
    assert len(QUOTED) > 20


@pytest.mark.parametrize("message", QUOTED)
def test_each_quoted_message_is_in_the_code(message: str) -> None:
    pieces = [re.escape(piece.strip()) for piece in message.split("...") if piece.strip()]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    assert any(pattern.search(text) for text in TEXTS), message
