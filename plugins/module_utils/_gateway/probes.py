# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a running gateway really has, whatever its image is called (``gateway-v4.1.md``, rule 22).

Its questions change nothing. Each answer is yes, no, or unknown, and unknown is never taken for no.
"""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from .._core.errors import DevshardError
from .profiles import PROBES

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .api import GatewayApi
    from .models import GatewayState


@dataclass(frozen=True, kw_only=True)
class Probes:
    """None: unknown."""

    memory_statistics: bool | None
    """v3 and later."""
    profiler: bool | None
    """v3, and 4.0 and later."""
    chain_by_grpc: bool | None
    """v4 and later."""
    holds: bool | None
    """Late 4.1: an escrow that is too low may be held back instead of replaced."""
    settles_batches: bool | None
    """Late 4.1: several escrows in one call, and a settled one is recognised."""
    accounting_schema: int | None
    """4.1; None also where its port is closed."""

    def to_result(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


def probe(gateway: GatewayApi, state: GatewayState, accounting: str | None) -> Probes:
    """Ask a gateway. ``accounting`` is the URL of its accounting, where that is published."""
    shown = [item.runtime.shows_hold for item in state.devshards if item.runtime is not None]
    return Probes(
        memory_statistics=_or_unknown(lambda: gateway.has(PROBES.memory_statistics)),
        profiler=_or_unknown(lambda: gateway.has(PROBES.profiler)),
        chain_by_grpc=_or_unknown(lambda: PROBES.grpc_setting in gateway.settings()),
        # no session, no answer
        holds=any(shown) if shown else None,
        settles_batches=_or_unknown(gateway.has_batch_settle),
        accounting_schema=None
        if accounting is None
        else _or_unknown(lambda: gateway.accounting_schema(accounting)),
    )


_Answer = t.TypeVar("_Answer")


def _or_unknown(ask: Callable[[], _Answer]) -> _Answer | None:
    try:
        return ask()
    except DevshardError:
        return None
