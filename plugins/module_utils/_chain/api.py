# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Client for the chain's REST interface and the network's public API (contract chain.md)."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

from .._core.decoding import expect_json_object
from .._core.errors import (
    ConfigurationError,
    DevshardError,
    NotFoundError,
    ProtocolError,
    UnknownStateError,
)
from .._core.exchange import Request
from .._core.reader import Reader, parse_time
from .models import (
    Account,
    BroadcastReply,
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
from .node_api import NodeApi
from .releases import judge_approved

_INFERENCE: t.Final = "/productscience/inference/inference"
_TXS: t.Final = "/cosmos/tx/v1beta1/txs"
_PAGE: t.Final = 100
_MAX_PAGES: t.Final = 50
DENOM: t.Final = "ngonka"


class ChainApi(NodeApi):
    """Reads the chain, and sends bytes that the caller signed. Sends nothing of its own."""

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

    def spendable(self, address: str) -> int:
        """What of its ``ngonka`` an address can lock now: what vests later is not among it."""
        path = f"/cosmos/bank/v1beta1/spendable_balances/{quote(address)}/by_denom?denom={DENOM}"
        body = self._ask_newer(path)
        return self.balance(address) if body is None else body.child("balance").whole("amount")

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
