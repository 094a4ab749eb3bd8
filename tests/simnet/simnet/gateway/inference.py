# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Serves chat requests: checks, cache, limiter, picker, and the reply of a simulated host."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import time
import typing as t
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from aiohttp import web

from simnet.gateway.capacity import Capacity, check_model
from simnet.gateway.chat import Chat, Chunks, host_error, parse_chat, usage, whole_reply
from simnet.gateway.database import now_text
from simnet.gateway.devsession import (
    HostLink,
    HostStateError,
    HostUnavailableError,
    InsufficientBalanceError,
    Op,
)
from simnet.gateway.goish import JSON, ApiError, ProxyError, compact
from simnet.gateway.points import PointError
from simnet.gateway.runtime import SYNC_BURST, Runtime
from simnet.gateway.sessiondb import SessionError
from simnet.gateway.settings import limit_of

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway

LOG = logging.getLogger("devshardctl")
_ATTEMPTS = 3
_FORK_TRIES = 4
_FORK_PAUSE = 0.25
_STREAM = "text/event-stream"


@dataclass(slots=True)
class Work:
    """One request on its way through a runtime."""

    id: str
    chat: Chat
    runtime: Runtime
    started_at: str = ""
    nonce: int = 0
    host: str = ""
    began: float = 0.0
    attempts: list[dict[str, t.Any]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    status: int = 200
    content_type: str = JSON


class Inference:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._request_numbers = itertools.count(1)
        self._reply_numbers = itertools.count(1)

    # --- checks ----------------------------------------------------------------

    async def serve(self, request: web.Request, direct: Runtime | None) -> web.StreamResponse:
        gateway = self._gateway
        headers = {} if direct is None else {"X-Devshard-Id": direct.id}
        model = gateway.settings["default_model"] if direct is None else direct.model
        request_id = f"req-{time.time_ns()}-{next(self._request_numbers)}"
        try:
            if direct is not None:
                self._check_direct(direct)
            key = _bearer(request)
            is_admin = bool(gateway.environment.admin_key) and key == gateway.environment.admin_key
            raw = await request.read()
            chat = parse_chat(raw, gateway.settings, gateway.script, admin=is_admin)
            model = chat.model
            LOG.info(
                "request=%s stage=gateway_request_received model=%s stream=%s api_key_suffix=%s",
                request_id, chat.model, chat.stream, key[-8:],
            )  # fmt: skip
            if direct is None:
                if chat.named:
                    check_model(gateway.runtimes, chat.model)
            elif chat.model != direct.model:
                raise ApiError(
                    400, f'unsupported model "{chat.model}"; supported models: {direct.model}'
                )
            if not is_admin:
                self._check_access(chat.model, key)
            cached = gateway.cache.get(chat.cache_key)
            if cached is not None:
                LOG.info("request=%s stage=gateway_cache_hit", request_id)
                headers["Content-Type"] = cached.content_type
                headers["X-Request-Id"] = request_id
                headers["X-Devshard-Id"] = cached.devshard_id
                return web.Response(status=cached.status, body=cached.body, headers=headers)
            response = await self._limited(request, request_id, chat, direct)
        except ApiError as error:
            gateway.chats.requests[model, error.status] += 1
            return error.response(headers)
        gateway.chats.requests[model, response.status] += 1
        return response

    def _check_direct(self, runtime: Runtime) -> None:
        why = "inactive" if not runtime.active else f"phase={runtime.session.phase}"
        if runtime.active and runtime.on_hold:
            why = "on_hold"
        if not runtime.routable:
            raise ApiError(409, f"devshard {runtime.id} is unavailable for new inferences: {why}")

    def _check_access(self, model: str, key: str) -> None:
        entry = limit_of(self._gateway.settings, model)
        mode = (entry or {}).get("access_mode") or "admin_only"
        if mode == "open" or (mode == "api_key" and key in self._gateway.environment.api_keys):
            return
        wanted = "an API key" if mode == "api_key" else "an admin API key"
        message = (entry or {}).get("access_message") or f'model "{model}" requires {wanted}'
        raise ApiError(401, message)

    async def _limited(
        self, request: web.Request, request_id: str, chat: Chat, direct: Runtime | None
    ) -> web.StreamResponse:
        gateway = self._gateway
        capacity = gateway.capacity()
        relaxed = gateway.environment.poc_relaxed and gateway.snapshot.in_poc
        engaged = not relaxed or gateway.environment.capacity_aware
        try:
            if engaged:
                capacity.admit(gateway.load, chat.model, chat.tokens)
            else:
                capacity.need_hosts(chat.model)
        except ApiError as error:
            LOG.info("request=%s stage=gateway_limiter_rejected: %s", request_id, error)
            gateway.rejected(error.message)
            raise
        runtime = direct or self._pick(request_id, chat, capacity.escrow_weights())
        if direct is None and gateway.generation.offers_around:
            runtime = self._who_can_pay(request_id, chat, capacity, runtime)
        served = replace(chat, model=runtime.model)
        work = Work(request_id, served, runtime, now_text())
        if engaged:
            gateway.load.add(chat.model, chat.tokens)
        runtime.active_requests += 1
        runtime.idle.clear()
        runtime.reserved_tokens += chat.tokens
        try:
            return await self._proxied(request, work)
        finally:
            if engaged:
                gateway.load.add(chat.model, chat.tokens, -1)
            runtime.active_requests -= 1
            runtime.reserved_tokens -= chat.tokens
            gateway.work_ended(runtime)

    def _who_can_pay(
        self, request_id: str, chat: Chat, capacity: Capacity, first: Runtime
    ) -> Runtime:
        """Offered once to every escrow; none that refuses is taken out of service."""
        runtime, refused = first, set[str]()
        while not _can_pay(runtime, chat):
            refused.add(runtime.id)
            try:
                runtime = self._pick(request_id, chat, capacity.escrow_weights(), refused)
            except ApiError as error:
                raise ApiError(
                    503,
                    f"no escrow can fund this request ({len(refused)} refused): {error}",
                    headers={"Retry-After": "10"},
                ) from error
        return runtime

    def _pick(
        self,
        request_id: str,
        chat: Chat,
        weights: Mapping[str, float],
        refused: Collection[str] = (),
    ) -> Runtime:
        gateway = self._gateway
        for runtime in gateway.runtimes.values():
            if runtime.routable and runtime.session.nonce >= gateway.tuning.nonce_limit:
                gateway.rotator.nonce_high(runtime)
        try:
            return gateway.picker.pick(
                gateway.runtimes,
                chat.model if chat.named else None,
                gateway.tuning.nonce_limit,
                gateway.participants,
                weights,
                refused,
            )
        except ApiError as error:
            LOG.info("request=%s stage=gateway_runtime_select_failed: %s", request_id, error)
            raise

    # --- the proxy -------------------------------------------------------------

    async def _proxied(self, request: web.Request, work: Work) -> web.StreamResponse:
        gateway = self._gateway
        outcome = "failed"
        try:
            if gateway.blocked:
                raise ProxyError(503, gateway.snapshot.block_message)
            await self._start(work)
            if await self._fails_at("chat.before_reply"):
                raise ProxyError(502, "inference: no non-probe attempt finished")
            response = await self._answer(request, work)
            outcome = "success" if work.status < 400 else "failed"
            return response
        except ProxyError as error:
            return self._error(work, error)
        finally:
            body = b"".join(work.sent)
            if gateway.generation.caches_truncated or _whole(work, body):
                self._cache(work, body)
            if work.attempts:
                self._finish(work, body, outcome)
                self._account(work, outcome)

    def _account(self, work: Work, outcome: str) -> None:
        accounting = self._gateway.accounting
        if accounting is not None:
            kind = "finished_used" if outcome == "success" else "unfinished_execution"
            accounting.add(work.runtime.id, work.nonce, work.host, work.chat.model, kind)

    def _cache(self, work: Work, body: bytes) -> None:
        key, kind = work.chat.cache_key, work.content_type
        self._gateway.cache.put(key, work.status, kind, body, work.runtime.id)

    async def _fails_at(self, point: str) -> bool:
        try:
            await self._gateway.points.reach(point)
        except PointError:
            return True
        return False

    def _error(self, work: Work, error: ProxyError) -> web.Response:
        work.status, work.content_type, work.sent = error.status, JSON, [error.body]
        LOG.info("request=%s stage=proxy_failed status=%d: %s", work.id, error.status, error)
        headers = {"Content-Type": JSON, "X-Devshard-Id": work.runtime.id}
        return web.Response(status=error.status, body=error.body, headers=headers)

    async def _start(self, work: Work) -> None:
        """Write the request into the session and tell a host."""
        tried: set[str] = set()
        for _unused in range(_ATTEMPTS):
            slot = self._slot(work.runtime, tried)
            if slot is None:
                raise ProxyError(
                    502,
                    "redundancy: no currently-available host outside the request's exclude set",
                )
            await self._write_start(work, slot)
            link = work.runtime.session.link_of(slot)
            work.host, work.began = link.address, time.monotonic()
            self._gateway.chats.started[work.chat.model, link.address] += 1
            try:
                await self._tell(work.runtime, link)
            except HostStateError as error:
                raise ProxyError(502, str(error)) from error
            except HostUnavailableError as error:
                LOG.info("request=%s stage=attempt_failed: %s", work.id, error)
                self._gateway.participants.failed(link.address, self._gateway.settings)
                tried.add(link.address)
                work.runtime.session.pending.append({"t": "timeout", "id": work.nonce})
                work.attempts[-1]["outcome"] = "failed"
            else:
                return
        raise ProxyError(502, "inference: no non-probe attempt finished")

    def _slot(self, runtime: Runtime, tried: set[str]) -> int | None:
        session = runtime.session
        count = session.state.slots
        first = (session.nonce + 1) % count
        for step in range(count):
            address = session.link_of((first + step) % count).address
            if address not in tried and not self._gateway.participants.blocked(address):
                return (first + step) % count
        return None

    async def _write_start(self, work: Work, slot: int) -> None:
        chat = work.chat
        op: Op = {
            "t": "start",
            "slot": slot,
            "model": chat.model,
            "length": chat.length,
            "max": chat.max_tokens,
            "reserved": chat.reserved * work.runtime.session.escrow.token_price,
            "hash": chat.prompt_hash,
            "at": int(time.time()),
        }
        try:
            work.nonce = work.runtime.session.append([op])
        except InsufficientBalanceError as error:
            self._gateway.rotator.exhausted(work.runtime)
            raise ProxyError(502, f"prepare: {error}") from error
        except SessionError as error:
            self._gateway.in_background(work.runtime, self._show_fork(work.runtime))
            raise ProxyError(502, str(error)) from error
        work.attempts.append({"nonce": work.nonce, "host_idx": slot, "outcome": "started"})

    @property
    def _receipt_timeout(self) -> float:
        return float(self._gateway.settings["redundancy"]["receipt_timeout_ms"]) / 1000

    async def _tell(self, runtime: Runtime, link: HostLink) -> None:
        """Now, unless requests come too fast; then with the next batch."""
        now = self._gateway.clock.now()
        burst = len(runtime.syncs) == SYNC_BURST
        if burst and now - runtime.syncs[0] < self._gateway.tuning.sync_seconds:
            self._flush_later(runtime)
            return
        runtime.syncs.append(now)
        try:
            await runtime.session.sync(link, self._receipt_timeout)
        except (HostStateError, HostUnavailableError):
            runtime.syncs.clear()
            raise
        self._gateway.participants.succeeded(link.address)

    def _flush_later(self, runtime: Runtime) -> None:
        if runtime.flush is None or runtime.flush.done():
            runtime.flush = asyncio.create_task(self._flush(runtime))

    async def _flush(self, runtime: Runtime) -> None:
        await self._gateway.clock.sleep(self._gateway.tuning.sync_seconds)
        slot = self._slot(runtime, set())
        if slot is None:
            return
        link = runtime.session.link_of(slot)
        try:
            await runtime.session.sync(link, self._receipt_timeout)
        except HostStateError as error:
            # The next request meets it by itself.
            runtime.syncs.clear()
            LOG.info("devshard=%s %s", runtime.id, error)
        except HostUnavailableError as error:
            self._gateway.participants.failed(link.address, self._gateway.settings)
            LOG.info("devshard=%s %s", runtime.id, error)

    # --- the reply -------------------------------------------------------------

    async def _answer(self, request: web.Request, work: Work) -> web.StreamResponse:
        chat = work.chat
        headers = {"X-Request-Id": work.id, "X-Devshard-Id": work.runtime.id}
        if chat.script.status:
            await asyncio.sleep(chat.script.seconds)
            work.status, work.sent = chat.script.status, [host_error(chat.script.status)]
            return web.Response(
                status=work.status, body=work.sent[0], headers={**headers, "Content-Type": JSON}
            )
        gateway = self._gateway
        number, created = next(self._reply_numbers), int(time.time())
        if chat.stream:
            return await self._stream(
                request,
                work,
                headers,
                Chunks(chat, number, created, logprobs=gateway.generation.logprobs),
            )
        await asyncio.sleep(chat.script.seconds)
        if chat.script.fail >= 0:
            raise ProxyError(502, "inference: no non-probe attempt finished")
        body = whole_reply(chat, number, created)
        work.sent = [body]
        if chat.script.cut >= 0:
            _cut(request)
        return web.Response(body=body, headers={**headers, "Content-Type": JSON})

    async def _stream(
        self, request: web.Request, work: Work, headers: dict[str, str], chunks: Chunks
    ) -> web.StreamResponse:
        script = work.chat.script
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = web.StreamResponse(
            headers={"Cache-Control": "no-cache", "Content-Type": _STREAM, **headers}
        )
        for index in range(script.chunks):
            if index == script.fail or await self._fails_at("chat.chunk"):
                if not response.prepared:
                    # The status line waits for the first byte, so this is an ordinary error.
                    raise ProxyError(502, "inference: no non-probe attempt finished")
                error = {"error": {"message": "inference: upstream stream failed"}}
                if self._gateway.generation.cleanup_is_busy:
                    self._gateway.in_background(work.runtime, self._race_cleanup(work))
                await self._write(response, work, b"data: " + compact(error) + b"\n\n")
                return response
            if index == script.cut:
                _cut(request)
                return response
            wait = began + script.seconds * (index + 1) / script.chunks - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not response.prepared:
                work.content_type = _STREAM
                await response.prepare(request)
            if not await self._write(response, work, chunks.chunk(index)):
                return response
        if not response.prepared:
            work.content_type = _STREAM
            await response.prepare(request)
        await self._write(response, work, chunks.end())
        LOG.info("request=%s stage=proxy_response_finished", work.id)
        return response

    @staticmethod
    async def _write(response: web.StreamResponse, work: Work, data: bytes) -> bool:
        work.sent.append(data)
        try:
            await response.write(data)
        except ConnectionResetError:
            return False
        return True

    # --- afterwards --------------------------------------------------------------

    def _finish(self, work: Work, body: bytes, outcome: str) -> None:
        chat, session = work.chat, work.runtime.session
        counted = usage(chat)
        good = outcome == "success"
        price = session.escrow.token_price
        cost = min(counted["total_tokens"], chat.reserved) * price if good else 0
        last = work.attempts[-1]
        if last["outcome"] == "started":
            last["outcome"] = outcome
            session.pending.append(
                {
                    "t": "finish",
                    "id": work.nonce,
                    "cost": cost,
                    "in": counted["prompt_tokens"],
                    "out": counted["completion_tokens"],
                    "hash": hashlib.sha256(body).hexdigest(),
                }
            )
        took = time.monotonic() - work.began
        self._gateway.chats.attempt_ended(chat.model, work.host, outcome, took)
        winner = work.nonce if good else 0
        self._gateway.perf.add(
            work.id,
            work.runtime.id,
            {
                "request_id": work.id,
                "escrow_id": work.runtime.id,
                "model": chat.model,
                "outcome": outcome,
                "decision": "single",
                "winner_nonce": winner,
                "cached_from_request_id": "",
                "cached_from_escrow_id": "",
                "winner": last if good else None,
                "attempts": work.attempts,
                "cost": {
                    "winner_actual_cost": cost,
                    "other_attempts_actual_cost": 0,
                    "all_attempts_actual_cost": cost,
                },
                "started_at": work.started_at,
                "completed_at": now_text(),
            },
        )
        if chat.script.after > 0:
            LOG.info("request=%s stage=request_returned_while_speculation_pending", work.id)
            self._gateway.in_background(work.runtime, self._late(work))

    async def _show_fork(self, runtime: Runtime) -> None:
        # The other author may be telling its hosts in batches.
        for _unused in range(_FORK_TRIES):
            if await runtime.session.show_fork(self._receipt_timeout):
                return
            await self._gateway.clock.sleep(_FORK_PAUSE)

    async def _race_cleanup(self, work: Work) -> None:
        """After a stream that broke once its content had begun: nobody is served, and yet the
        escrow is busy until the time for executing a request is over."""
        LOG.info("request=%s stage=race_cleanup_waiting escrow=%s", work.id, work.runtime.id)
        config = work.runtime.session.escrow.config
        await self._gateway.clock.sleep(config["execution_timeout"])

    async def _late(self, work: Work) -> None:
        """Losing attempts and timeouts write diffs when nobody is served any more."""
        runtime, script = work.runtime, work.chat.script
        for _unused in range(script.after):
            await self._gateway.clock.sleep(script.every)
            if runtime.session.phase != "active":
                return
            LOG.info("request=%s stage=timeout_waiting", work.id)
            try:
                runtime.session.append([{"t": "late"}])
            except (SessionError, InsufficientBalanceError) as error:
                LOG.info("request=%s late diff: %s", work.id, error)
                return
            self._flush_later(runtime)


def _can_pay(runtime: Runtime, chat: Chat) -> bool:
    session = runtime.session
    needed = chat.reserved * session.escrow.token_price + session.state.fee_per_nonce
    return session.state.balance + session.refunds >= needed


def _whole(work: Work, body: bytes) -> bool:
    """A stream that ended, or an answer that is none."""
    return work.status < 300 and (work.content_type != _STREAM or b"data: [DONE]" in body)


def _bearer(request: web.Request) -> str:
    text = request.headers.get("Authorization", "")
    return text.removeprefix("Bearer ") if text.startswith("Bearer ") else ""


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
