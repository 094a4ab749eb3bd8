# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One host as a whole, what is wanted of it, and what a finding is. Pure."""

from __future__ import annotations

import enum
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._escrows.funding import gnk

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


Data = Mapping[str, t.Any]

OTHER: t.Final = {"main": "temp", "temp": "main"}


HOT_SWAP: t.Final = "gonka.devshard.hot_swap"
GENERATION_UPGRADE: t.Final = "gonka.devshard.generation_upgrade"


SITE: t.Final = "gonka.devshard.site"
ADOPT: t.Final = "gonka.devshard.adopt"


SETTLE: t.Final = "gonka.devshard.settle"
RETIRE: t.Final = "gonka.devshard.retire"


ESCROW: t.Final = "gonka.devshard.escrow"


REDIRECT: t.Final = "gonka.devshard.redirect"


ROTATION: t.Final = "gonka.devshard.rotation"


class Severity(str, enum.Enum):
    """The worst first. Only the first two make a run fail."""

    DANGER = "danger"
    UNKNOWN = "not known"
    WARNING = "warning"
    OK = "ok"


ORDER: t.Final = tuple(Severity)


FAILS: t.Final = (Severity.DANGER, Severity.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """``run`` is what mends it, as words that can be typed after ``ansible-playbook``. ``back`` is
    the way back, where there is one too."""

    severity: Severity
    about: str
    text: str
    run: str = ""
    back: str = ""

    def to_result(self) -> dict[str, t.Any]:
        return {
            "severity": self.severity.value,
            "about": self.about,
            "text": self.text,
            "run": self.run,
            "back": self.back,
        }


def danger(about: str, text: str, run: str = "", back: str = "") -> Finding:
    return Finding(severity=Severity.DANGER, about=about, text=text, run=run, back=back)


def unknown(about: str, text: str, run: str = "") -> Finding:
    return Finding(severity=Severity.UNKNOWN, about=about, text=text, run=run)


def warning(about: str, text: str, run: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, about=about, text=text, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that is wanted."""

    id: str
    count: int
    amount: int
    access_mode: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusWish:
    """What the inventory wants, and what other hosts of the run account for."""

    models: tuple[Model, ...]
    slot: str = "main"
    settlement_tag: str = ""
    fee: int = 0
    settle_fee: int = 0
    min_free_mb: int = 0
    elsewhere: frozenset[int] = frozenset()
    rotation: bool | None = None
    gateway_url: str = ""
    client_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusVerdict:
    findings: tuple[Finding, ...]
    clients: Data
    models: tuple[Data, ...]
    rotation: str
    escrows: tuple[Data, ...]
    alarms: tuple[Data, ...]
    """Every danger of an open escrow by itself, for machines."""
    slot: str | None

    @property
    def worst(self) -> Severity:
        return min((f.severity for f in self.findings), key=ORDER.index, default=Severity.OK)

    @property
    def fails(self) -> bool:
        return self.worst in FAILS

    def to_result(self) -> dict[str, t.Any]:
        return {
            "verdict": self.worst.value,
            "failed": self.fails,
            "findings": [item.to_result() for item in self.findings],
            "clients": dict(self.clients),
            "models": [dict(item) for item in self.models],
            "rotation": self.rotation,
            "escrows": [dict(item) for item in self.escrows],
            "alarms": [dict(item) for item in self.alarms],
            "slot": self.slot,
        }


def coins(amount: int | None) -> str:
    """An amount in ngonka, readable in GNK; a dash where it is not known."""
    return "-" if amount is None else gnk(amount)


def listed(numbers: Iterable[object]) -> str:
    return ", ".join(str(number) for number in numbers)


AT_RISK: t.Final = f"{SETTLE} -e settle_select=at_risk"


def settle_run(*numbers: object) -> str:
    return f"{SETTLE} -e settle_ids={','.join(str(number) for number in numbers)}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One host: the wish and everything that was seen, with the questions that rules share."""

    wish: StatusWish
    presence: Data | None
    seen: Data | None
    edge_slot: str | None = None
    presence_error: str = ""
    seen_error: str = ""
    rows: tuple[Data, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self._own_rows()))

    def _own_rows(self) -> Iterator[Data]:
        """The escrows of this host, and those that no host of the run accounts for."""
        for row in (self.seen or {}).get("escrows", ()):
            if row["recorded"] or row["id"] not in self.wish.elsewhere:
                yield row

    @property
    def creator(self) -> str | None:
        return None if self.seen is None else self.seen["creator"]["address"]

    def part(self, name: str) -> str | None:
        """Why a part is not known; None where it is known or was not asked."""
        found = (self.seen or {}).get("parts", {}).get(name)
        return None if found is None or found["known"] else str(found["why"])

    def asked(self, name: str) -> bool:
        return name in (self.seen or {}).get("parts", {})

    def gateway(self, slot: str) -> Data | None:
        found = (self.seen or {}).get("slots", {}).get(slot)
        return None if found is None else found["gateway"]

    @property
    def route(self) -> Data | None:
        return (self.seen or {}).get("route")

    @property
    def serving(self) -> str | None:
        """The slot that clients reach; the route proves it, else what the edge has written."""
        if self.route is not None and self.route["slot"] in OTHER:
            return str(self.route["slot"])
        if self.edge_slot in OTHER:
            return self.edge_slot
        if self.direct:
            return self.wish.slot
        return None

    @property
    def direct(self) -> bool:
        """Clients come to the gateway itself, without an edge."""
        return self.wish.client_url == self.wish.gateway_url

    @property
    def swap(self) -> Data | None:
        found = (self.presence or {}).get("swap")
        return found if found and found["open"] else None

    @property
    def redirect(self) -> Data | None:
        found = (self.presence or {}).get("redirect")
        return found if found and (found["exists"] or found["noted"]) else None

    @property
    def retired(self) -> bool:
        return bool((self.presence or {}).get("retired", {}).get("retired"))

    @property
    def deployed(self) -> bool | None:
        if self.presence is None:
            return None
        record = self.presence["record"]
        return bool(record["exists"]) if record["known"] else None

    def unsettled(self) -> list[Data]:
        """Deposits of this creator that are still out."""
        return [
            row
            for row in self.rows
            if row["on_chain"] and not row["settled"] and not row["foreign"]
        ]
