# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.limits import MAX_BLOCK_AGE
from ansible_collections.gonka.devshard.plugins.module_utils._chain.node import (
    MAX_CLOCK_LAG,
    Node,
    NodeProblem,
    is_rest,
    is_rpc,
    judge_node,
    node_of_rest,
    node_of_rpc,
    swapped_text,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import body

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def node(**changes: t.Any) -> Node:
    values: dict[str, t.Any] = {
        "url": "https://node.example.org",
        "chain_id": "gonka",
        "height": 100,
        "time": NOW,
        "catching_up": False,
        "indexed": True,
        "first_block": 1,
        **changes,
    }
    return Node(**values)


def problems(found: Node, **options: t.Any) -> list[NodeProblem]:
    values: dict[str, t.Any] = {"chain_id": "gonka", "now": NOW, "sign": True, **options}
    return [fault.problem for fault in judge_node(found, **values)]


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        ({}, {}, []),
        ({"chain_id": "other"}, {}, [NodeProblem.OTHER_CHAIN]),
        ({"catching_up": True}, {}, [NodeProblem.SYNCING]),
        ({"time": NOW - timedelta(seconds=MAX_BLOCK_AGE)}, {}, []),
        ({"time": NOW - timedelta(seconds=MAX_BLOCK_AGE + 1)}, {}, [NodeProblem.STALE]),
        ({"time": NOW + timedelta(seconds=MAX_CLOCK_LAG)}, {}, []),
        ({"time": NOW + timedelta(seconds=MAX_CLOCK_LAG + 1)}, {}, [NodeProblem.CLOCK_BEHIND]),
        ({"time": NOW + timedelta(days=1)}, {"sign": False}, []),
        ({"clock": NOW - timedelta(seconds=MAX_CLOCK_LAG)}, {}, []),
        ({"clock": NOW - timedelta(seconds=MAX_CLOCK_LAG + 1)}, {}, [NodeProblem.CLOCK_AHEAD]),
        ({"clock": NOW - timedelta(days=1)}, {"sign": False}, []),
        # a block is as old as the pace of the chain makes it
        ({"clock": NOW, "time": NOW - timedelta(seconds=90)}, {}, []),
        ({"indexed": False}, {}, [NodeProblem.NO_INDEX]),
        ({"indexed": False}, {"sign": False}, []),
        ({"indexed": None}, {}, []),
        ({"first_block": 60}, {"seen_height": 59}, [NodeProblem.BEGAN_LATER]),
        ({"first_block": 60}, {"seen_height": 60}, []),
        (
            {"indexed": False, "time": NOW + timedelta(hours=1)},
            {},
            [NodeProblem.CLOCK_BEHIND, NodeProblem.NO_INDEX],
        ),
    ],
)
def test_what_is_wrong_with_a_node(
    changes: dict[str, t.Any], options: dict[str, t.Any], expected: list[NodeProblem]
) -> None:
    assert problems(node(**changes), **options) == expected


def test_the_offset_of_the_clock_is_named() -> None:
    (fault,) = judge_node(
        node(time=NOW + timedelta(seconds=900)), chain_id="gonka", now=NOW, sign=True
    )
    assert "clock is 900 s behind the chain" in fault.text
    assert "timedatectl" in fault.text
    assert isinstance(fault.error(), UnknownStateError)


def test_another_chain_is_an_error_of_the_configuration() -> None:
    (fault,) = judge_node(node(chain_id="other"), chain_id="gonka", now=NOW)
    assert isinstance(fault.error(), ConfigurationError)


STATUS: dict[str, t.Any] = {
    "result": {
        "node_info": {"network": "gonka", "other": {"tx_index": "on"}},
        "sync_info": {
            "latest_block_height": "100",
            "latest_block_time": "2026-01-02T03:04:05Z",
            "earliest_block_height": "40",
            "catching_up": False,
        },
    }
}


def test_both_interfaces_are_read() -> None:
    rpc = node_of_rpc("https://node.example.org", STATUS)
    assert rpc == node(first_block=40)
    rest = node_of_rest(
        "https://node.example.org",
        body("latest_block"),
        syncing={"syncing": True},
        node_info={"default_node_info": {"other": {"tx_index": "off"}}},
    )
    assert (rest.chain_id, rest.height, rest.catching_up, rest.indexed, rest.first_block) == (
        "gonka-rig",
        4710592,
        True,
        False,
        None,
    )
    with pytest.raises(ProtocolError):
        node_of_rpc("https://node.example.org", {"code": 12, "message": "Not Implemented"})


def test_swapped_interfaces_are_recognised() -> None:
    assert is_rpc(STATUS)
    assert not is_rpc(body("latest_block"))
    assert is_rest(body("latest_block"))
    assert not is_rest(STATUS)
    assert not is_rest("404 page not found")
    assert swapped_text("devshard_chain_rest", "http://x") == (
        "http://x is a CometBFT RPC, and devshard_chain_rest must be the URL of the REST interface"
    )
    assert swapped_text("devshard_chain_rpc", "http://x") == (
        "http://x is the chain's REST interface, and devshard_chain_rpc must be the URL of the RPC"
    )
