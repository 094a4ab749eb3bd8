# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The rotator: temps before the epoch switch, regulars after it, depleted ones at any time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import typing as t
from dataclasses import asdict, dataclass, replace

from simnet.gateway.chainclient import ChainError, TxFailedError
from simnet.gateway.database import now_text
from simnet.gateway.errors import BusyError, SettleError
from simnet.gateway.goish import ApiError
from simnet.gateway.runtime import BuildError
from simnet.gateway.settings import validate_rotation
from simnet.timestamps import NANOS

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway
    from simnet.gateway.database import Commitment, Record
    from simnet.gateway.runtime import Runtime

LOG = logging.getLogger("devshardctl")
# Longer than a transaction can wait for its block.
_LANDED_NS = 11 * 60 * NANOS


@dataclass(slots=True)
class Status:
    """The row of one model, stage and epoch."""

    model_id: str
    stage: str
    epoch: int
    role: str
    target_count: int
    existing_count: int = 0
    created_count: int = 0
    promoted_count: int = 0
    settled_count: int = 0
    settle_failed_count: int = 0
    completed: bool = False
    create_error: str = ""

    @property
    def trivial(self) -> bool:
        return not (
            self.created_count
            or self.promoted_count
            or self.settled_count
            or self.settle_failed_count
            or self.create_error
        )

    def to_json(self) -> dict[str, t.Any]:
        result = asdict(self)
        if not self.create_error:
            del result["create_error"]
        return result


class Rotator:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._suppression = gateway.generation.suppression()
        self._pass = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settings(self) -> dict[str, t.Any]:
        rotation: dict[str, t.Any] = self._gateway.settings["escrow_rotation"]
        return rotation

    def to_json(self) -> dict[str, t.Any]:
        rotation = self.settings
        return {
            "chain": self._gateway.snapshot.to_json(rotation["pre_poc_blocks"]),
            "latest": self._gateway.db.latest_rotation(),
            "settings": {
                "enabled": rotation["enabled"],
                "models": rotation["models"] or None,
                "pre_poc_blocks": rotation["pre_poc_blocks"],
                "settlement_enabled": rotation["settlement_enabled"],
            },
        }

    # --- loops -----------------------------------------------------------------

    def start(self) -> None:
        tuning = self._gateway.tuning
        self._tasks = [
            asyncio.create_task(self._loop(self.one_pass, tuning.rotation_seconds)),
            asyncio.create_task(self._loop(self.check_balances, tuning.balance_seconds)),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _loop(self, work: t.Callable[[], t.Awaitable[None]], every: float) -> None:
        while True:
            await work()
            await self._gateway.clock.sleep(every)

    async def settings_changed(self) -> None:
        """Turning rotation off is answered when the pass under way has ended."""
        if not self.settings["enabled"]:
            async with self._pass:
                pass

    async def one_pass(self) -> None:
        async with self._pass:
            rotation, snapshot = self.settings, self._gateway.snapshot
            if not rotation["enabled"]:
                return
            try:
                validate_rotation(rotation)
            except ApiError as error:
                LOG.info("escrow_rotation_disabled_invalid_settings: %s", error)
                return
            if not snapshot.epoch_index or not snapshot.block_height:
                return
            await self._recover()
            distance = snapshot.switch_height - snapshot.block_height
            for model in rotation["models"]:
                if 0 <= distance <= rotation["pre_poc_blocks"]:
                    await self._prepare(model, snapshot.epoch_index)
                elif not snapshot.in_poc:
                    await self._finish(model, snapshot.epoch_index)

    # --- stages ----------------------------------------------------------------

    def _active(self, model: str) -> list[Record]:
        records = self._gateway.db.records()
        return [record for record in records if record.active and record.model == model]

    async def _prepare(self, model: dict[str, t.Any], epoch: int) -> None:
        name = model["model_id"]
        active = self._active(name)
        temps = [
            each for each in active if each.rotation_role == "temp" and each.rotation_epoch == epoch
        ]
        status = Status(
            name, "prepare_temp", epoch, "temp", model["temp_count"], existing_count=len(temps)
        )
        others = [record for record in active if record.rotation_role != "temp"]
        if await self._create_missing(model, status):
            await self._retire(others, status, "regular")
        else:
            for record in others:
                promoted = replace(record, rotation_role="temp", rotation_epoch=epoch)
                self._gateway.db.save(promoted)
                status.promoted_count += 1
                LOG.info("escrow_rotation_promoted_regular_to_temp devshard=%s", record.id)
        self._save(status)

    async def _finish(self, model: dict[str, t.Any], epoch: int) -> None:
        name = model["model_id"]
        active = self._active(name)
        temps = [
            each for each in active if each.rotation_role == "temp" and each.rotation_epoch <= epoch
        ]
        if not temps:
            return
        regulars = [
            each
            for each in active
            if each.rotation_role == "regular" and each.rotation_epoch == epoch
        ]
        status = Status(
            name,
            "finish_regular",
            epoch,
            "regular",
            model["target_count"],
            existing_count=len(regulars),
        )
        if await self._create_missing(model, status):
            await self._retire(temps, status, "temp")
        self._save(status)

    def _save(self, status: Status) -> None:
        if not status.trivial:
            self._gateway.db.save_rotation(status.to_json())

    async def _create_missing(self, model: dict[str, t.Any], status: Status) -> bool:
        key = (status.model_id, status.role, status.epoch)
        missing = status.target_count - status.existing_count
        if missing > 0 and self._absent(status.model_id):
            LOG.info("escrow_rotation_skip_model_absent model=%s", status.model_id)
            return True
        if missing > 0 and self._suppression.suppressed(key):
            status.create_error = self._gateway.generation.suppressed_text
            return False
        for _unused in range(missing):
            try:
                await self._create(model, status.role, status.epoch)
            except ApiError as error:
                self._suppression.failed(key)
                status.create_error = error.message
                LOG.info(
                    "escrow_rotation_%s_create_failed model=%s epoch=%d: %s",
                    status.role, status.model_id, status.epoch, error,
                )  # fmt: skip
                return False
            status.created_count += 1
            self._suppression.succeeded(key)
        return True

    def _absent(self, model: str) -> bool:
        """No host serves it now: this counts as fulfilled, also for those that it replaces."""
        weights = self._gateway.poller.weights
        return (
            self._gateway.generation.skips_absent_models
            and bool(weights)
            and not weights.get(model)
        )

    async def _recover(self) -> None:
        """Creates of which nothing is known but their hash: one that landed is adopted."""
        gateway = self._gateway
        if not gateway.generation.commitments:
            return
        for commitment in gateway.db.commitments():
            if commitment.tx_hash in gateway.minting:
                continue
            try:
                number = await gateway.chain().escrow_of_tx(commitment.tx_hash)
            except TxFailedError as error:
                LOG.info("escrow_commitment_tx_failed tx=%s: %s", commitment.tx_hash, error)
                gateway.db.forget_commitment(commitment.tx_hash)
                continue
            except ChainError as error:
                LOG.info("escrow_commitment_kept tx=%s: %s", commitment.tx_hash, error)
                continue
            if number is not None:
                await self._adopt(commitment, str(number))
            elif time.time_ns() - commitment.created_ns > _LANDED_NS:
                LOG.info("escrow_commitment_no_escrow tx=%s", commitment.tx_hash)
                gateway.db.forget_commitment(commitment.tx_hash)

    async def _adopt(self, commitment: Commitment, number: str) -> None:
        gateway = self._gateway
        if gateway.db.record(number) is None:
            path = str(gateway.default_path(number))
            record = replace(commitment.record, id=number, storage_path=path)
            try:
                gateway.register(record, await gateway.build(record))
            except BuildError as error:
                LOG.info("escrow_commitment_kept tx=%s: %s", commitment.tx_hash, error)
                return
            LOG.info("escrow_commitment_recovered devshard=%s tx=%s", number, commitment.tx_hash)
        gateway.db.forget_commitment(commitment.tx_hash)

    async def _create(self, model: dict[str, t.Any], role: str, epoch: int) -> str:
        body = {
            "amount": model["amount"],
            "model_id": model["model_id"],
            "private_key_env": model["private_key_env"],
        }
        result = await self._gateway.create(body, role=role, epoch=epoch)
        LOG.info("escrow_rotation_created devshard=%s role=%s epoch=%d", result["id"], role, epoch)
        return str(result["id"])

    async def _retire(self, records: list[Record], status: Status, kind: str) -> None:
        status.completed = True
        for record in records:
            runtime = self._gateway.runtimes.get(record.id)
            lost = runtime is None and not self._gateway.generation.unloads
            if not self.settings["settlement_enabled"] or lost:
                self._without_settlement(record, runtime)
                continue
            LOG.info("escrow_rotation_settling devshard=%s", record.id)
            try:
                await self._gateway.settling.settle(record.id, {})
            except BusyError as error:
                # Stays active, or settles by itself later: the next tick looks again.
                status.completed = False
                status.settle_failed_count += int(self._gateway.generation.remembers_busy)
                LOG.info("escrow_rotation_%s_retire_failed: %s", kind, error)
            except SettleError as error:
                status.settle_failed_count += 1
                LOG.info("escrow_rotation_%s_retire_failed: %s", kind, error)
            else:
                status.settled_count += 1

    def _without_settlement(self, record: Record, runtime: Runtime | None) -> None:
        if runtime is None:
            self._gateway.db.set_active(record.id, False)
        else:
            self._gateway.set_active(runtime, False)
            if self._gateway.generation.unloads:
                self._gateway.retire(runtime)
        LOG.info("escrow_rotation_deactivated_without_settlement devshard=%s", record.id)

    # --- depletion -------------------------------------------------------------

    async def check_balances(self) -> None:
        self._drop_old()
        self._release_held()
        if not self.settings["enabled"]:
            return
        for runtime in self._gateway.ordered():
            if not runtime.routable:
                continue
            if runtime.session.state.balance < self._gateway.tuning.low_balance:
                if self._may_hold(runtime):
                    self._hold(runtime, now_text())
                    continue
                LOG.info("escrow_balance_low devshard=%s", runtime.id)
            elif runtime.session.nonce >= self._gateway.tuning.nonce_limit:
                LOG.info("escrow_nonce_high devshard=%s", runtime.id)
            else:
                continue
            self.replace(runtime)

    def _drop_old(self) -> None:
        """Loaded escrows of epochs that are long over go without being settled."""
        gateway, retain = self._gateway, self._gateway.generation.retention
        epoch = gateway.snapshot.epoch_index
        if retain is None or not epoch:
            return
        for runtime in gateway.ordered():
            record = gateway.db.record(runtime.id)
            pending = record is not None and record.settlement_pending
            if runtime.session.escrow.epoch_index < epoch - (retain - 1) and not pending:
                LOG.info("escrow_epoch_retention_retire escrow=%s", runtime.id)
                gateway.set_active(runtime, False)
                gateway.retire(runtime)

    def _recoverable(self, runtime: Runtime) -> int:
        """What comes back when the requests that are under way cost nothing."""
        inferences = runtime.session.state.inferences.values()
        return sum(entry.reserved for entry in inferences if entry.status == "pending")

    def _may_hold(self, runtime: Runtime) -> bool:
        if not self._gateway.generation.holds or self._model(runtime) is None:
            return False
        cap = self._gateway.settings["request_max_tokens_cap"]
        needed = self._gateway.tuning.low_balance + 32 * cap * runtime.session.escrow.token_price
        return bool(runtime.session.state.balance + self._recoverable(runtime) >= needed)

    def _hold(self, runtime: Runtime, since: str) -> None:
        runtime.held_since = since
        self._gateway.db.change(runtime.id, on_hold_since=since)
        LOG.info("escrow_hold escrow=%s held=%s", runtime.id, bool(since))

    def _release_held(self) -> None:
        for runtime in self._gateway.ordered():
            if not runtime.on_hold:
                continue
            recovered = runtime.session.state.balance >= self._gateway.tuning.low_balance
            if recovered or not self.settings["enabled"] or self._model(runtime) is None:
                self._hold(runtime, "")

    def nonce_high(self, runtime: Runtime) -> None:
        """Noticed while routing."""
        if self.settings["enabled"]:
            LOG.info("escrow_nonce_high devshard=%s", runtime.id)
            self.replace(runtime)

    def exhausted(self, runtime: Runtime) -> None:
        """One request could not be paid: replace the escrow, or just stop using it."""
        LOG.info("escrow_balance_exhausted devshard=%s", runtime.id)
        if self.settings["enabled"] and self._model(runtime) is not None:
            self.replace(runtime)
        elif not runtime.retired:
            runtime.retired = True
            self._gateway.set_active(runtime, False)
            if self._gateway.generation.unloads:
                self._gateway.retire(runtime)

    def _model(self, runtime: Runtime) -> dict[str, t.Any] | None:
        return next(
            (
                model
                for model in self.settings["models"]
                if model["model_id"] == runtime.model
                and model["amount"]
                and model["private_key_env"]
            ),
            None,
        )

    def replace(self, runtime: Runtime) -> None:
        if self._model(runtime) is not None and not runtime.being_replaced:
            runtime.being_replaced = True
            self._gateway.spawn(self._replace(runtime))

    async def _replace(self, runtime: Runtime) -> None:
        model = self._model(runtime)
        if model is None:
            return
        try:
            new = await self._create(model, "regular", self._gateway.snapshot.epoch_index)
        except ApiError as error:
            # Nothing remembers it: the next look tries again.
            LOG.info("escrow_depletion_replacement_failed devshard=%s: %s", runtime.id, error)
            return
        finally:
            runtime.being_replaced = False
        LOG.info("escrow_depletion_replacement_created old=%s new=%s", runtime.id, new)
        self._gateway.set_active(runtime, False)
        if self.settings["settlement_enabled"]:
            self._gateway.settling.later(runtime)
        else:
            LOG.info("auto_settle_skipped devshard=%s", runtime.id)
