# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Which hosts are quarantined because they failed."""

from __future__ import annotations

import time
import typing as t

from simnet.gateway.database import GatewayDb
from simnet.gateway.devsession import HostLink
from simnet.gateway.settings import Settings
from simnet.timestamps import Timestamp

_MS = 1_000_000


class Participants:
    def __init__(self, db: GatewayDb) -> None:
        self._db = db
        self._until: dict[str, int] = {}
        self._streak: dict[str, int] = {}
        for key, (until, streak) in db.throttled().items():
            self._until[key], self._streak[key] = until, streak

    def blocked(self, key: str) -> bool:
        return self._until.get(key, 0) > time.time_ns()

    def failed(self, key: str, settings: Settings) -> None:
        """A host did not answer: no requests for it for a while."""
        wait = settings["participant_throttle"]["transport_failure_quarantine_ms"]
        self._until[key] = time.time_ns() + wait * _MS
        self._streak[key] = self._streak.get(key, 0) + 1
        self._db.throttle(key, self._until[key], self._streak[key])

    def succeeded(self, key: str) -> None:
        if key in self._until and not self.blocked(key):
            self.clear(key)

    def clear(self, key: str) -> bool:
        known = self._until.pop(key, None) is not None
        self._streak.pop(key, None)
        if known:
            self._db.unthrottle(key)
        return known

    @property
    def tracked(self) -> int:
        return len(self._until)

    def view(self, link: HostLink, settings: Settings) -> dict[str, t.Any]:
        blocked = self.blocked(link.address)
        burst = settings["participant_throttle"]["request_burst"]
        result: dict[str, t.Any] = {
            "participant_key": link.address,
            "slot_count": len(link.slots),
            "tracked": link.address in self._until,
            "quarantined": blocked,
            "blocked": blocked,
            "request_allowed": not blocked,
            "available_for_capacity": not blocked,
            "tokens": 0 if blocked else burst,
            "burst": burst,
        }
        if blocked:
            until = self._until[link.address]
            result["quarantine_until"] = Timestamp.from_ns(until).rfc3339()
            result["quarantine_remaining_ms"] = (until - time.time_ns()) // _MS
        if self._streak.get(link.address):
            result["eof_transport_failure_streak"] = self._streak[link.address]
        return result
