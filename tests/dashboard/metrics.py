# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A day of three gateways as the program of the role monitoring would have written it.

An escrow is settled and another one takes its place, an image is swapped, a gateway stops for some
minutes, and one is short of escrows while the deadline of its depleted one comes near.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.burn import (
    Sample,
    rates,
    sessions_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._monitor.exposition import (
    Earlier,
    Look,
    Told,
    expose,
)
from ansible_collections.gonka.devshard.plugins.module_utils._status.verdict import status_of
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    EDGE,
    GATEWAY,
    SWAP,
    danger_of,
    escrow,
    gateway,
    hosts,
    lost,
    record,
    rotating,
    slot,
    well,
)

Data = dict[str, t.Any]

END: t.Final = 1_769_865_000
"""2026-01-31T13:10:00Z. The hours below count from here, so that those of the day are negative."""
HOURS: t.Final = 24
WARM_UP: t.Final = 6
"""Hours before, of which only the samples for the burn rate are needed."""
HOUR, MINUTE, LOOK = 3600, 60, 300
BLOCK: t.Final = 6
"""Seconds."""
GNK: t.Final = 10**9
DEPOSIT: t.Final = 5 * GNK
FEE: t.Final = 1_000_000
NONCES: t.Final = 19_000
NEAR: t.Final = 1000
"""Blocks before its deadline from which a deposit is in danger."""

LARGE, SMALL = "Qwen/QwQ-32B", "Qwen/Qwen2.5-7B-Instruct"
ONE, OTHER = (f"gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg{end}" for end in "0k")
WALLETS: t.Final = {ONE: 61 * GNK, OTHER: 24 * GNK}
"""When the day begins."""


@dataclass(frozen=True, kw_only=True)
class Escrow:
    """``pace`` is GNK in an hour, ``deadline`` and the others are hours."""

    number: int
    model: str
    created: float
    deadline: float
    pace: float
    nonces: int
    depleted: float = math.inf
    settled: float = math.inf

    def worked(self, hour: float) -> float:
        return _work(min(hour, self.depleted, self.settled)) - _work(self.created)

    def balance(self, hour: float) -> int:
        return DEPOSIT - round(self.worked(hour) * self.pace * GNK)

    def row(self, hour: float) -> Data:
        left = round((self.deadline - hour) * HOUR / BLOCK)
        why = {
            "settled on the chain": hour >= self.settled,
            "its nonces are used up": hour >= self.depleted,
        }
        near = [danger_of("deadline", "the deadline is near")] if left < NEAR else []
        return escrow(
            self.number,
            model=self.model,
            balance=self.balance(hour),
            nonce=min(NONCES, round(self.worked(hour) * self.nonces)),
            deadline={
                "height": _height(self.deadline),
                "blocks_left": left,
                "seconds_left": left * BLOCK,
                "last_epoch": False,
            },
            settled=hour >= self.settled,
            usable=not any(why.values()),
            why_not=[text for text, true in why.items() if true],
            dangers=near,
        )


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """``busy`` is how many requests it serves on average."""

    host: str
    creator: str
    wanted: dict[str, int]
    escrows: tuple[Escrow, ...]
    busy: int
    backup: float
    disk: int
    rotates: bool = False
    stopped: tuple[float, float] = (0, 0)
    swap: tuple[float, float] = (0, 0)


GATEWAYS: t.Final = (
    Gateway(
        host="gw-1",
        creator=ONE,
        wanted={LARGE: 2},
        escrows=(
            Escrow(
                number=4711,
                model=LARGE,
                created=-38,
                settled=-9,
                deadline=4,
                pace=0.15,
                nonces=520,
            ),
            Escrow(number=4718, model=LARGE, created=-31, deadline=17, pace=0.11, nonces=430),
            Escrow(number=4725, model=LARGE, created=-9.5, deadline=38, pace=0.16, nonces=560),
        ),
        busy=14,
        backup=-9.9,
        disk=61_000,
        stopped=(-16.4, -16.1),
    ),
    Gateway(
        host="gw-2",
        creator=ONE,
        wanted={SMALL: 1},
        escrows=(
            Escrow(number=4714, model=SMALL, created=-35, deadline=12.5, pace=0.12, nonces=300),
        ),
        busy=9,
        backup=-9.8,
        disk=48_000,
        rotates=True,
        swap=(-6.1, -5.1),
    ),
    Gateway(
        host="gw-3",
        creator=OTHER,
        wanted={LARGE: 2},
        escrows=(
            Escrow(
                number=4709,
                model=LARGE,
                created=-34,
                depleted=-3.2,
                deadline=1.4,
                pace=0.14,
                nonces=655,
            ),
            Escrow(number=4716, model=LARGE, created=-27, deadline=20, pace=0.09, nonces=380),
        ),
        busy=11,
        backup=-9.7,
        disk=55_000,
    ),
)


def _work(hour: float) -> float:
    """Hours of average work until then: more by day than by night."""
    day = 2 * math.pi / 24
    return hour + 0.45 / day * math.sin(day * (hour - 2))


def _height(hour: float) -> int:
    return 4_700_000 + round(hour * HOUR / BLOCK)


def _within(hour: float, span: tuple[float, float]) -> bool:
    return span[0] <= hour < span[1]


def _requests(gate: Gateway, hour: float) -> int:
    """Some pattern that never repeats within the day."""
    by_day = _work(hour + 0.5) - _work(hour - 0.5)
    noise = math.sin(hour * 5 + gate.busy) + math.sin(hour * 17 + gate.busy) / 2
    short = 0.6 if any(hour >= one.depleted for one in gate.escrows) else 1
    return max(0, round(gate.busy * by_day * short + noise * gate.busy / 8))


def _wallet(creator: str, hour: float) -> int:
    balance = WALLETS[creator]
    for one in (one for gate in GATEWAYS if gate.creator == creator for one in gate.escrows):
        if -HOURS < one.created <= hour:
            balance -= DEPOSIT + FEE
        if one.settled <= hour:
            balance += one.balance(hour) - FEE
    return balance


def _serve(gate: Gateway, hour: float, rows: list[Data]) -> Data:
    """The slot that serves clients."""
    held = [row for row in rows if not row["settled"]]
    found = gateway(*(record(row["id"], row["model"]) for row in held))
    found["active_requests"] = _requests(gate, hour)
    limits = [{"model_id": model, "access_mode": "api_key"} for model in gate.wanted]
    found["settings"]["model_limits"] = limits
    return {
        "gateway": found,
        "hosts": [hosts(row["id"], 4, model=row["model"]) for row in held],
        "refused": max(0, round((hour + 3.2) * 140)) if gate.busy == 11 else 0,
    }


def _swapped(gate: Gateway, hour: float, presence: Data, seen: Data) -> None:
    """The other slot serves in the middle part of a swap."""
    began, ended = gate.swap
    part = (hour - began) / (ended - began)
    step = "start_temp" if part < 0.2 else "drain_main" if part < 0.7 else "drain_temp"
    since = datetime.fromtimestamp(END + began * HOUR, timezone.utc)
    presence["swap"] = {
        **SWAP,
        "known": True,
        "error": None,
        "step": step,
        "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    presence["temp"] = slot("temp")
    seen["parts"]["temp"] = seen["parts"]["temp_hosts"] = {"known": True, "why": None}
    idle = {"gateway": gateway(), "hosts": [], "refused": 0}
    seen["slots"]["temp"] = idle
    if step == "drain_main":
        seen["slots"] = {"main": idle, "temp": seen["slots"]["main"]}
        seen["route"]["slot"] = "temp"
        for row in seen["escrows"]:
            row["slot"] = "temp"


def _seen(gate: Gateway, hour: float) -> tuple[Data, Data]:
    presence, seen = well()
    # chain and gateway know of an escrow that was settled for some hours more
    rows = [one.row(hour) for one in gate.escrows if one.created <= hour]
    for row in rows:
        row["creator"] = gate.creator
    seen["escrows"] = rows
    seen["slots"]["main"] = _serve(gate, hour, rows)
    seen["route"]["models"] = sorted(gate.wanted)
    seen["epoch"] = {"effective": 212 + math.floor(hour / 24), "height": _height(hour)}
    seen["disks"] = [{"path": "/srv", "free_mb": gate.disk - round((hour + HOURS) * 35)}]
    seen["creator"] |= {"address": gate.creator, "balance": _wallet(gate.creator, hour)}
    if gate.rotates:
        rotating()(presence, seen)
        left = round((-hour - 1.5) % 8 * HOUR / BLOCK)
        seen["slots"]["main"]["gateway"]["rotation"]["blocks_until_next_rotation"] = left
    if _within(hour, gate.swap):
        _swapped(gate, hour, presence, seen)
    if _within(hour, gate.stopped):
        lost("main")(presence, seen)
        seen["route"] |= {"status": 502, "models": None, "chat": 502}
    return presence, seen


def _status(gate: Gateway, hour: float) -> Data:
    presence, seen = _seen(gate, hour)
    look = {
        "host": gate.host,
        "presence": presence,
        "presence_error": "",
        "seen": seen,
        "seen_error": "",
        "edge_slot": seen["route"]["slot"],
    }
    wish = {
        "models": [
            {"id": model, "count": count, "amount": DEPOSIT} for model, count in gate.wanted.items()
        ],
        "slot": "main",
        "settlement_tag": "v2",
        "fee": FEE,
        "settle_fee": FEE,
        "min_free_mb": 1024,
        "elsewhere": [],
        "rotation": None,
        "gateway_url": GATEWAY,
        "client_url": EDGE,
    }
    return status_of(look, wish)


def looks(gate: Gateway) -> Iterator[tuple[int, str]]:
    """When each look ended, and what it wrote."""
    earlier = Earlier()
    samples: list[Sample] = []
    for at in range(END - (HOURS + WARM_UP) * HOUR, END + 1, LOOK):
        hour = (at - END) / HOUR
        status = _status(gate, hour)
        rows = [row for row in status["escrows"] if not row["settled"]]
        samples.append(Sample(at=at, boot="", uptime=at, sessions=sessions_of(rows)))
        backup = gate.backup if hour >= gate.backup else gate.backup - 24
        text, earlier = expose(
            Look(
                gateway="default",
                generation="v2",
                protocol="v2",
                status=status,
                began=at - 2 - math.sin(at) ** 2,
                ended=at,
                rates=rates(samples),
                reserve=DEPOSIT + 2 * FEE,
                nonce_limit=NONCES,
                backups=7,
                backup=Told(at=END + backup * HOUR),
                certificate=Told(at=END + 47 * 24 * HOUR + gate.busy * HOUR * 24),
            ),
            earlier,
        )
        yield at, text


def scraped(gate: Gateway) -> Iterator[str]:
    """What the file of the newest look says, each minute."""
    target = f'{{instance="{gate.host}:9100",job="node",'
    for at, text in looks(gate):
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        for time in range(at, min(at + LOOK, END + 1), MINUTE):
            if time >= END - HOURS * HOUR:
                yield from (f"{line.replace('{', target, 1)} {time}" for line in lines)
