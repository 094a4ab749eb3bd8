# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Faults on demand and the request log, as a middleware for every service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ACTIONS = (
    "status", "html", "truncate", "delay", "hold", "hang", "drop", "drop_after", "busy", "busy_after",
)  # fmt: skip
SERVICES = ("chain", "rpc", "grpc", "public", "hosts", "release", "gateway")
_HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
_LOG_SIZE = 50_000
# What a gateway says while its database is being written; the real one's words.
_BUSY = "load gateway settings: database is locked (5) (SQLITE_BUSY)"


class FaultError(ValueError):
    """A rule that makes no sense."""


@dataclass(slots=True)
class FaultRule:
    """One rule: which requests, how often, and what goes wrong."""

    id: str
    action: str
    service: str | None = None
    method: str | None = None
    path: str = ""
    after: int = 0
    times: int | None = None
    status: int = 502
    body: str | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    hits: int = 0
    waiting: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def from_json(cls, rule_id: str, data: Mapping[str, Any]) -> FaultRule:
        unknown = set(data) - {
            "action", "service", "method", "path", "after", "times", "status",
            "body", "content_type", "headers", "seconds",
        }  # fmt: skip
        if unknown:
            raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}")
        if data.get("action") not in ACTIONS:
            raise FaultError(f"action must be one of {', '.join(ACTIONS)}")
        if data.get("service") not in (None, *SERVICES):
            raise FaultError(f"service must be one of {', '.join(SERVICES)}")
        try:
            re.compile(data.get("path", ""))
        except re.error as error:
            raise FaultError(f"path is not a regular expression: {error}") from error
        return cls(rule_id, **data)

    def matches(self, service: str, method: str, path: str) -> bool:
        return (
            self.service in (None, service)
            and self.method in (None, method)
            and re.search(self.path, path) is not None
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "action": self.action,
            "service": self.service,
            "method": self.method,
            "path": self.path,
            "after": self.after,
            "times": self.times,
            "hits": self.hits,
            "waiting": self.waiting,
        }


class FaultRules:
    """All rules; the first that matches and is not used up applies."""

    def __init__(self) -> None:
        self.rules: dict[str, FaultRule] = {}
        self._count = 0

    def add(self, data: Mapping[str, Any]) -> FaultRule:
        self._count += 1
        rule = FaultRule.from_json(f"f{self._count}", data)
        self.rules[rule.id] = rule
        return rule

    def remove(self, rule_id: str) -> None:
        """What the rule holds goes on."""
        rule = self.rules.pop(rule_id, None)
        if rule is None:
            raise FaultError(f"no fault {rule_id}")
        rule.released.set()

    def clear(self) -> None:
        for rule_id in list(self.rules):
            self.remove(rule_id)

    def pick(self, service: str, method: str, path: str) -> FaultRule | None:
        for rule in self.rules.values():
            if not rule.matches(service, method, path):
                continue
            if rule.after > 0:
                rule.after -= 1
                continue
            if rule.times is not None and rule.hits >= rule.times:
                continue
            rule.hits += 1
            return rule
        return None


class RequestLog:
    """What was asked of the simulator, newest last."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_LOG_SIZE)

    def add(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)

    def clear(self) -> None:
        self._entries.clear()

    def entries(
        self, service: str | None = None, method: str | None = None, path: str | None = None
    ) -> list[dict[str, Any]]:
        return [
            entry
            for entry in self._entries
            if service in (None, entry["service"])
            and method in (None, entry["method"])
            and (path is None or re.search(path, entry["path"]))
        ]


CLIENT_GONE = 499
"""In the log: the client left before there was an answer."""


def middleware(service: str, rules: FaultRules, log: RequestLog) -> Middleware:
    """Log every request of a service and apply the rules to it."""

    @web.middleware
    async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        path = request.path_qs
        # The hosts share the public API's port.
        name = "hosts" if request.path.startswith("/hosts/") else service
        transport = request.transport
        here = None if transport is None else transport.get_extra_info("sockname")
        entry: dict[str, Any] = {
            "time": time.time(),
            "service": name,
            "port": here[1] if here else 0,
            "remote": request.remote,
            "method": request.method,
            "path": path,
            "body_sha256": hashlib.sha256(body).hexdigest() if body else "",
            "status": 0,
            "fault": None,
        }
        log.add(entry)
        rule = rules.pick(name, request.method, path)
        try:
            if rule is None:
                response = await handler(request)
            else:
                entry["fault"] = rule.id
                response = await _fail(rule, request, handler)
        except asyncio.CancelledError:
            entry["status"] = CLIENT_GONE
            raise
        entry["status"] = response.status
        return response

    return apply


async def _fail(rule: FaultRule, request: web.Request, handler: Handler) -> web.StreamResponse:
    if rule.action == "status":
        text = rule.body if rule.body is not None else '{"code":13,"message":"fault","details":[]}'
        return web.Response(
            status=rule.status,
            text=text,
            content_type=rule.content_type,
            headers=rule.headers,
        )
    if rule.action == "html":
        text = rule.body if rule.body is not None else _HTML.format(status=rule.status)
        return web.Response(
            status=rule.status, text=text, content_type="text/html", headers=rule.headers
        )
    if rule.action == "truncate":
        whole = await handler(request)
        content = whole.body if isinstance(whole, web.Response) else None
        raw = content if isinstance(content, bytes) else b""
        return web.Response(
            status=whole.status, body=raw[: len(raw) // 2], content_type=whole.content_type
        )
    if rule.action == "delay":
        await asyncio.sleep(rule.seconds)
        return await handler(request)
    if rule.action == "hold":
        rule.waiting += 1
        try:
            await rule.released.wait()
        finally:
            rule.waiting -= 1
        return await handler(request)
    if rule.action in ("busy", "busy_after"):
        if rule.action == "busy_after":
            await handler(request)
        text = rule.body if rule.body is not None else _BUSY
        return web.Response(
            status=500,
            text=json.dumps({"error": {"message": text}}) + "\n",
            content_type="text/plain",
            charset="utf-8",
            headers={"X-Content-Type-Options": "nosniff"},
        )
    if rule.action == "hang":
        # Ends when the client gives up or the server stops.
        await asyncio.Event().wait()
    if rule.action == "drop_after":
        await handler(request)
    if request.transport is not None:
        request.transport.abort()
    # Nobody reads this any more: the connection is gone.
    return web.Response(status=499)
