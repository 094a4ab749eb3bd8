# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""CometBFT RPC: by URI (GET) and by JSON-RPC (POST)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simnet import queries, txs
from simnet.answers import Answers, NotFoundError
from simnet.chain import Chain, QueryError, TxRecord
from simnet.jsonbody import json_reply, read_json
from simnet.rest import node_info
from simnet.timestamps import Timestamp


class RpcError(Exception):
    def __init__(self, data: str, code: int = -32603, message: str = "Internal error") -> None:
        super().__init__(data)
        self.code = code
        self.message = message
        self.data = data

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "data": self.data}


Method = Callable[[Mapping[str, Any]], Any]


class RpcApi:
    def __init__(self, chain: Chain, public_url: Callable[[], str] = str) -> None:
        self.chain = chain
        self._answers = Answers(chain)
        self._public_url = public_url
        self._methods: dict[str, Method] = {
            "status": self.status,
            "health": lambda params: {},
            "tx": self.tx,
            "tx_search": self.tx_search,
            "block": self.block,
            "broadcast_tx_sync": self.broadcast_tx_sync,
            "abci_query": self.abci_query,
            "abci_info": self.abci_info,
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{method}", self.by_uri), web.post("/", self.by_json)]

    async def by_uri(self, request: web.Request) -> web.Response:
        method = self._methods.get(request.match_info["method"])
        if method is None:
            return web.Response(status=404, text="404 page not found\n")
        params = {name: _unquoted(value) for name, value in request.query.items()}
        try:
            answer = {"jsonrpc": "2.0", "id": -1, "result": method(params)}
        except RpcError as error:
            answer = {"jsonrpc": "2.0", "id": -1, "error": error.to_json()}
            return json_reply(answer, status=500)
        return json_reply(answer)

    async def by_json(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if body is None:
            error = RpcError("invalid JSON", -32700, "Parse error. Invalid JSON")
            return json_reply({"jsonrpc": "2.0", "id": -1, "error": error.to_json()})
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": body.get("id", -1)}
        method = self._methods.get(str(body.get("method")))
        params = body.get("params") or {}
        try:
            if method is None or not isinstance(params, dict):
                raise RpcError(str(body.get("method")), -32601, "Method not found")
            answer["result"] = method(params)
        except RpcError as error:
            answer["error"] = error.to_json()
        return json_reply(answer)

    # --- methods ---------------------------------------------------------------

    def status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        chain = self.chain
        first = chain.config.start_height
        validator = chain.block_hash(0, "proposer")

        def digest(height: int, salt: str = "block") -> str:
            return chain.block_hash(height, salt).hex().upper()

        info = node_info(chain)
        return {
            "node_info": {
                "protocol_version": {"p2p": "8", "block": "11", "app": "0"},
                "id": info["id"],
                "listen_addr": "tcp://0.0.0.0:26656",
                "network": info["network"],
                "version": info["version"],
                "channels": "40202122233038606100",
                "moniker": info["moniker"],
                "other": info["other"],
            },
            "sync_info": {
                "latest_block_hash": digest(chain.height),
                "latest_app_hash": digest(chain.height, "app"),
                "latest_block_height": str(chain.height),
                "latest_block_time": chain.reported_time.rfc3339(),
                "earliest_block_hash": digest(first),
                "earliest_app_hash": digest(first, "app"),
                "earliest_block_height": str(first),
                "earliest_block_time": Timestamp.from_ns(chain.store.get("genesis_time")).rfc3339(),
                "catching_up": chain.controls.catching_up,
            },
            "validator_info": {
                "address": validator[:20].hex().upper(),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": txs.b64(validator)},
                "voting_power": "1",
            },
        }

    def abci_info(self, params: Mapping[str, Any]) -> dict[str, Any]:
        chain = self.chain
        return {
            "response": {
                "data": "inference-chain",
                "version": chain.release.version,
                "app_version": "1",
                "last_block_height": str(chain.height),
                "last_block_app_hash": txs.b64(chain.block_hash(chain.height, "app")),
            }
        }

    def _need_index(self) -> None:
        if not self.chain.controls.tx_index:
            raise RpcError("transaction indexing is disabled")

    def tx(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._need_index()
        digest = _hash(params.get("hash"))
        record = self.chain.tx(digest)
        if record is None:
            raise RpcError(f"tx ({digest}) not found")
        return _tx_result(record)

    def tx_search(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._need_index()
        query = str(params.get("query", ""))
        newest_first = params.get("order_by") == "desc"
        try:
            found = self.chain.search(query, newest_first=newest_first)
            per_page = int(params.get("per_page") or 30)
            page = int(params.get("page") or 1)
        except QueryError as error:
            raise RpcError(f"failed to parse query: {error}") from error
        except ValueError as error:
            raise RpcError(str(error), -32602, "Invalid params") from error
        shown = found[(page - 1) * per_page : page * per_page]
        return {
            "txs": [_tx_result(record) for record in shown],
            "total_count": str(len(found)),
        }

    def block(self, params: Mapping[str, Any]) -> dict[str, Any]:
        chain = self.chain
        try:
            height = int(params.get("height") or chain.height)
        except (TypeError, ValueError) as error:
            raise RpcError(str(error), -32602, "Invalid params") from error
        row = chain.store.row("SELECT time FROM txs WHERE height = ? LIMIT 1", height)
        time = chain.reported_time if row is None else Timestamp.from_ns(row["time"])
        header = {
            "chain_id": chain.config.chain_id,
            "height": str(height),
            "time": time.rfc3339(),
        }
        digest = chain.block_hash(height).hex().upper()
        return {"block_id": {"hash": digest}, "block": {"header": header}}

    def broadcast_tx_sync(self, params: Mapping[str, Any]) -> dict[str, Any]:
        text = str(params.get("tx", ""))
        try:
            raw = bytes.fromhex(text[2:]) if text.startswith("0x") else txs.unb64(text)
        except ValueError as error:
            raise RpcError(str(error), -32602, "Invalid params") from error
        answer = self.chain.broadcast(raw)
        if answer.code == 19:
            raise RpcError("tx already exists in cache")
        return {
            "code": answer.code,
            "data": "",
            "log": answer.raw_log,
            "codespace": answer.codespace,
            "hash": answer.hash,
        }

    def abci_query(self, params: Mapping[str, Any]) -> dict[str, Any]:
        path = str(params.get("path"))
        if path not in queries.QUERIES:
            return self._abci(b"", 6, "unknown query path: unknown request")
        try:
            text = str(params.get("data") or "").removeprefix("0x")
            raw = self._answers.query(path, bytes.fromhex(text), self._public_url())
        except NotFoundError as error:
            return self._abci(b"", 22, str(error))
        except ValueError as error:
            raise RpcError(str(error), -32602, "Invalid params") from error
        return self._abci(raw, 0, "")

    def _abci(self, value: bytes, code: int, log: str) -> dict[str, Any]:
        return {
            "response": {
                "code": code,
                "log": log,
                "info": "",
                "index": "0",
                "key": None,
                "value": txs.b64(value),
                "proofOps": None,
                "height": str(self.chain.height),
                "codespace": "sdk" if code else "",
            }
        }


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _hash(value: Any) -> str:
    """A hash comes as 0x-hexadecimal (URI) or as base64 (JSON-RPC)."""
    text = str(value or "")
    if re.fullmatch(r"(0x)?[0-9A-Fa-f]{64}", text):
        return text[-64:].upper()
    try:
        return base64.b64decode(text, validate=True).hex().upper()
    except binascii.Error as error:
        raise RpcError(str(error), -32602, "Invalid params") from error


def _tx_result(record: TxRecord) -> dict[str, Any]:
    return {
        "hash": record.hash,
        "height": str(record.height),
        "index": 0,
        "tx_result": {
            "code": record.code,
            "data": txs.b64(bytes.fromhex(record.data)),
            "log": record.raw_log,
            "info": "",
            "gas_wanted": str(record.gas_wanted),
            "gas_used": str(record.gas_used),
            "events": record.events,
            "codespace": record.codespace,
        },
        "tx": txs.b64(record.raw),
    }
