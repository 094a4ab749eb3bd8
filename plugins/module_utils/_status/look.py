# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Looks at everything that a gateway consists of, each part by itself and for a limited time.

A part that fails says why and takes no other part with it. Nothing is judged here.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from .._core.decoding import expect_json_object, server_error
from .._core.errors import ProtocolError
from .._core.exchange import Request
from .._core.parts import Part, attempt
from .._core.reader import Reader
from .._escrows import settle_rules
from .._escrows.absence import absence_of, needs_event
from .._escrows.deadlines import UNKNOWN_DEADLINE, not_pruned
from .._escrows.mint_terms import minted_terms
from .._escrows.observe import clock_of, upgrade_ahead, view_of
from .._escrows.pool_rules import UNRECORDED, why_not_usable
from .._gateway.report import report

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._chain.api import ChainApi
    from .._chain.models import (
        ChainHead,
        CreatedEvent,
        Epoch,
        Escrow,
        EscrowParams,
        SettledEvent,
    )
    from .._core.exchange import Response, Transport
    from .._escrows.absence import Absence
    from .._escrows.deadlines import EpochClock
    from .._escrows.ledger.states import Intent
    from .._escrows.pool_rules import EscrowView, Limits
    from .._escrows.settle_rules import Settlement
    from .._gateway.api import GatewayApi
    from .._gateway.models import Devshard

SLOT_HEADER: t.Final = "X-Devshard-Slot"


# the gateway of one slot


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewaySeen:
    """``refused`` counts since the gateway's process started; None where it does not say."""

    report: Mapping[str, t.Any]
    devshards: tuple[Devshard, ...]
    hosts: Part[list[dict[str, t.Any]]]
    refused: int | None


def look_at_gateway(api: GatewayApi, http: Transport) -> GatewaySeen:
    state = api.state()
    return GatewaySeen(
        report=report(api.url, state, api.rotation(), None),
        devshards=state.devshards,
        hosts=attempt(lambda: [_hosts(api, item) for item in state.devshards if _serves(item)]),
        refused=attempt(lambda: _refused(http, api.url)).value,
    )


def _serves(item: Devshard) -> bool:
    return item.active and item.runtime is not None


def _hosts(api: GatewayApi, item: Devshard) -> dict[str, t.Any]:
    """The hosts of one escrow, and those of them that the gateway does not ask now."""
    body = Reader(api.participants(item.id), f"participants of {item.id}")
    quarantined = [
        {
            "address": host.text("participant_key"),
            "until": host.text_or_none("quarantine_until"),
        }
        for host in body.children("participants", [])
        if host.flag("quarantined", False) or host.flag("blocked", False)
    ]
    return {
        "id": int(item.id),
        "model": body.text("model", item.model or ""),
        "available": body.number("available_count"),
        "count": body.number("participant_count"),
        "quarantined": quarantined,
    }


_REFUSED: t.Final = re.compile(
    r"(?m)^devshard_gateway_(?:limit|participant_limit)_rejections_total(?:\{[^}]*\})? ([0-9.e+]+)$"
)


def _refused(http: Transport, url: str) -> int:
    request = Request(method="GET", url=f"{url}/metrics", retry=False)
    response = http.send(request)
    if response.status != 200:
        raise ProtocolError(f"{request.where}: got {response.status}")
    return int(sum(float(number) for number in _REFUSED.findall(response.text)))


# the public route


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteSeen:
    """The answer to a client without a key; nothing of it can cost anything.

    ``chat`` is what ``GET /v1/chat/completions`` answers: a gateway says 400 to a request that has
    no body, before it looks at keys or capacity, so that one proves the way to the gateway.
    """

    url: str
    status: int
    slot: str | None
    target: str | None
    message: str
    models: tuple[str, ...] | None
    chat: int

    def to_result(self) -> dict[str, t.Any]:
        return {
            "url": self.url,
            "status": self.status,
            "slot": self.slot,
            "target": self.target,
            "message": self.message,
            "models": None if self.models is None else list(self.models),
            "chat": self.chat,
        }


def look_at_route(http: Transport, url: str) -> RouteSeen:
    request = Request(method="GET", url=f"{url}/v1/models")
    answer = http.send(request)
    models = None
    if answer.status == 200:
        body = Reader(expect_json_object(request, answer), request.where)
        models = tuple(item.text("id") for item in body.children("data", []))
    chat = http.send(Request(method="GET", url=f"{url}/v1/chat/completions", retry=False))
    return RouteSeen(
        url=url,
        status=answer.status,
        slot=answer.headers.get(SLOT_HEADER),
        target=_target(answer),
        message="" if answer.status == 200 else server_error(answer)[0],
        models=models,
        chat=chat.status,
    )


PUBLIC_ACCOUNTING: t.Final = "/api/v1/accounting/epochs"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountingSeen:
    """The answer of the edge to a dashboard. ``schema`` is None where the body has none."""

    url: str
    status: int
    schema: int | None

    def to_result(self) -> dict[str, t.Any]:
        return {"url": self.url, "status": self.status, "schema": self.schema}


def look_at_accounting(http: Transport, url: str) -> AccountingSeen:
    request = Request(method="GET", url=url + PUBLIC_ACCOUNTING, retry=False)
    answer = http.send(request)
    return AccountingSeen(url=request.url, status=answer.status, schema=_schema(answer))


def _schema(answer: Response) -> int | None:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return None
    found = body.get("schema_version") if isinstance(body, dict) else None
    return found if isinstance(found, int) else None


def _target(answer: Response) -> str | None:
    """Where clients are sent: a header from the edge, a field from the gateway itself."""
    if not 300 <= answer.status < 400:
        return None
    if (location := answer.headers.get("Location")) is not None:
        return re.sub(r"/v1/(models|chat/completions)$", "", location)
    try:
        body = json.loads(answer.body)
    except ValueError:
        return None
    found = body.get("new_url") if isinstance(body, dict) else None
    return re.sub(r"/v1/chat/completions$", "", found) if isinstance(found, str) else None


# chain and creator


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainSeen:
    head: ChainHead
    params: EscrowParams
    balance: int | None
    created: Part[list[CreatedEvent]]
    effective_epoch: int | None = None
    upgrade: str | None = None
    """Why nothing is signed now because of an upgrade of the chain."""
    clock_fault: str | None = None
    """Why this host could sign nothing now."""
    clock_offset: int | None = None
    """Seconds by which this host's clock is ahead of the node's."""


def look_at_chain(chain: ChainApi, creator: str | None) -> ChainSeen:
    head = chain.head()
    return ChainSeen(
        head=head,
        clock_fault=chain.clock_fault(head),
        clock_offset=chain.clock_offset(head),
        effective_epoch=chain.effective_epoch(),
        upgrade=upgrade_ahead(chain, head.height),
        params=chain.escrow_params(),
        balance=None if creator is None else chain.balance(creator),
        created=Part(why="the creator is not known")
        if creator is None
        else attempt(lambda: chain.created_by(creator)),
    )


def read_escrows(chain: ChainApi, ids: tuple[int, ...]) -> dict[int, Part[Escrow | None]]:
    """None in a part is the chain's own "there is none"."""
    return {number: attempt(functools.partial(chain.escrow, number)) for number in ids}


def read_settled(
    chain: ChainApi, ids: Iterable[int], found: dict[int, Part[SettledEvent | None]]
) -> None:
    """The newest first. What is found before the time is over stays, as an index can be slow."""
    for number in sorted(ids, reverse=True):
        found[number] = attempt(functools.partial(chain.settled_event, number))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """Everything that was seen."""

    gateways: Mapping[str, Part[GatewaySeen]]
    """By slot; a slot that was not asked is missing."""
    chain: Part[ChainSeen]
    epoch: Part[Epoch]
    clock: Part[EpochClock]
    creator: Part[str | None]
    intents: Part[list[Intent]]
    escrows: Mapping[int, Part[Escrow | None]] = field(default_factory=dict)
    kept: Mapping[int, Part[Settlement | None]] = field(default_factory=dict)
    """Settlements that lie on the disk."""
    settled: Mapping[int, Part[SettledEvent | None]] = field(default_factory=dict)
    """Settle events of those that the chain does not have, where the ledger does not prove it."""

    def names(self) -> tuple[int, ...]:
        """The numbers of all escrows that anybody knows of."""
        recorded = {int(item.id) for item in self._records() if item.id.isdigit()}
        open_ones = {
            intent.escrow_id
            for intent in self.intents.value or ()
            if intent.open and intent.escrow_id is not None
        }
        return tuple(sorted(recorded | open_ones | self.born()))

    def absence(self, number: int) -> Absence:
        """The outcome of one that the chain does not have."""
        event = self.settled[number].value if number in self.settled else None
        clock = self.clock.value
        born = clock is not None and number in self.born()
        return absence_of(number, self.intents.value or (), clock, event, born=born)

    def without_proof(self) -> tuple[int, ...]:
        """Those that the chain does not have, and of which its settle event can say more."""
        gone = [n for n, part in self.escrows.items() if part.known and part.value is None]
        return tuple(number for number in gone if needs_event(self.absence(number)))

    def _records(self) -> list[Devshard]:
        seen = [part.value for part in self.gateways.values() if part.value is not None]
        return [item for one in seen for item in one.devshards]

    def born(self) -> set[int]:
        """Those that the chain can still have."""
        created = self.chain.value.created.value if self.chain.value else None
        clock = self.clock.value
        return {
            item.escrow_id
            for item in created or ()
            if clock is None or not_pruned(item.epoch_index, clock)
        }


def tell_clock(chain: ChainApi, seen: Part[ChainSeen], epoch: Part[Epoch]) -> Part[EpochClock]:
    """Where the chain stands needs both: the stages of the epoch, and the newest block."""
    if seen.value is None or epoch.value is None:
        return Part(why=seen.why or epoch.why)
    now, stages = seen.value, epoch.value
    return attempt(lambda: clock_of(stages, now.head, now.effective_epoch, chain.block_seconds))


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusTerms:
    """What rows are judged by."""

    limits: Limits
    settlement_tag: str
    deadline_blocks: int


def escrow_rows(sight: Sight, terms: StatusTerms) -> list[dict[str, t.Any]]:
    """One row for each escrow; null where a part that would know it did not answer."""
    return [_row(number, sight, terms) for number in sight.names()]


def _row(number: int, sight: Sight, terms: StatusTerms) -> dict[str, t.Any]:
    slot, record = _record_of(number, sight)
    unasked: Part[Escrow | None] = Part(why=sight.chain.why or "it was not requested")
    part = sight.escrows.get(number, unasked)
    view = view_of(
        number,
        record,
        part.value,
        sight.clock.value,
        terms.limits,
        absence=None if part.value else sight.absence(number),
    )
    if not part.known:
        view = replace(view, why_not=_without_chain(view, terms.limits))
    row = {**view.to_result(), "slot": slot, "chain_error": part.why}
    row |= _settling(view, sight, terms)
    reasons = list(view.why_not)
    if sight.clock.value is None and UNKNOWN_DEADLINE in reasons:
        # named once for all of them
        reasons.remove(UNKNOWN_DEADLINE)
    if record is None and not all(item.known for item in sight.gateways.values()):
        reasons = ["not known in the gateway", *(item for item in reasons if item != UNRECORDED)]
        row |= {"recorded": None, "active": None, "loaded": None}
    if not part.known:
        reasons.append("not known on the chain")
        row |= {"on_chain": None, "absence": None}
    return {**row, "usable": not reasons, "why_not": reasons}


def _settling(view: EscrowView, sight: Sight, terms: StatusTerms) -> dict[str, t.Any]:
    """Whether its deposit can come home, by the rule that settling itself asks."""
    creator = sight.creator.value
    of_settling = settle_rules.SettleTerms(
        creator=creator,
        params=None if sight.chain.value is None else sight.chain.value.params,
        settlement_tag=terms.settlement_tag,
        minted=minted_terms(sight.intents.value or ()),
    )
    kept = sight.kept[view.id].value if view.id in sight.kept else None
    dangers = settle_rules.dangers(view, of_settling, terms.deadline_blocks, kept)
    return {
        "foreign": None if creator is None or view.creator is None else view.creator != creator,
        "may_settle": settle_rules.may_settle(view, of_settling, kept),
        "gateway_settles": settle_rules.gateway_will_settle(view),
        "dangers": [danger.to_result() for danger in dangers],
    }


def _without_chain(view: EscrowView, limits: Limits) -> tuple[str, ...]:
    """What forbids it in the gateway alone."""
    reasons = why_not_usable(replace(view, on_chain=True, settled=False, deadline=None), limits)
    return tuple(item for item in reasons if item != UNKNOWN_DEADLINE)


def _record_of(number: int, sight: Sight) -> tuple[str | None, Devshard | None]:
    """The slot that has it; one that serves it goes first."""
    found = [
        (slot, item)
        for slot, part in sight.gateways.items()
        if part.value is not None
        for item in part.value.devshards
        if item.id == str(number)
    ]
    found.sort(key=lambda entry: not _serves(entry[1]))
    return found[0] if found else (None, None)
