# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway without its HTTP: records, runtimes, create, import, finalize, settle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import sqlite3
import typing as t
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from simnet import crypto, txs
from simnet.gateway import environment as env
from simnet.gateway import settings as settings_of
from simnet.gateway.accounting import Accounting
from simnet.gateway.capacity import Capacity, Load, Picker
from simnet.gateway.chainclient import ChainClient, ChainError, RestChain
from simnet.gateway.chat import ResponseCache, Script
from simnet.gateway.clock import Clock
from simnet.gateway.database import GatewayDb, PerfDb, Record
from simnet.gateway.devsession import FinalizeError
from simnet.gateway.generation import PathError
from simnet.gateway.goish import ApiError
from simnet.gateway.grpcchain import (
    FallbackCaller,
    GrpcCaller,
    ProtobufChain,
    RpcCaller,
    rpc_url,
)
from simnet.gateway.metrics import Chats
from simnet.gateway.participants import Participants
from simnet.gateway.points import PointError, Points
from simnet.gateway.poller import Poller, Snapshot
from simnet.gateway.rotation import Rotator
from simnet.gateway.runtime import (
    LOCKED,
    BuildError,
    Runtime,
    build_runtime,
    runtime_json,
    version_of,
)
from simnet.gateway.sessiondb import SessionError
from simnet.gateway.settling import Settling
from simnet.gateway.warmup import warm_up

LOG = logging.getLogger("devshardctl")
Result = dict[str, t.Any]
KEY_ENV = "DEVSHARD_PRIVATE_KEY"


@dataclass(slots=True)
class Mint:
    """One transaction that locks a deposit."""

    signer: crypto.PrivateKey
    amount: int
    # The record that the hash is remembered with before it is sent, if it is.
    committed: Record | None
    tx_hash: str = ""


class Gateway:
    def __init__(self, environment: env.Environment, http: aiohttp.ClientSession) -> None:
        self.environment = environment
        self.generation = environment.generation
        self.tuning = environment.tuning
        self.http = http
        self.process_id = secrets.token_hex(16)
        environment.storage.mkdir(parents=True, exist_ok=True)
        self.points = Points()
        self.clock = Clock()
        self._caller = (
            None
            if self.generation.chain == "rest"
            else GrpcCaller(environment.chain_grpc, environment.chain_tls, self.clock)
        )
        self._rpc = (
            RpcCaller(http, rpc_url(environment), self.clock)
            if self.generation.rpc_fallback
            else None
        )
        self._ask_chain = (
            self._caller
            if self._caller is None or self._rpc is None
            else FallbackCaller(self._caller, self._rpc, self.clock)
        )
        self.accounting = (
            None
            if environment.stats_port is None
            else Accounting(
                environment.storage / "accounting.db", lambda: self.snapshot.epoch_index
            )
        )
        self.script = Script()
        self.db = GatewayDb(environment.storage / "gateway.db", self.generation)
        self.perf = PerfDb(environment.storage / "perf.db")
        self.settings: settings_of.Settings = settings_of.defaults(self.generation)
        self.runtimes: dict[str, Runtime] = {}
        # Whose files are still open although their runtime is gone.
        self.closing: set[str] = set()
        # Active records that this start has set inactive, and their models.
        self.skipped: dict[str, str] = {}
        # Creates that are under way, by their hash.
        self.minting: set[str] = set()
        # Every new request passes it; who holds it while asking the chain stalls them all.
        self.mutex = asyncio.Lock()
        self.participants = Participants(self.db)
        self.cache = ResponseCache(self.tuning.cache_seconds)
        self.load = Load()
        self.chats = Chats()
        self.rejections: Counter[str] = Counter()
        self.picker = Picker()
        self.poller = self._new_poller()
        self.rotator = Rotator(self)
        self.settling = Settling(self)
        self._finalize_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[t.Any]] = set()

    # --- start -----------------------------------------------------------------

    async def start(self) -> None:
        """Settings, then every runtime, then the loops. Raises what ends the process."""
        self._load_settings()
        await self._load_runtimes()
        if self.environment.fail == "deactivate":
            first = next((entry for entry in self.runtimes.values() if entry.active), None)
            if first is not None:
                self.set_active(first, False)
        self.settling.reconcile()
        self.poller.start(at_once=True)
        self.rotator.start()

    def _load_settings(self) -> None:
        stored = self.db.settings()
        if stored is None:
            first = env.bootstrap(self.environment)
            records = [Record(**entry, active=True) for entry in first.devshards]
            self.db.bootstrap(first.settings, records)
            stored = first.settings
        env.refill_urls(stored, self.environment)
        self.settings = stored
        self.poller = self._new_poller()

    async def _load_runtimes(self) -> None:
        records = [
            record
            for record in self.db.records()
            if record.active or self.generation.loads_inactive
        ]
        results = await asyncio.gather(
            *(self.build(record) for record in records), return_exceptions=True
        )
        skipped = 0
        for record, result in zip(records, results, strict=True):
            if isinstance(result, Runtime):
                result.reloaded = True
                if self.generation.recognises_settled and result.session.escrow.settled:
                    LOG.info("devshard %s escrow settled on chain, marking inactive", record.id)
                    self.db.set_active(record.id, False)
                    result.close()
                    continue
                result.held_since = record.on_hold_since
                self.runtimes[record.id] = result
            elif not isinstance(result, BuildError):
                raise result
            else:
                skipped += 1
                self._not_loaded(record, result)
        if self.skipped:
            LOG.info(
                "devshard_gateway_startup_degraded deactivated_escrows=%d "
                'reason=local_recovery_failed escrow_ids="%s"',
                len(self.skipped), ",".join(self.skipped),
            )  # fmt: skip
        active = sum(runtime.active for runtime in self.runtimes.values())
        LOG.info(
            "build_runtimes_parallel count=%d active=%d inactive=%d skipped=%d",
            len(records), active, len(self.runtimes) - active, skipped,
        )  # fmt: skip

    def _not_loaded(self, record: Record, error: BuildError) -> None:
        if not record.active:
            LOG.info(
                "inactive devshard %s could not be loaded, skipping runtime: %s", record.id, error
            )
        elif error.gone:
            LOG.info("devshard %s %s, marking inactive: %s", record.id, error.gone, error)
            self.db.set_active(record.id, False)
        elif error.broken and self.generation.tolerates_broken_state:
            LOG.info(
                "devshard %s local state unrecoverable, marking inactive and skipping runtime: %s",
                record.id, error,
            )  # fmt: skip
            self.db.set_active(record.id, False)
            self.skipped[record.id] = record.model
        else:
            raise env.FatalError(f"create runtimes: {error}")

    async def stop(self) -> None:
        """For tests in one process; the real end is a signal."""
        for task in self._tasks:
            task.cancel()
        await self.rotator.stop()
        await self.poller.stop()
        for runtime in self.runtimes.values():
            runtime.close()
        if self._caller is not None:
            await self._caller.close()
        if self.accounting is not None:
            self.accounting.close()
        self.perf.close()
        self.db.close()

    def spawn(self, work: Coroutine[t.Any, t.Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def rejected(self, message: str) -> None:
        self.rejections[
            "max_concurrent_requests" if "concurrent" in message else "max_input_tokens_in_flight"
        ] += 1

    # --- parts -----------------------------------------------------------------

    def _new_poller(self) -> Poller:
        return Poller(
            self.http,
            self.settings["public_api"],
            self.tuning.poll_seconds,
            self.tuning.public_timeout,
            self.clock,
            self._protobuf() if self.generation.api_may_be_none else None,
            falls_back=self.generation.api_fallback,
        )

    def chain(self) -> ChainClient:
        return self._protobuf() or self._rest(str(self.settings["chain_rest"]))

    def _protobuf(self) -> ProtobufChain | None:
        if self._ask_chain is None:
            return None
        return ProtobufChain(
            self._ask_chain, self.environment.chain_grpc, self.clock, self.generation.fixed_config
        )

    def _rest(self, base: str) -> RestChain:
        return RestChain(
            self.http,
            base,
            self.tuning.chain_timeout,
            self.clock,
            self.generation.fixed_config,
        )

    def shown_settings(self, settings: settings_of.Settings | None = None) -> Result:
        """Of memory; with the address that no database keeps."""
        shown = settings_of.shown(self.settings if settings is None else settings)
        if self._caller is None:
            return shown
        return {
            "chain_rest": shown.pop("chain_rest"),
            "chain_grpc": self.environment.chain_grpc,
            **shown,
        }

    async def build(self, record: Record) -> Runtime:
        if record.id in self.closing:
            raise BuildError(f"runtime {record.id}: create session: open storage: {LOCKED}")
        return await build_runtime(
            record, self.environment, self.chain(), self.http, self.process_id, self.clock
        )

    def capacity(self) -> Capacity:
        return Capacity(
            self.settings,
            self.poller.weights,
            self.runtimes,
            self.participants,
            self.poller.preserved if self.snapshot.in_poc else None,
            self.generation,
        )

    @property
    def snapshot(self) -> Snapshot:
        return self.poller.snapshot

    @property
    def blocked(self) -> bool:
        return self.snapshot.in_poc and not self.environment.poc_relaxed

    def chain_json(self) -> Result:
        """What views tell about the chain: empty texts are left out."""
        result: Result = {}
        if self.snapshot.phase:
            result["chain_phase"] = self.snapshot.phase
        if self.snapshot.confirmation_phase:
            result["confirmation_poc_phase"] = self.snapshot.confirmation_phase
        result["requests_blocked"] = self.blocked
        if self.blocked:
            result["block_reason"] = "poc"
        return result

    def ordered(self) -> list[Runtime]:
        return sorted(self.runtimes.values(), key=lambda runtime: runtime.id)

    def runtime_json(self, runtime: Runtime) -> Result:
        version = version_of(runtime, self.db.record(runtime.id), self.generation)
        shown = runtime_json(runtime, (self.generation.version_field, version), self.chain_json())
        if self.generation.shows_cleanup:
            shown["pending_race_cleanup"] = runtime.cleanup
        if self.generation.holds:
            shown["on_hold"] = runtime.on_hold
        return shown

    def state_json(self) -> Result:
        capacity = self.capacity()
        devshards = []
        for record in self.db.records():
            item = record.to_json()
            if not self.generation.shows_keys:
                item.pop("private_key", None)
            runtime = self.runtimes.get(record.id)
            if runtime is not None:
                item["runtime"] = self.runtime_json(runtime)
            devshards.append(item)
        state: Result = {
            "capacity": capacity.capacity_json(),
            "devshards": devshards,
            "limiter": capacity.limiter_json(self.load),
            "settings": settings_of.shown(self.db.settings() or self.settings),
        }
        if self.generation.suspicious_in_state:
            state["suspicious_hosts"] = self.db.suspicious()
        return state

    # --- settings --------------------------------------------------------------

    async def post_settings(self, patch: Mapping[str, t.Any]) -> Result:
        known = dict(patch)
        if self._caller is not None and known.pop("chain_rest", None) is not None:
            LOG.info(
                "admin settings: chain_rest is deprecated and ignored "
                "(use DEVSHARD_CHAIN_GRPC / chain_grpc)"
            )
        async with self.mutex:
            whole = settings_of.merged(self.settings, known)
            settings_of.validate(whole)
            kept = settings_of.stored(whole)
            self.db.save_settings(kept)
            self.settings = kept
            await self.poller.stop()
            weights, preserved = self.poller.weights, self.poller.preserved
            self.poller = self._new_poller()
            # Phase and height are blank until its first poll; weights stay known.
            self.poller.weights, self.poller.preserved = weights, preserved
            self.poller.start(at_once=False)
        await self.rotator.settings_changed()
        return self.shown_settings(whole)

    # --- keys ------------------------------------------------------------------

    def given_key(self, body: Mapping[str, t.Any]) -> tuple[str, str]:
        """Key and name of its variable as a request tells them; one of them is empty."""
        return str(body.get("private_key", "")).strip(), str(body.get("private_key_env", ""))

    @staticmethod
    def transaction_key(text: str) -> crypto.PrivateKey:
        bare = text.removeprefix("0x")
        try:
            bytes.fromhex(bare)
            return crypto.PrivateKey.from_hex(bare)
        except crypto.InvalidKeyError as error:
            raise ApiError(400, f"parse hex key: {error}") from error
        except ValueError as error:
            raise ApiError(400, "parse hex key: invalid hex data for private key") from error

    # --- create ----------------------------------------------------------------

    async def create(self, body: Mapping[str, t.Any], *, role: str = "", epoch: int = 0) -> Result:
        """Mint an escrow and register it. Each call signs a new transaction."""
        amount = body.get("amount", 0)
        if not amount:
            raise ApiError(400, "amount is required")
        model = str(body.get("model_id", "")).strip() or self.settings["default_model"]
        key, variable = self.given_key(body)
        if not key and not variable and self.environment.get(KEY_ENV):
            variable = KEY_ENV
        text = key or self.environment.get(variable)
        if not text:
            raise ApiError(400, "private_key or private_key_env is required")
        signer = self.transaction_key(text)
        if self.generation.path_first:
            self._checked_path(body, "new")
        if self._caller is None and not self.settings["chain_rest"]:
            raise ApiError(400, "chain REST URL is required")
        record = Record(
            id="",
            private_key=key,
            private_key_env="" if key else variable,
            model=model,
            **{**self._bound(body), **self._born(role)},
            active=True,
            rotation_role=role,
            rotation_epoch=epoch,
        )
        mint = Mint(signer, int(amount), record if role and self.generation.commitments else None)
        try:
            return await self._create(body, record, mint)
        finally:
            self.minting.discard(mint.tx_hash)

    async def _create(self, body: Mapping[str, t.Any], record: Record, mint: Mint) -> Result:
        escrow_id, digest = await self._mint(body, mint, record.model)
        result: Result = {"creator": mint.signer.address, "escrow_id": escrow_id}
        if not body.get("register", True):
            return {**result, "registered": False, "tx_hash": digest}
        record = replace(record, id=str(escrow_id))
        try:
            async with self.mutex:
                await self.points.reach("create.before_register")
                record = replace(record, storage_path=str(self._path(body, record.id)))
                self.register(record, await self.build(record))
        except (BuildError, PathError, PointError, sqlite3.Error) as error:
            raise ApiError(500, str(error), escrow_id=record.id, tx_hash=digest) from error
        self.warm_up(self.runtimes[record.id])
        await self.points.reach("create.after_register")
        if mint.committed is not None:
            self.db.forget_commitment(digest)
        return {
            **result,
            "id": record.id,
            "model": record.model,
            "registered": True,
            "storage_path": record.storage_path,
            "tx_hash": digest,
        }

    async def _mint(self, body: Mapping[str, t.Any], mint: Mint, model: str) -> tuple[int, str]:
        options = env.tx_options(self.environment, body, self.settings["tx_gas_limit"])
        chain = self.chain()
        try:
            message = txs.MsgCreate(mint.signer.address, mint.amount, model)
            raw = await chain.sign(message, mint.signer, options)
            mint.tx_hash = txs.tx_hash(raw)
            self.minting.add(mint.tx_hash)
            if mint.committed is not None:
                self.db.commit(mint.tx_hash, mint.committed)
            await self.points.reach("create.before_broadcast")
            digest = await chain.broadcast(raw)
            await self.points.reach("create.after_broadcast")
            others = [self._rest(options.query_rest)] if self.generation.second_tx_endpoint else []
            return await chain.created_escrow(digest, others, options), digest
        except (ChainError, PointError) as error:
            raise ApiError(502, str(error)) from error

    def _bound(self, body: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The fields of a request by which this generation binds an escrow."""
        names = set(self.generation.more_columns) & {"protocol_version", "route_prefix"}
        if self.generation.protocol_versions is None:
            names.discard("protocol_version")
        return {name: str(body.get(name, "")) for name in names}

    def _born(self, role: str) -> dict[str, t.Any]:
        """What escrows of the rotation keep of the prefix of their birth."""
        generation = self.generation
        if not role or generation.rotation_version is None:
            return {}
        prefix = self.environment.get("DEVSHARD_ROUTE_PREFIX") or self.generation.default_prefix
        version = generation.rotation_version(generation.tags(prefix).bind)
        pinned = {"route_prefix": prefix.rstrip("/")} if self.generation.pins_rotation else {}
        return {"protocol_version": version, **pinned}

    def warm_up(self, runtime: Runtime) -> None:
        if self.generation.warms_up:
            self.in_background(runtime, warm_up(self, runtime))

    def in_background(self, runtime: Runtime, work: Coroutine[t.Any, t.Any, None]) -> None:
        """Work that goes on when nobody is served; the generation says whether that is busy."""
        task = asyncio.create_task(work)
        runtime.background.add(task)
        if self.generation.cleanup_is_busy:
            runtime.idle.clear()

        def ended(task: asyncio.Task[None]) -> None:
            runtime.background.discard(task)
            self.work_ended(runtime)

        task.add_done_callback(ended)

    def _path(self, body: Mapping[str, t.Any], devshard_id: str) -> Path:
        given = str(body.get("storage_path", ""))
        if not given:
            return self.default_path(devshard_id)
        return self.generation.storage_path(self.environment.storage, given)

    def default_path(self, devshard_id: str) -> Path:
        return self.environment.storage / f"escrow-{devshard_id}"

    def register(self, record: Record, runtime: Runtime) -> None:
        try:
            self.db.save(record)
        except sqlite3.Error:
            runtime.close()
            raise
        self.runtimes[record.id] = runtime

    # --- records ---------------------------------------------------------------

    def set_active(self, runtime: Runtime, active: bool) -> None:
        runtime.active = active
        self.db.set_active(runtime.id, active)

    async def add(self, body: Mapping[str, t.Any]) -> Result:
        """Add a devshard, or make one active again."""
        devshard_id = str(body.get("id", "")).strip()
        if not devshard_id:
            raise ApiError(400, "id is required")
        names = {"private_key", "private_key_env", "model", *self._bound(body)}
        given = {name: body[name] for name in body if name in names and body[name]}
        if body.get("storage_path"):
            given["storage_path"] = self._checked_path(body, devshard_id)
        async with self.mutex:
            runtime = self.runtimes.get(devshard_id)
            if runtime is not None and runtime.active:
                raise ApiError(409, "devshard already active")
            record = self.db.record(devshard_id)
            if record is None:
                if not given.get("private_key") and not given.get("private_key_env"):
                    raise ApiError(
                        400, "private_key or private_key_env is required for a new devshard"
                    )
                record = Record(
                    id=devshard_id,
                    model=self.settings["default_model"],
                    storage_path=str(self.default_path(devshard_id)),
                )
            record = replace(record, **given, active=True)
            if runtime is None:
                try:
                    await self.points.reach("add.before_build")
                    self.register(record, await self.build(record))
                except (BuildError, PointError) as error:
                    raise ApiError(400, str(error)) from error
            else:
                # The runtime is not built again: what changed counts after a restart.
                self.db.save(record)
                runtime.active = True
        return {
            "active": True,
            "id": devshard_id,
            "model": record.model,
            "storage_path": record.storage_path,
        }

    def _checked_path(self, body: Mapping[str, t.Any], devshard_id: str) -> str:
        try:
            return str(self._path(body, devshard_id))
        except PathError as error:
            raise ApiError(400, str(error)) from error

    async def import_devshard(self, body: Mapping[str, t.Any]) -> Result:
        devshard_id = str(body.get("id", "")).strip()
        path = str(body.get("storage_path", ""))
        key, variable = self.given_key(body)
        if not devshard_id:
            raise ApiError(400, "id is required")
        if not path:
            raise ApiError(400, self.generation.storage_path_required)
        if not key and not variable:
            raise ApiError(400, "private_key or private_key_env is required for import")
        record = Record(
            id=devshard_id,
            private_key=key,
            private_key_env="" if key else variable,
            model=str(body.get("model") or self.settings["default_model"]),
            storage_path=self._checked_path(body, devshard_id),
            **self._bound(body),
            active=bool(body.get("active", False)),
        )
        async with self.mutex:
            if devshard_id in self.runtimes:
                raise ApiError(409, f"devshard {devshard_id} already loaded")
            if self.db.record(devshard_id) is not None:
                raise ApiError(409, f"devshard {devshard_id} already exists in gateway state")
            try:
                await self.points.reach("import.before_build")
                self.register(record, await self.build(record))
            except (BuildError, PointError) as error:
                raise ApiError(400, str(error)) from error
        perf_path = str(body.get("perf_path", ""))
        records = attempts = 0
        if perf_path:
            try:
                records, attempts = self.perf.import_from(Path(perf_path), devshard_id)
            except sqlite3.Error as error:
                raise ApiError(
                    500, f"import accounting: {error}", id=devshard_id, active=record.active
                ) from error
        return {
            "accounting_attempts_imported": attempts,
            "accounting_records_imported": records,
            "active": record.active,
            "id": devshard_id,
            "model": record.model,
            "perf_path": perf_path,
            "storage_path": record.storage_path,
        }

    def loaded(self, devshard_id: str, message: str = "is not active") -> Runtime:
        runtime = self.runtimes.get(devshard_id)
        if runtime is None:
            raise ApiError(404, f"devshard {devshard_id} {message}")
        return runtime

    async def activate(self, devshard_id: str) -> Result:
        """Make a devshard active; what is not in memory is read again."""
        async with self.mutex:
            runtime, record = self.runtimes.get(devshard_id), self.db.record(devshard_id)
            if runtime is not None:
                # A postponed unload still happens.
                self.set_active(runtime, True)
                return {"active": True, "already_resident": True, "id": devshard_id}
            if record is None:
                raise ApiError(404, f"devshard {devshard_id} not found")
            if self.generation.recognises_settled and await self.settled_on_chain(devshard_id):
                raise ApiError(409, f"devshard {devshard_id}: escrow settled on chain")
            try:
                await self.points.reach("add.before_build")
                runtime = await self.build(replace(record, active=True))
            except (BuildError, PointError) as error:
                raise ApiError(502, str(error)) from error
            runtime.reloaded = True
            changed: Result = (
                {"settlement_pending": False} if self.generation.forgets_pending else {}
            )
            self.register(replace(record, active=True, on_hold_since="", **changed), runtime)
        self.warm_up(runtime)
        return {"active": True, "id": devshard_id, "model": runtime.model}

    async def settled_on_chain(self, devshard_id: str) -> bool:
        try:
            return bool((await self.chain().escrow_row(devshard_id))["settled"])
        except ChainError:
            return False

    def deactivate(self, devshard_id: str) -> Result:
        runtime = self.loaded(devshard_id)
        self.set_active(runtime, False)
        if self.generation.unloads:
            self.retire(runtime)
        return {"active": False, "id": devshard_id}

    # --- unloading -------------------------------------------------------------

    def busy(self, runtime: Runtime) -> bool:
        """Whether anything keeps a runtime from being finalized, settled or unloaded."""
        cleanup = runtime.cleanup if self.generation.cleanup_is_busy else 0
        return bool(runtime.active_requests or cleanup)

    def retire(self, runtime: Runtime) -> None:
        """Unload a runtime, now or when its last work has ended."""
        runtime.retiring = True
        if self.busy(runtime):
            LOG.info(
                "runtime_retire_deferred escrow=%s active_requests=%d pending_race_cleanup=%d",
                runtime.id, runtime.active_requests, runtime.cleanup,
            )  # fmt: skip
        else:
            self.unload(runtime)

    def work_ended(self, runtime: Runtime) -> None:
        """Called whenever a request or background work of a runtime is over."""
        if not self.busy(runtime):
            runtime.idle.set()
        if runtime.retiring and not self.busy(runtime) and self.is_loaded(runtime):
            self.unload(runtime)

    def is_loaded(self, runtime: Runtime) -> bool:
        return self.runtimes.get(runtime.id) is runtime

    def unload(self, runtime: Runtime) -> None:
        if self.is_loaded(runtime):
            del self.runtimes[runtime.id]
        LOG.info("runtime_retired escrow=%s", runtime.id)
        self.release(runtime)

    def release(self, runtime: Runtime) -> None:
        """Close the files of a runtime that is not in memory any more, at once or a bit later."""
        delay = self.tuning.close_seconds
        if not delay and not self.points.armed("unload.before_close"):
            runtime.close()
            return
        self.closing.add(runtime.id)
        self.spawn(self._close_later(runtime, delay))

    async def _close_later(self, runtime: Runtime, delay: float) -> None:
        try:
            await self.points.reach("unload.before_close")
            await self.clock.sleep(delay)
        finally:
            runtime.close()
            self.closing.discard(runtime.id)

    def delete(self, devshard_id: str) -> Result:
        """Forget a devshard and remove its storage, settled or not."""
        runtime = self.runtimes.get(devshard_id)
        record = self.db.record(devshard_id)
        if runtime is None and record is None:
            raise ApiError(404, f"devshard {devshard_id} not found")
        if runtime is not None and runtime.active:
            raise ApiError(409, f"devshard {devshard_id} is active; deactivate it first")
        if runtime is not None:
            cleanup = runtime.cleanup if self.generation.delete_sees_cleanup else 0
            if runtime.active_requests or cleanup:
                raise ApiError(409, f"devshard {devshard_id} has active requests")
            runtime.close()
            del self.runtimes[devshard_id]
        self.db.delete(devshard_id)
        path = Path(record.storage_path if record else t.cast(Runtime, runtime).storage_path)
        base = self.environment.storage.resolve()
        if base not in path.resolve().parents:
            raise ApiError(500, f"refusing to delete storage outside base dir: {path}")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        return {"deleted": True, "id": devshard_id}

    # --- finalize --------------------------------------------------------------

    async def finalize(self, runtime: Runtime, *, strict: bool = True) -> Result:
        """Finalize; ``strict`` is the route that looks for requests and deactivates."""
        if strict and self.busy(runtime):
            raise ApiError(409, f"devshard {runtime.id} has active requests")
        try:
            await self.finalized(runtime)
        except (FinalizeError, SessionError, PointError) as error:
            raise ApiError(500, str(error)) from error
        if strict:
            self.set_active(runtime, False)
        return self.settlement_json(runtime)

    def settlement_json(self, runtime: Runtime) -> Result:
        return runtime.session.settlement_json(all_stats=self.generation.all_stats)

    async def finalized(self, runtime: Runtime) -> None:
        """In phase settlement with a quorum, also when the client does not wait for it."""
        await self._detached(runtime, self._finalize(runtime))

    async def _finalize(self, runtime: Runtime) -> None:
        async with self._finalize_lock:
            LOG.info("devshard=%s gateway_finalize_lock_acquired", runtime.id)
            await runtime.session.finalize(
                self.points, self.tuning.host_timeout, self.tuning.signature_retry_seconds
            )

    async def _detached(self, runtime: Runtime, work: Coroutine[t.Any, t.Any, None]) -> None:
        """Run to the end also when the client leaves; the hosts are then not asked any more."""
        task = self.spawn(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            runtime.session.client_gone = True
            task.add_done_callback(lambda done: self._left_alone(runtime, done))
            raise

    @staticmethod
    def _left_alone(runtime: Runtime, done: asyncio.Task[None]) -> None:
        runtime.session.client_gone = False
        if not done.cancelled() and done.exception() is not None:
            LOG.info("devshard=%s finalize without a client: %s", runtime.id, done.exception())
