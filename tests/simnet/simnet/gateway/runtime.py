# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""One escrow loaded in memory."""

from __future__ import annotations

import asyncio
import typing as t
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from simnet import crypto
from simnet.gateway.chainclient import ChainClient, ChainError, EscrowNotFoundError
from simnet.gateway.clock import Clock
from simnet.gateway.database import Record
from simnet.gateway.devsession import DevSession
from simnet.gateway.environment import Environment
from simnet.gateway.sessiondb import SessionDb, SessionError

SYNC_BURST = 4
DEFAULT_ROUTE_PREFIX = "/v1/devshard"


class BuildError(Exception):
    """A runtime could not be built; says why as the real gateway does."""

    def __init__(self, message: str, *, unreachable: bool = False, gone: bool = False) -> None:
        super().__init__(message)
        # The chain did not answer, as opposed to: it answered no.
        self.unreachable = unreachable
        # Reasons that make a record inactive at the start instead of ending it.
        self.gone = gone


@dataclass(eq=False)
class Runtime:
    id: str
    model: str
    storage_path: str
    session: DevSession
    active: bool
    active_requests: int = 0
    reserved_tokens: int = 0
    being_replaced: bool = False
    retired: bool = False
    # When hosts were told of single diffs, lately.
    syncs: deque[float] = field(default_factory=lambda: deque(maxlen=SYNC_BURST))
    flush: asyncio.Task[None] | None = None
    background: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def routable(self) -> bool:
        return self.active and self.session.phase == "active"

    def close(self) -> None:
        for task in (*self.background, *([self.flush] if self.flush else [])):
            task.cancel()
        self.session.close()


def signing_key(text: str) -> crypto.PrivateKey:
    """A key as the session's signer takes it: bare hex, ``0x`` is an error."""
    try:
        bytes.fromhex(text)
    except ValueError as error:
        raise BuildError(
            "create session: create signer: parse hex key: invalid hex data for private key"
        ) from error
    try:
        return crypto.PrivateKey.from_hex(text)
    except crypto.InvalidKeyError as error:
        raise BuildError(f"create session: create signer: {error}") from error


def key_text(environment: Environment, record: Record) -> str:
    return record.private_key or environment.get(record.private_key_env)


async def build_runtime(
    record: Record,
    environment: Environment,
    chain: ChainClient,
    http: aiohttp.ClientSession,
    process_id: str,
    clock: Clock,
) -> Runtime:
    """Load an escrow: ask the chain for it, replay what is stored."""
    try:
        return await _build(record, environment, chain, http, process_id, clock)
    except BuildError as error:
        raise BuildError(
            f"runtime {record.id}: {error}", unreachable=error.unreachable, gone=error.gone
        ) from error


async def _build(
    record: Record,
    environment: Environment,
    chain: ChainClient,
    http: aiohttp.ClientSession,
    process_id: str,
    clock: Clock,
) -> Runtime:
    text = key_text(environment, record)
    if not text:
        raise BuildError("private key missing", gone=True)
    if record.protocol_version not in ("", "1", "v1"):
        raise BuildError(f'unsupported protocol version "{record.protocol_version}"')
    key = signing_key(text.removeprefix("0x") if record.private_key else text)
    directory = Path(record.storage_path)
    try:
        # Also for an escrow that the chain does not have: a directory proves nothing.
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"create session: create storage: {error}") from error
    where = "create session: build group: "
    try:
        escrow = await chain.load_escrow(record.id)
    except EscrowNotFoundError as error:
        raise BuildError(f"{where}get escrow: {error}", gone=True) from error
    except ChainError as error:
        raise BuildError(f"{where}get escrow: {error}", unreachable=True) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(f"{where}decode: {error!r}", unreachable=True) from error
    try:
        db = SessionDb(directory, record.id, escrow.epoch_index)
        prefix = environment.get("DEVSHARD_ROUTE_PREFIX") or DEFAULT_ROUTE_PREFIX
        session = DevSession(escrow, key, db, http, process_id, prefix, clock)
        try:
            session.load()
        except SessionError:
            db.close()
            raise
    except SessionError as error:
        raise BuildError(f"create session: {error}") from error
    return Runtime(record.id, record.model, record.storage_path, session, record.active)


def runtime_json(runtime: Runtime, chain: dict[str, t.Any]) -> dict[str, t.Any]:
    """One item of the pool view: zero and empty values are left out."""
    session = runtime.session
    result: dict[str, t.Any] = {
        "id": runtime.id,
        "model": runtime.model,
        "active": runtime.active,
        "phase": session.phase,
    }
    if session.nonce:
        result["nonce"] = session.nonce
    if session.state.balance:
        result["balance"] = session.state.balance
    result["protocol_version"] = "1"
    result["active_requests"] = runtime.active_requests
    result["reserved_tokens"] = runtime.reserved_tokens
    return {**result, **chain}
