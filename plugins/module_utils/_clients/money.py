# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the use cases of money need, with the ledger of this host."""

from __future__ import annotations

import contextlib
import functools
import typing as t
import uuid
from datetime import datetime, timezone

from .. import _argspec
from .._chain import participants
from .._core.timer import WaitBudget
from .._escrows.ledger.lock import HostLock
from .._escrows.ledger.store import Ledger
from .._escrows.pool_rules import Limits
from .._escrows.ports import ChainPorts, Ports
from .chain import chain_of
from .gateway import gateway_of
from .signer import signer_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._adapter import Context


@contextlib.contextmanager
def _ledger(context: Context, purpose: str | None) -> Iterator[Ledger | None]:
    """The ledger. ``purpose`` names a run that writes; None only reads.

    A run that writes holds the host's lock. In check mode, and for reading, nothing is written, not
    even the ledger's file.
    """
    path = context.read(_argspec.LedgerOptions).ledger_path
    run_id = uuid.uuid4().hex
    with contextlib.ExitStack() as stack:
        ledger: Ledger | None
        if purpose is None or context.check_mode:
            ledger = Ledger.read(path)
        else:
            stack.enter_context(HostLock(path, run_id, purpose))
            ledger = Ledger.open(path, run_id)
        if ledger is not None:
            stack.enter_context(ledger)
        yield ledger


@contextlib.contextmanager
def open_chain_ports(context: Context, purpose: str | None) -> Iterator[ChainPorts]:
    """What use cases need that do not speak with a gateway."""
    with _ledger(context, purpose) as ledger:
        yield _chain_ports(context, ledger)


@contextlib.contextmanager
def open_ports(
    context: Context,
    purpose: str | None,
    *,
    signs: bool = False,
    waits: bool = False,
    min_blocks_left: int = 0,
) -> Iterator[Ports]:
    """What the others need.

    ``signs`` is for a module with the options of ``inferenced``, ``waits`` for one with those of
    waiting.
    """
    wait = context.read(_argspec.WaitOptions) if waits else None
    profile = context.profile
    with _ledger(context, purpose) as ledger:
        yield Ports.of(
            _chain_ports(context, ledger),
            gateway=gateway_of(context),
            gateway_id=gateway_of(context).url,
            signer=signer_of(context) if signs else None,
            limits=Limits.of_generation(profile, min_blocks_left=min_blocks_left),
            settlement_tag=profile.settlement_tag,
            deadline=context.deadline() if waits else WaitBudget(0),
            interval=1 if wait is None else wait.wait_interval,
        )


def _chain_ports(context: Context, ledger: Ledger | None) -> ChainPorts:
    prefix = context.profile.host_session_prefix
    http, asked = context.transport, chain_of(context)
    return ChainPorts(
        chain=asked,
        chain_id=context.read(_argspec.ChainOptions).chain_id,
        ledger=ledger,
        now=lambda: datetime.now(timezone.utc),
        warn=context.warn,
        check_mode=context.check_mode,
        hosts_nonce=functools.partial(participants.newest_nonce, http, asked, prefix),
        voices=functools.partial(participants.voices, http, asked, prefix),
    )
