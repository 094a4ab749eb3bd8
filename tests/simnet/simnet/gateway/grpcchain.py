# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain by gRPC, as gateways from v4 on ask it. It needs ``grpcio``."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import typing as t
from collections.abc import Mapping

import aiohttp

from simnet import grpcapi, queries, txs
from simnet.bank import DENOM
from simnet.epochs import Epoch, EpochParams
from simnet.gateway.chainclient import ChainClient, ChainError, EscrowNotFoundError
from simnet.gateway.clock import Clock
from simnet.gateway.environment import Environment

LOG = logging.getLogger("devshardctl")
_TIMEOUT = 20.0


class CallError(ChainError):
    """The answer to one call, as Go prints a status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code


def _go_name(code: str) -> str:
    return "".join(part.title() for part in code.split("_"))


class Caller(t.Protocol):
    """Sends the bytes of a question to a path and returns those of the answer."""

    async def __call__(self, path: str, raw: bytes) -> bytes: ...


class GrpcCaller:
    """One address, dialled when it is first used."""

    def __init__(self, target: str, tls: bool, clock: Clock) -> None:
        self._target = target
        self._tls = tls
        self._clock = clock
        self._channel: t.Any = None

    def _open(self) -> t.Any:
        import grpc.aio

        target = self._target.removeprefix("dns:///")
        if re.match(r"\w+://", target):
            raise CallError(
                "Unavailable",
                f'name resolver error: produced zero addresses: address "{target}": '
                "too many colons in address",
            )
        if self._channel is None:
            # Who tries again at once must see what is there now.
            options = (("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", 100))
            self._channel = (
                grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
                if self._tls
                else grpc.aio.insecure_channel(target, options)
            )
        return self._channel

    async def __call__(self, path: str, raw: bytes) -> bytes:
        import grpc

        channel = self._open()
        try:
            call: t.Awaitable[bytes] = channel.unary_unary(path)(raw)
            return await self._clock.within(_TIMEOUT, _awaited(call))
        except grpc.RpcError as error:
            raise CallError(_go_name(error.code().name), str(error.details())) from error
        except asyncio.TimeoutError as error:
            raise CallError("DeadlineExceeded", "context deadline exceeded") from error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()


async def _awaited(call: t.Awaitable[bytes]) -> bytes:
    return await call


class ProtobufChain(ChainClient):
    """Protobuf by whatever carries it."""

    def __init__(
        self, call: Caller, base: str, clock: Clock, fixed: Mapping[str, int] | None
    ) -> None:
        super().__init__(clock, fixed)
        self._call = call
        self._base = base

    @property
    def base(self) -> str:
        return self._base

    async def _ask(self, path: str, **asked: t.Any) -> dict[str, t.Any]:
        question, answer = queries.QUERIES[path]
        return _decoded(answer, await self._call(path, queries.encode(question, asked)))

    async def escrow_row(self, escrow_id: str) -> dict[str, t.Any]:
        found = await self._ask(queries.ESCROW, id=int(escrow_id))
        if not found["found"]:
            raise EscrowNotFoundError("escrow not found")
        row: dict[str, t.Any] = found["escrow"]
        return row

    async def _params(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = (await self._ask(queries.PARAMS))["params"] or {}
        return found

    async def _host_url(self, address: str) -> str:
        found = await self._ask(queries.PARTICIPANT, index=address)
        return str(found["participant"]["inference_url"])

    async def epoch_info(self) -> dict[str, t.Any]:
        """What the public API tells of the epoch, of the chain itself."""
        found = await self._ask(queries.EPOCH_INFO)
        latest = found["latest_epoch"] or {"index": "0", "poc_start_block_height": "0"}
        params = EpochParams.from_chain(found["params"]["epoch_params"])
        epoch = Epoch(int(latest["index"]), int(latest["poc_start_block_height"]), params)
        height = int(found["block_height"])
        return {
            "block_height": height,
            "latest_epoch": latest,
            "phase": epoch.phase(height),
            "epoch_stages": epoch.stages(),
            "next_epoch_stages": epoch.next().stages(),
            "is_confirmation_poc_active": found["is_confirmation_poc_active"],
        }

    async def weights(self, epoch: int) -> dict[str, dict[str, int]]:
        """Weight of each host for each model."""
        whole = await self._group(epoch, "")
        found = {}
        for model in whole["sub_group_models"]:
            group = await self._group(epoch, model)
            found[str(model)] = {
                str(entry["member_address"]): int(entry["weight"])
                for entry in group["validation_weights"]
            }
        return found

    async def _group(self, epoch: int, model: str) -> dict[str, t.Any]:
        found = await self._ask(queries.EPOCH_GROUP, epoch_index=epoch, model_id=model)
        group: dict[str, t.Any] = found["epoch_group_data"]
        return group

    async def spendable(self, address: str) -> int:
        coins = (await self._ask(queries.BALANCES, address=address))["balances"]
        return sum(int(coin["amount"]) for coin in coins if coin["denom"] == DENOM)

    async def _chain_id(self) -> str:
        # Never asked: a default stands in for what is not told.
        raise ChainError("fetch chain id: not set")

    async def _account_number(self, address: str) -> int:
        try:
            packed = (await self._ask(queries.ACCOUNT, address=address))["account"]
            account = _decoded(queries.BASE_ACCOUNT, txs.unb64(packed["value"]))
        except ChainError as error:
            raise ChainError(f"fetch account {address}: {error}") from error
        return int(account["account_number"])

    async def _send(self, raw: bytes) -> dict[str, t.Any]:
        body = queries.encode(queries.BROADCAST_REQUEST, {"tx_bytes": txs.b64(raw), "mode": 2})
        try:
            answer = await self._call(grpcapi.BROADCAST, body)
        except ChainError as error:
            raise ChainError(f"broadcast tx: {error}") from error
        found: dict[str, t.Any] = _decoded(queries.BROADCAST_RESPONSE, answer)["tx_response"]
        return found

    async def _tx(self, digest: str) -> dict[str, t.Any] | None:
        body = queries.encode(queries.TX_REQUEST, {"hash": digest})
        try:
            answer = await self._call(grpcapi.GET_TX, body)
        except CallError as error:
            if error.code == "NotFound":
                return None
            raise
        found: dict[str, t.Any] = _decoded(queries.TX_RESPONSE, answer)["tx_response"]
        return found


def _decoded(message: queries.Message, raw: bytes) -> dict[str, t.Any]:
    try:
        return queries.decode(message, raw)
    except txs.TxDecodeError as error:
        raise ChainError(f"decode: {error}") from error


# --- CometBFT's RPC, where gRPC does not answer ------------------------------------

_SWITCHED = 30 * 60.0
_GONE = ("Unavailable",)


class RpcCaller:
    """The same questions by ``abci_query``, and transactions by RPC's own methods."""

    def __init__(self, http: aiohttp.ClientSession, url: str, clock: Clock) -> None:
        self._http = http
        self._url = url
        self._clock = clock

    async def _post(self, method: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            text = await self._clock.within(_TIMEOUT, self._sent(body))
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise CallError("Unavailable", f'Post "{self._url}": {error!r}') from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise ChainError(
                f"invalid character {text[:1]!r} looking for beginning of value"
            ) from error
        if "error" in answer:
            what = answer["error"]
            raise CallError("Unknown", f"{what.get('message')}: {what.get('data')}")
        found: dict[str, t.Any] = answer["result"]
        return found

    async def _sent(self, body: dict[str, t.Any]) -> str:
        async with self._http.post(self._url, json=body) as response:
            return await response.text()

    async def __call__(self, path: str, raw: bytes) -> bytes:
        if path == grpcapi.BROADCAST:
            return await self._broadcast(raw)
        if path == grpcapi.GET_TX:
            return await self._tx(raw)
        answer = (await self._post("abci_query", {"path": path, "data": raw.hex()}))["response"]
        if answer["code"]:
            raise CallError("NotFound" if answer["code"] == 22 else "Unknown", str(answer["log"]))
        return txs.unb64(answer["value"] or "")

    async def _broadcast(self, raw: bytes) -> bytes:
        asked = queries.decode(queries.BROADCAST_REQUEST, raw)
        answer = await self._post("broadcast_tx_sync", {"tx": asked["tx_bytes"]})
        found = {
            "txhash": answer["hash"],
            "code": answer["code"],
            "codespace": answer["codespace"],
            "raw_log": answer["log"],
        }
        return queries.encode(queries.BROADCAST_RESPONSE, {"tx_response": found})

    async def _tx(self, raw: bytes) -> bytes:
        digest = str(queries.decode(queries.TX_REQUEST, raw)["hash"])
        try:
            answer = await self._post("tx", {"hash": txs.b64(bytes.fromhex(digest))})
        except CallError as error:
            if "not found" in str(error):
                raise CallError("NotFound", f"tx not found: {digest}") from error
            raise
        result = answer["tx_result"]
        found = {
            "height": answer["height"],
            "txhash": digest,
            "code": result["code"],
            "codespace": result["codespace"],
            "raw_log": result["log"],
            "events": result["events"],
        }
        return queries.encode(queries.TX_RESPONSE, {"tx": answer["tx"], "tx_response": found})


class FallbackCaller:
    """gRPC, or RPC for half an hour once it is out of reach. A broadcast goes once, by the way
    that the reads before it took."""

    def __init__(self, first: Caller, second: Caller, clock: Clock) -> None:
        self._first = first
        self._second = second
        self._clock = clock
        self._until = 0.0

    async def __call__(self, path: str, raw: bytes) -> bytes:
        if self._clock.now() < self._until:
            return await self._second(path, raw)
        try:
            return await self._first(path, raw)
        except CallError as error:
            if error.code not in _GONE or path == grpcapi.BROADCAST:
                raise
        LOG.info("chain: direct gRPC unreachable, queries falling back to CometBFT RPC")
        self._until = self._clock.now() + _SWITCHED
        return await self._second(path, raw)


def rpc_url(environment: Environment) -> str:
    """Told, or the usual port of the host that is asked by gRPC."""
    if environment.chain_rpc:
        return environment.chain_rpc
    host = re.sub(r"^(\w+://|dns:///)", "", environment.chain_grpc).rpartition(":")[0]
    return f"http://{host or environment.chain_grpc}:26657"
