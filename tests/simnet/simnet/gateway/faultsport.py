# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway's own faults port: rules, request log, points, replies, crash."""

from __future__ import annotations

import dataclasses
import typing as t

from aiohttp import web

from simnet.faultrules import FaultError, FaultRules, RequestLog
from simnet.faults_api import Body, Reply, getting, posting
from simnet.gateway.chat import Script
from simnet.gateway.core import Gateway
from simnet.gateway.points import kill_self


class GatewayFaults:
    def __init__(self, gateway: Gateway, rules: FaultRules, log: RequestLog) -> None:
        self._gateway = gateway
        self._rules = rules
        self._log = log

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", getting(lambda request: {"ok": True})),
            web.get("/faults", getting(self._faults)),
            web.post("/faults", posting(lambda body: self._rules.add(body).to_json())),
            web.delete("/faults", getting(self._clear)),
            web.delete("/faults/{id}", getting(self._clear_one)),
            web.get("/requests", getting(self._requests)),
            web.delete("/requests", getting(self._clear_requests)),
            web.get("/points", getting(lambda request: self._gateway.points.to_json())),
            web.post("/points", posting(self._gateway.points.arm)),
            web.delete("/points", getting(self._clear_points)),
            web.delete("/points/{point}", getting(self._release_point)),
            web.post("/clock", posting(self._advance)),
            web.get("/reply", getting(lambda request: self._reply())),
            web.post("/reply", posting(self._set_reply)),
            web.get("/process", getting(self._process)),
            web.post("/crash", posting(self._crash)),
            web.post("/reset", posting(self._reset)),
        ]

    def _faults(self, request: web.Request) -> Reply:
        return {"faults": [rule.to_json() for rule in self._rules.rules.values()]}

    def _clear(self, request: web.Request) -> Reply:
        self._rules.clear()
        return {}

    def _clear_one(self, request: web.Request) -> Reply:
        self._rules.remove(request.match_info["id"])
        return {}

    def _requests(self, request: web.Request) -> Reply:
        query = request.query
        return {"requests": self._log.entries(None, query.get("method"), query.get("path"))}

    def _clear_requests(self, request: web.Request) -> Reply:
        self._log.clear()
        return {}

    def _clear_points(self, request: web.Request) -> Reply:
        self._gateway.points.clear()
        return {}

    def _release_point(self, request: web.Request) -> Reply:
        self._gateway.points.release(request.match_info["point"])
        return {}

    def _advance(self, body: Body) -> Reply:
        seconds = float(body["seconds"])
        if seconds <= 0:
            raise FaultError("seconds must be positive")
        self._gateway.clock.advance(seconds)
        return {}

    def _reply(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self._gateway.script)

    def _set_reply(self, body: Body) -> Reply:
        self._gateway.script = Script().updated(body)
        return self._reply()

    def _process(self, request: web.Request) -> Reply:
        environment = self._gateway.environment
        return {
            "process_id": self._gateway.process_id,
            "image_version": environment.image_version,
            "fail": environment.fail,
        }

    def _crash(self, body: Body) -> Reply:
        kill_self()

    def _reset(self, body: Body) -> Reply:
        self._rules.clear()
        self._gateway.points.clear()
        self._gateway.script = Script()
        return {}
