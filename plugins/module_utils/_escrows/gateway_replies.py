# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a failed call of the gateway proves about the transaction that it was asked for. Pure."""

from __future__ import annotations

import re
import typing as t

from .._core.errors import DevshardError, TransportError


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
        if found := re.match(r"(?:wait for )?tx ([0-9A-Fa-f]{64})\b", text):
            return CreateAnswer(False, found[1].upper())
    return CreateAnswer(False)


def settle_was_not_sent(exc: DevshardError) -> bool:
    """Whether a failed settle of the gateway surely came before its broadcast."""
    if isinstance(exc, TransportError):
        return exc.details.get("sent") is False
    return exc.details.get("http_status") in (308, 400, 401, 404, 409)
