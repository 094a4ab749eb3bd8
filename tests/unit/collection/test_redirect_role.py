# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The kill switch works in any state of the gateway, and shows its key to nothing else."""

from __future__ import annotations

import typing as t

import pytest
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)

TASKS = ROOT / "roles/redirect/tasks"
CONTAINER = {"kind": "container", "text": "container plain-gateway"}


def left(*, swap: bool, owner: Data | None, proved: bool) -> str:
    """Why the gateway itself is not touched, as the role decides it."""
    task = read_yaml(TASKS / "preflight.yml")[-1]
    text = "taken by container plain-gateway"
    presence: Data = {
        "swap": {"open": swap},
        "gateway_proved": proved,
        "ports": [{"name": "gateway", "port": 18080, "owner": owner, "text": text}],
    }
    environment = NativeEnvironment()
    expression = task["vars"]["__redirect_port"].strip().removeprefix("{{").removesuffix("}}")
    port = environment.compile_expression(expression)(devshard_presence=presence)
    template = environment.from_string(task["ansible.builtin.set_fact"]["__redirect_left"])
    return str(template.render(devshard_presence=presence, __redirect_port=port) or "").strip()


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"swap": False, "owner": CONTAINER, "proved": True}, ""),
        # the gateway is down, which its own refusal says
        ({"swap": False, "owner": None, "proved": False}, ""),
        (
            {"swap": False, "owner": CONTAINER, "proved": False},
            "port 18080 is taken by container plain-gateway",
        ),
        (
            {"swap": True, "owner": CONTAINER, "proved": True},
            "a hot swap is open, which needs the gateway enabled",
        ),
    ],
)
def test_when_the_gateway_itself_is_left_alone(seen: dict[str, t.Any], words: str) -> None:
    assert left(**seen) == words


@pytest.mark.parametrize("file", ["enable.yml", "disable.yml"])
def test_nothing_asks_the_gateway_before_that_is_decided(file: str) -> None:
    def unguarded(items: list[Data], guarded: bool) -> t.Iterator[str]:
        for item in items:
            mine = guarded or "__redirect_left" in str(item.get("when", ""))
            if "ansible.builtin.assert" in item and "__redirect_left" in str(item):
                guarded = True
            yield from unguarded(item.get("block", []), mine)
            if any(key.startswith("gonka.devshard.gateway") for key in item) and not mine:
                yield item["name"]

    assert list(unguarded(read_yaml(TASKS / file), False)) == []
