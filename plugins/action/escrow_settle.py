# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name in slices and shows on the terminal what it waits for.

Each slice is for the escrows that only have to wait; one that failed for another reason is not
tried again. The module goes on from its ledger, so a slice costs nothing.
"""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import (
    Result,
    SlicedAction,
    requests_left,
)

SLICE = 15
"""Seconds of one slice."""
WAITING = ("busy", "timeout")
"""Causes that pass by themselves."""


def _kind(problem: Result | None) -> str:
    return str((problem or {}).get("kind", ""))


def now() -> datetime:
    return datetime.now(timezone.utc)


def gone_at(since: datetime, problem: Result) -> str:
    """When the last of the requests that an escrow serves has ended, or nothing."""
    limit = problem.get("longest_request")
    if not limit:
        return ""
    return f"{since + timedelta(seconds=int(limit)):%H:%M:%S} UTC"


def explain(problem: Result, since: datetime) -> Result:
    """A busy escrow, with since when this run waits and until when that can last."""
    end = gone_at(since, problem)
    if _kind(problem) != "busy" or not end:
        return problem
    waited = f"this run has waited since {since:%H:%M:%S} UTC, and they end at {end} at the latest"
    return {**problem, "message": f"{problem['message']} ({waited})"}


def describe(waiting: list[Result], since: datetime) -> str:
    """What the slices wait for."""
    parts = []
    for escrow in waiting:
        requests = escrow["problem"].get("active_requests")
        end = gone_at(since, escrow["problem"])
        what = requests_left(requests) if requests else str(escrow["problem"]["message"])
        what += f", gone at {end} at the latest" if requests and end else ""
        parts.append(f"escrow {escrow['id']}: {what if len(what) <= 80 else what[:79] + '…'}")
    return "; ".join(parts) or "another run moves money on this host"


class Whole:
    """The results of all slices together."""

    def __init__(self) -> None:
        self._escrows: dict[int, Result] = {}
        self._foreign: dict[int, Result] = {}
        self._actions: list[str] = []
        self._changed = False

    def add(self, part: Result) -> None:
        for escrow in part.get("escrows", []):
            self._escrows[escrow["id"]] = escrow
        # only the slice that selects names them
        self._foreign |= {other["id"]: other for other in part.get("foreign", [])}
        self._actions += part.get("actions", [])
        self._changed = self._changed or bool(part.get("changed"))

    @property
    def waiting(self) -> list[Result]:
        return [e for e in self._escrows.values() if _kind(e.get("problem")) in WAITING]

    def result(self, last: Result, since: datetime) -> Result:
        """The last answer, with what the slices before it did, and a failure that one of them had."""
        if not self._escrows:
            return last
        for escrow in self._escrows.values():
            if escrow.get("problem"):
                escrow["problem"] = explain(escrow["problem"], since)
        whole = {**last, "escrows": list(self._escrows.values())}
        whole |= {"foreign": list(self._foreign.values())}
        whole |= {"actions": self._actions, "changed": self._changed}
        problems = [e["problem"] for e in self._escrows.values() if e.get("problem")]
        if problems and "escrows" in last:
            first = problems[0]
            whole |= {"failed": True, "msg": first["message"], "failure": first}
        return whole


class ActionModule(SlicedAction):
    """See the documentation of module gonka.devshard.escrow_settle."""

    MODULE = "gonka.devshard.escrow_settle"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 1800}

    def _in_slices(self, args: Result, numbers: dict[str, float], task_vars: Result) -> Result:
        start, since = time.monotonic(), now()
        budget = numbers["wait_timeout"]
        whole = Whole()
        while True:
            left = budget - (time.monotonic() - start)
            part = self._call({**args, "wait_timeout": max(1, round(min(SLICE, left)))}, task_vars)
            whole.add(part)
            left = budget - (time.monotonic() - start)
            if not part.get("failed") or left <= 0:
                break
            locked = "escrows" not in part and _kind(part.get("failure")) == "busy"
            if not whole.waiting and not locked:
                break
            self._say(describe(whole.waiting, since), left, task_vars)
            if whole.waiting:
                args = {key: value for key, value in args.items() if key != "select"}
                args["ids"] = [escrow["id"] for escrow in whole.waiting]
            else:
                time.sleep(min(SLICE, left))
        return whole.result(part, since)
