# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway's time limits and pauses. A test lets time pass for them instead of waiting."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
from collections.abc import Coroutine, Iterator

Result = t.TypeVar("Result")


class _Alarm:
    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.rings: asyncio.Future[None] = self._loop.create_future()
        self._handle = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        if not self.rings.done():
            self.rings.set_result(None)

    def sooner(self, seconds: float) -> None:
        left = self._handle.when() - self._loop.time() - seconds
        self._handle.cancel()
        self._handle = self._loop.call_later(max(0.0, left), self._ring)

    def cancel(self) -> None:
        self._handle.cancel()
        self.rings.cancel()


class Clock:
    """Runs with the loop's clock, and ahead of it by what was added."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._alarms: set[_Alarm] = set()

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead

    def advance(self, seconds: float) -> None:
        """All limits and pauses that would end within ``seconds`` end now."""
        self._ahead += seconds
        for alarm in self._alarms:
            alarm.sooner(seconds)

    @contextlib.contextmanager
    def _alarm(self, seconds: float) -> Iterator[asyncio.Future[None]]:
        alarm = _Alarm(seconds)
        self._alarms.add(alarm)
        try:
            yield alarm.rings
        finally:
            self._alarms.discard(alarm)
            alarm.cancel()

    async def sleep(self, seconds: float) -> None:
        with self._alarm(seconds) as rings:
            await rings

    async def within(self, seconds: float, work: Coroutine[t.Any, t.Any, Result]) -> Result:
        """The result of some work, or ``asyncio.TimeoutError`` when it takes too long."""
        with self._alarm(seconds) as rings:
            task = asyncio.ensure_future(work)
            try:
                both: set[asyncio.Future[t.Any]] = {task, rings}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    raise asyncio.TimeoutError
                return task.result()
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait({task})
