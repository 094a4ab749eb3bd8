# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Tests of Jinja: an address, and whether a gateway is drained."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core.address import refuse_address
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain_rules import (
    DrainRecord,
    DrainVerdict,
    judge,
)

Row = Mapping[str, t.Any]


def creator_address(value: object) -> bool:
    """Whether a value is the address of an account."""
    return isinstance(value, str) and refuse_address(value, "") is None


def drained(result: object) -> bool:
    """Whether the result of a module proves that a gateway serves no request."""
    if not isinstance(result, Mapping):
        raise AnsibleFilterError(
            "drained: the registered result of gateway_drain or gateway_info is needed, not"
            f" {type(result).__name__}"
        )
    if result.get("failed") or result.get("skipped") or result.get("unreachable"):
        return False
    if isinstance(wait := result.get("drain"), Mapping):
        last = wait.get("last")
        verdict = last.get("verdict") if isinstance(last, Mapping) else None
        return wait.get("drained") is True and verdict == DrainVerdict.DRAINED.value
    if isinstance(gateway := result.get("gateway"), Mapping):
        return _idle(gateway)
    raise AnsibleFilterError(
        "drained: this is neither the result of gateway_drain nor that of gateway_info, so it does"
        " not say what a gateway serves"
    )


def _idle(gateway: Row) -> bool:
    """One look. A number that is missing is unknown."""
    rows, limiter = gateway.get("devshards"), _number(gateway.get("in_flight_requests"))
    if not isinstance(rows, list) or limiter is None:
        return False
    records = [_record(row) for row in rows]
    known = [record for record in records if record is not None]
    return len(known) == len(rows) and judge(known, limiter).verdict is DrainVerdict.DRAINED


def _record(row: object) -> DrainRecord | None:
    if not isinstance(row, Mapping) or not isinstance(row.get("active"), bool):
        return None
    requests = _number(row.get("active_requests"))
    if requests is None and row.get("loaded") is not False:
        return None
    work = None if requests is None else requests + (_number(row.get("background")) or 0)
    return DrainRecord(id=str(row.get("id")), active=row["active"], active_requests=work)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
