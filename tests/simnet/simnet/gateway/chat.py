# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Chat requests: what is asked, what a simulated host answers, and the response cache."""

from __future__ import annotations

import hashlib
import json
import re
import time
import typing as t
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from simnet.faultrules import FaultError
from simnet.gateway.goish import ApiError, compact, parse
from simnet.gateway.settings import Settings, token_limits

MAX_BODY = 10 * 1024 * 1024
_CACHE_SIZE = 10_000
_PARAMETERS = frozenset(
    (
        "model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options",
        "temperature", "top_p", "top_k", "min_p", "n", "stop", "seed", "presence_penalty",
        "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs",
        "user", "tools", "tool_choice", "parallel_tool_calls", "response_format", "metadata",
        "store", "reasoning_effort", "chat_template_kwargs", "service_tier", "modalities",
    )
)  # fmt: skip
_REJECTED = (
    'Chat completions parameter "{name}" is currently rejected by the Gonka network. Some '
    "non-standard parameters can crash the vLLM engine on Gonka Host MLNodes, so the network "
    "rejects parameters that are not explicitly supported (see: "
    "https://github.com/gonka-ai/gonka/blob/main/docs/chat-api/README.md). If you do not need "
    "this parameter, remove it from the request; if you need it, file a request at "
    "https://github.com/gonka-ai/gonka/issues"
)


@dataclass(frozen=True, slots=True)
class Script:
    """How the simulated host answers; a prompt says it as ``[sim seconds=5 chunks=10]``."""

    seconds: float = 0.0
    chunks: int = 5
    # A host that answers with an error of its own.
    status: int = 0
    # After so many chunks: the gateway fails, or the connection is reset.
    fail: int = -1
    cut: int = -1
    # Diffs that are written when the reply is over, and the time between them.
    after: int = 0
    every: float = 0.1

    def updated(self, values: Mapping[str, t.Any]) -> Script:
        kinds = {field.name: field.type for field in fields(self)}
        unknown = set(values) - set(kinds)
        if unknown:
            raise FaultError(f"sim: unknown fields: {', '.join(sorted(unknown))}")
        read: dict[str, t.Any] = {}
        for name, value in values.items():
            try:
                read[name] = float(value) if kinds[name] == "float" else int(value)
            except (TypeError, ValueError) as error:
                raise FaultError(f"sim: {name} must be a number") from error
        return replace(self, **read)


_SCRIPT = re.compile(r"\[sim ([^\]]*)\]")


def _script(text: str, default: Script) -> Script:
    match = _SCRIPT.search(text)
    if match is None:
        return default
    pairs = (word.partition("=") for word in match[1].split())
    try:
        return default.updated({name: value for name, _unused, value in pairs})
    except FaultError as error:
        raise ApiError(400, str(error)) from error


@dataclass(frozen=True, slots=True)
class Chat:
    """A request that passed the parser."""

    model: str
    # Whether the request named it. If not, the model is the default one, which decides about
    # access and limits; the reply comes from an escrow of any model.
    named: bool
    stream: bool
    length: int
    tokens: int
    max_tokens: int
    prompt_hash: str
    cache_key: str
    script: Script

    @property
    def reserved(self) -> int:
        return self.length + self.max_tokens


def _texts(messages: list[t.Any]) -> str:
    found = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                found.append(text)
    return "\n".join(found)


def parse_chat(raw: bytes, settings: Settings, default: Script, *, admin: bool) -> Chat:
    if len(raw) > MAX_BODY:
        raise ApiError(413, "request body too large")
    try:
        body = parse(raw)
    except ValueError as error:
        raise ApiError(400, f"parse request: {error}") from error
    if not isinstance(body, dict):
        kind = "array" if isinstance(body, list) else type(body).__name__
        raise ApiError(400, f"parse request: json: cannot unmarshal {kind} into Go value")
    for name in body:
        if name not in _PARAMETERS:
            raise ApiError(400, _REJECTED.format(name=name))
    messages = body.get("messages")
    if messages is not None and not isinstance(messages, list):
        raise ApiError(400, "messages must be an array")
    if not messages:
        raise ApiError(400, "messages is required")
    body_model, stream = body.get("model"), body.get("stream") or False
    model = body_model or settings["default_model"]
    if not isinstance(model, str):
        raise ApiError(400, "model must be a string")
    if not isinstance(stream, bool):
        raise ApiError(400, "stream must be a boolean")
    body["model"] = model
    max_tokens = _limit_tokens(body, settings, model, admin)
    normal = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return Chat(
        model=model,
        named=bool(body_model),
        stream=stream,
        length=len(raw),
        tokens=-(-len(raw) // 4),
        max_tokens=max_tokens,
        prompt_hash=hashlib.sha256(raw).hexdigest(),
        cache_key=hashlib.sha256(model.encode() + b"\0" + normal).hexdigest(),
        script=_script(_texts(messages), default),
    )


def _limit_tokens(body: dict[str, t.Any], settings: Settings, model: str, admin: bool) -> int:
    default, cap = token_limits(settings, model)
    asked = 0
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ApiError(400, f"{name} must be a non-negative integer")
        body[name] = value if admin else min(value, cap)
        asked = max(asked, body[name])
    if not asked:
        body["max_tokens"] = asked = default
    return asked


# --- replies -------------------------------------------------------------------


def whole_reply(chat: Chat, number: int, created: int) -> bytes:
    count = chat.script.chunks
    return compact(
        {
            "choices": [
                {
                    "finish_reason": "stop",
                    "index": 0,
                    "message": {
                        "content": "".join(f"tok{index} " for index in range(count)),
                        "role": "assistant",
                    },
                }
            ],
            "created": created,
            "id": f"chatcmpl-{number}",
            "model": chat.model,
            "object": "chat.completion",
            "usage": usage(chat),
        }
    )


def usage(chat: Chat) -> dict[str, int]:
    prompt, completion = -(-chat.length // 2), chat.script.chunks
    return {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
    }


_LOGPROBS = (
    ',"logprobs":'
    + compact(
        {
            "content": [
                {
                    "bytes": None,
                    "logprob": -0.01,
                    "token": "tok",
                    "top_logprobs": [{"bytes": None, "logprob": -0.01, "token": "tok"}],
                }
            ]
        }
    ).decode()
)


class Chunks:
    """The events of a streamed reply; built from parts, since there are many of them."""

    def __init__(self, chat: Chat, number: int, created: int, *, logprobs: bool = False) -> None:
        """``logprobs``: in every choice, whether asked for or not."""
        model = compact(chat.model).decode()
        self._tail = (
            f'"index":0'
            f'{_LOGPROBS if logprobs else ""}}}],"created":{created},"id":"chatcmpl-{number}","model":{model},'
            '"object":"chat.completion.chunk"'
        )
        self._usage = compact(usage(chat)).decode()

    def chunk(self, index: int) -> bytes:
        delta = f'{{"content":"tok{index} ","role":"assistant"}}'
        return (
            f'data: {{"choices":[{{"delta":{delta},"finish_reason":null,{self._tail}}}\n\n'.encode()
        )

    def end(self) -> bytes:
        head = f'data: {{"choices":[{{"delta":{{}},"finish_reason":"stop",{self._tail}'
        return f'{head},"usage":{self._usage}}}\n\ndata: [DONE]\n\n'.encode()


def host_error(status: int) -> bytes:
    return compact(
        {"error": {"message": "simulated host error", "type": "server_error", "code": status}}
    )


# --- cache ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cached:
    status: int
    content_type: str
    body: bytes
    devshard_id: str
    expires: float


class ResponseCache:
    """Every answer to the same words for an hour, errors too; lost with the process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: OrderedDict[str, Cached] = OrderedDict()

    def get(self, key: str) -> Cached | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires <= time.monotonic():
            del self._entries[key]
            return None
        return entry

    def put(self, key: str, status: int, content_type: str, body: bytes, devshard_id: str) -> None:
        if not body:
            return
        expires = time.monotonic() + self._seconds
        self._entries[key] = Cached(status, content_type, body, devshard_id, expires)
        while len(self._entries) > _CACHE_SIZE:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()
