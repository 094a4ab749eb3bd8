# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Waiting with an end: monotonic time, injected clock and sleep."""

from __future__ import annotations

import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable


class WaitBudget:
    """The end of all waiting of one run. ``seconds`` is the whole budget, from now."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._start = clock()
        self._end = self._start + seconds

    @property
    def elapsed(self) -> float:
        return self._clock() - self._start

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock())

    def expired(self) -> bool:
        return self.left <= 0

    def pause(self, interval: float) -> bool:
        """Sleep until the next check, never past the end. False: no time is left for another."""
        left = self.left
        if left <= 0:
            return False
        self._sleep(min(interval, left))
        return True
