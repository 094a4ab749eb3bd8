# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A real chat request as a client sends it (guide §5), judged by its reply.

Each request has a prompt of its own: the gateway answers a repeated one, errors included, from its
cache for an hour, which would prove nothing.
"""

from __future__ import annotations

import json
import re
import time
import typing as t
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from .._core.decoding import failure_of
from .._core.errors import (
    DevshardError,
    PocPhaseError,
    ProtocolError,
    RateLimitedError,
    RedirectedError,
    WaitTimeoutError,
)
from .._core.exchange import Request, Response
from .._core.transport import bearer

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .._core.exchange import StreamTransport
    from .._core.timer import WaitBudget

Part = t.TypeVar("Part")
_LIMITER: t.Final = re.compile(r"^rate limit exceeded\b")


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    model: str
    prompt: str
    max_tokens: int
    stream: bool
    timeout: float


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """One reply that is complete. Times are in seconds; only a stream has a first chunk."""

    content: str
    stream: bool
    chunks: int
    finish_reason: str
    first_byte: float
    first_chunk: float | None
    total: float
    devshard_id: str | None
    request_id: str | None
    slot: str | None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "content": self.content,
            "stream": self.stream,
            "chunks": self.chunks,
            "finish_reason": self.finish_reason,
            "first_byte_seconds": round(self.first_byte, 3),
            "first_chunk_seconds": None if self.first_chunk is None else round(self.first_chunk, 3),
            "total_seconds": round(self.total, 3),
            "devshard_id": self.devshard_id,
            "request_id": self.request_id,
            "slot": self.slot,
        }


def sse_events(chunks: Iterable[bytes]) -> t.Iterator[str]:
    """The ``data:`` lines of a stream, however the network cut it into pieces."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("data:"):
                yield text.removeprefix("data:").strip()
    if rest.strip() == b"data: [DONE]":
        yield "[DONE]"


def read_stream(events: Iterable[str], where: str) -> tuple[str, int, str]:
    """Text, number of chunks and finish reason of a stream that ended with ``[DONE]``.

    A gateway's error inside a stream is one event without ``[DONE]``; a host's error is an event
    before it. Both are failures, and so are a stream that just ends and one that never says why
    the model stopped: a host that gives up midway can still be followed by ``[DONE]``.
    """
    content: list[str] = []
    finish: str | None = None
    count = 0
    for event in events:
        if event == "[DONE]":
            if count == 0:
                raise ProtocolError(f"{where}: the stream ended before any data arrived")
            return "".join(content), count, _finished(finish, where)
        try:
            body = json.loads(event)
            if "error" not in body:
                for choice in body["choices"]:
                    content.append(choice["delta"].get("content") or "")
                    finish = choice.get("finish_reason") or finish
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ProtocolError(
                f"{where}: the stream holds an event that is not part of a chat completion"
            ) from exc
        if "error" in body:
            raise ProtocolError(f"{where}: the stream ended with an error: {_message(body)}")
        count += 1
    raise ProtocolError(
        f"{where}: the stream broke off after {count} chunk(s), without [DONE]", chunks=count
    )


def _finished(reason: object, where: str) -> str:
    if not isinstance(reason, str) or not reason:
        raise ProtocolError(
            f"{where}: the reply has no finish_reason, so it was interrupted before the model "
            f"ended it"
        )
    return reason


def _message(body: Mapping[str, t.Any]) -> str:
    error = body["error"]
    return str(error.get("message") if isinstance(error, dict) else error)


def _read_whole(response: Response, where: str) -> tuple[str, str]:
    try:
        choice = json.loads(response.body)["choices"][0]
        message = choice["message"]
        content = message["content"]
        # a model that thinks first may reach max_tokens before it says anything
        thought = any(message.get(name) for name in ("reasoning_content", "reasoning"))
        finish = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise ProtocolError(f"{where}: the reply is not a chat completion") from exc
    if content is None and thought:
        content = ""
    if not isinstance(content, str):
        raise ProtocolError(f"{where}: the reply holds no text")
    return content, _finished(finish, where)


def _redirected(request: Request, response: Response) -> RedirectedError:
    """Who sends the client away, and to where: a gateway itself sends no Location."""
    target = response.headers.get("Location", "")
    asked, given = urlsplit(request.url), urlsplit(target)
    if not target:
        said = (
            "the gateway is in its disabled state, and no edge in front of it names the new URL. "
            "End that state with the playbook gonka.devshard.redirect (-e redirect_enabled=false)"
        )
    elif (asked.scheme, given.scheme) == ("http", "https") and asked.hostname == given.hostname:
        said = (
            f"the edge accepts clients over https only. Set devshard_client_base_url to"
            f" {given.scheme}://{given.netloc}"
        )
    else:
        said = (
            f"clients are sent to {given.scheme}://{given.netloc}, as the playbook "
            f"gonka.devshard.redirect does it. No request can be tried here until -e "
            f"redirect_enabled=false lets them in again"
        )
    return RedirectedError(
        f"{request.where}: got {response.status}: {said}",
        http_status=response.status,
        location=target or None,
    )


def _failure(request: Request, response: Response) -> DevshardError:
    """The failure with what to do about it, where the contract says it (gateway.md §1.5)."""
    if 300 <= response.status < 400:
        return _redirected(request, response)
    error = failure_of(request, response)
    message = str(error.details.get("server_message", ""))
    if response.status == 503 and re.search(r"\bPoC\b", message):
        return PocPhaseError(f"{request.where}: {message}", http_status=503)
    hints = {
        401: "the client's key is not accepted for this model: set access_mode of the"
        " model in devshard_models (model_limits) to api_key. 'requires an admin API key' means that"
        " it is admin_only",
        429: "the gateway's limits are reached, or its escrows' hosts have no budget left",
        502: "no escrow could serve it: gonka.devshard.escrow_info shows which are usable",
        503: "the hosts or the escrows cannot take it now: try again later. The gateway itself is"
        " in order, so neither a restart nor a swap helps",
    }
    hint = hints.get(response.status)
    if hint is None:
        return error
    return type(error)(f"{error}. {hint[0].upper()}{hint[1:]}", **error.details)


def at_its_limit(error: RateLimitedError) -> bool:
    """Whether this 429 comes from the gateway's own limiter, which proves that it serves others.

    The other 429, "no available escrows", says that no host of any escrow has budget left. It
    proves nothing.
    """
    return _LIMITER.match(str(error.details.get("server_message", ""))) is not None


def unique_prompt(prompt: str) -> str:
    """The prompt with a token that no earlier request had."""
    return f"{prompt} (request {uuid.uuid4().hex})"


def ask(
    transport: StreamTransport,
    base_url: str,
    api_key: str,
    options: ChatOptions,
    clock: Callable[[], float] = time.monotonic,
) -> ChatReply:
    """Send one request, once."""
    request = Request(
        method="POST",
        url=f"{base_url}/v1/chat/completions",
        json={
            "model": options.model,
            "messages": [{"role": "user", "content": unique_prompt(options.prompt)}],
            "max_tokens": options.max_tokens,
            "stream": options.stream,
        },
        headers=bearer(api_key, "the client's key"),
        timeout=options.timeout,
    )
    start = clock()
    first: dict[str, float] = {}

    def timed(parts: Iterable[Part], what: str) -> t.Iterator[Part]:
        for part in parts:
            first.setdefault(what, clock() - start)
            yield part

    with transport.stream(request) as (status, headers, raw):
        chunks = timed(raw, "byte")
        if status != 200:
            body = Response(status=status, headers=headers, body=b"".join(chunks))
            raise _failure(request, body)
        kind = headers.get("Content-Type", "")
        if options.stream:
            if "text/event-stream" not in kind:
                raise ProtocolError(f"{request.where}: asked for a stream, got {kind or 'nothing'}")
            events = timed(sse_events(chunks), "chunk")
            content, count, finish = read_stream(events, request.where)
        else:
            body = Response(status=status, headers=headers, body=b"".join(chunks))
            content, finish = _read_whole(body, request.where)
            count = 1
        total = clock() - start
        return ChatReply(
            content=content,
            stream=options.stream,
            chunks=count,
            finish_reason=finish,
            first_byte=first.get("byte", total),
            first_chunk=first.get("chunk"),
            total=total,
            devshard_id=headers.get("X-Devshard-ID"),
            request_id=headers.get("X-Request-Id"),
            slot=headers.get("X-Devshard-Slot"),
        )


def ask_through_poc(
    send: Callable[[], ChatReply],
    deadline: WaitBudget,
    interval: float,
    warn: Callable[[str], None],
) -> ChatReply:
    """A PoC phase is not a fault of the deployment: wait for its end, within the deadline."""
    told = False
    while True:
        try:
            return send()
        except PocPhaseError as exc:
            if not told:
                warn(
                    f"the network is in a PoC phase and serves no request; waiting for its end: {exc}"
                )
                told = True
            if not deadline.pause(interval):
                raise WaitTimeoutError(
                    "the network is still in a PoC phase, so no chat could be tried; no fault of "
                    "the gateway is known. Run this again when the phase is Inference",
                    waited=round(deadline.elapsed),
                ) from exc
