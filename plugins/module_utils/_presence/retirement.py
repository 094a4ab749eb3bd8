# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the role ``retire`` does with a gateway, by what the first look saw of it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

State = t.Literal["serving", "settled", "retired", "absent", "unknown"]
Step = t.Literal["settle", "stop", "edge", "remove"]
STEPS: t.Final[tuple[Step, ...]] = t.get_args(Step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A gateway and what is left of it. ``None`` is "not known"."""

    running: bool | None
    note: bool | None
    """Whether a retirement is recorded."""
    unchanged: bool | None
    """Whether the database is the one that was archived then, or was removed since. Before the
    archive: whether it has no record that it did not have when everything was settled."""
    archived: bool | None
    """False when the record says that everything was settled, and not yet that it was archived."""
    compose: bool | None
    database: bool | None
    storage: bool | None
    """Whether the folder of the storage exists."""
    edge: bool | None
    redirected: bool | None
    """Whether the edge sends clients elsewhere."""

    @classmethod
    def of(cls, presence: Mapping[str, t.Any]) -> Seen:
        """From the result of the module ``presence_info``."""
        container, retired = presence["container"], presence["retired"]
        paths = presence["paths"]
        return cls(
            running=container["running"] if container["known"] else None,
            note=_exists(retired),
            unchanged=retired["unchanged"],
            archived=retired["archived"],
            compose=_exists(paths["compose"]),
            database=_exists(presence["storage"]),
            storage=_exists(paths["storage"]),
            edge=_exists(paths["edge"]),
            redirected=_exists(presence["redirect"]),
        )


def _exists(part: Mapping[str, t.Any]) -> bool | None:
    return bool(part["exists"]) if part["known"] else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    remove: bool = False
    """Remove the storage when everything is settled and archived."""
    base_url: bool = False
    """Clients are sent to another gateway, so the edge needs no answer of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    state: State
    steps: tuple[Step, ...] = ()
    refusal: str = ""
    """Why nothing is done; empty when the steps may be done."""

    def to_result(self) -> dict[str, t.Any]:
        return {"state": self.state, "steps": list(self.steps), "refusal": self.refusal}


_START: t.Final = (
    "Start it with the playbook gonka.devshard.site and run this again. An escrow with a kept"
    " settlement can also be settled without the gateway, with the playbook gonka.devshard.settle"
)
_BRING_BACK: t.Final = (
    "Start the gateway with the playbook gonka.devshard.site and gateway_unretire=true, and run"
    " this again"
)


def plan(seen: Seen, wish: Wish, deploy_dir: str) -> Plan:
    """A gateway is stopped only after its deposits are settled, and its storage goes last.

    A stopped gateway is not a retired one: it may have been stopped by hand, crashed, in a swap, or
    before its state was archived. Only the record of a retirement says that nothing is left to do.
    """
    if seen.running:
        return Plan(state="serving", steps=_steps(seen, wish, "settle", "stop"))
    if seen.running is None:
        return _unknown(f"it is unknown whether the gateway in {deploy_dir} is running")
    if seen.note:
        return _retired(seen, wish, deploy_dir)
    if seen.note is None or seen.compose is not False or seen.database is not False:
        return _unknown(
            f"the gateway in {deploy_dir} is not running, and this role has not settled and archived"
            f" it, so deposits may be unsettled. {_START}"
        )
    if wish.remove and seen.storage is not False:
        return _unknown(
            f"the storage of the gateway in {deploy_dir} is not removed: this role has not settled"
            f" and archived its content. The sessions in it are needed to settle. {_START}"
        )
    return Plan(state="absent")


def _retired(seen: Seen, wish: Wish, deploy_dir: str) -> Plan:
    if seen.unchanged is None or seen.archived is None:
        return _unknown(
            f"the retirement of the gateway in {deploy_dir} is recorded, but the record and the"
            " database could not be compared, so it is unknown whether the gateway has served since."
            f" {_BRING_BACK}"
        )
    if not seen.unchanged and not seen.archived:
        return _unknown(
            f"the gateway in {deploy_dir} has served again after everything was settled: it has"
            f" escrows that it did not have then. Deposits may be unsettled. {_BRING_BACK}"
        )
    if not seen.unchanged:
        return _unknown(
            f"the gateway in {deploy_dir} has served again after its retirement was recorded: its"
            f" database is not the one that was archived. Deposits may be unsettled. {_BRING_BACK}"
        )
    if not seen.archived:
        return Plan(state="settled", steps=_steps(seen, wish, "stop"))
    return Plan(state="retired", steps=_steps(seen, wish))


def _steps(seen: Seen, wish: Wish, *first: Step) -> tuple[Step, ...]:
    answers = seen.edge is not False and not wish.base_url and not seen.redirected
    removes = wish.remove and seen.storage is not False
    return (*first, *(("edge",) if answers else ()), *(("remove",) if removes else ()))


def _unknown(why: str) -> Plan:
    return Plan(state="unknown", refusal=why)
