# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain's gRPC port, for gateways from v4 on. It needs ``grpcio``; without it there is none."""

from __future__ import annotations

import asyncio
import hashlib
import time
import typing as t
from collections.abc import Callable

from simnet import queries, rest, txs
from simnet.answers import Answers, NotFoundError
from simnet.chain import Chain
from simnet.faultrules import CLIENT_GONE, FaultRule, FaultRules, RequestLog

if t.TYPE_CHECKING:
    import grpc.aio

SERVICE = "grpc"
BROADCAST = "/cosmos.tx.v1beta1.Service/BroadcastTx"
GET_TX = "/cosmos.tx.v1beta1.Service/GetTx"
# The numbers of BROADCAST_MODE_SYNC and _ASYNC.
_MODES = (2, 3)


class StatusError(Exception):
    """An answer that is none: the name of its status code, and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class GrpcApi:
    def __init__(
        self, chain: Chain, public_url: Callable[[], str], rules: FaultRules, log: RequestLog
    ) -> None:
        self._chain = chain
        self._answers = Answers(chain)
        self._public_url = public_url
        self._rules = rules
        self._log = log

    async def serve(self, host: str, port: int) -> tuple[grpc.aio.Server, int]:
        import grpc

        api = self

        class Handlers(grpc.GenericRpcHandler):
            def service(
                self, details: grpc.HandlerCallDetails
            ) -> grpc.RpcMethodHandler[bytes, bytes]:
                # No serializers: bytes in, bytes out.
                return grpc.unary_unary_rpc_method_handler(api.method(details.method))

        server = grpc.aio.server(handlers=(Handlers(),), options=(("grpc.so_reuseport", 0),))
        bound = server.add_insecure_port(f"{host}:{port}")
        await server.start()
        return server, bound

    def method(self, path: str) -> t.Callable[..., t.Awaitable[bytes]]:
        async def answer(raw: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            entry: dict[str, t.Any] = {
                "time": time.time(),
                "service": SERVICE,
                "port": 0,
                "remote": context.peer(),
                "method": "POST",
                "path": path,
                "body_sha256": hashlib.sha256(raw).hexdigest() if raw else "",
                "status": 0,
                "fault": None,
            }
            self._log.add(entry)
            rule = self._rules.pick(SERVICE, "POST", path)
            try:
                if rule is not None:
                    entry["fault"] = rule.id
                    await _fail(rule, lambda: self._answer(path, raw))
                found = self._answer(path, raw)
            except StatusError as error:
                import grpc

                entry["status"] = 500
                await context.abort(getattr(grpc.StatusCode, error.code), str(error))
            except asyncio.CancelledError:
                entry["status"] = CLIENT_GONE
                raise
            entry["status"] = 200
            return found

        return answer

    def _answer(self, path: str, raw: bytes) -> bytes:
        try:
            if path in queries.QUERIES:
                return self._answers.query(path, raw, self._public_url())
            if path == BROADCAST:
                return self._broadcast(raw)
            if path == GET_TX:
                return self._tx(raw)
        except NotFoundError as error:
            raise StatusError("NOT_FOUND", str(error)) from error
        except (ValueError, txs.TxDecodeError) as error:
            raise StatusError("INVALID_ARGUMENT", str(error)) from error
        raise StatusError("UNIMPLEMENTED", f"unknown method {path.rpartition('/')[2]}")

    def _broadcast(self, raw: bytes) -> bytes:
        asked = queries.decode(queries.BROADCAST_REQUEST, raw)
        if asked["mode"] not in _MODES:
            raise StatusError("INVALID_ARGUMENT", "unsupported return type; supported: sync, async")
        tx_bytes = txs.unb64(asked["tx_bytes"] or "")
        answer = self._chain.broadcast(tx_bytes) if tx_bytes else rest.NOTHING_SENT
        found = {
            "txhash": answer.hash,
            "codespace": answer.codespace,
            "code": answer.code,
            "raw_log": answer.raw_log,
        }
        return queries.encode(queries.BROADCAST_RESPONSE, {"tx_response": found})

    def _tx(self, raw: bytes) -> bytes:
        digest = str(queries.decode(queries.TX_REQUEST, raw)["hash"])
        if not self._chain.controls.tx_index:
            raise StatusError("UNKNOWN", "transaction indexing is disabled")
        record = self._chain.tx(digest)
        if record is None:
            raise NotFoundError(f"tx not found: {digest}")
        # Raw and decoded transactions look the same on the wire.
        response = {**rest.tx_response(record), "tx": None}
        found = {"tx": txs.b64(record.raw), "tx_response": response}
        return queries.encode(queries.TX_RESPONSE, found)


async def _fail(rule: FaultRule, answer: Callable[[], bytes]) -> None:
    """Raises, or waits and lets the answer come."""
    if rule.action == "delay":
        await asyncio.sleep(rule.seconds)
        return
    if rule.action == "hold":
        rule.waiting += 1
        try:
            await rule.released.wait()
        finally:
            rule.waiting -= 1
        return
    if rule.action == "hang":
        await asyncio.Event().wait()
    if rule.action in ("drop_after", "busy_after", "truncate"):
        answer()
    raise StatusError("UNAVAILABLE", rule.body or "the simulator broke the connection")
