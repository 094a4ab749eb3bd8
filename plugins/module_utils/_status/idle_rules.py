# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Deposits that a gateway has and does not serve: out of service, unloaded, or left to it. Pure."""

from __future__ import annotations

import typing as t

from .money_rules import SETTLES, run_for, time_left
from .scene import ESCROW, Data, Finding, Scene, coins, warning

if t.TYPE_CHECKING:
    from collections.abc import Iterator


def idle_state(row: Data) -> str | None:
    """In one word; None for an escrow that serves, or of which too little is known."""
    if not row["recorded"] or row["settled"] or not row["on_chain"]:
        return None
    if not row["active"]:
        return "settling" if row["gateway_settles"] else "inactive"
    if row["loaded"] is False:
        return "not loaded"
    return "held back" if row["held_since"] is not None else None


def idle_findings(scene: Scene) -> Iterator[Finding]:
    """What each of them needs. In a swap they are where the swap has put them."""
    if scene.swap is not None:
        return
    for row in scene.unsettled():
        if not any(found["kind"] in SETTLES for found in row["dangers"]):
            yield from _need(row)


def _need(row: Data) -> Iterator[Finding]:
    state, name = idle_state(row), f"escrow {row['id']} ({coins(row['amount'])}{_left(row)})"
    if state == "settling":
        work = (row["active_requests"] or 0) + (row["background"] or 0)
        yield warning(
            "escrows", f"{name}: the gateway settles it by itself when its work ends ({work} left)"
        )
    elif state == "inactive":
        wish = ""
        if row["settle_queued"]:
            wish = ", and nothing acts any more on the gateway's wish to settle it"
        yield warning("escrows", f"{name} is out of service and not settled{wish}", run_for(row))
    elif state == "not loaded" and row["loadable"]:
        yield warning(
            "escrows",
            f"{name} is active in the records and not loaded: it serves nothing until it is activated",
            ESCROW,
        )


def _left(row: Data) -> str:
    deadline = row["deadline"]
    return (
        "" if deadline is None or deadline["blocks_left"] < 0 else f", {time_left(deadline)} left"
    )
