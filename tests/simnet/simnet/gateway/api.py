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
from simnet.gateway.database import Record
from simnet.gateway.devsession import DevSession, HostStateError, HostUnavailableError
from simnet.gateway.errors import BusyError, SettleError
from simnet.gateway.goish import (
    JSON,
    TEXT,
    ApiError,
    Strings,
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
from simnet.gateway.runtime import BuildError, Runtime, unloaded_session
from simnet.gateway.sessiondb import SessionError

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
        "route_prefix": "string",
        **_TX,
    },
)
_ADD_FIELDS = {
    "id": "string",
    **_KEYS,
    "model": "string",
    "storage_path": "string",
    "protocol_version": "string",
    "route_prefix": "string",
}
_ADD = Struct("adminDevshardRequest", _ADD_FIELDS)
_IMPORT = Struct(
    "adminImportDevshardRequest", {**_ADD_FIELDS, "active": "bool", "perf_path": "string"}
)
_SETTLE_FIELDS = {**_KEYS, **_TX}
_SETTLE = Struct("adminSettleRequest", _SETTLE_FIELDS)
_FORCED = Struct("adminSettleRequest", {**_SETTLE_FIELDS, "force": "bool"})
_BATCH = Struct(
    "adminBatchSettleRequest",
    {**_SETTLE_FIELDS, "force": "bool", "escrow_ids": Strings(), "batch_size": "int"},
)
_PURGE = Struct("adminPurgeRequest", {"epoch": "int"})
_NO_ESCROW = {"message": "no active escrow", "type": "not_found"}
_SUSPICIOUS = Struct(
    "adminSuspiciousHostsRequest",
    {"participant_key": "string", "participant_keys": Strings(), "note": "string"},
)
_UNQUARANTINE = Struct("adminUnquarantineRequest", {"participant_key": "string"})


def is_admin_path(path: str, more: tuple[str, ...] = ()) -> bool:
    if path.startswith((*_GUARDED, *more)) or path in _GUARDED_EXACT:
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
        admin_path = is_admin_path(path, gateway.generation.admin_prefixes)
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
        return self._newer(request, path)

    def _newer(self, request: web.Request, path: str) -> Answer:
        """Views that came after v2."""
        gateway, method = self._gateway, request.method
        if gateway.generation.activates and path == "/v1/debug/memstats":
            return reply(memory(len(gateway.runtimes))) if method == "GET" else wrong_method()
        if path.startswith(gateway.generation.admin_prefixes or "\0"):
            return profile(path)
        return not_found()

    # --- public ----------------------------------------------------------------

    def _status(self, method: str) -> Answer:
        gateway = self._gateway
        runtimes = gateway.ordered()
        if len(runtimes) == 1:
            return self._single_status(runtimes[0], method)
        capacity = gateway.capacity()
        told: dict[str, t.Any] = {
            "capacity": capacity.capacity_json(),
            "devshards": [gateway.runtime_json(runtime) for runtime in runtimes],
            "limiter": capacity.limiter_json(gateway.load),
            "mode": "gateway",
            "runtimes": len(runtimes),
        }
        if gateway.generation.empty_status and not runtimes:
            told.update(phase="not_found", error=_NO_ESCROW)
        # A map, so in the order of the alphabet.
        return reply(dict(sorted(told.items())))

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
                return reply(gateway.shown_settings())
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
        if rest == "suspicious-hosts" and gateway.generation.activates:
            return await self._suspicious(request)
        if rest == "accounting/purge" and gateway.generation.accounting:
            return await self._purge(request)
        if rest.startswith("devshards/"):
            return await self._admin_devshard(request, rest.removeprefix("devshards/"))
        return not_found()

    async def _suspicious(self, request: web.Request) -> Answer:
        db = self._gateway.db
        if request.method not in ("GET", "POST", "DELETE"):
            return wrong_method()
        if request.method != "GET":
            body = decode(await request.read(), _SUSPICIOUS)
            given = [body.get("participant_key", ""), *body.get("participant_keys", [])]
            keys = [key.strip() for key in given if key.strip()]
            if not keys:
                raise ApiError(400, "participant_keys must contain at least one key")
            for key in keys:
                if request.method == "POST":
                    db.suspect(key, str(body.get("note", "")))
                else:
                    db.trust(key)
        return reply({"suspicious_hosts": db.suspicious()})

    async def _purge(self, request: web.Request) -> Answer:
        if request.method != "POST":
            return wrong_method()
        body = decode(await request.read(), _PURGE)
        if not body.get("epoch"):
            raise ApiError(400, "epoch is required")
        accounting = self._gateway.accounting
        if accounting is None:
            raise ApiError(503, "accounting is not enabled")
        removed = accounting.purge(body["epoch"])
        return reply({"epoch": body["epoch"], "escrows_removed": removed})

    def _unquarantine(self, body: dict[str, t.Any]) -> Answer:
        key = str(body.get("participant_key", "")).strip()
        if not key:
            raise ApiError(400, "participant_key is required")
        cleared = self._gateway.participants.clear(key)
        return reply({"cleared": cleared, "participant_key": key})

    async def _admin_devshard(self, request: web.Request, rest: str) -> Answer:
        """A wrong method is as unknown here as a wrong path."""
        gateway, method = self._gateway, request.method
        if rest == "settle" and method == "POST" and gateway.generation.settles_batches:
            return await self._settle_batch(request)
        if rest == "import" and method == "POST":
            return reply(await gateway.import_devshard(decode(await request.read(), _IMPORT)))
        name, _unused, verb = rest.partition("/")
        if not name:
            return not_found()
        if not verb and method == "DELETE":
            return reply(gateway.delete(name))
        if verb == "activate" and method == "POST" and gateway.generation.activates:
            return reply(await gateway.activate(name))
        if verb == "deactivate" and method == "POST":
            return reply(gateway.deactivate(name))
        if verb == "settle" and method == "POST":
            return await self._settle(request, name)
        if verb == "participants" and method == "GET":
            return self._participants(gateway.loaded(name, "not found"))
        return not_found()

    async def _settle_batch(self, request: web.Request) -> Answer:
        """One line for each escrow, in the order in which they are done."""
        body = decode(await request.read(), _BATCH)
        names = body.pop("escrow_ids", [])
        if not names:
            raise ApiError(400, "escrow_ids is required")
        limit = asyncio.Semaphore(min(50, max(1, body.pop("batch_size", 10))))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)

        async def one(name: str) -> dict[str, t.Any]:
            async with limit:
                return await self._settled(name, body)

        for done in asyncio.as_completed([one(name) for name in names]):
            await response.write(compact(await done) + b"\n")
        await response.write_eof()
        return response

    async def _settled(self, name: str, body: dict[str, t.Any]) -> dict[str, t.Any]:
        settling = self._gateway.settling
        try:
            settling.may_settle(name)
            done = await settling.settle(name, body)
        except BusyError as error:
            reason, text = "busy", str(error)
        except ApiError as error:
            reason, text = "not_found", str(error)
        except SettleError as error:
            text = str(error)
            reason = "invalid_request" if "private key" in text else "broadcast_failed"
        else:
            return {
                "escrow_id": name,
                "ok": True,
                "tx_hash": done["tx_hash"],
                "settler": done["settler"],
            }
        return {"escrow_id": name, "ok": False, "error": text, "reason": reason}

    async def _settle(self, request: web.Request, name: str) -> Answer:
        gateway, raw = self._gateway, await request.read()
        gateway.settling.may_settle(name)
        # Here, and only here, nothing may follow the JSON.
        kind = _FORCED if gateway.generation.settles_batches else _SETTLE
        body = decode(raw, kind, whole=True) if raw.strip() else {}
        try:
            return reply(await gateway.settling.settle(name, body))
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
            return self._unloaded(request, match[1], match[2])
        try:
            response = await self._inner(request, runtime, match[2], single=False)
        except ApiError as error:
            response = error.response()
        if not response.prepared:
            response.headers.setdefault("X-Devshard-Id", runtime.id)
        return response

    def _unloaded(self, request: web.Request, name: str, path: str) -> Answer:
        """An escrow that is not in memory: read from its files, or only its record told."""
        gateway, method = self._gateway, request.method
        record = gateway.db.record(name) if gateway.generation.reads_unloaded else None
        if record is None or method != "GET":
            raise ApiError(404, f"unknown devshard {name}")
        headers = {"X-Devshard-Id": name}
        key = request.headers.get("Authorization", "")
        admin = key == _BEARER + gateway.environment.admin_key
        if not admin or path == "/v1/models":
            found, mark = self._of_record(record, path), gateway.generation.unloaded_header
        else:
            found, mark = self._of_files(record, path), "X-Devshard-Readonly"
        headers[mark] = "1"
        if found is None:
            raise ApiError(404, f"unknown devshard {name}")
        found.headers.update(headers)
        return found

    def _of_record(self, record: Record, path: str) -> Answer | None:
        if path == "/v1/models":
            cap = self._gateway.settings["request_max_tokens_cap"]
            return reply({"object": "list", "data": [self._model(record.model, cap)]})
        if path != "/v1/status":
            return None
        return reply(
            {
                "active": record.active,
                "id": record.id,
                "metadata_only": True,
                "model": record.model,
                "resident": False,
                "rotation_epoch": record.rotation_epoch,
                "rotation_role": record.rotation_role,
                "settlement_pending": record.settlement_pending,
            }
        )

    def _of_files(self, record: Record, path: str) -> Answer | None:
        gateway = self._gateway
        try:
            session = unloaded_session(record, gateway.environment, gateway.http, gateway.clock)
        except (SessionError, BuildError, KeyError) as error:
            raise ApiError(502, f"devshard {record.id} could not be loaded: {error}") from error
        if path == "/v1/status":
            status = {**session.status_json(), "requests_blocked": False}
            return reply({**status, "config": session.escrow.config})
        if path == "/v1/state":
            return reply(_state(session, apart=True, all_stats=gateway.generation.all_stats))
        if path == "/v1/finalize":
            if session.phase != "settlement":
                raise ApiError(409, "session not yet finalized")
            return reply(session.settlement_json(all_stats=gateway.generation.all_stats))
        views: dict[str, Callable[[DevSession], dict[str, t.Any]]] = {
            "/v1/debug/inferences": _inferences,
            "/v1/debug/pending": _pending,
            "/v1/debug/state": _debug_state,
            "/v1/debug/signatures": _no_signatures,
        }
        return reply(views[path](session)) if path in views else None

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
        generation, session = self._gateway.generation, runtime.session
        gets: dict[str, Callable[[], Answer]] = {
            "/": lambda: web.Response(text="<title>devshard</title>", content_type="text/html"),
            "/openapi.json": lambda: reply({"openapi": "3.0.3", "paths": {}}),
            "/v1/status": lambda: self._single_status(runtime, method),
            "/v1/models": lambda: self._own_models(runtime),
            "/v1/state": lambda: reply(
                _state(session, apart=generation.inferences_apart, all_stats=generation.all_stats)
            ),
            "/v1/debug/pending": lambda: reply(_pending(session)),
            "/v1/debug/state": lambda: reply(_debug_state(session)),
            "/v1/debug/perf": lambda: reply({"hosts": []}),
            "/v1/debug/pairwise": lambda: reply({"pairs": []}),
            "/v1/debug/signatures": lambda: reply(_signatures(session)),
        }
        if generation.inferences_apart:
            gets["/v1/debug/inferences"] = lambda: reply(_inferences(session))
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
        return reply(self._gateway.settlement_json(runtime), newline=False)

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


def _state(session: DevSession, *, apart: bool, all_stats: bool) -> dict[str, t.Any]:
    """``apart``: the inferences have a view of their own."""
    state = session.state
    config = {
        name: session.escrow.config[name]
        for name in (
            "execution_timeout", "refusal_timeout", "token_price", "validation_rate",
            "vote_threshold",
        )
    }  # fmt: skip
    stats = {str(entry.slot_id): entry for entry in state.host_stats()}
    return {
        "group": [
            {"slot_id": slot, "validator_address": address}
            for slot, address in enumerate(session.escrow.slots)
        ],
        "host_stats": {
            slot: {
                name: getattr(stats[slot], name)
                for name in (
                    "completed_validations",
                    "cost",
                    "invalid",
                    "missed",
                    "required_validations",
                )
                if all_stats or not name.endswith("_validations") or getattr(stats[slot], name)
            }
            for slot in sorted(stats)
        },
        **({} if apart else {"inferences": _by_nonce(session)}),
        "revealed_seeds": {},
        "session": {
            "balance": state.balance,
            "config": config,
            "escrow_id": str(session.escrow.id),
            "finalize_nonce": state.finalize_nonce,
            "latest_nonce": state.nonce,
            "phase": session.phase,
        },
        "warm_keys": {},
    }


def _by_nonce(session: DevSession) -> dict[str, t.Any]:
    found = {str(number): entry for number, entry in session.state.inferences.items()}
    return {number: found[number].to_json() for number in sorted(found)}


def _inferences(session: DevSession) -> dict[str, t.Any]:
    found = _by_nonce(session)
    return {"inferences": found, "total_inferences": len(found)}


def _pending(session: DevSession) -> dict[str, t.Any]:
    pending = [{"type": op["t"], "id": op["id"]} for op in session.pending]
    return {"nonce": session.nonce, "pending": pending or None, "warm_keys": {}}


def _debug_state(session: DevSession) -> dict[str, t.Any]:
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


def _no_signatures(session: DevSession) -> dict[str, t.Any]:
    """Signatures are in memory only."""
    return {
        "current_nonce": session.nonce,
        "has_quorum": False,
        "highest_quorum_nonce": 0,
        "nonces": [],
        "quorum_threshold": session.quorum,
        "total_slots": session.state.slots,
    }


def _signatures(session: DevSession) -> dict[str, t.Any]:
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


def memory(runtimes: int) -> dict[str, t.Any]:
    """Go's counters, none of which is real but the first."""
    names = (
        "gc_cpu_fraction", "heap_alloc", "heap_idle", "heap_inuse", "heap_objects",
        "heap_released", "heap_sys", "loaded_runtimes", "next_gc", "num_gc", "num_goroutine",
        "stack_inuse", "sys",
    )  # fmt: skip
    return {**dict.fromkeys(names, 0), "loaded_runtimes": runtimes}


def profile(path: str) -> Answer:
    text = "devshardctl" if path.endswith("/cmdline") else "simulated"
    return web.Response(body=text.encode(), headers=TEXT)


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
