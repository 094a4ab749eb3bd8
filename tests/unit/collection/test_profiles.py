# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What differs between gateway generations stands in `_gateway/profiles/` and nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles.v2 import PROFILE
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    PLUGINS,
    ROOT,
    parse,
)

# Spellings of the generations; see the tables of the contract. Those of v2 come from its profile,
# so that one that is added there is looked for at once.
SPELLINGS = sorted(
    {
        *(PROFILE.chain_address_variable, PROFILE.tx_query_variable or ""),
        *(PROFILE.host_session_prefix, PROFILE.default_image, str(PROFILE.nonce_limit)),
        *(PROFILE.storage_dir, PROFILE.health_command[-1]),
        *("DEVSHARD_CHAIN_GRPC", "CHAIN_GRPC_TLS", "NODE_GRPC_URL", "chain_grpc"),
        *("DEVSHARD_ROUTE_PREFIX", "route_prefix", "/devshard/v"),
        *("protocol_version", "session_version", "/v1/debug/inferences", "/v1/debug/memstats"),
        *("mainnet-v0.2.13", "/activate", "settlement_pending"),
    }
    - {""}
)
DOC_NAMES = ("DOCUMENTATION", "EXAMPLES", "RETURN")
PYTHON = [
    path
    for path in sorted(PLUGINS.rglob("*.py"))
    # what a gateway answers is read by the names of all generations, into words of our own
    if path != PLUGINS / "module_utils/_gateway/models.py"
    and not {"profiles", "doc_fragments"} & set(path.relative_to(ROOT).parts)
]
ROLE_FILES = sorted(
    path
    for folder in ("tasks", "templates", "vars", "handlers")
    for path in ROOT.glob(f"roles/*/{folder}/**/*")
    # what a generation is called does not matter to the roles that install programs
    if path.is_file() and not {"docker_engine", "inferenced"} & set(path.relative_to(ROOT).parts)
)


def strings(path: Path) -> list[str]:
    """The text in a program, without its documentation."""
    tree = parse(path)
    documentation = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            documentation.add(id(body[0].value))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in DOC_NAMES:
            documentation.add(id(node.value))
    return [
        str(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (str, int))
        and id(node) not in documentation
    ]


def spelled(text: str) -> list[str]:
    return [s for s in SPELLINGS if re.search(rf"(?<![A-Za-z_]){re.escape(s)}", text)]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_program_spells_no_generation(path: Path) -> None:
    assert [found for text in strings(path) for found in spelled(text)] == []


@pytest.mark.parametrize("path", ROLE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_role_spells_no_generation(path: Path) -> None:
    assert spelled(path.read_text()) == []


def test_the_search_finds_what_it_looks_for() -> None:
    text = " ".join(strings(PLUGINS / "module_utils/_gateway/profiles/v2.py"))
    assert {"DEVSHARD_CHAIN_REST", "19800", "/v1/devshard"} <= set(spelled(text))


def bound_fields() -> set[str]:
    """What is known of a generation only when its protocol is."""
    generation = profiles.generation("v3")
    known = generation.bound("protocol").to_result()
    return {name for name, value in generation.to_result().items() if known[name] != value}


def test_the_tag_and_the_route_follow_from_the_protocol() -> None:
    assert bound_fields() == {"settlement_tag", "route", "host_session_prefix"}


@pytest.mark.parametrize("path", ROLE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_follows_from_the_protocol_is_never_asked_of_a_generation_alone(path: Path) -> None:
    unbound = re.findall(r"gonka\.devshard\.profile\)+\.(\w+)", path.read_text())
    assert bound_fields() & set(unbound) == set()
