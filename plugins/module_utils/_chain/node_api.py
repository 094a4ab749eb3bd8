# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a node of the chain says of itself: its newest block, its release, what it can look up."""

from __future__ import annotations

import email.utils
import functools
import re
import typing as t
from dataclasses import replace
from datetime import datetime, timezone

from .._core.decoding import expect_json_object
from .._core.errors import (
    ConfigurationError,
    DevshardError,
    ProtocolError,
    TransportError,
)
from .._core.exchange import Request
from .._core.reader import Reader, parse_time
from .._core.transport import base_url
from .models import ChainHead
from .node import NodeProblem, is_rpc, judge_clock, judge_node, node_of_rest, swapped_text
from .releases import Release, UpgradePlan

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.exchange import Response, Transport
    from .node import Node, NodeFault

_PACE_BLOCKS: t.Final = (100, 20, 4)
_NOT_SERVED: t.Final = frozenset({403, 404, 405, 501})
"""What a node answers for a query that it does not have, and a proxy for a path that it closes."""


def date_of(answer: Response) -> datetime | None:
    """When a server answered, by its own clock; None where it does not say it."""
    try:
        found = email.utils.parsedate_to_datetime(answer.headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


class NodeApi:
    """The node, as far as it does not concern escrows."""

    def __init__(
        self,
        transport: Transport,
        *,
        rest: str,
        public_api: str,
        chain_id: str,
        max_block_age: float,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        rpc: str | None = None,
    ) -> None:
        self._http = transport
        self._rest = base_url(rest, "devshard_chain_rest (chain_rest)")
        self._public = base_url(public_api, "devshard_public_api (public_api)")
        self._chain_id = chain_id
        self._max_age = max_block_age
        self._now = now
        self._rpc = None if rpc is None else base_url(rpc, "devshard_chain_rpc (chain_rpc)")

    def _ask(self, base: str, path: str) -> Reader:
        request = Request(method="GET", url=base + path)
        return Reader(expect_json_object(request, self._http.send(request)), path)

    def _ask_newer(self, path: str) -> Reader | None:
        """None where the node has no such query: an older chain, or one that does not route it."""
        try:
            return self._ask(self._rest, path)
        except ProtocolError as exc:
            if exc.details.get("http_status") in _NOT_SERVED:
                return None
            raise

    # the node

    @functools.cached_property
    def release(self) -> Release | None:
        """What the node runs, asked once; None where it does not say it.

        Only the order of questions depends on it, so a node without these answers can be used.
        """
        told = self._version_of(self._rest, "/cosmos/base/tendermint/v1beta1/node_info")
        if told is None and self._rpc is not None:
            told = self._version_of(self._rpc, "/abci_info")
        return told

    def _version_of(self, base: str, path: str) -> Release | None:
        try:
            body = self._ask(base, path)
            found = (
                body.child("application_version")
                if base == self._rest
                else body.child("result").child("response")
            )
            return Release.parse(found.text("version"))
        except (TransportError, ProtocolError):
            return None

    def upgrade_plan(self) -> UpgradePlan | None:
        """The upgrade that is scheduled; None where there is none, or the node has no such query."""
        body = self._ask_newer("/cosmos/upgrade/v1beta1/current_plan")
        if body is None or not body.has("plan"):
            return None
        plan = body.child("plan")
        return UpgradePlan(name=plan.text("name", ""), height=plan.whole("height"))

    def head(self) -> ChainHead:
        """The newest block; refuses another chain, a node that catches up, and an old block."""
        return self._head(sign=False)

    def signing_head(self) -> ChainHead:
        """The same, before something is signed: the clock and the node's index count too."""
        return self._head(sign=True)

    def _head(self, *, sign: bool) -> ChainHead:
        url = self._rest
        try:
            block, clock = self._latest_dated()
        except ProtocolError as exc:
            if self._rest_is_rpc():
                raise ConfigurationError(swapped_text("devshard_chain_rest", url)) from exc
            raise
        node = node_of_rest(url, block.raw(), clock=clock)
        faults = self._faults(node)
        if not faults or faults[0].problem is not NodeProblem.OTHER_CHAIN:
            syncing = self._ask(url, "/cosmos/base/tendermint/v1beta1/syncing").flag("syncing")
            node = replace(node, catching_up=syncing)
            if sign:
                node = replace(node, indexed=self.tx_indexer_on())
            faults = self._faults(node, sign=sign)
        if faults:
            raise faults[0].error()
        return ChainHead(
            height=node.height,
            time=node.time,
            chain_id=node.chain_id,
            catching_up=node.catching_up is True,
            clock=clock,
        )

    def clock_fault(self, head: ChainHead) -> str | None:
        """Why this host can sign nothing now, by a block that was just read."""
        fault = judge_clock(head.time, head.clock, self._now())
        return None if fault is None else fault.text

    def clock_offset(self, head: ChainHead) -> int | None:
        """Seconds by which this host's clock is ahead of the node's; None where it names no time."""
        return None if head.clock is None else int((self._now() - head.clock).total_seconds())

    def _faults(self, node: Node, *, sign: bool = False) -> tuple[NodeFault, ...]:
        return judge_node(
            node,
            chain_id=self._chain_id,
            now=self._now(),
            max_block_age=self._max_age,
            sign=sign,
        )

    def _rest_is_rpc(self) -> bool:
        request = Request(method="GET", url=self._rest + "/status")
        try:
            return is_rpc(expect_json_object(request, self._http.send(request)))
        except DevshardError:
            return False

    def _latest_dated(self) -> tuple[Reader, datetime | None]:
        """The newest block, and when the server answered."""
        path = "/cosmos/base/tendermint/v1beta1/blocks/latest"
        request = Request(method="GET", url=self._rest + path)
        answer = self._http.send(request)
        return Reader(expect_json_object(request, answer), path), date_of(answer)

    def _block(self, height: str) -> Reader:
        body = self._ask(self._rest, f"/cosmos/base/tendermint/v1beta1/blocks/{height}")
        return body.child("block").child("header")

    def block_seconds(self) -> float | None:
        """Seconds from block to block, measured over the last blocks; None if it has no old ones."""
        last = self._block("latest")
        height = last.whole("height")
        for back in _PACE_BLOCKS:
            if back >= height:
                continue
            try:
                first = self._block(str(height - back))
            except ProtocolError:
                # a node that began later, pruned them, or does not serve old blocks
                continue
            span = parse_time(last.text("time")) - parse_time(first.text("time"))
            return round(span.total_seconds() / back, 3)
        return None

    def begins_after(self, height: int) -> int | None:
        """The node's first block if it has pruned the requested one, otherwise None.

        A node that started from a snapshot has never indexed anything before its first block.
        """
        try:
            self._block(str(height))
        except ProtocolError as exc:
            text = str(exc.details.get("server_message", ""))
            found = re.search(r"lowest height is ([0-9]+)", text)
            return int(found[1]) if found else None
        return None

    def tx_indexer_on(self) -> bool:
        """Whether this node can find transactions at all; otherwise "not found" proves nothing."""
        node = self._ask(self._rest, "/cosmos/base/tendermint/v1beta1/node_info")
        other = node.child("default_node_info").child("other")
        return other.text("tx_index", "") == "on"
