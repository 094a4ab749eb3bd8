# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the ledger of this host says about the creates of one creator, and whose each escrow is."""

from __future__ import annotations

import typing as t

from . import transactions as tx
from .ledger.states import Intent, Kind, State
from .pool_rules import match_create

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._chain.models import CreatedEvent
    from .ports import Ports


class Claims:
    """``named`` are escrows of which the user said that other gateways have them."""

    def __init__(self, ports: Ports, creator: str, named: frozenset[int]) -> None:
        self._ports = ports
        self._creator = creator
        self._named = named

    def intents(self) -> list[Intent]:
        ledger = self._ports.ledger
        return [] if ledger is None else ledger.intents(chain_id=self._ports.chain_id)

    def open_creates(self, *, elsewhere: bool = False) -> list[Intent]:
        """Of this gateway, or of what the ledger knows as the other gateways of this host."""
        return [
            intent
            for intent in self.intents()
            if intent.open
            and intent.kind is Kind.CREATE
            and (intent.gateway != self._ports.gateway_id) is elsewhere
            and intent.creator == self._creator
        ]

    def of_others(self, *, held: bool = False) -> frozenset[int]:
        """Escrows that another gateway of this host made or imported, or that are named.

        With ``held`` only those that it surely got: an open create may belong to a gateway that
        is gone, and then no other run would report it.
        """
        here = {
            number
            for intent, number in _claiming(self.intents())
            if intent.gateway != self._ports.gateway_id and not (held and intent.open)
        }
        return frozenset(here | self._named)

    def claimed_ids(self, intent: Intent) -> frozenset[int]:
        """Escrows that are known to be of another create.

        A settle or a delete of an escrow says nothing about who made it: a run in between may have
        settled the very one that is looked for.
        """
        return self._named | {
            number for other, number in _claiming(self.intents()) if other.id != intent.id
        }

    def made_here(self, events: Iterable[CreatedEvent]) -> frozenset[int]:
        """Escrows that open creates of this gateway, of any model, made or may have made."""
        known = tuple(events)
        found: set[int] = set()
        for intent in self.open_creates():
            if intent.escrow_id is not None:
                found.add(intent.escrow_id)
            elif intent.state is not State.PLANNED:
                fitting = self.fitting(intent, known)
                found.update(event.escrow_id for event in fitting)
        return frozenset(found)

    def fitting(
        self,
        intent: Intent,
        events: Iterable[CreatedEvent],
        *,
        but: frozenset[int] = frozenset(),
    ) -> tuple[CreatedEvent, ...]:
        """Create events that may be the outcome of an intent; ``but`` are not taken by others."""
        taken = self.claimed_ids(intent) - but
        return match_create(intent, events, taken=taken, window=tx.signing_window(intent))


def only_of(gateway: str, intents: Iterable[Intent]) -> frozenset[int]:
    """Escrows that this gateway made or imported, and no other gateway of this host."""
    claimed = list(_claiming(intents))
    others = {number for intent, number in claimed if intent.gateway != gateway}
    return frozenset({number for _unused, number in claimed} - others)


def _claiming(intents: Iterable[Intent]) -> Iterator[tuple[Intent, int]]:
    """A settle or a delete of an escrow says nothing about who made it."""
    for intent in intents:
        if intent.escrow_id is not None and intent.kind in (Kind.CREATE, Kind.IMPORT):
            yield intent, intent.escrow_id
