# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain's REST API, in the shapes that the real one answered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from simnet import crypto, txs
from simnet.answers import Answers, NotFoundError
from simnet.bank import DENOM
from simnet.chain import Broadcast, Chain, QueryError, TxRecord
from simnet.escrows import MessageError
from simnet.jsonbody import json_reply, read_json
from simnet.refusal import Refused

_GRPC_HEADERS = {"Grpc-Metadata-Content-Type": "application/grpc+cosmos-sdk-grpc-codec"}
_SINCE_THE_UPGRADE = 5_000
_MAX_UINT64 = (1 << 64) - 1
NODE_VERSION = "0.38.19"

Handler = Callable[[web.Request], Awaitable[web.Response]]

NOTHING_SENT = Broadcast(
    hashlib.sha256(b"").hexdigest().upper(),
    18,
    "sdk",
    "must contain at least one message: invalid request",
)


class RestError(Exception):
    """A gRPC status: its code, message and HTTP status."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "details": []}


class GatewayError(RestError):
    """An error of the HTTP layer before the chain is asked: without its headers."""


def not_found(message: str) -> RestError:
    return RestError(404, 5, message)


def invalid(message: str) -> RestError:
    return RestError(400, 3, message)


def tx_json(record: TxRecord) -> dict[str, Any]:
    return txs.Tx.decode(record.raw).to_json()


def tx_response(record: TxRecord) -> dict[str, Any]:
    return {
        "height": str(record.height),
        "txhash": record.hash,
        "codespace": record.codespace,
        "code": record.code,
        "data": record.data,
        "raw_log": record.raw_log,
        "logs": [],
        "info": "",
        "gas_wanted": str(record.gas_wanted),
        "gas_used": str(record.gas_used),
        "tx": {"@type": "/cosmos.tx.v1beta1.Tx", **tx_json(record)},
        "timestamp": record.time.rfc3339_seconds(),
        "events": record.events,
    }


def node_info(chain: Chain) -> dict[str, Any]:
    """What REST and RPC tell about the node, apart from spellings."""
    return {
        "id": chain.block_hash(0, "node").hex()[:40],
        "network": chain.config.chain_id,
        "version": NODE_VERSION,
        "moniker": "simnet",
        "other": {
            "tx_index": "on" if chain.controls.tx_index else "off",
            "rpc_address": "tcp://0.0.0.0:26657",
        },
    }


class RestApi:
    def __init__(self, chain: Chain, public_url: Callable[[web.Request], str]) -> None:
        self.chain = chain
        self._answers = Answers(chain)
        self._public_url = public_url

    def routes(self) -> list[web.RouteDef]:
        inference = "/productscience/inference/inference"
        bank, tendermint = "/cosmos/bank/v1beta1", "/cosmos/base/tendermint/v1beta1"
        table: list[tuple[str, Handler]] = [
            (f"{inference}/params", self.params),
            (f"{inference}/epoch_info", self.epoch_info),
            (f"{inference}/devshard_escrow/{{id}}", self.escrow),
            (f"{inference}/participant/{{address}}", self.participant),
            (f"{inference}/epoch_group_data/{{index}}", self.epoch_group),
            (f"{inference}/current_epoch_group_data", self.current_epoch_group),
            (f"{inference}/get_current_epoch", self.current_epoch),
            (f"{inference}/grantees_by_message_type/{{granter}}/{{type:.+}}", self.grantees),
            (f"{inference}/preserved_nodes_snapshot", self.preserved_nodes),
            (f"{bank}/balances/{{address}}", self.balances),
            (f"{bank}/balances/{{address}}/by_denom", self.balance_by_denom),
            (f"{bank}/spendable_balances/{{address}}", self.balances),
            (f"{bank}/spendable_balances/{{address}}/by_denom", self.balance_by_denom),
            ("/cosmos/auth/v1beta1/accounts/{address}", self.account),
            (f"{tendermint}/node_info", self.node_info),
            (f"{tendermint}/blocks/latest", self.latest_block),
            (f"{tendermint}/syncing", self.syncing),
            ("/cosmos/tx/v1beta1/txs/{hash}", self.tx),
            ("/cosmos/tx/v1beta1/txs", self.search),
        ]
        if self.chain.release.newer_queries:
            upgrade = "/cosmos/upgrade/v1beta1"
            table += [
                (f"{inference}/devshard_approved_versions", self.approved_versions),
                (f"{upgrade}/current_plan", self.current_plan),
                (f"{upgrade}/applied_plan/{{name}}", self.applied_plan),
            ]
        routes = [web.get(path, self._answering(handler)) for path, handler in table]
        routes.append(web.post("/cosmos/tx/v1beta1/simulate", self._answering(self.simulate)))
        routes.append(web.post("/cosmos/tx/v1beta1/txs", self._answering(self.broadcast)))
        routes.append(web.route("*", "/{rest:.*}", self._answering(self.missing)))
        return routes

    def _answering(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            height = str(self.chain.height)
            headers = {**_GRPC_HEADERS, "Grpc-Metadata-X-Cosmos-Block-Height": height}
            try:
                response = await handler(request)
            except GatewayError as error:
                return json_reply(error.to_json(), status=error.status)
            except RestError as error:
                return json_reply(error.to_json(), status=error.status, headers=headers)
            response.headers.update(headers)
            response.headers["X-Cosmos-Block-Height"] = height
            return response

        return answer

    async def missing(self, request: web.Request) -> web.Response:
        raise GatewayError(501, 12, "Not Implemented")

    # --- inference module ------------------------------------------------------

    async def params(self, request: web.Request) -> web.Response:
        return json_reply(self._answers.params())

    async def epoch_info(self, request: web.Request) -> web.Response:
        found = self._answers.epoch_info()
        if self.chain.release.newer_queries:
            found.update(_newer_epoch(self.chain))
        return json_reply(found)

    async def approved_versions(self, request: web.Request) -> web.Response:
        return json_reply({"versions": self.chain.approved()})

    async def current_plan(self, request: web.Request) -> web.Response:
        plan = self.chain.controls.upgrade_plan
        if plan is None:
            return json_reply({"plan": None})
        shown = {
            "name": plan["name"],
            "time": "0001-01-01T00:00:00Z",
            "height": str(plan["height"]),
            "info": plan.get("info", ""),
            "upgraded_client_state": None,
        }
        return json_reply({"plan": shown})

    async def applied_plan(self, request: web.Request) -> web.Response:
        applied = request.match_info["name"] == self.chain.release.name
        height = self.chain.config.start_height - _SINCE_THE_UPGRADE if applied else 0
        return json_reply({"height": str(height)})

    async def escrow(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        if re.fullmatch(r"\d+", text) is None:
            raise _bad_id(text, "invalid syntax")
        if int(text) > _MAX_UINT64:
            raise _bad_id(text, "value out of range")
        return json_reply(self._answers.escrow(int(text)))

    async def participant(self, request: web.Request) -> web.Response:
        try:
            found = self._answers.participant(
                request.match_info["address"], self._public_url(request)
            )
        except NotFoundError as error:
            raise not_found(str(error)) from error
        return json_reply(found)

    async def epoch_group(self, request: web.Request) -> web.Response:
        text = request.match_info["index"]
        if re.fullmatch(r"\d+", text) is None:
            raise _bad_id(text, "invalid syntax", "epoch_index")
        try:
            found = self._answers.epoch_group(int(text), request.query.get("model_id", ""))
        except NotFoundError as error:
            raise not_found(str(error)) from error
        return json_reply(found)

    async def current_epoch_group(self, request: web.Request) -> web.Response:
        return json_reply(self._answers.epoch_group(self.chain.effective_epoch, ""))

    async def current_epoch(self, request: web.Request) -> web.Response:
        return json_reply({"epoch": str(self.chain.effective_epoch)})

    async def grantees(self, request: web.Request) -> web.Response:
        unquote(request.match_info["type"])
        return json_reply(self._answers.grantees())

    async def preserved_nodes(self, request: web.Request) -> web.Response:
        return json_reply(self._answers.preserved_nodes())

    # --- bank and accounts -----------------------------------------------------

    def _address(self, request: web.Request) -> str:
        address = request.match_info["address"]
        try:
            crypto.decode_address(address)
        except crypto.AddressError as error:
            raise invalid(f"invalid address: {error}") from error
        return address

    async def balances(self, request: web.Request) -> web.Response:
        return json_reply(self._answers.balances(self._address(request)))

    async def balance_by_denom(self, request: web.Request) -> web.Response:
        address = self._address(request)
        denom = request.query.get("denom", "")
        if not denom:
            raise invalid("invalid denom: ")
        amount = self.chain.bank.balance(address) if denom == DENOM else 0
        return json_reply({"balance": {"denom": denom, "amount": str(amount)}})

    async def account(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            crypto.decode_address(address)
        except crypto.AddressError as error:
            raise invalid(str(error)) from error
        account = self.chain.bank.account(address)
        if account is None:
            raise not_found(f"account {address} not found")
        key = None
        if account.public_key is not None:
            key = {"@type": txs.PUBKEY_TYPE, "key": txs.b64(account.public_key)}
        return json_reply(
            {
                "account": {
                    "@type": "/cosmos.auth.v1beta1.BaseAccount",
                    "address": address,
                    "pub_key": key,
                    "account_number": str(account.number),
                    "sequence": str(account.sequence),
                }
            }
        )

    # --- node ------------------------------------------------------------------

    async def node_info(self, request: web.Request) -> web.Response:
        info = node_info(self.chain)
        return json_reply(
            {
                "default_node_info": {
                    "protocol_version": {"p2p": "8", "block": "11", "app": "0"},
                    "default_node_id": info["id"],
                    "listen_addr": "tcp://0.0.0.0:26656",
                    "network": info["network"],
                    "version": info["version"],
                    "channels": "QCAhIiMwOGBhAA==",
                    "moniker": info["moniker"],
                    "other": info["other"],
                },
                "application_version": {
                    "name": "inference-chain",
                    "app_name": "inferenced",
                    "version": self.chain.release.version,
                    "git_commit": "8a35022b",
                    "build_tags": "",
                    "go_version": "go version go1.26.8 linux/amd64",
                    "build_deps": [],
                    "cosmos_sdk_version": "v0.50.14",
                },
            }
        )

    async def latest_block(self, request: web.Request) -> web.Response:
        chain = self.chain
        height = chain.height
        time = chain.reported_time.rfc3339()

        def digest(salt: str, at: int = height) -> str:
            return txs.b64(chain.block_hash(at, salt))

        def block_id(at: int) -> dict[str, Any]:
            parts = {"total": 1, "hash": digest("parts", at)}
            return {"hash": digest("block", at), "part_set_header": parts}

        header = {
            "version": {"block": "11", "app": "0"},
            "chain_id": chain.config.chain_id,
            "height": str(height),
            "time": time,
            "last_block_id": block_id(height - 1),
            "last_commit_hash": digest("commit"),
            "data_hash": digest("data"),
            "validators_hash": digest("validators", 0),
            "next_validators_hash": digest("validators", 0),
            "consensus_hash": digest("consensus", 0),
            "app_hash": digest("app"),
            "last_results_hash": digest("results"),
            "evidence_hash": digest("evidence", 0),
            "proposer_address": txs.b64(chain.block_hash(0, "proposer")[:20]),
        }
        validator = txs.b64(chain.block_hash(0, "proposer")[:20])
        commit = {
            "height": str(height - 1),
            "round": 0,
            "block_id": block_id(height - 1),
            "signatures": [
                {
                    "block_id_flag": "BLOCK_ID_FLAG_COMMIT",
                    "validator_address": validator,
                    "timestamp": time,
                    "signature": txs.b64(chain.block_hash(height, "signature") * 2),
                }
            ],
        }
        block = {
            "header": header,
            "data": {"txs": []},
            "evidence": {"evidence": []},
            "last_commit": commit,
        }
        proposer = crypto.encode_address(chain.block_hash(0, "proposer")[:20], "gonkavalcons")
        sdk_block = {**block, "header": {**header, "proposer_address": proposer}}
        return json_reply({"block_id": block_id(height), "block": block, "sdk_block": sdk_block})

    async def syncing(self, request: web.Request) -> web.Response:
        return json_reply({"syncing": self.chain.controls.catching_up})

    # --- transactions ----------------------------------------------------------

    async def broadcast(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if body is None:
            raise GatewayError(400, 3, "invalid character in the body")
        try:
            raw = txs.unb64(body.get("tx_bytes", ""))
        except txs.TxDecodeError as error:
            raise GatewayError(400, 3, str(error)) from error
        if body.get("mode") not in ("BROADCAST_MODE_SYNC", "BROADCAST_MODE_ASYNC"):
            raise invalid(
                "unsupported return type BROADCAST_MODE_UNSPECIFIED; supported types: sync, async"
            )
        # No bytes are a transaction without messages for the real one.
        answer = self.chain.broadcast(raw) if raw else NOTHING_SENT
        return json_reply(
            {
                "tx_response": {
                    "height": "0",
                    "txhash": answer.hash,
                    "codespace": answer.codespace,
                    "code": answer.code,
                    "data": "",
                    "raw_log": answer.raw_log,
                    "logs": [],
                    "info": "",
                    "gas_wanted": "0",
                    "gas_used": "0",
                    "tx": None,
                    "timestamp": "",
                    "events": [],
                }
            }
        )

    async def simulate(self, request: web.Request) -> web.Response:
        body = await read_json(request) or {}
        try:
            gas = self.chain.simulate(txs.unb64(body.get("tx_bytes", "")))
        except (Refused, MessageError, txs.TxDecodeError) as error:
            raise RestError(500, 2, str(error)) from error
        return json_reply(
            {
                "gas_info": {"gas_wanted": "0", "gas_used": str(gas)},
                "result": {"data": "", "log": "", "events": [], "msg_responses": []},
            }
        )

    def _need_index(self) -> None:
        if not self.chain.controls.tx_index:
            raise RestError(500, 2, "transaction indexing is disabled")

    async def tx(self, request: web.Request) -> web.Response:
        digest = request.match_info["hash"]
        if re.fullmatch(r"[0-9A-Fa-f]{64}", digest) is None:
            raise not_found(f"tx not found: {digest}")
        self._need_index()
        record = self.chain.tx(digest)
        if record is None:
            raise not_found(f"tx not found: {digest}")
        return json_reply({"tx": tx_json(record), "tx_response": tx_response(record)})

    async def search(self, request: web.Request) -> web.Response:
        query = request.query.get("query") or " AND ".join(request.query.getall("events", []))
        if not query:
            raise invalid("query cannot be empty")
        self._need_index()
        newest_first = request.query.get("order_by") in ("ORDER_BY_DESC", "2")
        try:
            found = self.chain.search(query, newest_first=newest_first)
        except QueryError as error:
            raise invalid(f"failed to search for txs: {error}") from error
        limit = _positive(request, "limit", 100)
        page = _positive(request, "page", 1)
        shown = found[(page - 1) * limit : page * limit]
        return json_reply(
            {
                "txs": [tx_json(record) for record in shown],
                "tx_responses": [tx_response(record) for record in shown],
                "pagination": None,
                "total": str(len(found)),
            }
        )


def _positive(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if text and re.fullmatch(r"\d{1,9}", text) is None:
        raise GatewayError(
            400,
            3,
            f'parsing field "{name}": strconv.ParseUint: parsing "{text}": invalid syntax',
        )
    return int(text or 0) or default


def _newer_epoch(chain: Chain) -> dict[str, Any]:
    epoch = chain.epoch
    return {
        "phase": chain.phase,
        "effective_epoch_index": str(chain.effective_epoch),
        "epoch_stages": as_text(epoch.stages()),
        "next_epoch_stages": as_text(epoch.next().stages()),
    }


def as_text(value: Any) -> Any:
    """64-bit numbers as proto JSON has them."""
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _bad_id(text: str, why: str, name: str = "id") -> GatewayError:
    return GatewayError(
        400,
        3,
        f'type mismatch, parameter: {name}, error: strconv.ParseUint: parsing "{text}": {why}',
    )
