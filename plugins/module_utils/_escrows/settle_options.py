# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is to be settled and how, and the outcome of each deposit."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ConfigurationError
from .ledger.states import Via

if t.TYPE_CHECKING:
    from .deadlines import EpochClock
    from .ports import Ports
    from .settle_rules import SettleStep
    from .settlement_files import SettlementFiles

Select = t.Literal["expiring", "at_risk", "depleted", "inactive_unsettled", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleOptions:
    ids: tuple[int, ...]
    select: Select | None
    model_id: str | None
    deadline_blocks: int
    settle_via: Via
    private_key_env: str
    creator: str | None
    fee_amount: int
    gas_limit: int
    tx_lifetime: int
    ask_hosts: bool = True
    leave: tuple[int, ...] = ()
    leave_foreign: bool = False
    known_env: frozenset[str] | None = None
    """Names in the gateway's environment file, where it could be read."""

    def check(self) -> None:
        if bool(self.ids) == (self.select is not None):
            raise ConfigurationError("give either ids or select")
        if not 30 <= self.tx_lifetime <= 600:
            raise ConfigurationError(
                f"tx_lifetime must be between 30 and 600 seconds, got {self.tx_lifetime}"
            )


@dataclass(kw_only=True, slots=True)
class SettledEscrow:
    """The outcome of one deposit. ``refund`` is what the chain says it paid back, or None."""

    id: int
    settled: bool
    deposit: int | None = None
    spent: int | None = None
    fees: int | None = None
    refund: int | None = None
    tx_fee: int | None = None
    tx_hash: str | None = None
    settled_now: bool = False
    predicted: bool = False
    problem: dict[str, t.Any] | None = None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "id": self.id,
            "settled": self.settled,
            "deposit": self.deposit,
            "spent": self.spent,
            "fees": self.fees,
            "refund": self.refund,
            "tx_fee": self.tx_fee,
            "tx_hash": self.tx_hash,
            "predicted": self.predicted,
            "problem": self.problem,
        }


@dataclass(kw_only=True, slots=True)
class SettleResult:
    escrows: list[SettledEscrow] = field(default_factory=list)
    foreign: list[dict[str, t.Any]] = field(default_factory=list)
    """Open escrows in the gateway that belong to other accounts."""
    actions: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    @property
    def before(self) -> dict[str, t.Any]:
        return {"unsettled": [e.id for e in self.escrows if not e.settled or e.settled_now]}

    @property
    def after(self) -> dict[str, t.Any]:
        return {"unsettled": [e.id for e in self.escrows if not e.settled and not e.predicted]}

    def to_result(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "escrows": [escrow.to_result() for escrow in self.escrows],
            "foreign": self.foreign,
            "actions": self.actions,
        }


@dataclass(kw_only=True, slots=True)
class Work:
    """One escrow on its way home."""

    outcome: SettledEscrow
    finalized: bool = False
    """The gateway finalized it in this run, so it holds the signatures in memory."""
    loaded: bool = False
    """By this run, which puts it in service for the moment."""
    cleared: bool = False
    """Everything that can be refused beforehand was asked in this run."""
    resumed: bool = False
    """What an earlier run left open was looked at since the last wait."""
    taken: set[SettleStep] = field(default_factory=set)
    """The steps since the last wait; none of them is taken twice."""

    @property
    def id(self) -> int:
        return self.outcome.id

    @property
    def done(self) -> bool:
        return self.outcome.settled or self.outcome.predicted

    def rest(self) -> None:
        self.resumed = False
        self.taken.clear()


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleRun:
    """One run: what each of its parts works with, and the result that they fill."""

    ports: Ports
    options: SettleOptions
    files: SettlementFiles
    creator: str
    clock: EpochClock | None
    result: SettleResult
