# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The rotator: temps before the epoch switch, regulars after it, depleted ones at any time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t
from dataclasses import asdict, dataclass, replace

from simnet.gateway.errors import BusyError, SettleError
from simnet.gateway.goish import ApiError
from simnet.gateway.settings import validate_rotation

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway
    from simnet.gateway.database import Record
    from simnet.gateway.runtime import Runtime

LOG = logging.getLogger("devshardctl")
SUPPRESSED = "escrow rotation create already failed for this epoch"
_SETTLE_TRIES = 30


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
        # Model, role and epoch whose create failed; only a restart forgets it.
        self._failed: set[tuple[str, str, int]] = set()
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
        if missing > 0 and key in self._failed:
            status.create_error = SUPPRESSED
            return False
        for _unused in range(missing):
            try:
                await self._create(model, status.role, status.epoch)
            except ApiError as error:
                self._failed.add(key)
                status.create_error = error.message
                LOG.info(
                    "escrow_rotation_%s_create_failed model=%s epoch=%d: %s",
                    status.role, status.model_id, status.epoch, error,
                )  # fmt: skip
                return False
            status.created_count += 1
        return True

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
            if not self.settings["settlement_enabled"] or runtime is None:
                self._without_settlement(record, runtime)
                continue
            LOG.info("escrow_rotation_settling devshard=%s", record.id)
            try:
                await self._gateway.settle(runtime, {})
            except BusyError as error:
                # Stays active: the next tick tries again.
                status.completed = False
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
        LOG.info("escrow_rotation_deactivated_without_settlement devshard=%s", record.id)

    # --- depletion -------------------------------------------------------------

    async def check_balances(self) -> None:
        if not self.settings["enabled"]:
            return
        for runtime in self._gateway.ordered():
            if not runtime.routable:
                continue
            if runtime.session.state.balance < self._gateway.tuning.low_balance:
                LOG.info("escrow_balance_low devshard=%s", runtime.id)
            elif runtime.session.nonce >= self._gateway.tuning.nonce_limit:
                LOG.info("escrow_nonce_high devshard=%s", runtime.id)
            else:
                continue
            self.replace(runtime)

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
            await self._auto_settle(runtime)
        else:
            LOG.info("auto_settle_skipped devshard=%s", runtime.id)

    async def _auto_settle(self, runtime: Runtime) -> None:
        for _unused in range(_SETTLE_TRIES):
            try:
                await self._gateway.settle(runtime, {})
            except (BusyError, SettleError) as error:
                LOG.info("auto_settle_failed devshard=%s: %s", runtime.id, error)
                await self._gateway.clock.sleep(self._gateway.tuning.auto_settle_seconds)
            else:
                LOG.info("auto_settle_submitted devshard=%s", runtime.id)
                return
