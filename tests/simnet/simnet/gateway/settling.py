# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Settling an escrow, and the settlements that wait until its last work has ended."""

from __future__ import annotations

import logging
import typing as t
from collections.abc import Mapping

from simnet import crypto
from simnet.gateway import environment as env
from simnet.gateway.chainclient import ChainError
from simnet.gateway.devsession import FinalizeError
from simnet.gateway.errors import AlreadySettledError, BusyError, SettleError
from simnet.gateway.goish import ApiError
from simnet.gateway.points import PointError
from simnet.gateway.runtime import BuildError, Runtime, key_text
from simnet.gateway.sessiondb import SessionError

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway

LOG = logging.getLogger("devshardctl")
_TRIES = 30


class Settling:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._waiting: set[str] = set()

    def may_settle(self, name: str) -> None:
        """404 for what cannot be settled here: not loaded, or no record either."""
        gateway = self._gateway
        if not gateway.generation.unloads or gateway.db.record(name) is None:
            gateway.loaded(name)

    async def settle(self, name: str, body: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Finalize if needed and send the settlement. What the block says is never seen."""
        gateway = self._gateway
        LOG.info("devshard=%s devshard_settle_start", name)
        runtime = gateway.runtimes.get(name)
        if runtime is not None and gateway.busy(runtime) and not body.get("force"):
            self._blocked(runtime, body)
            raise BusyError(name)
        if runtime is None:
            runtime = await self._rehydrated(name)
        gateway.set_active(runtime, False)
        stage = "load_key"
        settled = False
        try:
            signer = self._signer(runtime, body)
            LOG.info("devshard=%s devshard_settle_key_loaded", name)
            stage = "finalize"
            await gateway.points.reach("settle.before_finalize")
            session = runtime.session
            if session.phase == "settlement" and (
                session.signed or not gateway.generation.collects_again
            ):
                LOG.info("devshard=%s devshard_settle_finalize_skipped", name)
            else:
                await gateway.finalized(runtime)
                LOG.info("devshard=%s devshard_settle_finalize_completed", name)
            stage = "broadcast"
            digest = await self._send(runtime, signer, body)
            settled = True
        except (
            ChainError, FinalizeError, SessionError, SettleError, PointError, ApiError
        ) as error:  # fmt: skip
            LOG.info("devshard=%s devshard_settle_failed stage=%s: %s", name, stage, error)
            if gateway.generation.recognises_settled and await gateway.settled_on_chain(name):
                raise AlreadySettledError(f"escrow settled on chain: {error}") from error
            raise SettleError(str(error)) from error
        finally:
            self._leave(runtime, settled)
        if gateway.generation.forgets_pending:
            gateway.db.change(name, settlement_pending=False)
        done = "confirmed" if gateway.generation.confirms else "submitted"
        LOG.info("devshard=%s devshard_settle_%s tx=%s", name, done, digest)
        return {
            "active": False,
            "escrow_id": runtime.session.escrow.id,
            "id": name,
            "settler": signer.address,
            "tx_hash": digest,
        }

    def _blocked(self, runtime: Runtime, body: Mapping[str, t.Any]) -> None:
        """From 4.1 on the escrow is out of service now, and settled when its work has ended."""
        gateway, name = self._gateway, runtime.id
        if not gateway.generation.remembers_busy:
            LOG.info("devshard=%s devshard_settle_blocked active_requests", name)
            return
        LOG.info(
            "devshard_settle_blocked escrow=%s reason=background_work active_requests=%d "
            "pending_race_cleanup=%d admission=closed",
            name, runtime.active_requests, runtime.cleanup,
        )  # fmt: skip
        gateway.set_active(runtime, False)
        if not any(gateway.given_key(body)):
            # With another key it would not be the same settlement.
            self.later(runtime)

    async def _rehydrated(self, name: str) -> Runtime:
        """A runtime for this settlement alone."""
        gateway = self._gateway
        record = gateway.db.record(name)
        if record is None:
            raise SettleError(f"devshard {name} is not active")
        try:
            return await gateway.build(record)
        except BuildError as error:
            raise SettleError(f"rehydrate devshard {name} for settlement: {error}") from error

    def _leave(self, runtime: Runtime, settled: bool) -> None:
        gateway = self._gateway
        if not gateway.is_loaded(runtime):
            gateway.release(runtime)
        elif settled and gateway.generation.unloads:
            gateway.unload(runtime)

    def _signer(self, runtime: Runtime, body: Mapping[str, t.Any]) -> crypto.PrivateKey:
        gateway = self._gateway
        key, variable = gateway.given_key(body)
        text = key or (gateway.environment.get(variable) if variable else "")
        if not key and not variable:
            record = gateway.db.record(runtime.id)
            text = "" if record is None else key_text(gateway.environment, record)
        if not text:
            raise SettleError("private_key or private_key_env is required")
        return gateway.transaction_key(text)

    async def _send(
        self, runtime: Runtime, signer: crypto.PrivateKey, body: Mapping[str, t.Any]
    ) -> str:
        gateway = self._gateway
        options = env.tx_options(gateway.environment, body, gateway.settings["tx_gas_limit"])
        chain = gateway.chain()
        message = runtime.session.settlement(signer.address)
        LOG.info("devshard=%s devshard_settle_broadcast_start", runtime.id)
        raw = await chain.sign(message, signer, options)
        await gateway.points.reach("settle.before_broadcast")
        digest = await chain.broadcast(raw)
        await gateway.points.reach("settle.after_broadcast")
        if gateway.generation.confirms:
            await chain.included(digest, options)
        return digest

    # --- settlements that wait ---------------------------------------------------

    def reconcile(self) -> None:
        """At the start: settlements that the process before this one still owed."""
        gateway = self._gateway
        if not gateway.generation.settles_pending:
            return
        for record in gateway.db.records():
            if record.active or not record.settlement_pending:
                continue
            if gateway.settings["escrow_rotation"]["settlement_enabled"]:
                LOG.info("settlement_reconcile_queued devshard=%s", record.id)
                self._queue(record.id)
            else:
                LOG.info(
                    "settlement_reconcile_skipped devshard=%s reason=settlement_disabled",
                    record.id,
                )

    def later(self, runtime: Runtime) -> None:
        """Settle when the last work has ended, in this process or in a later one."""
        gateway = self._gateway
        if gateway.generation.settles_pending:
            gateway.db.change(runtime.id, settlement_pending=True)
        self._queue(runtime.id)

    def _queue(self, name: str) -> None:
        if name not in self._waiting:
            self._waiting.add(name)
            self._gateway.spawn(self._drain_and_settle(name))

    async def _drain_and_settle(self, name: str) -> None:
        gateway = self._gateway
        try:
            runtime = gateway.runtimes.get(name)
            if gateway.generation.settles_pending and runtime is not None:
                if gateway.busy(runtime):
                    LOG.info("settlement_queued_waiting_for_drain devshard=%s", name)
                await runtime.idle.wait()
                LOG.info("settlement_drain_complete devshard=%s", name)
            await self._tries(name)
        finally:
            self._waiting.discard(name)

    async def _tries(self, name: str) -> None:
        gateway = self._gateway
        for number in range(1, _TRIES + 1):
            try:
                await self.settle(name, {})
            except AlreadySettledError:
                LOG.info("auto_settle_already_settled devshard=%s", name)
                gateway.db.change(name, settlement_pending=False, active=False)
                runtime = gateway.runtimes.get(name)
                if runtime is not None:
                    gateway.unload(runtime)
                return
            except (BusyError, SettleError) as error:
                LOG.info(
                    "auto_settle_failed devshard=%s attempt=%d/%d: %s", name, number, _TRIES, error
                )
                await gateway.clock.sleep(gateway.tuning.auto_settle_seconds)
            else:
                done = "confirmed" if gateway.generation.confirms else "submitted"
                LOG.info("auto_settle_%s devshard=%s", done, name)
                gateway.db.change(name, settlement_pending=False)
                return
        LOG.info(
            "auto_settle_exhausted devshard=%s settlement_pending=%s "
            "action=will_retry_on_restart_or_reenable",
            name, str(gateway.generation.settles_pending).lower(),
        )  # fmt: skip
        runtime = gateway.runtimes.get(name)
        if runtime is not None and gateway.generation.remembers_busy:
            gateway.unload(runtime)
