# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The request of its own that a new session gets from 4.1 on (§4.1)."""

from __future__ import annotations

import hashlib
import logging
import time
import typing as t

from simnet.gateway.devsession import (
    HostStateError,
    HostUnavailableError,
    InsufficientBalanceError,
)
from simnet.gateway.points import PointError
from simnet.gateway.runtime import Runtime
from simnet.gateway.sessiondb import SessionError

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway

LOG = logging.getLogger("devshardctl")
_TOKENS = 64


async def warm_up(gateway: Gateway, runtime: Runtime) -> None:
    session = runtime.session
    if session.nonce or not runtime.routable:
        return
    try:
        await gateway.points.reach("warmup.before_start")
        reserved = _TOKENS * session.escrow.token_price
        nonce = session.append(
            [
                {
                    "t": "start",
                    "slot": 1 % session.state.slots,
                    "model": runtime.model,
                    "length": _TOKENS,
                    "max": _TOKENS,
                    "reserved": reserved,
                    "hash": hashlib.sha256(b"warm-up").hexdigest(),
                    "at": int(time.time()),
                }
            ]
        )
        await session.sync(session.link_of(1 % session.state.slots), gateway.tuning.host_timeout)
        session.pending.append(
            {"t": "finish", "id": nonce, "cost": reserved // 2, "in": 1, "out": 1, "hash": ""}
        )
    except (
        HostStateError, HostUnavailableError, InsufficientBalanceError, PointError, SessionError
    ) as error:  # fmt: skip
        LOG.info("escrow_warmup_failed escrow=%s: %s", runtime.id, error)
    else:
        LOG.info("escrow_warmup_completed escrow=%s", runtime.id)
