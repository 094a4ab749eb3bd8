# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain by gRPC, as gateways from v4 on ask it. It needs ``grpcio``."""

from __future__ import annotations

import asyncio
import re
import typing as t
from collections.abc import Mapping

from simnet import grpcapi, queries, txs
from simnet.gateway.chainclient import ChainClient, ChainError, EscrowNotFoundError
from simnet.gateway.clock import Clock

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
