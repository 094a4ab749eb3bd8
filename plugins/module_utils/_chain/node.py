# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a node of the chain can be used. Pure: the modules and the preflight filter both use
it."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.errors import ConfigurationError, DevshardError, ProtocolError, UnknownStateError
from .._core.reader import Reader, parse_time
from .limits import MAX_BLOCK_AGE

MAX_CLOCK_LAG: t.Final = 30
"""Seconds by which a host's clock may be behind the newest block, or ahead of its node's clock.

A transaction gets its end of lifetime from the host's clock and meets the chain's. A clock behind
takes every second from the lifetime, and the shortest lifetime still bears this many. By a clock
ahead it lives longer than the chain allows: 10 minutes, of which a gateway uses nine.
"""


class NodeProblem(enum.Enum):
    OTHER_CHAIN = "other chain"
    SYNCING = "syncing"
    STALE = "stale"
    CLOCK_BEHIND = "clock behind"
    CLOCK_AHEAD = "clock ahead"
    NO_INDEX = "no index"
    BEGAN_LATER = "began later"


class NodeFault(t.NamedTuple):
    """One reason why a node, or this host's clock, cannot be used; ``text`` is for the user."""

    problem: NodeProblem
    text: str
    details: dict[str, t.Any]

    def error(self) -> DevshardError:
        kind = ConfigurationError if self.problem is NodeProblem.OTHER_CHAIN else UnknownStateError
        return kind(self.text, **self.details)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """What one node reports about itself. None means not requested, or not answered."""

    url: str
    chain_id: str
    height: int
    time: datetime
    catching_up: bool | None = None
    indexed: bool | None = None
    """Whether its index of transactions is on."""
    first_block: int | None = None
    clock: datetime | None = None
    """That of the server which answered. Unlike a block, it is not older than its answer."""


def judge_node(
    node: Node,
    *,
    chain_id: str,
    now: datetime,
    max_block_age: float = MAX_BLOCK_AGE,
    sign: bool = False,
    seen_height: int | None = None,
) -> tuple[NodeFault, ...]:
    """Every reason against using a node, the gravest first; empty means that it can be used.

    ``sign`` also requires what a new transaction needs: a clock that is not behind the chain, and
    an index that will show its outcome. ``seen_height`` is the oldest block that matters.
    """
    if node.chain_id != chain_id:
        text = (
            f"{node.url} serves chain {node.chain_id}, but {chain_id} is expected"
            " (devshard_chain_id)"
        )
        return (NodeFault(NodeProblem.OTHER_CHAIN, text, {"chain_id": node.chain_id}),)
    found: list[NodeFault] = []
    age = int((now - node.time).total_seconds())
    syncing = node.catching_up is True
    if syncing or (now - node.time).total_seconds() > max_block_age:
        text = (
            f"the node at {node.url} is behind: its newest block {node.height} is {age} seconds old"
            f" (the limit is {int(max_block_age)})"
            f"{', and it is still catching up' if syncing else ''}. Use another node, and check "
            f"this host's"
            " clock"
        )
        problem = NodeProblem.SYNCING if syncing else NodeProblem.STALE
        details = {"height": node.height, "age": age, "catching_up": syncing}
        found.append(NodeFault(problem, text, details))
    if sign and (fault := judge_clock(node.time, node.clock, now)) is not None:
        found.append(fault._replace(details={"height": node.height, **fault.details}))
    if sign and node.indexed is False:
        text = (
            f"the node at {node.url} keeps no index of transactions (tx_index is not on), so it "
            f"cannot show the outcome of a transaction. Use a node whose indexer is on"
        )
        found.append(NodeFault(NodeProblem.NO_INDEX, text, {}))
    first = node.first_block
    if first is not None and seen_height is not None and first > seen_height:
        text = (
            f"the node at {node.url} has no block before {first}, and block"
            f" {seen_height} is needed. Use a node with older blocks"
        )
        details = {"first_block": first, "seen_height": seen_height}
        found.append(NodeFault(NodeProblem.BEGAN_LATER, text, details))
    return tuple(found)


def judge_clock(block: datetime, server: datetime | None, now: datetime) -> NodeFault | None:
    """Why this host must not sign: the chain's newest block is in its future, or it is in the future
    of the node."""
    behind = int((block - now).total_seconds())
    if behind > MAX_CLOCK_LAG:
        return NodeFault(
            NodeProblem.CLOCK_BEHIND,
            f"this host's clock is {behind} s behind the chain, so no transaction is signed: the"
            f" chain would see it only after its lifetime. {_SET_CLOCK}",
            {"clock_behind": behind},
        )
    ahead = 0 if server is None else int((now - server).total_seconds())
    if ahead > MAX_CLOCK_LAG:
        return NodeFault(
            NodeProblem.CLOCK_AHEAD,
            f"this host's clock is {ahead} s ahead of its node's, so no transaction is signed: the"
            f" chain would refuse it, since it would live too long. {_SET_CLOCK}",
            {"clock_ahead": ahead},
        )
    return None


_SET_CLOCK: t.Final = "Correct the clock (timedatectl set-ntp true) and run this again"


# what the interfaces answer


def node_of_rest(
    url: str,
    latest_block: object,
    *,
    syncing: object = None,
    node_info: object = None,
    clock: datetime | None = None,
) -> Node:
    """From ``blocks/latest``, ``syncing`` and ``node_info`` of the chain's REST interface."""
    header = Reader(latest_block, "blocks/latest").child("block").child("header")
    return Node(
        url=url,
        chain_id=header.text("chain_id"),
        height=header.whole("height"),
        time=parse_time(header.text("time")),
        catching_up=None if syncing is None else Reader(syncing, "syncing").flag("syncing"),
        indexed=None
        if node_info is None
        else _index_on(Reader(node_info, "node_info").child("default_node_info")),
        clock=clock,
    )


def node_of_rpc(url: str, status: object, clock: datetime | None = None) -> Node:
    """From ``/status`` of a CometBFT RPC."""
    result = Reader(status, "/status").child("result")
    sync = result.child("sync_info")
    info = result.child("node_info")
    return Node(
        url=url,
        chain_id=info.text("network"),
        height=sync.whole("latest_block_height"),
        time=parse_time(sync.text("latest_block_time")),
        catching_up=sync.flag("catching_up"),
        indexed=_index_on(info),
        first_block=sync.whole("earliest_block_height")
        if sync.has("earliest_block_height")
        else None,
        clock=clock,
    )


def _index_on(info: Reader) -> bool:
    return info.child("other").text("tx_index", "") == "on"


def is_rpc(status_answer: object) -> bool:
    """Whether what a URL answered at ``/status`` shows that it is a CometBFT RPC."""
    try:
        node_of_rpc("", status_answer)
    except ProtocolError:
        return False
    return True


def is_rest(latest_block_answer: object) -> bool:
    """Whether what a URL answered at ``blocks/latest`` shows that it is the REST interface."""
    try:
        node_of_rest("", latest_block_answer)
    except ProtocolError:
        return False
    return True


def swapped_text(variable: str, url: str) -> str:
    """What to say of a URL that is the other interface of the chain."""
    if variable.endswith("rest"):
        return f"{url} is a CometBFT RPC, and {variable} must be the URL of the REST interface"
    return f"{url} is the chain's REST interface, and {variable} must be the URL of the RPC"
