# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""How fast deposits are spent, from samples that were kept. Pure.

A rate needs two samples of the same session. What is not measured is unknown, never 0.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HOUR: t.Final = 3600.0
WINDOW: t.Final = 6 * HOUR
"""Seconds that a rate looks back."""
SHORTEST: t.Final = 60.0
"""Seconds. A rate over less would be noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionSample:
    """One session: the rest of its deposit in ngonka, and its newest nonce."""

    balance: int
    nonce: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One look. ``uptime`` counts within ``boot``, which no change of the clock moves."""

    at: float
    boot: str
    uptime: float
    sessions: Mapping[int, SessionSample] = field(default_factory=dict)

    def to_json(self) -> dict[str, t.Any]:
        return {
            "at": self.at,
            "boot": self.boot,
            "uptime": self.uptime,
            "sessions": {
                str(number): [seen.balance, seen.nonce] for number, seen in self.sessions.items()
            },
        }


def sample_of(body: object) -> Sample | None:
    """A sample from its JSON; None where it is none."""
    if not isinstance(body, dict) or not isinstance(body.get("sessions"), dict):
        return None
    numbers = [body.get("at"), body.get("uptime")]
    if not all(_is_number(number) for number in numbers) or not isinstance(body.get("boot"), str):
        return None
    sessions: dict[int, SessionSample] = {}
    for name, values in body["sessions"].items():
        if not name.isdigit() or not _is_pair(values):
            return None
        sessions[int(name)] = SessionSample(balance=values[0], nonce=values[1])
    return Sample(
        at=float(body["at"]), boot=body["boot"], uptime=float(body["uptime"]), sessions=sessions
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """``seconds`` is how long was measured."""

    ngonka_per_hour: float
    nonces_per_hour: float
    seconds: float

    def to_result(self) -> dict[str, t.Any]:
        return {
            "ngonka_per_hour": self.ngonka_per_hour,
            "nonces_per_hour": self.nonces_per_hour,
            "seconds": self.seconds,
        }


def sessions_of(rows: Iterable[Mapping[str, t.Any]]) -> dict[int, SessionSample]:
    """The sessions that a gateway has in memory, from the rows of a status."""
    return {
        row["id"]: SessionSample(balance=row["balance"], nonce=row["nonce"])
        for row in rows
        if row["recorded"] and row["loaded"] and None not in (row["balance"], row["nonce"])
    }


def rates(samples: Sequence[Sample], window: float = WINDOW) -> dict[int, Rate | None]:
    """The rate of each session of the newest sample; None where it is not known."""
    if not samples:
        return {}
    return {number: _rate(samples, number, window) for number in samples[-1].sessions}


def _rate(samples: Sequence[Sample], number: int, window: float) -> Rate | None:
    seconds, spent, nonces = 0.0, 0, 0
    for before, after, elapsed in _steps_back(samples, number):
        seconds += elapsed
        spent += before.balance - after.balance
        nonces += after.nonce - before.nonce
        if seconds >= window:
            break
    if seconds < SHORTEST:
        return None
    # what was reserved and came back is no income
    return Rate(
        ngonka_per_hour=max(0, spent) * HOUR / seconds,
        nonces_per_hour=nonces * HOUR / seconds,
        seconds=seconds,
    )


def _steps_back(
    samples: Sequence[Sample], number: int
) -> Iterator[tuple[SessionSample, SessionSample, float]]:
    """From one sample of the session to the next, the newest first. A sample without it is a gap:
    the step goes over it. Where the nonce falls it became another session, and nothing before
    counts any more."""
    held = [sample for sample in samples if number in sample.sessions]
    for before, after in zip(reversed(held[:-1]), reversed(held[1:]), strict=True):
        earlier, later = before.sessions[number], after.sessions[number]
        if later.nonce < earlier.nonce:
            return
        elapsed = elapsed_between(before, after)
        if elapsed is not None:
            yield earlier, later, elapsed


def elapsed_between(before: Sample, after: Sample) -> float | None:
    """Seconds, by the uptime of one boot where there is one. Over a restart only the clock is
    left, and one that went back measures nothing."""
    if before.boot == after.boot:
        return _positive(after.uptime - before.uptime)
    return _positive(after.at - before.at)


def _positive(seconds: float) -> float | None:
    return seconds if seconds > 0 else None


def horizon(balance: int, reserve: int, ngonka_per_hour: float) -> float:
    """Seconds until the wallet has less than ``reserve``, what the next escrow needs.

    Unspent deposits come back when they are settled, so what leaves the wallet for good is what is
    burnt. Infinite where nothing is."""
    free = balance - reserve
    if free <= 0:
        return 0.0
    return free / ngonka_per_hour * HOUR if ngonka_per_hour > 0 else float("inf")


def total(found: Mapping[int, Rate | None]) -> float | None:
    """ngonka per hour of all of them; unknown where one of them is."""
    known = [rate for rate in found.values() if rate is not None]
    if len(known) != len(found):
        return None
    return sum(rate.ngonka_per_hour for rate in known)
