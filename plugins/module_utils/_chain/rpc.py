# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Client for a node's CometBFT RPC, over which ``inferenced`` asks and signs."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from .._core.decoding import expect_json_object
from .._core.errors import ConfigurationError, DevshardError, ProtocolError
from .._core.exchange import Request
from .._core.transport import base_url
from .node import is_rest, judge_node, node_of_rpc, swapped_text
from .node_api import date_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.exchange import Transport
    from .node import Node


class ChainRpc:
    """Reads what the node says of itself."""

    def __init__(
        self,
        transport: Transport,
        *,
        url: str,
        chain_id: str,
        max_block_age: float,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._http = transport
        self._url = base_url(url, "devshard_chain_rpc (chain_rpc)")
        self._chain_id = chain_id
        self._max_age = max_block_age
        self._now = now

    def _ask(self, path: str) -> tuple[dict[str, t.Any], datetime | None]:
        request = Request(method="GET", url=self._url + path)
        answer = self._http.send(request)
        return expect_json_object(request, answer), date_of(answer)

    def signing_node(self) -> Node:
        """The node, if a transaction may be signed over it now; otherwise an error that says why."""
        try:
            node = node_of_rpc(self._url, *self._ask("/status"))
        except ProtocolError as exc:
            if self._rpc_is_rest():
                raise ConfigurationError(swapped_text("devshard_chain_rpc", self._url)) from exc
            raise
        faults = judge_node(
            node,
            chain_id=self._chain_id,
            now=self._now(),
            max_block_age=self._max_age,
            sign=True,
        )
        if faults:
            raise faults[0].error()
        return node

    def _rpc_is_rest(self) -> bool:
        try:
            return is_rest(self._ask("/cosmos/base/tendermint/v1beta1/blocks/latest")[0])
        except DevshardError:
            return False
