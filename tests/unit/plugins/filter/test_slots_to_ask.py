# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The admin key goes to nothing but what is proved to be ours, or to a port that no program has."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.slots_to_ask import (
    slots_to_ask,
)


def presence(state: str = "foreign", **more: t.Any) -> dict[str, t.Any]:
    ports = [{"name": "temp", "state": "free"}, {"name": "gateway", "state": state}]
    return {
        "ports": ports,
        "gateway_proved": False,
        "temp": {"running": False, "ours": None},
        **more,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, []),
        (presence(), []),
        (presence("unknown"), []),
        (presence("ours"), []),
        (presence("free"), ["main"]),
        (presence(gateway_proved=True), ["main"]),
        (presence(temp={"running": True, "ours": True}), ["temp"]),
        (presence(temp={"running": True, "ours": None}), []),
        (presence(temp={"running": True, "ours": False}), []),
        (presence(temp={"running": False, "ours": True}), []),
        (presence(temp={"running": True}), []),
        (presence("free", temp={"running": True, "ours": True}), ["main", "temp"]),
    ],
)
def test_who_is_asked(found: dict[str, t.Any], expected: list[str]) -> None:
    other = {"main": "temp", "temp": "main"}
    assert slots_to_ask(found) == expected
    assert slots_to_ask(found, "temp") == [other[slot] for slot in expected]


@pytest.mark.parametrize(("found", "slot"), [(None, "main"), ([], "main"), ({}, "other")])
def test_what_cannot_be_answered(found: t.Any, slot: str) -> None:
    with pytest.raises(AnsibleFilterError, match="slots_to_ask"):
        slots_to_ask(found, slot)
