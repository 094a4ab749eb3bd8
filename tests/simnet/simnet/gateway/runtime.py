# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""One escrow loaded in memory."""

from __future__ import annotations

import asyncio
import logging
import typing as t
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from simnet import crypto
from simnet.gateway.chainclient import (
    ChainClient,
    ChainError,
    ChainEscrow,
    EscrowNotFoundError,
)
from simnet.gateway.clock import Clock
from simnet.gateway.database import Record
from simnet.gateway.devsession import DevSession
from simnet.gateway.environment import Environment
from simnet.gateway.generation import Generation, PrefixError, Tags
from simnet.gateway.sessiondb import (
    BrokenStateError,
    SessionDb,
    SessionError,
    read_session,
)

LOG = logging.getLogger("devshardctl")
SYNC_BURST = 4
LOCKED = "database is locked (5) (SQLITE_BUSY)"


class BuildError(Exception):
    """A runtime could not be built; says why as the real gateway does."""

    def __init__(
        self,
        message: str,
        *,
        unreachable: bool = False,
        gone: str = "",
        broken: bool = False,
    ) -> None:
        super().__init__(message)
        # The chain did not answer, as opposed to: it answered no.
        self.unreachable = unreachable
        # Reasons that make a record inactive at the start instead of ending it.
        self.gone = gone
        # The session's own files are the reason.
        self.broken = broken


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
    # To be unloaded when its last work has ended; making it active again does not change that.
    retiring: bool = False
    # Was there when the process started, or was read again from its files.
    reloaded: bool = False
    # When hosts were told of single diffs, lately.
    syncs: deque[float] = field(default_factory=lambda: deque(maxlen=SYNC_BURST))
    flush: asyncio.Task[None] | None = None
    background: set[asyncio.Task[None]] = field(default_factory=set)
    # Since when it is held instead of replaced.
    held_since: str = ""
    # Set while nothing is under way.
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    @property
    def cleanup(self) -> int:
        """Work that goes on after the replies."""
        return len(self.background)

    @property
    def on_hold(self) -> bool:
        return self.held_since != ""

    @property
    def routable(self) -> bool:
        return self.active and self.session.phase == "active" and not self.on_hold

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
            f"runtime {record.id}: {error}",
            unreachable=error.unreachable,
            gone=error.gone,
            broken=error.broken,
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
        raise BuildError("private key missing", gone="private key missing")
    generation = environment.generation
    known = generation.protocol_versions
    if known is not None and record.protocol_version not in known:
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
        raise BuildError(f"{where}get escrow: {error}", gone="escrow missing on chain") from error
    except ChainError as error:
        raise BuildError(f"{where}get escrow: {error}", unreachable=True) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(f"{where}decode: {error!r}", unreachable=True) from error
    try:
        tags = tags_of(record, environment)
    except PrefixError as error:
        raise BuildError(f"create session: {error}") from error
    try:
        db = SessionDb(directory, record.id, escrow.epoch_index)
        session = DevSession(escrow, key, db, http, process_id, tags, clock)
        try:
            session.load()
        except SessionError:
            db.close()
            raise
    except BrokenStateError as error:
        raise BuildError(f"create session: {error}", broken=True) from error
    except SessionError as error:
        raise BuildError(f"create session: {error}") from error
    return Runtime(record.id, record.model, record.storage_path, session, record.active)


def tags_of(record: Record, environment: Environment) -> Tags:
    """The record's own prefix, else the one of this start."""
    generation = environment.generation
    if generation.tells_unpinned and not record.route_prefix:
        LOG.info(
            "escrow_route_prefix_unpinned escrow=%s route_prefix=%s",
            record.id, environment.get("DEVSHARD_ROUTE_PREFIX") or generation.default_prefix,
        )  # fmt: skip
    prefix = record.route_prefix or environment.get("DEVSHARD_ROUTE_PREFIX")
    return generation.tags(prefix or generation.default_prefix)


def version_of(runtime: Runtime, record: Record | None, generation: Generation) -> str:
    """What a view tells of the session's version; only the real one can be relied on."""
    if generation.real_version:
        return runtime.session.tags.bind
    rotated = record is not None and record.rotation_role != ""
    return generation.protocol_number if runtime.reloaded or rotated else "1"


def runtime_json(
    runtime: Runtime, version: tuple[str, str], chain: dict[str, t.Any]
) -> dict[str, t.Any]:
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
    result[version[0]] = version[1]
    result["active_requests"] = runtime.active_requests
    result["reserved_tokens"] = runtime.reserved_tokens
    return {**result, **chain}


def unloaded_session(
    record: Record, environment: Environment, http: aiohttp.ClientSession, clock: Clock
) -> DevSession:
    """A session as its files tell it: nobody is asked and nothing is written."""
    stored, diffs = read_session(Path(record.storage_path), record.id)
    escrow = ChainEscrow(
        id=int(record.id),
        creator=stored.creator,
        amount=stored.balance + stored.config["create_devshard_fee"],
        slots=stored.slots,
        epoch_index=stored.epoch,
        token_price=stored.config["token_price"],
        config=stored.config,
        host_urls=dict.fromkeys(stored.slots, ""),
    )
    key = signing_key(key_text(environment, record).removeprefix("0x"))
    tags = replace(tags_of(record, environment), bind=stored.version)
    session = DevSession(escrow, key, None, http, "", tags, clock)
    session.replay(diffs)
    return session
