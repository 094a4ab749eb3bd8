# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# This file is private to the gonka.devshard collection; its content may change at any time.
"""When a gateway may be stopped without cutting a stream (contract ``gateway.md`` §7.3).

Pure: one sample of what the gateway says gives a verdict, a row of verdicts gives the decision.
Unknown is a verdict of its own and never counts as drained.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class DrainVerdict(str, enum.Enum):
    """The verdict of one check of a gateway."""

    DRAINED = "drained"
    BUSY = "busy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DrainRecord:
    """One devshard record. ``active_requests`` is None when its runtime is not loaded, and counts
    the work after replies too, where the gateway shows it."""

    id: str
    active: bool
    active_requests: int | None


@dataclass(frozen=True)
class Sample:
    """One check: the verdict, and the numbers behind it."""

    verdict: DrainVerdict
    requests: int | None = None
    limiter: int | None = None
    workers: int = 0
    edge: bool = False
    reason: str = ""
    per_escrow: Mapping[str, int] = field(default_factory=dict)

    def to_result(self) -> dict[str, t.Any]:
        return {
            "verdict": self.verdict.value,
            "requests": self.requests,
            "limiter": self.limiter,
            "workers": self.workers,
            "edge": self.edge,
            "reason": self.reason,
            "per_escrow": dict(self.per_escrow),
        }


def unknown(reason: str) -> Sample:
    """A check that failed; the reason says what was returned instead."""
    return Sample(DrainVerdict.UNKNOWN, reason=reason)


def judge(
    records: Iterable[DrainRecord], limiter: int, workers: int = 0, *, edge: bool = False
) -> Sample:
    """Drained: no request in any loaded runtime, the limiter agrees, no old worker is left, and
    the edge holds no request for it: one whose body still comes in is not in the gateway yet.

    ``limiter`` alone proves nothing (it is bypassed in some PoC modes), and neither do the
    records alone. A record that is active but not loaded has no counter: unknown. An inactive
    record without a runtime serves no client. A counter below zero counts nothing: unknown.
    """
    counted: dict[str, int] = {}
    if limiter < 0:
        return unknown(f"the limiter counts {limiter} requests")
    for record in records:
        if record.active_requests is not None and record.active_requests < 0:
            return unknown(f"escrow {record.id} counts {record.active_requests} requests")
        if record.active_requests is not None:
            counted[record.id] = record.active_requests
        elif record.active:
            return unknown(f"escrow {record.id} is recorded as active but not loaded")
    total = sum(counted.values())
    verdict = DrainVerdict.BUSY if total or limiter or workers or edge else DrainVerdict.DRAINED
    return Sample(
        verdict,
        requests=max(total, limiter),
        limiter=limiter,
        workers=workers,
        edge=edge,
        per_escrow={escrow: count for escrow, count in counted.items() if count},
    )


@dataclass(frozen=True)
class Row:
    """Consecutive drained samples so far. Any other sample restarts the row."""

    needed: int
    length: int = 0

    def add(self, sample: Sample) -> Row:
        if sample.verdict is DrainVerdict.DRAINED:
            return Row(self.needed, self.length + 1)
        return Row(self.needed)

    @property
    def full(self) -> bool:
        return self.length >= self.needed


def in_words(sample: Sample) -> str:
    """The result of the last check, for a message."""
    if sample.verdict is DrainVerdict.UNKNOWN:
        return f"it is unknown what it still serves ({sample.reason})"
    if sample.verdict is DrainVerdict.DRAINED:
        return "it was idle in the last check, but not often enough in a row"
    parts = []
    if sample.requests:
        where = ", ".join(f"escrow {key}: {count}" for key, count in sample.per_escrow.items())
        parts.append(f"{sample.requests} request(s) left" + (f" ({where})" if where else ""))
    if sample.workers:
        parts.append(
            f"{sample.workers} nginx worker(s) from before the reload are still serving requests"
        )
    if sample.edge and not sample.requests:
        parts.append(
            "the edge still holds a request for it whose body is not complete (if that never ends, "
            "an nginx worker may have died with its count, which a restart of nginx corrects)"
        )
    return " and ".join(parts)
