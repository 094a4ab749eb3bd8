# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Hosts that may be one machine are worked on one after another."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.gonka.devshard.plugins.lookup.hosts_at_once import LookupModule
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)

# What several gateways of one machine may do at the same time, and why.
AT_ONCE = {
    "Back the gateways up": "each reads and copies its own files",
    "Check hosts, chain, allowlist and funds": "reads only",
    "Check the settings before anything is touched": "runs on the controller",
    "Compare the hosts with the settings": "reads only",
    "Compare the hosts with the settings after the takeover": "reads only",
    "Inspect the gateways that were made by hand": "reads, and copies the files of its own gateway",
    "Make new keys": "each writes its own file, and the swap after it takes turns",
    "Report the keys": "reads only",
    "Send a request as a client does, and sum up": "reads only",
    "Show the state of the gateways": "reads only",
}


def at_once(hosts: dict[str, dict[str, t.Any]], *terms: str) -> list[int]:
    return LookupModule().run(list(terms), {"hostvars": hosts, "groups": {"all": list(hosts)}})


@pytest.mark.parametrize(
    ("hosts", "number"),
    [
        ({}, 0),
        ({"one": {}, "two": {"devshard_instance": ""}}, 0),
        ({"one": {}, "two": {"devshard_instance": "blue"}}, 1),
    ],
)
def test_a_named_gateway_makes_the_hosts_take_turns(
    hosts: dict[str, dict[str, t.Any]], number: int
) -> None:
    assert at_once(hosts) == [number]


def test_a_term_is_refused() -> None:
    with pytest.raises(AnsibleLookupError, match="takes no terms"):
        at_once({}, "devshard_gateways")


def test_each_play_that_changes_what_a_machine_shares_takes_turns() -> None:
    plays = [
        play
        for path in sorted((ROOT / "playbooks").glob("*.yml"))
        for play in read_yaml(path)
        if "hosts" in play
    ]
    turns = "{{ lookup('gonka.devshard.hosts_at_once') }}"
    free = [
        play["name"] for play in plays if play.get("throttle") != turns and "serial" not in play
    ]
    assert sorted(free) == sorted(AT_ONCE)
