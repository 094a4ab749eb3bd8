# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what is wrong with a JMESPath expression before it is used."""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Iterator, Mapping

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.gonka.devshard.plugins.module_utils._status.keys import KEYS, NESTED
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.query import JMESPATH_ERROR

if JMESPATH_ERROR is None:
    import jmespath

# what comes before the rest decides where the rest looks
_STEPS: t.Final = frozenset(
    {
        "subexpression",
        "index_expression",
        "projection",
        "filter_projection",
        "value_projection",
        "flatten",
        "pipe",
    }
)
Node = Mapping[str, t.Any]


def _fields(node: Node, *, top: bool) -> Iterator[tuple[str, bool]]:
    """Every key that the expression names, and whether it is looked for at the top."""
    kind, children = node["type"], node.get("children", ())
    if kind == "field":
        yield str(node["value"]), top
    for place, child in enumerate(children):
        below = (kind in _STEPS and place > 0) or kind == "expref"
        yield from _fields(child, top=top and not below)


def _aliases(node: Node) -> Iterator[str]:
    if node["type"] == "key_val_pair":
        yield str(node["value"])
    for child in node.get("children", ()):
        yield from _aliases(child)


def _keys(value: object) -> Iterator[str]:
    """All keys at any depth, such as the names of a gateway's settings."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys(item)


def query_problem(data: object, expression: object, name: str = "status_query") -> str:
    """Return one sentence about what is wrong, or an empty text."""
    text = str(expression)
    if not text:
        return ""
    if JMESPATH_ERROR is not None:
        return f"{name}: {missing_required_lib('jmespath')}"
    try:
        tree = jmespath.compile(text).parsed
    except jmespath.exceptions.JMESPathError as exc:
        reason = " ".join(str(exc).split("\n", maxsplit=1)[0].split())
        return f"{name} '{text}' is not a JMESPath expression: {reason}"
    known = {*NESTED, *KEYS, *_keys(data), *_aliases(tree)}
    for field, top in _fields(tree, top=True):
        allowed = set(KEYS) if top else known
        if field in allowed:
            continue
        close = difflib.get_close_matches(field, sorted(allowed), 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        return (
            f"{name} '{text}': there is no key {field}.{hint} The keys at the top are"
            f" {', '.join(KEYS)}; the guide 'What your gateways are doing' lists those below them"
        )
    return ""
