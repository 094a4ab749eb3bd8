# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Messages speak of what the user wrote: variables of roles, and text instead of Python's."""

from __future__ import annotations

import ast
import functools
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    parse,
)
from ansible_collections.gonka.devshard.tests.unit.collection.role_options import (
    fed_options,
    variables,
)
from ansible_collections.gonka.devshard.tests.unit.collection.user_texts import PYTHON, messages

FILES = [path for path in PYTHON if path.parent.name not in ("doc_fragments", "lookup")]
FED = fed_options()
# One of one word is a common word as well.
OPTION = re.compile(
    rf"(?<![\w.])({'|'.join(sorted(name for name in FED if '_' in name))})(?![\w(])"
)
# What names the variable first may add the option, for those who use the module itself.
NAMED = re.compile(r"([a-z]+(?:_[a-z]+)+)(?:: \w+)? \($")


def bare(text: str) -> list[str]:
    """The options in a text that the user did not write."""
    found = []
    for match in OPTION.finditer(text):
        before = NAMED.search(text[: match.start()])
        variable = before is not None and before[1] in variables_of_users()
        if not (variable and text[match.end() :].startswith(")")):
            found.append(match[1])
    return found


@functools.cache
def variables_of_users() -> frozenset[str]:
    return variables()


def test_the_options_that_variables_feed_are_known() -> None:
    assert FED["max_creates_per_run"] == {"escrow_max_creates_per_run"}
    assert FED["chain_id"] == {"devshard_chain_id"}
    assert {"escrow_fee_amount", "settlement_fee_amount"} <= FED["fee_amount"]
    names = ("public_url", "env_file", "min_blocks", "chain_rest", "public_api", "key_name")
    assert set(names) <= set(FED)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("max_creates_per_run is 4", ["max_creates_per_run"]),
        ("escrow_max_creates_per_run (max_creates_per_run) is 4", []),
        ("escrow_max_creates_per_run is 4", []),
        ("the limit (max_creates_per_run) is 4", ["max_creates_per_run"]),
    ],
)
def test_a_bare_option_is_found(text: str, found: list[str]) -> None:
    assert bare(text) == found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_messages_name_the_variables_of_the_roles(path: Path) -> None:
    found = [f"{line}: {name}: {text}" for line, text in messages(path) for name in bare(text)]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_no_message_shows_what_python_makes_of_a_value(path: Path) -> None:
    tree = parse(path)
    shown: list[t.Any] = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.FormattedValue) and node.conversion == ord("r"))
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "repr")
    ]
    assert [f"{path.name}:{node.lineno}" for node in shown] == []


# what is said of everything: a module knows only what it did itself
SWEEPING = re.compile(r"nothing (was|has been|is) (changed|done|touched|written)", re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_module_does_not_speak_for_the_whole_play(path: Path) -> None:
    found = [f"{line}: {text}" for line, text in messages(path) if SWEEPING.search(text)]
    # the rule may be asked by any playbook; it is the first task of each
    allowed = (
        path.name == "settle_table.py"
        or path.match("_presence/rules.py")
        # it knows the journal of the whole swap
        or path.match("_swap/aftermath.py")
    )
    assert allowed or found == []
