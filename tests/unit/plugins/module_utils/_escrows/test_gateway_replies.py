# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    DevshardError,
    ProtocolError,
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.gateway_replies import (
    read_create_failure,
)

HASH = "AB" * 32


def failed(status: int, text: str = "", **error: t.Any) -> ProtocolError:
    return ProtocolError(
        text, http_status=status, server_message=text, server_error={"message": text, **error}
    )


@pytest.mark.parametrize(
    ("exc", "nothing_sent", "tx_hash", "escrow_id"),
    [
        (TransportError("refused", sent=False), True, None, None),
        (TransportError("reset", sent=None), False, None, None),
        (TransportError("timeout", sent=True), False, None, None),
        (failed(400, "amount is required"), True, None, None),
        (failed(401, "Invalid admin API key."), True, None, None),
        (failed(502, "fetch account gonka1: status 404"), True, None, None),
        (failed(502, "fetch chain id: timeout"), True, None, None),
        (failed(502, "broadcast tx failed code=5 codespace=sdk raw_log=x"), True, None, None),
        (failed(502, "broadcast tx: timeout"), False, None, None),
        (failed(502, f"tx {HASH} failed code=1 codespace=undefined"), False, HASH, None),
        (failed(502, f"wait for tx {HASH.lower()}: not found"), False, HASH, None),
        (failed(502, "context canceled"), False, None, None),
        (failed(500, "create session", escrow_id="47", tx_hash=HASH), False, HASH, 47),
        (failed(500, "database is locked"), False, None, None),
        (failed(503, "<html>"), False, None, None),
        (failed(429, ""), False, None, None),
    ],
)
def test_each_failure_of_the_gateways_create_is_read_as_its_contract_says(
    exc: DevshardError, nothing_sent: bool, tx_hash: str | None, escrow_id: int | None
) -> None:
    answer = read_create_failure(exc)
    assert (answer.nothing_sent, answer.tx_hash, answer.escrow_id) == (
        nothing_sent,
        tx_hash,
        escrow_id,
    )
