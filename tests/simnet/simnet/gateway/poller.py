# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The public API, asked every few seconds: height, epoch, phase, hosts' weights."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t
from dataclasses import dataclass

import aiohttp

from simnet.gateway.chainclient import ChainError
from simnet.gateway.clock import Clock
from simnet.gateway.environment import without_api
from simnet.gateway.grpcchain import ProtobufChain

LOG = logging.getLogger("devshardctl")

Weights = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the public API last told; blank until it told something."""

    block_height: int = 0
    epoch_index: int = 0
    switch_height: int = 0
    phase: str = ""
    confirmation_phase: str = ""

    @property
    def in_poc(self) -> bool:
        return self.phase.startswith("PoC") or self.confirmation_phase != ""

    @property
    def block_message(self) -> str:
        what = "confirmation PoC" if self.confirmation_phase else "PoC validation"
        if self.phase.startswith("PoCGenerate"):
            what = "PoC generation"
        return f"devshard temporarily unavailable during {what}"

    def to_json(self, pre_poc_blocks: int) -> dict[str, t.Any]:
        known = self.block_height > 0
        left = self.switch_height - self.block_height if known else 0
        return {
            "block_height": self.block_height,
            "blocks_to_epoch_switch": left,
            "blocks_until_next_rotation": max(0, left - pre_poc_blocks) if known else 0,
            "confirmation_poc_phase": self.confirmation_phase,
            "epoch_index": self.epoch_index,
            "epoch_switch_block_height": self.switch_height,
            "phase": self.phase,
        }


def _int(data: t.Any, *path: str) -> int:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    if data is None or isinstance(data, bool):
        return 0
    return int(data)


def snapshot_of(data: dict[str, t.Any]) -> Snapshot:
    height = _int(data, "block_height")
    candidates = (
        _int(data, "epoch_stages", "set_new_validators"),
        _int(data, "next_epoch_stages", "set_new_validators"),
        _int(data, "epoch_stages", "next_poc_start"),
        _int(data, "latest_epoch", "poc_start_block_height"),
    )
    switch = next((value for value in candidates[:2] if value >= height > 0), 0)
    confirmation = ""
    if data.get("is_confirmation_poc_active"):
        event = data.get("active_confirmation_poc_event") or {}
        confirmation = str(event.get("phase") or "CONFIRMATION_POC_GENERATION")
    return Snapshot(
        block_height=height,
        epoch_index=_int(data, "latest_epoch", "index"),
        switch_height=switch or candidates[2] or candidates[3],
        phase=str(data.get("phase", "")),
        confirmation_phase=confirmation,
    )


def weights_of(data: dict[str, t.Any]) -> Weights:
    """Weight of each host (by address) for each model."""
    found: Weights = {}
    for participant in (data.get("active_participants") or {}).get("participants") or []:
        address = str(participant.get("index", ""))
        groups = participant.get("ml_nodes") or []
        for number, model in enumerate(participant.get("models") or []):
            nodes = groups[number].get("ml_nodes") or [] if number < len(groups) else []
            weight = sum(_int(node, "poc_weight") for node in nodes)
            found.setdefault(str(model), {})[address] = weight
    return found


def preserved_of(data: dict[str, t.Any]) -> set[str]:
    """Hosts with a node that goes on serving during PoC: its second slot of time."""
    return {
        str(participant.get("index", ""))
        for participant in (data.get("active_participants") or {}).get("participants") or []
        for group in participant.get("ml_nodes") or []
        for node in group.get("ml_nodes") or []
        if (node.get("timeslot_allocation") or [])[1:2] == [True]
    }


class Poller:
    def __init__(
        self,
        http: aiohttp.ClientSession,
        base: str,
        every: float,
        limit: float,
        clock: Clock,
        chain: ProtobufChain | None = None,
        *,
        falls_back: bool = False,
    ) -> None:
        """``chain``: asked instead where the base is `none`, or where it fails."""
        self.snapshot = Snapshot()
        self.weights: Weights = {}
        self.preserved: set[str] = set()
        self._http = http
        self._base = base.rstrip("/")
        self._every = every
        self._limit = limit
        self._clock = clock
        self._chain = chain
        self._falls_back = falls_back
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, *, at_once: bool) -> None:
        self._task = asyncio.create_task(self._run(at_once))

    async def stop(self) -> None:
        """Ends after the poll that is under way, however long that takes."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self, at_once: bool) -> None:
        if at_once:
            await self.poll()
        while not self._stopping.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await self._clock.within(self._every, self._stopping.wait())
            if not self._stopping.is_set():
                await self.poll()

    async def _get(self, path: str) -> t.Any:
        async with self._http.get(self._base + path) as response:
            response.raise_for_status()
            return await response.json(content_type=None)

    async def _ask(self, path: str) -> dict[str, t.Any]:
        data = await self._clock.within(self._limit, self._get(path))
        if not isinstance(data, dict):
            raise ValueError(f"{path}: not an object")
        return data

    async def _of_api(self) -> tuple[Snapshot, Weights, set[str]]:
        latest = snapshot_of(await self._ask("/v1/epochs/latest"))
        participants = await self._ask("/v1/epochs/current/participants")
        return latest, weights_of(participants), preserved_of(participants)

    async def _of_chain(self, chain: ProtobufChain) -> tuple[Snapshot, Weights, set[str]]:
        latest = snapshot_of(await chain.epoch_info())
        weights = await chain.weights(latest.epoch_index)
        # Who goes on serving is not told there.
        return latest, weights, {host for hosts in weights.values() for host in hosts}

    async def poll(self) -> None:
        try:
            found = await self._polled()
        except (
            aiohttp.ClientError, asyncio.TimeoutError, ValueError, TypeError, AttributeError,
            ChainError,
        ) as error:  # fmt: skip
            # The last known phase stays, also a blocking one.
            LOG.info("chain phase poll failed: %s", str(error) or type(error).__name__)
            return
        self.snapshot, self.weights, self.preserved = found

    async def _polled(self) -> tuple[Snapshot, Weights, set[str]]:
        if self._chain is None:
            return await self._of_api()
        if without_api(self._base):
            return await self._of_chain(self._chain)
        try:
            return await self._of_api()
        except (
            aiohttp.ClientError, asyncio.TimeoutError, ValueError, TypeError, AttributeError
        ) as error:  # fmt: skip
            if not self._falls_back:
                raise
            try:
                return await self._of_chain(self._chain)
            except ChainError as other:
                raise ChainError(f"public API: {error}; chain fallback: {other}") from other
