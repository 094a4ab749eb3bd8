# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""Where every deposit is at this moment: chain, gateway and ledger side by side. Reads only."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import UnknownStateError
from ._escrow_observe import clock_or_none, read_births, view_of

if t.TYPE_CHECKING:
    from ._escrow_rules import EscrowView
    from ._money import Ports


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    ids: tuple[int, ...]
    model_id: str | None
    creator: str | None
    history: bool


def report(ports: Ports, options: ReportOptions) -> dict[str, t.Any]:
    """All escrows this host can name: the gateway's, the creator's on the chain, the ledger's."""
    clock = clock_or_none(ports.chain, ports.warn)
    records = {int(item.id): item for item in ports.gateway.state().devshards}
    intents = [] if ports.ledger is None else ports.ledger.intents(chain_id=ports.chain_id)
    creator = ports.known_creator(options.creator)
    births: set[int] | None = None
    if creator is not None:
        try:
            found = read_births(ports.chain, creator)
            births = {
                item.escrow_id
                for item in found
                if clock is None or item.epoch + 1 >= clock.effective
            }
        except UnknownStateError as exc:
            ports.warn(f"the chain could not be asked for the escrows of {creator}: {exc}")
    from_ledger = {
        intent.escrow_id for intent in intents if intent.open and intent.escrow_id is not None
    }
    wanted = set(options.ids) or set(records) | (births or set()) | from_ledger
    views = [
        view_of(number, records.get(number), ports.chain.escrow(number), clock, ports.limits)
        for number in sorted(wanted)
    ]
    shown = [view for view in views if options.model_id in (None, view.model)]
    return {
        "escrows": [_row(view, ports, options.history) for view in shown],
        "intents": [intent.to_result() for intent in intents if intent.open],
        "epoch": None
        if clock is None
        else {
            "effective": clock.effective,
            "height": clock.height,
            "next_switch": clock.next_switch,
            "epoch_length": clock.epoch_length,
            "block_seconds": clock.block_seconds,
        },
        "creator": creator,
        "complete": births is not None,
    }


def _row(view: EscrowView, ports: Ports, history: bool) -> dict[str, t.Any]:
    row = view.to_result()
    if ports.ledger is None:
        return {**row, "ledger": []}
    entries = []
    for intent in ports.ledger.intents(chain_id=ports.chain_id, escrow_id=view.id):
        entry = intent.to_result()
        if history:
            entry["history"] = [
                {"at": step.at, "event": step.event, "state": step.after, "detail": step.detail}
                for step in ports.ledger.history(intent.id)
            ]
        entries.append(entry)
    return {**row, "ledger": entries}
