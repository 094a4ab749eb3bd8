# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The accounting listener of 4.1: without a key, on every address, GET only (§6)."""

from __future__ import annotations

import sqlite3
import typing as t
from pathlib import Path

from aiohttp import web

from simnet.gateway.goish import compact

SCHEMA_VERSION = 4
DISPOSITIONS = (
    "protocol_only", "ghost", "finished_used", "finished_unused", "finished_usage_unknown",
    "unfinished_refused", "unfinished_execution",
)  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (
    epoch INTEGER NOT NULL, escrow_id TEXT NOT NULL, nonce INTEGER NOT NULL,
    participant TEXT NOT NULL, model TEXT NOT NULL, disposition TEXT NOT NULL,
    PRIMARY KEY (escrow_id, nonce)
);
"""


def _reply(body: t.Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=compact(body) + b"\n", headers={"Content-Type": "application/json"}
    )


def _error(status: int, text: str) -> web.Response:
    """A text, where the gateway's own errors are objects."""
    return _reply({"error": text}, status)


class Accounting:
    def __init__(self, path: Path, current_epoch: t.Callable[[], int]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        self._current_epoch = current_epoch

    def close(self) -> None:
        self._db.close()

    def add(self, escrow: str, nonce: int, host: str, model: str, disposition: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?, ?, ?)",
            (self._current_epoch(), escrow, nonce, host, model, disposition),
        )

    def purge(self, epoch: int) -> int:
        """How many escrows it knew in that epoch."""
        (count,) = self._db.execute(
            "SELECT COUNT(DISTINCT escrow_id) FROM nonces WHERE epoch = ?", (epoch,)
        ).fetchone()
        self._db.execute("DELETE FROM nonces WHERE epoch = ?", (epoch,))
        return int(count)

    def routes(self) -> list[web.RouteDef]:
        base = "/api/v1/epochs"
        return [
            web.get(base, self.epochs),
            web.get(f"{base}/{{epoch}}/participants", self.participants),
            web.get(f"{base}/{{epoch}}/participants/{{address}}", self.participant),
            web.get(f"{base}/{{epoch}}/events", self.events),
            web.get(f"{base}/{{epoch}}/events/{{address}}", self.events),
        ]

    def _summary(self, rows: list[sqlite3.Row]) -> dict[str, t.Any]:
        counts = {name: sum(row["disposition"] == name for row in rows) for name in DISPOSITIONS}
        return {
            "assigned_nonces": len(rows),
            "dispositions": {name: count for name, count in counts.items() if count},
            "timeout_outcomes": {},
            "protocol_misses": 0,
            "protocol_invalid": 0,
        }

    def _rows(self, epoch: int, query: t.Mapping[str, t.Any] | None = None) -> list[sqlite3.Row]:
        rows = self._db.execute(
            "SELECT * FROM nonces WHERE epoch = ? ORDER BY escrow_id, nonce", (epoch,)
        ).fetchall()
        for name in ("model", "escrow_id"):
            wanted = (query or {}).get(name)
            if wanted:
                rows = [row for row in rows if row[name] in str(wanted).split(",")]
        return rows

    def _epoch(self, request: web.Request) -> int | web.Response:
        text = request.match_info["epoch"]
        if text == "current":
            current = self._current_epoch()
            return current or _error(400, "current epoch unavailable")
        return int(text) if text.isdigit() else _error(400, "invalid epoch")

    async def epochs(self, request: web.Request) -> web.Response:
        known = [row["epoch"] for row in self._db.execute("SELECT DISTINCT epoch FROM nonces")]
        return _reply(
            {
                "schema_version": SCHEMA_VERSION,
                "recording_errors": 0,
                "writer_errors": 0,
                "epochs": [
                    {"epoch_index": epoch, **self._summary(self._rows(epoch))}
                    for epoch in sorted(known)
                ],
            }
        )

    async def participants(self, request: web.Request) -> web.Response:
        epoch = self._epoch(request)
        if isinstance(epoch, web.Response):
            return epoch
        rows = self._rows(epoch, request.query)
        names = sorted({row["participant"] for row in rows})
        return _reply(
            {
                "schema_version": SCHEMA_VERSION,
                "epoch_index": epoch,
                "participants": [
                    {
                        "participant": name,
                        **self._summary([row for row in rows if row["participant"] == name]),
                    }
                    for name in names
                ],
            }
        )

    async def participant(self, request: web.Request) -> web.Response:
        epoch, address = self._epoch(request), request.match_info["address"]
        if isinstance(epoch, web.Response):
            return epoch
        rows = [row for row in self._rows(epoch, request.query) if row["participant"] == address]
        if not rows:
            return _error(404, "participant not found")
        records = [
            {name: row[name] for name in ("escrow_id", "nonce", "model", "disposition")}
            for row in rows
        ]
        return _reply(
            {
                "schema_version": SCHEMA_VERSION,
                "epoch_index": epoch,
                "participant": address,
                "records": records,
            }
        )

    async def events(self, request: web.Request) -> web.Response:
        epoch = self._epoch(request)
        if isinstance(epoch, web.Response):
            return epoch
        address = request.match_info.get("address") or request.query.get("participant")
        named = {"participant": address} if address else {}
        return _reply(
            {"schema_version": SCHEMA_VERSION, "epoch_index": epoch, **named, "events": []}
        )
