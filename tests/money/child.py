# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one use case in a process of its own, which may be killed at any step of its ledger.

Reads a job as JSON from standard input and prints one JSON line. The kill is a ledger that ends
its own process; the product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import typing as t
from dataclasses import dataclass

from ansible_collections.gonka.devshard.plugins.module_utils._ledger import (
    Event,
    Intent,
    Kind,
    Ledger,
    Via,
)


@dataclass(frozen=True)
class Kill:
    """End the process before or after the ledger records a step: ``plan`` or an event's name."""

    step: str
    when: t.Literal["before", "after"]


class DoomedLedger(Ledger):
    """A ledger that ends its process by SIGKILL at a chosen step, once."""

    doom: Kill | None = None

    def plan(self, kind: Kind, via: Via, **values: t.Any) -> Intent:
        self._die("plan", "before")
        intent = super().plan(kind, via, **values)
        self._die("plan", "after")
        return intent

    def apply(
        self,
        intent: Intent,
        event: Event,
        detail: dict[str, t.Any] | None = None,
        **values: t.Any,
    ) -> Intent:
        self._die(event.value, "before")
        after = super().apply(intent, event, detail, **values)
        self._die(event.value, "after")
        return after

    def _die(self, step: str, when: str) -> None:
        if self.doom is not None and (self.doom.step, self.doom.when) == (step, when):
            os.kill(os.getpid(), signal.SIGKILL)
