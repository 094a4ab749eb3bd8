# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway's HTTP: routes, who may use them, and the views."""

from __future__ import annotations

import asyncio
import posixpath
import re
import time
import typing as t
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from simnet.gateway import settings as settings_of
from simnet.gateway.core import Gateway
from simnet.gateway.devsession import HostStateError, HostUnavailableError
from simnet.gateway.errors import BusyError, SettleError
from simnet.gateway.goish import (
    JSON,
    ApiError,
    Struct,
    compact,
    decode,
    not_found,
    reply,
    text_error,
    wrong_method,
)
from simnet.gateway.inference import Inference
from simnet.gateway.metrics import Requests, render
from simnet.gateway.runtime import Runtime

Answer = web.StreamResponse
_BEARER = "Bearer "
_GUARDED = ("/v1/admin/", "/v1/debug/")
_GUARDED_EXACT = ("/v1/finalize", "/v1/state")
_SINGLE = frozenset(
    (
        "/v1/finalize", "/v1/state", "/v1/debug/pending", "/v1/debug/state", "/v1/debug/perf",
        "/v1/debug/pairwise", "/v1/debug/signatures", "/v1/debug/signatures/collect",
        "/v1/debug/sync-hosts",
    )
)  # fmt: skip
_TX = {"chain_id": "string", "fee_denom": "string", "fee_amount": "uint64", "gas_limit": "uint64"}
_KEYS = {"private_key": "string", "private_key_env": "string"}
_CREATE = Struct(
    "adminCreateEscrowRequest",
    {
        "amount": "uint64",
        "model_id": "string",
        **_KEYS,
        "register": "bool",
        "storage_path": "string",
        "protocol_version": "string",
        **_TX,
    },
)
_ADD_FIELDS = {
    "id": "string",
    **_KEYS,
    "model": "string",
    "storage_path": "string",
    "protocol_version": "string",
}
_ADD = Struct("adminDevshardRequest", _ADD_FIELDS)
_IMPORT = Struct(
    "adminImportDevshardRequest", {**_ADD_FIELDS, "active": "bool", "perf_path": "string"}
)
_SETTLE = Struct("adminSettleRequest", {**_KEYS, **_TX})
_UNQUARANTINE = Struct("adminUnquarantineRequest", {"participant_key": "string"})


def _guarded(path: str) -> bool:
    return path.startswith(_GUARDED) or path in _GUARDED_EXACT


def is_admin_path(path: str) -> bool:
    if _guarded(path):
        return True
    match = re.match(r"/devshard/[^/]+(/v1/(?:finalize$|state$|debug/.*))", path)
    return match is not None


class Api:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._inference = Inference(gateway)
        self._requests = Requests()

    # --- layers ----------------------------------------------------------------

    async def handle(self, request: web.Request) -> Answer:
        began = time.monotonic()
        response = await self._checked(request)
        took = time.monotonic() - began
        self._requests.add(_pattern(request.path), request.method, response.status, took)
        return response

    async def _checked(self, request: web.Request) -> Answer:
        gateway, path = self._gateway, request.path
        if gateway.mutex.locked():
            async with gateway.mutex:
                pass
        admin_path = is_admin_path(path)
        disabled = gateway.settings["disabled"]
        if disabled["enabled"] and not admin_path:
            body = compact(
                {"message": disabled["message"], "new_url": disabled["new_url"], "status": 308}
            )
            return web.Response(status=308, body=body + b"\n", headers={"Content-Type": JSON})
        if admin_path:
            if not gateway.environment.admin_key:
                return not_found()
            if request.headers.get("Authorization") != _BEARER + gateway.environment.admin_key:
                return _unauthorized()
        clean = posixpath.normpath(path) + ("/" if path.endswith("/") and path != "/" else "")
        clean = "/" + clean.lstrip("/")
        if clean != path:
            return web.Response(status=307, headers={"Location": clean})
        try:
            return await self._route(request, path)
        except ApiError as error:
            return error.response()

    async def _route(self, request: web.Request, path: str) -> Answer:
        method, gateway = request.method, self._gateway
        if path == "/v1/chat/completions":
            return await self._inference.serve(request, None)
        if path == "/v1/status":
            return self._status(method)
        if path.startswith("/devshard/"):
            return await self._devshard(request, path)
        if path == "/metrics":
            return render(gateway, self._requests)
        if path == "/v1/models":
            return self._models(method)
        if path.startswith("/v1/admin/"):
            return await self._admin(request, path)
        if path == "/v1/debug/rotation":
            return reply(gateway.rotator.to_json()) if method == "GET" else wrong_method()
        if path in _SINGLE:
            if len(gateway.runtimes) != 1:
                raise ApiError(
                    400,
                    "use /devshard/{id} prefix for this endpoint when multiple devshards "
                    "are configured",
                )
            return await self._inner(request, gateway.ordered()[0], path, single=True)
        return not_found()

    # --- public ----------------------------------------------------------------

    def _status(self, method: str) -> Answer:
        gateway = self._gateway
        runtimes = gateway.ordered()
        if len(runtimes) == 1:
            return self._single_status(runtimes[0], method)
        capacity = gateway.capacity()
        return reply(
            {
                "capacity": capacity.capacity_json(),
                "devshards": [gateway.runtime_json(runtime) for runtime in runtimes],
                "limiter": capacity.limiter_json(gateway.load),
                "mode": "gateway",
                "runtimes": len(runtimes),
            }
        )

    def _single_status(self, runtime: Runtime, method: str) -> Answer:
        if method == "HEAD":
            return wrong_method()
        if method != "GET":
            return wrong_method("GET, HEAD")
        return reply(
            {
                **runtime.session.status_json(),
                **self._gateway.chain_json(),
                "config": runtime.session.escrow.config,
            }
        )

    def _models(self, method: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return text_error(405, "method not allowed", {"Allow": "GET, HEAD"})
        active = {runtime.model for runtime in self._gateway.ordered() if runtime.active}
        names = sorted(active) or [self._gateway.settings["default_model"]]
        return reply({"object": "list", "data": [self._model(name) for name in names]})

    def _model(self, name: str, cap: int | None = None) -> dict[str, t.Any]:
        if cap is None:
            cap = settings_of.token_limits(self._gateway.settings, name)[1]
        return {
            "id": name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "gonka",
            "name": name,
            "description": "Gonka devshard gateway model.",
            "context_length": cap,
            "max_completion_tokens": cap,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": "Other",
            },
            "pricing": {"prompt": "0", "completion": "0", "request": "0"},
            "top_provider": {
                "context_length": cap,
                "max_completion_tokens": cap,
                "is_moderated": False,
            },
            "supported_parameters": [
                "messages", "max_tokens", "stream", "temperature", "top_p", "stop"
            ],
            "input_modalities": ["text"],
            "output_modalities": ["text"],
        }  # fmt: skip

    # --- admin -----------------------------------------------------------------

    async def _admin(self, request: web.Request, path: str) -> Answer:
        method, gateway = request.method, self._gateway
        rest = path.removeprefix("/v1/admin/")
        if rest == "state":
            return reply(gateway.state_json()) if method == "GET" else wrong_method()
        if rest == "settings":
            if method == "GET":
                return reply(settings_of.shown(gateway.settings))
            if method != "POST":
                return wrong_method()
            patch = decode(await request.read(), settings_of.REQUEST)
            return reply(await gateway.post_settings(patch))
        if rest == "devshards":
            if method == "GET":
                return reply(gateway.state_json())
            if method != "POST":
                return wrong_method()
            return reply(await gateway.add(decode(await request.read(), _ADD)))
        if rest == "escrows":
            if method != "POST":
                return wrong_method()
            return reply(await gateway.create(decode(await request.read(), _CREATE)))
        if rest == "participants/unquarantine":
            if method != "POST":
                return wrong_method()
            return self._unquarantine(decode(await request.read(), _UNQUARANTINE))
        if rest.startswith("devshards/"):
            return await self._admin_devshard(request, rest.removeprefix("devshards/"))
        return not_found()

    def _unquarantine(self, body: dict[str, t.Any]) -> Answer:
        key = str(body.get("participant_key", "")).strip()
        if not key:
            raise ApiError(400, "participant_key is required")
        cleared = self._gateway.participants.clear(key)
        return reply({"cleared": cleared, "participant_key": key})

    async def _admin_devshard(self, request: web.Request, rest: str) -> Answer:
        """A wrong method is as unknown here as a wrong path."""
        gateway, method = self._gateway, request.method
        if rest == "import" and method == "POST":
            return reply(await gateway.import_devshard(decode(await request.read(), _IMPORT)))
        name, _unused, verb = rest.partition("/")
        if not name:
            return not_found()
        if not verb and method == "DELETE":
            return reply(gateway.delete(name))
        if verb == "deactivate" and method == "POST":
            return reply(gateway.deactivate(name))
        if verb == "settle" and method == "POST":
            return await self._settle(request, name)
        if verb == "participants" and method == "GET":
            return self._participants(gateway.loaded(name, "not found"))
        return not_found()

    async def _settle(self, request: web.Request, name: str) -> Answer:
        gateway, raw = self._gateway, await request.read()
        runtime = gateway.loaded(name)
        # Here, and only here, nothing may follow the JSON.
        body = decode(raw, _SETTLE, whole=True) if raw.strip() else {}
        try:
            return reply(await gateway.settle(runtime, body))
        except BusyError as error:
            raise ApiError(409, str(error)) from error
        except SettleError as error:
            text = str(error)
            bad = "private key" in text or "gateway state" in text
            raise ApiError(400 if bad else 502, text) from error

    def _participants(self, runtime: Runtime) -> Answer:
        gateway = self._gateway
        items = [
            gateway.participants.view(link, gateway.settings)
            for link in sorted(runtime.session.links.values(), key=lambda link: link.address)
        ]
        blocked = sum(item["blocked"] for item in items)
        return reply(
            {
                "active": runtime.active,
                "active_requests": runtime.active_requests,
                "available_count": len(items) - blocked,
                "blocked_count": blocked,
                "id": runtime.id,
                "model": runtime.model,
                "participant_count": len(items),
                "participants": items,
                "quarantined_count": sum(item["quarantined"] for item in items),
            }
        )

    # --- one escrow --------------------------------------------------------------

    async def _devshard(self, request: web.Request, path: str) -> Answer:
        match = re.fullmatch(r"/devshard/([^/]+)(/.*)", path)
        if match is None:
            return not_found()
        runtime = self._gateway.runtimes.get(match[1])
        if runtime is None:
            raise ApiError(404, f"unknown devshard {match[1]}")
        try:
            response = await self._inner(request, runtime, match[2], single=False)
        except ApiError as error:
            response = error.response()
        if not response.prepared:
            response.headers.setdefault("X-Devshard-Id", runtime.id)
        return response

    async def _inner(
        self, request: web.Request, runtime: Runtime, path: str, *, single: bool
    ) -> Answer:
        method = request.method
        if path == "/v1/chat/completions":
            if method != "POST":
                return wrong_method("POST")
            return await self._inference.serve(request, runtime)
        if path == "/v1/finalize":
            return await self._finalize(method, runtime, strict=not single)
        gets: dict[str, Callable[[], Answer]] = {
            "/": lambda: web.Response(text="<title>devshard</title>", content_type="text/html"),
            "/openapi.json": lambda: reply({"openapi": "3.0.3", "paths": {}}),
            "/v1/status": lambda: self._single_status(runtime, method),
            "/v1/models": lambda: self._own_models(runtime),
            "/v1/state": lambda: reply(_state(runtime)),
            "/v1/debug/pending": lambda: reply(_pending(runtime)),
            "/v1/debug/state": lambda: reply(_debug_state(runtime)),
            "/v1/debug/perf": lambda: reply({"hosts": []}),
            "/v1/debug/pairwise": lambda: reply({"pairs": []}),
            "/v1/debug/signatures": lambda: reply(_signatures(runtime)),
        }
        posts: dict[str, Callable[[], Awaitable[Answer]]] = {
            "/v1/debug/signatures/collect": lambda: self._collect(request, runtime),
            "/v1/debug/sync-hosts": lambda: self._sync_hosts(runtime),
        }
        if path in gets:
            return gets[path]() if method in ("GET", "HEAD") else wrong_method("GET, HEAD")
        if path in posts:
            return await posts[path]() if method == "POST" else wrong_method("POST")
        if path.startswith("/v1/requests/"):
            if method not in ("GET", "HEAD"):
                return wrong_method("GET, HEAD")
            return self._request(runtime, path.removeprefix("/v1/requests/"))
        return not_found()

    def _own_models(self, runtime: Runtime) -> Answer:
        cap = self._gateway.settings["request_max_tokens_cap"]
        return reply({"object": "list", "data": [self._model(runtime.model, cap)]})

    def _request(self, runtime: Runtime, request_id: str) -> Answer:
        found = self._gateway.perf.get(request_id, runtime.id)
        if found is None:
            raise ApiError(404, f"request {request_id} not found for devshard {runtime.id}")
        return reply(found)

    async def _finalize(self, method: str, runtime: Runtime, *, strict: bool) -> Answer:
        if method == "POST":
            return reply(await self._gateway.finalize(runtime, strict=strict), newline=False)
        if method != "GET":
            return wrong_method("GET, HEAD, POST")
        if runtime.session.phase != "settlement":
            raise ApiError(409, "session not yet finalized")
        return reply(runtime.session.settlement_json(), newline=False)

    async def _collect(self, request: web.Request, runtime: Runtime) -> Answer:
        text, session = request.query.get("nonce", ""), runtime.session
        if not text:
            raise ApiError(400, "missing 'nonce' query parameter")
        if re.fullmatch(r"\d{1,18}", text) is None:
            raise ApiError(400, "invalid 'nonce' parameter")
        nonce = int(text)
        if nonce > session.nonce:
            raise ApiError(400, f"nonce {nonce} is ahead of current nonce {session.nonce}")
        await session.collect(self._gateway.tuning.host_timeout)
        weight = session.weight_at(nonce)
        return reply(
            {
                "has_quorum": weight >= session.quorum,
                "nonce": nonce,
                "quorum_threshold": session.quorum,
                "sig_weight": weight,
                "total_slots": session.state.slots,
            }
        )

    async def _sync_hosts(self, runtime: Runtime) -> Answer:
        session = runtime.session
        if session.phase != "active":
            raise ApiError(500, f"sync hosts: session is not active (phase={session.phase})")
        results = await asyncio.gather(
            *(
                session.sync(link, self._gateway.tuning.host_timeout)
                for link in session.links.values()
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, (HostStateError, HostUnavailableError)):
                raise ApiError(500, f"sync hosts: {result}")
            if result is not None:
                raise result
        return reply({"escrow_id": runtime.id, "nonce": session.nonce, "phase": session.phase})


# --- views of a session ----------------------------------------------------------


def _state(runtime: Runtime) -> dict[str, t.Any]:
    session = runtime.session
    state = session.state
    config = {
        name: session.escrow.config[name]
        for name in (
            "execution_timeout", "refusal_timeout", "token_price", "validation_rate",
            "vote_threshold",
        )
    }  # fmt: skip
    stats = {str(entry.slot_id): entry for entry in state.host_stats()}
    inferences = {str(number): entry for number, entry in state.inferences.items()}
    return {
        "group": [
            {"slot_id": slot, "validator_address": address}
            for slot, address in enumerate(session.escrow.slots)
        ],
        "host_stats": {
            slot: {
                "completed_validations": stats[slot].completed_validations,
                "cost": stats[slot].cost,
                "invalid": stats[slot].invalid,
                "missed": stats[slot].missed,
                "required_validations": stats[slot].required_validations,
            }
            for slot in sorted(stats)
        },
        "inferences": {number: inferences[number].to_json() for number in sorted(inferences)},
        "revealed_seeds": {},
        "session": {
            "balance": state.balance,
            "config": config,
            "escrow_id": runtime.id,
            "finalize_nonce": state.finalize_nonce,
            "latest_nonce": state.nonce,
            "phase": session.phase,
        },
        "warm_keys": {},
    }


def _pending(runtime: Runtime) -> dict[str, t.Any]:
    session = runtime.session
    pending = [{"type": op["t"], "id": op["id"]} for op in session.pending]
    return {"nonce": session.nonce, "pending": pending or None, "warm_keys": {}}


def _debug_state(runtime: Runtime) -> dict[str, t.Any]:
    session = runtime.session
    counts = Counter(entry.status for entry in session.state.inferences.values())
    counted = dict(sorted(counts.items()))
    total = counts.total()
    return {
        "balance": session.state.balance,
        "live_inferences": total,
        "live_status_counts": counted,
        "nonce": session.nonce,
        "phase": session.phase,
        "sealed_inferences": 0,
        "status_counts": counted,
        "total_inferences": total,
    }


def _signatures(runtime: Runtime) -> dict[str, t.Any]:
    session = runtime.session
    weights = {nonce: session.weight_at(nonce) for nonce in range(1, session.nonce + 1)}
    highest = max((nonce for nonce, value in weights.items() if value >= session.quorum), default=0)
    return {
        "current_nonce": session.nonce,
        "has_quorum": session.nonce > 0 and weights[session.nonce] >= session.quorum,
        "highest_quorum_nonce": highest,
        "nonces": [
            {
                "nonce": nonce,
                "sig_weight": weight,
                "total_slots": session.state.slots,
                "has_quorum": weight >= session.quorum,
            }
            for nonce, weight in weights.items()
        ],
        "quorum_threshold": session.quorum,
        "total_slots": session.state.slots,
    }


def _unauthorized() -> web.Response:
    error = {
        "message": "Invalid admin API key.",
        "type": "invalid_request_error",
        "code": "invalid_api_key",
    }
    body = compact({"error": error})
    return web.Response(status=401, body=body, headers={"Content-Type": JSON})


def _pattern(path: str) -> str:
    """Paths as the metrics count them."""
    path = re.sub(r"^(/v1/admin/devshards)/(?!import$)[^/]+", r"\1/{id}", path)
    path = re.sub(r"^/devshard/[^/]+", "/devshard/{id}", path)
    return re.sub(r"(/v1/requests)/.+", r"\1/{request_id}", path)


def application(api: Api, layers: list[t.Any]) -> web.Application:
    app = web.Application(middlewares=layers, client_max_size=64 * 1024 * 1024)

    async def handle(request: web.Request) -> Answer:
        return await api.handle(request)

    handler: Handler = handle
    app.router.add_route("*", "/{path:.*}", handler)
    return app
