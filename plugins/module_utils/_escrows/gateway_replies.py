# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a failed call of the gateway proves about the transaction that it was asked for. Pure."""

from __future__ import annotations

import re
import typing as t

from .._core.errors import DevshardError, TransportError

_WITH_HASH: t.Final = re.compile(r"(?:wait for )?tx ([0-9A-Fa-f]{64})\b")
_BEFORE_BROADCAST: t.Final = re.compile(
    r"fetch (account|chain id)\b|broadcast tx failed code=|insufficient signatures:|rehydrate devshard"
)


class CreateAnswer(t.NamedTuple):
    """What the gateway's answer to a create proves."""

    nothing_sent: bool
    tx_hash: str | None = None
    escrow_id: int | None = None


def read_create_failure(exc: DevshardError) -> CreateAnswer:
    """What a failed create of the gateway leaves behind, by the rows of its contract.

    Only answers that are known to come before the broadcast, or instead of it, close the intent;
    everything else leaves it open, with the hash where the answer has one: the chain decides.
    """
    if isinstance(exc, TransportError):
        return CreateAnswer(exc.details.get("sent") is False)
    status = exc.details.get("http_status")
    text = str(exc.details.get("server_message") or "")
    error = exc.details.get("server_error")
    if isinstance(error, dict) and str(error.get("escrow_id", "")).isdigit():
        tx_hash = str(error.get("tx_hash") or "").upper()
        return CreateAnswer(False, tx_hash or None, int(error["escrow_id"]))
    if status in (308, 400, 401, 404, 405):
        return CreateAnswer(True)
    if status == 502:
        if re.match(r"fetch (account|chain id)\b|broadcast tx failed code=", text):
            return CreateAnswer(True)
        if found := _WITH_HASH.match(text):
            return CreateAnswer(False, found[1].upper())
    return CreateAnswer(False)


class SettleAnswer(t.NamedTuple):
    """What the gateway's answer to a settle proves."""

    nothing_sent: bool
    tx_hash: str | None = None
    busy: bool = False
    """Refused for now; whether the gateway makes up for it by itself, only its record shows."""


def read_settle_failure(exc: DevshardError) -> SettleAnswer:
    """What a failed settle of the gateway leaves behind; the hash where the answer has one."""
    if isinstance(exc, TransportError):
        return SettleAnswer(exc.details.get("sent") is False)
    status = exc.details.get("http_status")
    text = str(exc.details.get("server_message") or "")
    if status == 409:
        return SettleAnswer(True, busy=True)
    if status in (308, 400, 401, 404):
        return SettleAnswer(True)
    if status == 502:
        if _BEFORE_BROADCAST.match(text):
            return SettleAnswer(True)
        if found := _WITH_HASH.match(text):
            return SettleAnswer(False, found[1].upper())
    return SettleAnswer(False)


def store_is_busy(exc: DevshardError) -> bool:
    """Whether a call was refused because the store of a session, just unloaded, is still open."""
    text = str(exc.details.get("server_message") or "")
    return exc.details.get("http_status") == 502 and "database is locked" in text
