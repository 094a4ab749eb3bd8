# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Fleets of any size, with everything that can be wrong with a gateway somewhere in them."""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_page import status_page
from ansible_collections.gonka.devshard.tests.unit.plugins.filter.test_status_filters import (
    status_of,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    escrow,
)

Data = dict[str, t.Any]
AT = "2026-01-31T12:00:00Z"
INVENTORY = "/srv/fleet/inventory.yml"
LONG = "An-Organisation-With-A-Long-Name/A-Model-With-A-Very-Long-Name-Of-480B-A35B-Instruct-FP8"
CREATOR = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg{}"


def _left(blocks: int, *, last: bool = False) -> Data:
    return {
        "height": 4_700_000 + blocks,
        "blocks_left": blocks,
        "seconds_left": blocks * 6,
        "last_epoch": last,
    }


def _near(number: int, blocks: int) -> Data:
    found = {"kind": "deadline", "reason": "the deadline is near", "advice": "Settle it"}
    return escrow(number, dangers=[found], deadline=_left(blocks, last=True), balance=310_000_000)


def _well(first: int) -> list[Data]:
    part = first * 7919 % 97 + 3
    return [
        escrow(first, deadline=_left(3000 + part * 90), balance=part * 50_000_000, model="org/A"),
        escrow(
            first + 1,
            model=LONG,
            deadline=_left(5000 + part * 100),
            balance=(100 - part) * 50_000_000,
            **(
                {}
                if first % 4
                else {"usable": False, "why_not": ["its session is in phase finalizing"]}
            ),
        ),
    ]


def _near_deadline(_presence: Data, seen: Data, first: int) -> None:
    seen["escrows"] = [_near(first, 40 + first % 200), *_well(first + 1)[1:]]


def _swap(presence: Data, _seen: Data, _first: int) -> None:
    presence["swap"] = {
        "known": True,
        "error": None,
        "open": True,
        "asked": "registry.example.org/gonka/devshard-gateway:4.1.2",
        "origin_asked": "registry.example.org/gonka/devshard-gateway:4.1.1",
        "slot": "main",
        "step": "drain_main",
        "since": "2026-01-31T11:20:00Z",
        "mode": "temp",
        "rolling_back": False,
        "only_forward": False,
    }


def _silent_chain(_presence: Data, seen: Data, _first: int) -> None:
    why = "GET https://node.example.org/cosmos/base/tendermint/v1beta1/blocks/latest: no answer"
    for part in ("chain", "epoch", "creations"):
        seen["parts"][part] = {"known": False, "why": why}
    seen |= {"params": None, "epoch": None, "complete": False}
    seen["creator"] |= {"balance": None, "membership": None}
    for row in seen["escrows"]:
        row |= {"on_chain": None, "usable": False, "why_not": ["not known on the chain"]}
        row |= {"deadline": None, "chain_error": why, "amount": None}


def _full_disk(_presence: Data, seen: Data, _first: int) -> None:
    seen["disks"] = [{"path": "/srv/gonka/devshard-gateway", "free_mb": 700}]


def _redirected(_presence: Data, seen: Data, _first: int) -> None:
    seen["route"] |= {"status": 307, "target": "https://gateway-b.example.org"}


STATES = {1: _near_deadline, 6: _silent_chain, 11: _full_disk, 16: _swap, 21: _redirected}
AWAY = 26
"""Of 30 gateways, the one that does not answer."""


def _gateway(number: int) -> Data:
    first = 4000 + number * 3

    def change(presence: Data, seen: Data) -> None:
        seen["escrows"] = _well(first)
        seen["creator"]["address"] = CREATOR.format(number % 2)
        seen["creator"]["balance"] = 31_250_000_000 + number % 2 * 90_000_000_000
        if (state := STATES.get(number % 30)) is not None:
            state(presence, seen, first)

    return {**status_of(change), "host": name(number), "looked_at": AT}


def name(number: int) -> str:
    return f"gateway-{number:03d}.eu-central.example.org" if number % 2 else f"gw{number:03d}"


def fleet(count: int) -> str:
    """The page of so many gateways. One alone has something to do."""
    numbers = range(1, count + 1)
    looks = [_gateway(number) for number in numbers if number % 30 != AWAY]
    return status_page(
        looks, [name(number) for number in numbers], AT, [INVENTORY], "/srv/www/status.html"
    )
