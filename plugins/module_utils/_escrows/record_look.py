# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Reads one record of the gateway, its escrow on the chain, and what the ledger says of it."""

from __future__ import annotations

import functools
import typing as t

from .observe import clock_or_none, look_for_absent, session_of, shown_escrow, view_of

if t.TYPE_CHECKING:
    from .._gateway.models import Devshard
    from .absence import Absence
    from .deadlines import EpochClock
    from .ledger.states import Intent, Kind
    from .pool_rules import EscrowView
    from .ports import Ports


class RecordLook:
    def __init__(self, ports: Ports, escrow_id: int) -> None:
        self._ports = ports
        self._id = escrow_id

    @functools.cached_property
    def _clock(self) -> EpochClock | None:
        return clock_or_none(self._ports.chain, self._ports.warn)

    def record(self) -> Devshard | None:
        wanted = str(self._id)
        found = [item for item in self._ports.gateway.state().devshards if item.id == wanted]
        return found[0] if found else None

    def view(self) -> EscrowView:
        clock = self._clock
        ports, record = self._ports, self.record()
        escrow = shown_escrow(ports, self._id)
        session = session_of(ports.gateway, record, escrow, ports.limits, ports.warn)
        return view_of(self._id, record, escrow, clock, ports.limits, session=session)

    def absence(self) -> Absence:
        """The outcome of the escrow, where the chain does not have it."""
        return look_for_absent(self._ports.chain, self._id, self._entries(), self._clock)

    def intents(self, *kinds: Kind) -> list[Intent]:
        return [intent for intent in self._entries() if intent.kind in kinds]

    def _entries(self) -> list[Intent]:
        ledger = self._ports.ledger
        if ledger is None:
            return []
        return ledger.intents(chain_id=self._ports.chain_id, escrow_id=self._id)

    def marked_nonce(self) -> int:
        """The newest nonce that this host's ledger ever saw of this escrow."""
        ledger = self._ports.ledger
        marks = [] if ledger is None else ledger.session_marks(self._id)
        return max((mark.nonce for mark in marks), default=0)
