# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Clients that stream through the edge while something else happens, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
import typing as t

from ansible_collections.gonka.devshard.tests.swap.lab import Lab
from ansible_collections.gonka.devshard.tests.swap.load import Exchange, Kind, Load, Target


class Clients:
    """A context: clients run inside of it, and each ends its request before it is left."""

    def __init__(
        self,
        lab: Lab,
        kinds: dict[Kind, int],
        *,
        stream_s: tuple[float, float] = (2, 8),
        upload_s: float = 15,
    ) -> None:
        self._target = Target(
            url=lab.edge(),
            api_key=lab.api_key(),
            model=lab.vars["devshard_models"][0]["id"],
            stream_s=stream_s,
            upload_s=upload_s,
        )
        self._kinds = kinds
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._load: Load | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._load = Load(self._target, self._kinds)
        self._ready.set()
        await self._load.run()

    def __enter__(self) -> Clients:
        self._thread.start()
        self._ready.wait(30)
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._load is not None
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._load.stop)
        self._thread.join()

    def now(self) -> float:
        """Seconds on the clock of the exchanges."""
        assert self._load is not None
        return self._load.now()

    @property
    def exchanges(self) -> list[Exchange]:
        assert self._load is not None
        return self._load.exchanges

    def harmed(self) -> list[Exchange]:
        """Requests that did not end as they should. One that still runs is not among them."""
        return [item for item in self.exchanges if item.end and item.outcome != "ok"]

    def count(self, outcome: t.Literal["ok", "cut", "failed"]) -> int:
        return sum(item.outcome == outcome for item in self.exchanges if item.end)
