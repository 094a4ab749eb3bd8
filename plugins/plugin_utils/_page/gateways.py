# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""What the page shows of each gateway and of the fleet, from the results of the role ``status``.

Only the fields that are named here reach the page. What is not known is None, never zero.
"""

from __future__ import annotations

import shlex
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.burn import HOUR, horizon
from ansible_collections.gonka.devshard.plugins.module_utils._status.keys import KEYS
from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import (
    FAILS,
    ORDER,
    Severity,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_line import status_line
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_table import (
    clients_text,
    over,
    ranked,
)

Data = Mapping[str, t.Any]

NOT_KNOWN: t.Final = Severity.UNKNOWN.value
RANK: t.Final = {severity.value: rank for rank, severity in enumerate(ORDER)}
STATUS: t.Final = "gonka.devshard.status"
_NO_LOOK: t.Final = (
    "this run did not look at the gateway, or the look failed. The output of the run has the reason"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """A finding, with the hosts that it is true for."""

    severity: str
    about: str
    text: str
    run: str
    back: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One host. ``status`` is None where the run has no look at it."""

    host: str
    status: Data | None
    escrows: tuple[Data, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = () if self.status is None else tuple(ranked(self.status["escrows"]))
        object.__setattr__(self, "escrows", found)

    @property
    def verdict(self) -> str:
        found = None if self.status is None else self.status["verdict"]
        return found if found in RANK else NOT_KNOWN

    @property
    def line(self) -> str:
        return _NO_LOOK if self.status is None else status_line(self.status)

    @property
    def findings(self) -> tuple[Data, ...]:
        if self.status is not None:
            return tuple(self.status["findings"])
        missing = {"severity": NOT_KNOWN, "about": "host", "text": _NO_LOOK}
        return ({**missing, "run": STATUS, "back": ""},)

    @property
    def clients(self) -> str:
        return NOT_KNOWN if self.status is None else clients_text(self.status)

    @property
    def models(self) -> tuple[Data, ...]:
        return () if self.status is None else tuple(self.status["models"])

    @property
    def served(self) -> tuple[int, int] | None:
        """How many of the wanted models are served."""
        if self.status is None or any(model["served"] is None for model in self.models):
            return None
        return sum(1 for model in self.models if model["served"]), len(self.models)

    @property
    def open_escrows(self) -> tuple[Data, ...]:
        """Deposits that are still out, as far as is known."""
        return tuple(row for row in self.escrows if not over(row))

    @property
    def listed(self) -> bool:
        """Whether all escrows are known by name."""
        return self.status is not None and self.status.get("complete") is True

    @property
    def unspent(self) -> int | None:
        balances = [row["balance"] for row in self.open_escrows]
        return None if not self.listed or None in balances else sum(balances)

    @property
    def next_deadline(self) -> Data | None:
        """The nearest of those that are known."""
        found = [row["deadline"] for row in self.open_escrows if row["deadline"] is not None]
        return min(found, key=lambda deadline: int(deadline["blocks_left"]), default=None)

    @property
    def all_deadlines(self) -> bool:
        """Whether the deadline of every open escrow is known."""
        return self.listed and all(row["deadline"] is not None for row in self.open_escrows)

    @property
    def creator(self) -> str | None:
        return None if self.status is None else (self.status.get("creator") or {}).get("address")

    @property
    def wallet(self) -> int | None:
        return None if self.status is None else (self.status.get("creator") or {}).get("balance")

    @property
    def requests(self) -> int | None:
        """Those at work now in all slots that answer; None where one does not."""
        slots = [] if self.status is None else list((self.status.get("slots") or {}).values())
        if not slots or any(slot["gateway"] is None for slot in slots):
            return None
        return sum(int(slot["gateway"]["active_requests"]) for slot in slots)

    @property
    def swap(self) -> Data | None:
        """A swap that has begun and not ended."""
        presence = {} if self.status is None else self.status.get("presence") or {}
        swap = presence.get("swap") or {}
        return swap if swap.get("open") else None

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """The worst first, and of these the one with the nearest deadline."""
        deadline = self.next_deadline
        blocks = 0 if deadline is None else int(deadline["blocks_left"])
        return RANK[self.verdict], deadline is None, blocks, self.host


def fleet_data(fleet: Sequence[Gateway], at: str) -> dict[str, t.Any]:
    """The same for programs: the worst first, and a host without a look with its verdict too."""
    counts = {severity: sum(1 for one in fleet if one.verdict == severity) for severity in RANK}
    worst = fleet[0].verdict if fleet else NOT_KNOWN
    return {
        "looked_at": at,
        "verdict": worst,
        "failed": Severity(worst) in FAILS,
        "counts": counts,
        "hosts": [_of_host(one, at) for one in fleet],
    }


def _of_host(one: Gateway, at: str) -> dict[str, t.Any]:
    if one.status is not None:
        return dict(one.status)
    judged = {"host": one.host, "looked_at": at, "verdict": one.verdict, "failed": True}
    return {**dict.fromkeys(KEYS), **judged, "findings": [dict(item) for item in one.findings]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Creator:
    """A wallet, and what lies in the escrows of all hosts that it pays for."""

    address: str
    wallet: int | None
    hosts: tuple[str, ...]
    deposits: int | None
    unspent: int | None
    burn: int | None
    """``ngonka`` per hour, of all escrows."""
    count: int

    @property
    def lasts(self) -> float | None:
        """Hours until the wallet is empty, over all its gateways; infinite where nothing is spent."""
        if self.wallet is None or self.burn is None:
            return None
        return horizon(self.wallet, 0, self.burn) / HOUR


def gateways(looks: Iterable[Data], hosts: Iterable[str]) -> list[Gateway]:
    """All of them, the worst first. A host without a look is not known."""
    found = {str(look["host"]): look for look in looks}
    names = dict.fromkeys([*(str(host) for host in hosts), *found])
    return sorted(
        (Gateway(host=name, status=found.get(name)) for name in names), key=lambda one: one.rank
    )


def advices(fleet: Sequence[Gateway]) -> list[Advice]:
    """Every finding once, the worst first, in the order of the gateways."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for gateway in fleet:
        for item in gateway.findings:
            key = tuple(str(item[name]) for name in ("severity", "about", "text", "run", "back"))
            grouped.setdefault(key, []).append(gateway.host)
    found = [
        Advice(
            severity=severity,
            about=about,
            text=text,
            run=run,
            back=back,
            hosts=tuple(dict.fromkeys(hosts)),
        )
        for (severity, about, text, run, back), hosts in grouped.items()
    ]
    return sorted(found, key=lambda item: RANK.get(item.severity, 0))


def creators(fleet: Iterable[Gateway]) -> Iterator[Creator]:
    """By address. Several hosts may have the same creator, and each escrow counts once."""
    by_address: dict[str, list[Gateway]] = {}
    for gateway in fleet:
        if gateway.creator is not None:
            by_address.setdefault(gateway.creator, []).append(gateway)
    for address, mine in sorted(by_address.items()):
        rows = {row["id"]: row for one in mine for row in one.open_escrows if not row["foreign"]}
        known = all(one.listed for one in mine)
        wallets = [one.wallet for one in mine if one.wallet is not None]
        yield Creator(
            address=address,
            # they were asked one after the other, and the smallest answer promises nothing
            wallet=min(wallets) if wallets else None,
            hosts=tuple(one.host for one in mine),
            deposits=_total((row["amount"] for row in rows.values()), known=known),
            unspent=_total((row["balance"] for row in rows.values()), known=known),
            burn=_total((_burn(row) for row in rows.values()), known=known),
            count=len(rows),
        )


def _burn(row: Data) -> int | None:
    measured = row.get("burn")
    return None if not measured else round(measured["ngonka_per_hour"])


def _total(amounts: Iterable[int | None], *, known: bool) -> int | None:
    found = list(amounts)
    return None if not known or None in found else sum(amount or 0 for amount in found)


def command(run: str, hosts: Iterable[str], inventory: Iterable[str]) -> str:
    """What to type. Every word is quoted for the shell."""
    sources = [word for source in inventory for word in ("-i", str(source))]
    words = ["ansible-playbook", *sources, *run.split(), "-e", f"devshard_hosts={','.join(hosts)}"]
    return shlex.join(words)
