# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Client for the chain's REST interface and the network's public API (contract chain.md)."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from urllib.parse import quote

from .._core.decoding import expect_json_object
from .._core.errors import (
    ConfigurationError,
    DevshardError,
    NotFoundError,
    ProtocolError,
    TransportError,
    UnknownStateError,
)
from .._core.exchange import Request
from .._core.reader import Reader, parse_time
from .._core.transport import base_url
from .models import (
    Account,
    BroadcastReply,
    ChainHead,
    CreatedEvent,
    Epoch,
    Escrow,
    EscrowParams,
    SettledEvent,
    TxResult,
    active_models_of,
    listed_versions,
    stored_versions,
)
from .node import NodeProblem, clock_behind, is_rpc, judge_node, node_of_rest, swapped_text
from .releases import Release, UpgradePlan, judge_approved

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.exchange import Transport
    from .node import Node, NodeFault

_INFERENCE: t.Final = "/productscience/inference/inference"
_TXS: t.Final = "/cosmos/tx/v1beta1/txs"
_PAGE: t.Final = 100
_MAX_PAGES: t.Final = 50
_PACE_BLOCKS: t.Final = (100, 20, 4)
DENOM: t.Final = "ngonka"


class ChainApi:
    """Reads the chain, and sends bytes that the caller signed. Sends nothing of its own."""

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
            if exc.details.get("http_status") in (404, 501):
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
            block = self._latest()
        except ProtocolError as exc:
            if self._rest_is_rpc():
                raise ConfigurationError(swapped_text("devshard_chain_rest", url)) from exc
            raise
        node = node_of_rest(url, block.raw())
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
        )

    def clock_behind(self, head: ChainHead) -> str | None:
        """Why this host can sign nothing now, by a block that was just read."""
        return clock_behind(head.time, self._now())

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

    def _latest(self) -> Reader:
        return self._ask(self._rest, "/cosmos/base/tendermint/v1beta1/blocks/latest")

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

    # parameters, accounts, escrows

    def escrow_params(self) -> EscrowParams:
        """The live parameters, with the approved versions from where this chain has them."""
        body = self._ask(self._rest, f"{_INFERENCE}/params").child("params")
        listed, stored = listed_versions(body), None
        release = self.release
        if not listed or release is None or release.has_version_store:
            answer = self._ask_newer(f"{_INFERENCE}/devshard_approved_versions")
            stored = None if answer is None else stored_versions(answer)
        return EscrowParams.from_api(body, judge_approved(release, listed, stored))

    def balance(self, address: str) -> int:
        """``ngonka`` of an address; one that was never seen has 0."""
        path = f"/cosmos/bank/v1beta1/balances/{quote(address)}/by_denom?denom={DENOM}"
        return self._ask(self._rest, path).child("balance").whole("amount")

    def account(self, address: str) -> Account | None:
        """None until the address has received something."""
        try:
            body = self._ask(self._rest, f"/cosmos/auth/v1beta1/accounts/{quote(address)}")
        except NotFoundError as exc:
            self._must_be_the_chains(exc)
            return None
        account = body.child("account")
        if account.has("base_account"):
            account = account.child("base_account")
        return Account(
            address=account.text("address"), account_number=account.whole("account_number")
        )

    def escrow(self, number: int) -> Escrow | None:
        """None when the chain says that it has no such escrow (``found: false``)."""
        try:
            body = self._ask(self._rest, f"{_INFERENCE}/devshard_escrow/{number}")
        except NotFoundError as exc:
            self._must_be_the_chains(exc)
            return None
        if not body.flag("found"):
            return None
        escrow = Escrow.from_api(body.child("escrow"))
        if escrow.id != number:
            raise ProtocolError(f"asked for escrow {number}, the chain answered {escrow.id}")
        return escrow

    @staticmethod
    def _must_be_the_chains(exc: NotFoundError) -> None:
        """A proxy's 404 says nothing about the chain; the chain's own carries code 5."""
        error = exc.details.get("server_error")
        if not isinstance(error, dict) or error.get("code") != 5:
            raise UnknownStateError(
                f"{exc}; this is not the chain's own 'not found' (is devshard_chain_rest right?)",
                **exc.details,
            ) from exc

    def participant_url(self, address: str) -> str:
        """Base URL of a host of the network."""
        body = self._ask(self._rest, f"{_INFERENCE}/participant/{quote(address)}")
        return body.child("participant").text("inference_url")

    # transactions

    def broadcast(self, tx_bytes: str) -> BroadcastReply:
        """Send signed bytes once. The same bytes may be sent again, any number of times."""
        request = Request(
            method="POST",
            url=self._rest + _TXS,
            json={"tx_bytes": tx_bytes, "mode": "BROADCAST_MODE_SYNC"},
        )
        body = expect_json_object(request, self._http.send(request))
        return BroadcastReply.from_api(Reader(body, _TXS))

    def tx(self, tx_hash: str) -> TxResult | None:
        """The outcome of a transaction; None when the node does not know it (yet)."""
        try:
            body = self._ask(self._rest, f"{_TXS}/{quote(tx_hash)}")
        except NotFoundError as exc:
            self._must_be_the_chains(exc)
            return None
        return TxResult.from_api(body.child("tx_response"))

    def _search(self, query: str) -> list[TxResult]:
        """All included transactions with an event, the newest first. Needs the node's index."""
        if not self.tx_indexer_on():
            raise UnknownStateError(
                f"the node at {self._rest} keeps no index of transactions (tx_index is not on)"
            )
        found: list[TxResult] = []
        for page in range(1, _MAX_PAGES + 1):
            path = (
                f"{_TXS}?query={quote(query, safe='')}&order_by=ORDER_BY_DESC"
                f"&page={page}&limit={_PAGE}"
            )
            try:
                body = self._ask(self._rest, path)
            except DevshardError as exc:
                raise UnknownStateError(
                    f"the search for transactions failed: {exc}", **exc.details
                ) from exc
            replies = body.children("tx_responses", [])
            lifetimes = [
                tx.child("body").text_or_none("timeout_timestamp")
                for tx in body.children("txs", [])
            ]
            lifetimes += [None] * (len(replies) - len(lifetimes))
            found += [
                TxResult.from_api(reply, ends)
                for reply, ends in zip(replies, lifetimes, strict=False)
            ]
            # some nodes leave the total out, or say 0: then only a short page is the last one
            total = body.whole("total", 0)
            if len(found) >= total and (total > 0 or len(replies) < _PAGE):
                return found
            if not replies:
                raise UnknownStateError(
                    f"the node at {self._rest} says that {total} transactions fit {query}, but"
                    f" shows {len(found)}"
                )
        raise UnknownStateError(
            f"more than {_MAX_PAGES * _PAGE} transactions fit {query}; they are not all looked at"
        )

    def created_by(self, creator: str) -> list[CreatedEvent]:
        """Escrows a creator made, from the events in the node's index, the newest first."""
        made = []
        for tx in self._search(f"devshard_escrow_created.creator='{_literal(creator)}'"):
            ends = tx.timeout_timestamp
            for event in tx.events:
                if tx.code != 0 or event.type != "devshard_escrow_created":
                    continue
                body = Reader(dict(event.attributes), f"event of {tx.txhash}")
                made.append(
                    CreatedEvent(
                        escrow_id=body.whole("escrow_id"),
                        tx_hash=tx.txhash,
                        height=tx.height,
                        model_id=body.text("model_id"),
                        amount=body.whole("amount"),
                        epoch_index=body.whole("epoch_index"),
                        gas_wanted=tx.gas_wanted,
                        timeout_at=None if ends is None else parse_time(ends),
                    )
                )
        return made

    def settled_event(self, escrow_id: int) -> SettledEvent | None:
        """How an escrow was settled, or None. Needs the node's index."""
        for tx in self._search(f"devshard_escrow_settled.escrow_id='{escrow_id}'"):
            if (event := SettledEvent.from_tx(tx, escrow_id)) is not None:
                return event
        return None

    # the public API

    def effective_epoch(self) -> int | None:
        """The epoch that an escrow made now gets; None where the node has no such query."""
        body = self._ask_newer(f"{_INFERENCE}/get_current_epoch")
        return None if body is None else body.whole("epoch")

    def epoch(self) -> Epoch:
        return Epoch.from_api(self._ask(self._public, "/v1/epochs/latest"))

    def active_models(self) -> list[str]:
        """Models that the chain has hosts for in this epoch; only for those can one create.

        Not the list of participants, which names what each of them announces and is large.
        """
        return active_models_of(self._ask(self._public, "/v1/models"))

    def governance_models(self) -> list[str]:
        """Models that governance knows, whether they are served now or not."""
        body = self._ask(self._public, "/v1/governance/models")
        key = "models" if body.has("models") or not body.has("model") else "model"
        return sorted(item.text("id") for item in body.children(key))


def _literal(value: str) -> str:
    if re.fullmatch(r"[a-z0-9]+", value) is None:
        raise ConfigurationError(f"not an address: '{value}'")
    return value
