# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Where every deposit is at this moment: chain, gateway and ledger side by side. Reads only."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .._core.errors import DevshardError, ProtocolError, UnknownStateError
from .absence import WHY, Absence, absence_of
from .backup.inspect import session_numbers
from .claims import only_of
from .deadlines import not_pruned
from .mint_terms import minted_terms
from .observe import look_for_absent, read_clock, session_of, view_of
from .payment import VERSIONS_UNKNOWN
from .settle_rules import (
    SettleTerms,
    dangers,
    gateway_will_settle,
    may_settle,
    version_unknown,
)
from .settlement_files import SettlementFiles

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .deadlines import EpochClock
    from .ledger.states import Intent
    from .pool_rules import EscrowView
    from .ports import Ports
    from .settle_rules import Settlement

_Answer = t.TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    ids: tuple[int, ...]
    model_id: str | None
    creator: str | None
    history: bool
    deadline_blocks: int
    ledger_path: Path
    storage_dir: Path | None = None
    """The gateway's storage on this host, where it is to be searched for sessions."""

    @property
    def folder(self) -> Path:
        """Where settlements are kept."""
        return self.ledger_path.parent


class _Unknowns(list[str]):
    """What could not be asked, each part once."""

    def ask(self, what: str, question: Callable[[], _Answer]) -> _Answer | None:
        try:
            return question()
        except DevshardError as exc:
            self.append(f"{what}: {exc}")
            return None


def report(ports: Ports, options: ReportOptions) -> dict[str, t.Any]:
    """All escrows this host can name: the gateway's, the creator's on the chain, the ledger's."""
    unknown = _Unknowns()
    clock = unknown.ask("the deadlines", lambda: read_clock(ports.chain))
    params = unknown.ask("whether the chain still takes settlements", ports.chain.escrow_params)
    records = {int(item.id): item for item in ports.gateway.state().devshards}
    intents = [] if ports.ledger is None else ports.ledger.intents(chain_id=ports.chain_id)
    creator = ports.known_creator(options.creator)
    made: set[int] | None = None
    if creator is None:
        unknown.append(
            "the creator's other escrows: neither the keyring nor the option creator names the"
            " creator's address"
        )
    else:
        try:
            made = {
                event.escrow_id
                for event in ports.chain.created_by(creator)
                if clock is None or not_pruned(event.epoch_index, clock)
            }
        except UnknownStateError as exc:
            unknown.append(f"all escrows of {creator}: {exc}")
    from_ledger = {
        intent.escrow_id for intent in intents if intent.open and intent.escrow_id is not None
    }
    sessions = unknown.ask("the sessions in the storage", lambda: _sessions(options.storage_dir))
    on_chain = functools.cache(ports.chain.escrow)
    left = {number for number in (sessions or set()) - set(records) if on_chain(number)}
    wanted = set(options.ids) or set(records) | (made or set()) | from_ledger | left
    owned = only_of(ports.gateway_id, intents)
    views = []
    for number in sorted(wanted):
        record, escrow = records.get(number), on_chain(number)
        session = session_of(ports.gateway, record, escrow, ports.limits, unknown.append)
        absence = None
        if escrow is None:
            born = clock is not None and number in (made or ())
            absence = _absence(number, ports, intents, clock, unknown, born=born)
        views.append(
            view_of(number, record, escrow, clock, ports.limits, session=session, absence=absence)
        )
    # without a clock, one that is not shown cannot be told from one that was pruned
    unsure = {Absence.NOT_SHOWN} | ({Absence.UNKNOWN} if clock is None else set())
    hidden = any(view.absence in unsure for view in views)
    shown = [view for view in views if options.model_id in (None, view.model)]
    terms = SettleTerms(
        creator=creator,
        params=params,
        settlement_tag=ports.settlement_tag,
        minted=minted_terms(intents),
    )
    kept = {view.id: _kept(view.id, ports, options.folder, unknown) for view in shown}
    if any(version_unknown(view, terms, kept[view.id]) for view in shown if view.unsettled):
        unknown.append(f"whether the chain still takes settlements: {VERSIONS_UNKNOWN}")
    return {
        "escrows": [
            {
                **_row(view, options, terms, kept[view.id]),
                "ledger": _entries(view.id, ports, intents, history=options.history),
                "of_gateway": _of_gateway(view, sessions, owned),
            }
            for view in shown
        ],
        "not_known": list(unknown),
        "intents": [intent.to_result() for intent in intents if intent.open],
        "epoch": None if clock is None else clock.to_result(),
        "creator": creator,
        "complete": made is not None and not hidden,
    }


def _sessions(storage: Path | None) -> frozenset[int] | None:
    return None if storage is None else session_numbers(storage)


def _of_gateway(
    view: EscrowView, sessions: frozenset[int] | None, owned: frozenset[int]
) -> bool | None:
    """A restored backup has no record of what was made after it, and the escrow is still ours."""
    if view.recorded or view.id in owned:
        return True
    return None if sessions is None else view.id in sessions


def _kept(escrow_id: int, ports: Ports, folder: Path, unknown: _Unknowns) -> Settlement | None:
    try:
        return SettlementFiles(folder, ports.chain_id).read(escrow_id)
    except (ProtocolError, PermissionError) as exc:
        unknown.append(f"the kept settlement of escrow {escrow_id}: {exc}")
        return None


def _absence(
    escrow_id: int,
    ports: Ports,
    intents: Sequence[Intent],
    clock: EpochClock | None,
    unknown: _Unknowns,
    *,
    born: bool,
) -> Absence:
    found = unknown.ask(
        f"whether escrow {escrow_id} was settled",
        lambda: look_for_absent(ports.chain, escrow_id, intents, clock, born=born),
    )
    absence = found or absence_of(escrow_id, intents, clock, born=born)
    if absence is Absence.NOT_SHOWN:
        unknown.append(f"the deposit of escrow {escrow_id}: it is {WHY[absence]}")
    return absence


def _row(
    view: EscrowView,
    options: ReportOptions,
    terms: SettleTerms,
    settlement: Settlement | None,
) -> dict[str, t.Any]:
    found = dangers(view, terms, options.deadline_blocks, settlement)
    return {
        **view.to_result(),
        "foreign": None
        if terms.creator is None or view.creator is None
        else view.creator != terms.creator,
        "may_settle": may_settle(view, terms, settlement),
        "gateway_settles": gateway_will_settle(view),
        "dangers": [danger.to_result() for danger in found],
    }


def _entries(
    escrow_id: int, ports: Ports, intents: Sequence[Intent], *, history: bool
) -> list[dict[str, t.Any]]:
    entries = []
    for intent in intents:
        if intent.escrow_id != escrow_id:
            continue
        entry = intent.to_result()
        if history and ports.ledger is not None:
            entry["history"] = [
                {"at": step.at, "event": step.event, "state": step.after, "detail": step.detail}
                for step in ports.ledger.history(intent.id)
            ]
        entries.append(entry)
    return entries
