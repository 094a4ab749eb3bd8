# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Named points in the gateway's work at which a test can make something go wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from simnet.faultrules import FaultError

POINTS = (
    "chat.before_reply",
    "chat.chunk",
    "create.before_broadcast",
    "create.after_broadcast",
    "create.before_register",
    "create.after_register",
    "import.before_build",
    "add.before_build",
    "finalize.round",
    "finalize.before_signatures",
    "settle.before_finalize",
    "settle.before_broadcast",
    "settle.after_broadcast",
    "start.before_listen",
    "unload.before_close",
    "warmup.before_start",
)
ACTIONS = ("crash", "error", "wait")


class PointError(Exception):
    """What a point with the action ``error`` raises."""


@dataclass(slots=True)
class Armed:
    point: str
    action: str
    after: int = 0
    times: int | None = 1
    message: str = "fault injected by the simulator"
    hits: int = 0


def kill_self() -> t.NoReturn:
    """End as SIGKILL ends: nothing is flushed, closed or answered."""
    os.kill(os.getpid(), signal.SIGKILL)
    # the first process of a container gets no SIGKILL from inside; this flushes and closes nothing either
    os._exit(128 + signal.SIGKILL)


class Points:
    def __init__(self) -> None:
        self._armed: dict[str, Armed] = {}
        self._released: dict[str, asyncio.Event] = {}

    def arm(self, data: Mapping[str, t.Any]) -> dict[str, t.Any]:
        unknown = set(data) - {"point", "action", "after", "times", "message"}
        if unknown:
            raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}")
        if data.get("point") not in POINTS:
            raise FaultError(f"point must be one of {', '.join(POINTS)}")
        if data.get("action") not in ACTIONS:
            raise FaultError(f"action must be one of {', '.join(ACTIONS)}")
        armed = Armed(**data)
        self._armed[armed.point] = armed
        return self.to_json()

    def clear(self) -> None:
        """Nothing goes wrong any more; who waits at a point goes on."""
        for point in POINTS:
            self.release(point)

    def release(self, point: str) -> None:
        """The same for one point."""
        if point not in POINTS:
            raise FaultError(f"point must be one of {', '.join(POINTS)}")
        self._armed.pop(point, None)
        released = self._released.pop(point, None)
        if released is not None:
            released.set()

    def armed(self, point: str) -> bool:
        return point in self._armed

    def hits(self, point: str) -> int:
        return self._armed[point].hits if point in self._armed else 0

    def to_json(self) -> dict[str, t.Any]:
        return {
            "points": [
                {
                    "point": armed.point,
                    "action": armed.action,
                    "after": armed.after,
                    "times": armed.times,
                    "hits": armed.hits,
                }
                for armed in self._armed.values()
            ]
        }

    async def reach(self, name: str) -> None:
        armed = self._armed.get(name)
        if armed is None or (armed.times is not None and armed.hits >= armed.times):
            return
        if armed.after > 0:
            armed.after -= 1
            return
        armed.hits += 1
        if armed.action == "crash":
            kill_self()
        if armed.action == "error":
            raise PointError(armed.message)
        await self._released.setdefault(name, asyncio.Event()).wait()
