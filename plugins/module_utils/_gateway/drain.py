# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Waiting until a gateway is drained, by the rules of ``drain_rules``."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import DevshardError, UnknownStateError, WaitTimeoutError
from .drain_rules import DrainRecord, DrainVerdict, Row, Sample, in_words, judge, unknown

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.timer import WaitBudget
    from .models import GatewayState

_SAFE: t.Final = (
    "nothing was stopped. Run this again to continue waiting; a hot swap can also be rolled back "
    "with hot_swap_rollback=true"
)


def look(
    state: Callable[[], GatewayState],
    workers: Callable[[], int],
    edge: Callable[[], bool],
    *,
    unloads: bool = False,
) -> Sample:
    """One check. Anything but a complete answer is unknown, never zero.

    ``unloads``: what is not loaded serves nothing, whatever its record says; elsewhere an active
    record without a session in memory has a counter that cannot be seen.
    """
    try:
        # the edge first: what it hands over after this look is then seen in the gateway
        held = edge()
        found = state()
    except DevshardError as exc:
        return unknown(str(exc))
    records = (
        DrainRecord(
            item.id,
            item.active and not unloads,
            None if item.runtime is None else item.runtime.work,
        )
        for item in found.devshards
    )
    return judge(records, found.in_flight_requests, workers(), edge=held)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """The result of a successful wait."""

    polls: int
    elapsed: float
    last: Sample

    def to_result(self) -> dict[str, t.Any]:
        return {
            "drained": self.last.verdict is DrainVerdict.DRAINED,
            "polls": self.polls,
            "elapsed": round(self.elapsed, 1),
            "last": self.last.to_result(),
        }


def wait_until_drained(
    take: Callable[[], Sample],
    *,
    needed: int,
    deadline: WaitBudget,
    interval: float,
    unknown_timeout: float,
) -> Drained:
    """Check until ``needed`` samples in a row say drained.

    Fail at the deadline, and earlier when the state stays unknown for ``unknown_timeout`` seconds:
    waiting for streams does not help in that case.
    """
    row = Row(needed)
    polls = 0
    blind_since: float | None = None
    while True:
        began = deadline.elapsed
        sample = take()
        polls += 1
        row = row.add(sample)
        if row.full:
            return Drained(polls=polls, elapsed=deadline.elapsed, last=sample)
        if sample.verdict is not DrainVerdict.UNKNOWN:
            blind_since = None
        elif blind_since is None:
            blind_since = began
        blind = 0.0 if blind_since is None else deadline.elapsed - blind_since
        seen = {"last": sample.to_result(), "polls": polls, "unknown_for": round(blind, 1)}
        if blind >= unknown_timeout:
            raise UnknownStateError(
                f"the gateway cannot be drained, its state has been unknown for {blind:.0f} s"
                f" ({sample.reason}); {_SAFE}",
                **seen,
            )
        if not deadline.pause(interval):
            raise WaitTimeoutError(
                f"the gateway is not drained: {in_words(sample)}; {_SAFE}", **seen
            )
