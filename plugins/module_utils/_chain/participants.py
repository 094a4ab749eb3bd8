# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the hosts of an escrow know of its session. They answer without authentication."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from urllib.parse import quote

from .._core.decoding import expect_json_list
from .._core.errors import DevshardError, NotFoundError, ProtocolError, TransportError
from .._core.exchange import Request
from .._core.reader import Reader
from .models import HostsNonce, Voices, quorum

if t.TYPE_CHECKING:
    from .._core.exchange import Transport
    from .api import ChainApi
    from .models import Escrow

PAGE: t.Final = 200
PATIENCE: t.Final = 5.0
"""Seconds for one host. There are many, some are always down, and the others know the same."""
_PROXIED: t.Final = frozenset({502, 503, 504})
"""The answer of a proxy whose host is down."""


def voices(transport: Transport, chain: ChainApi, prefix: str, escrow: Escrow) -> Voices:
    """Ask the hosts of an escrow until it is certain whether enough of them could sign.

    Any answer counts, since only whether the host is there is asked; one of a proxy before it does
    not. Each silent host costs the whole patience.
    """
    weights = Counter(escrow.slots)
    slots, answering, missing = len(escrow.slots), 0, 0
    silent, unknown = [], []
    for address, weight in weights.items():
        if answering >= quorum(slots) or slots - missing < quorum(slots):
            break
        try:
            base = chain.participant_url(address).rstrip("/") + prefix
        except DevshardError:
            unknown.append(address)
            missing += weight
            continue
        if _there(transport, f"{base}/sessions/{quote(str(escrow.id))}/diffs?from=1&to=1"):
            answering += weight
        else:
            silent.append(address)
            missing += weight
    return Voices(slots=slots, answering=answering, silent=tuple(silent), unknown=tuple(unknown))


def _there(transport: Transport, url: str) -> bool:
    try:
        reply = transport.send(Request(method="GET", url=url, timeout=PATIENCE, retry=False))
    except TransportError:
        return False
    return reply.status not in _PROXIED


def newest_nonce(
    transport: Transport, chain: ChainApi, prefix: str, escrow: Escrow, since: int
) -> HostsNonce:
    """Ask every host of an escrow for diffs after ``since``; 0 means that no one has any."""
    newest, silent = 0, []
    hosts = tuple(dict.fromkeys(escrow.slots))
    for address in hosts:
        try:
            base = chain.participant_url(address)
            newest = max(
                newest, _host_nonce(transport, base.rstrip("/") + prefix, escrow.id, since)
            )
        except DevshardError:
            silent.append(address)
    return HostsNonce(nonce=newest, silent=tuple(silent), asked=len(hosts))


def _host_nonce(transport: Transport, base: str, escrow_id: int, since: int) -> int:
    newest, first = 0, since + 1
    while True:
        page = f"from={first}&to={first + PAGE - 1}"
        url = f"{base}/sessions/{quote(str(escrow_id))}/diffs?{page}"
        request = Request(method="GET", url=url, timeout=PATIENCE, retry=False)
        try:
            diffs = expect_json_list(request, transport.send(request))
        except NotFoundError as exc:
            # Only the host itself speaks of the session: any other 404 is a wrong path, a proxy, or
            # a host without storage, and says nothing.
            told = str(exc.details.get("server_message"))
            if re.search(rf"\b(session|escrow)( {escrow_id})? not found\b", told) is None:
                raise
            return newest
        if not diffs:
            return newest
        for entry in diffs:
            nonce = Reader(entry, url).child("diff").number("nonce")
            if nonce < 1:
                raise ProtocolError(f"{url}: a diff of nonce {nonce}")
            newest = max(newest, nonce)
        if newest < first + PAGE - 1:
            return newest
        first = newest + 1
