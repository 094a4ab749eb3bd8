# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Enters escrows that a gateway had before this collection in the ledger.

Then it is known of each deposit which gateway has it, also when the gateway's database is lost.
"""

from __future__ import annotations

import typing as t

from .ledger.states import Kind, Subject

if t.TYPE_CHECKING:
    from .._chain.models import Escrow
    from .ports import Ports

_KNOWN: t.Final = frozenset({Kind.CREATE, Kind.IMPORT})
DETAIL: t.Final = {"adopted": True}


def enter_escrows(ports: Ports) -> dict[str, t.Any]:
    """Those that are unsettled and not in the ledger yet. ``foreign`` belong to another account
    than the keyring's, and are left out: their deposits are not ours to answer for."""
    ports.chain.head()
    mine = ports.creator(None)
    known = _known(ports)
    entered: list[int] = []
    foreign: list[int] = []
    for item in ports.gateway.state().devshards:
        escrow = ports.chain.escrow(int(item.id))
        if escrow is None or escrow.settled or escrow.id in known:
            continue
        if escrow.creator != mine:
            foreign.append(escrow.id)
            continue
        if not ports.check_mode:
            ports.record().enter(_subject(ports, escrow), DETAIL)
        entered.append(escrow.id)
    return {"entered": entered, "foreign": foreign}


def _known(ports: Ports) -> set[int]:
    if ports.ledger is None:
        return set()
    return {
        intent.escrow_id
        for intent in ports.ledger.intents(chain_id=ports.chain_id)
        if intent.kind in _KNOWN and intent.escrow_id is not None
    }


def _subject(ports: Ports, escrow: Escrow) -> Subject:
    return Subject(
        gateway=ports.gateway_id,
        chain_id=ports.chain_id,
        creator=escrow.creator,
        model=escrow.model_id,
        amount=escrow.amount,
        escrow_id=escrow.id,
    )
