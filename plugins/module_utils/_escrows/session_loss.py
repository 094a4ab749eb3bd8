# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is lost with the session of a record that is deleted."""

from __future__ import annotations

import typing as t

from .._core.errors import UnknownStateError, UnsafeError
from .absence import Absence
from .ledger.states import Kind

if t.TYPE_CHECKING:
    from .pool_rules import EscrowView
    from .ports import Ports
    from .record_look import RecordLook
    from .record_options import DevshardOptions


class Risk(t.NamedTuple):
    """What would be lost with a session, and why; ``unknown`` when the chain did not answer."""

    amount: int
    why: str
    unknown: bool = False


class SessionLoss:
    def __init__(self, ports: Ports, options: DevshardOptions, look: RecordLook) -> None:
        self._ports = ports
        self._options = options
        self._look = look

    def refuse(self, view: EscrowView) -> None:
        """Refuse a delete that costs a deposit, unless the user gives that sum up."""
        if (risk := self._at_risk(view)) is not None:
            self._refuse_loss(view, risk)

    def _at_risk(self, view: EscrowView) -> Risk | None:
        """What would be lost with the session, or None when it is proved settled."""
        if view.on_chain:
            return (
                None if view.settled else Risk(view.amount or 0, "it is not settled on the chain")
            )
        amounts = [
            intent.amount
            for intent in self._look.intents(Kind.CREATE, Kind.SETTLE, Kind.IMPORT)
            if intent.amount is not None
        ]
        amount = amounts[-1] if amounts else view.balance or 0
        try:
            absence = self._look.absence()
        except UnknownStateError as exc:
            why = f"the chain does not have it, and its settle event could not be looked up: {exc}"
            return Risk(amount, why, unknown=True)
        if absence is Absence.SETTLED:
            return None
        if absence is Absence.NOT_SHOWN:
            why = "the chain does not show it, and cannot have pruned it yet: the node is behind"
            return Risk(amount, f"{why}, or this is another chain", unknown=True)
        why = (
            "the chain does not have it and nothing proves that it was settled: either it was"
            " pruned with its deposit gone to the hosts, or this is another chain"
        )
        return Risk(amount, why)

    def _refuse_loss(self, view: EscrowView, risk: Risk) -> None:
        amount = risk.amount
        if self._options.force == amount:
            self._ports.warn(f"escrow {view.id} is deleted by force, {amount} ngonka are given up")
            return
        given = "" if self._options.force is None else f" (force names {self._options.force})"
        way = (
            "Settle it with gonka.devshard.escrow_settle"
            if view.on_chain
            else "Use a node with its transaction index on and more history"
        )
        raise (UnknownStateError if risk.unknown else UnsafeError)(
            f"escrow {view.id} is not deleted: {risk.why}. With the record its session goes, and"
            f" {amount} ngonka would be lost. {way}, or give force={amount}{given}",
            escrow_id=view.id,
            amount=amount,
        )
