# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Clients that stream chat completions back to back, and a record of each request.

Three kinds, as they exist in the field: ``reuse`` keeps its connection and sends the next request
on it at once (SDK pools, LLM proxies), ``close`` opens a connection per request, ``slow`` uploads
its body over many seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
import typing as t
import uuid
from dataclasses import asdict, dataclass

import aiohttp

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator

Kind = t.Literal["reuse", "close", "slow"]


@dataclass
class Exchange:
    """One request as its client saw it; times in seconds since the start of the run."""

    client: int
    kind: Kind
    begin: float
    first_byte: float | None = None
    end: float = 0.0
    status: int = 0
    slot: str = ""
    outcome: t.Literal["ok", "cut", "failed"] = "failed"
    error: str = ""

    def to_dict(self) -> dict[str, t.Any]:
        return asdict(self)


@dataclass(frozen=True)
class Target:
    """Where to, and what to ask for. ``stream_s`` is the shortest and longest reply in seconds."""

    url: str
    api_key: str
    model: str
    stream_s: tuple[float, float]
    chunks_per_second: float = 2.0
    upload_s: float = 20.0


class Load:
    """Runs clients until told to stop; each finishes its request first, so none is cut by us."""

    def __init__(self, target: Target, kinds: dict[Kind, int], seed: int = 1) -> None:
        self._target = target
        self._kinds = kinds
        self._random = random.Random(seed)
        self._stopping = asyncio.Event()
        self._number = itertools.count()
        # prompts must be unique: answers to the same one are cached for an hour
        self._run = uuid.uuid4().hex
        self._zero = time.monotonic()
        self.exchanges: list[Exchange] = []

    def now(self) -> float:
        return time.monotonic() - self._zero

    async def run(self) -> None:
        clients = itertools.count()
        await asyncio.gather(
            *(
                self._client(next(clients), kind)
                for kind, count in self._kinds.items()
                for _unused in range(count)
            )
        )

    def stop(self) -> None:
        self._stopping.set()

    async def _client(self, number: int, kind: Kind) -> None:
        # spread the first requests, so that clients do not move in step
        await asyncio.sleep(self._random.uniform(0, 2))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        connector = aiohttp.TCPConnector(limit=1, force_close=kind == "close")
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while not self._stopping.is_set():
                exchange = Exchange(client=number, kind=kind, begin=self.now())
                self.exchanges.append(exchange)
                try:
                    await self._ask(session, exchange)
                except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as exc:
                    exchange.outcome = "cut" if exchange.first_byte is not None else "failed"
                    exchange.error = f"{type(exc).__name__}: {exc}"[:200]
                    # a client that was refused asks again soon, not at once
                    await asyncio.sleep(0.2)
                exchange.end = self.now()

    async def _ask(self, session: aiohttp.ClientSession, exchange: Exchange) -> None:
        seconds = self._random.uniform(*self._target.stream_s)
        chunks = max(2, round(seconds * self._target.chunks_per_second))
        # the simulated network reads how long to take from the prompt; a real one ignores it
        prompt = f"[sim seconds={seconds:.2f} chunks={chunks}] {self._run} {next(self._number)}"
        body = json.dumps(
            {
                "model": self._target.model,
                "stream": True,
                "max_tokens": chunks,
                "messages": [{"role": "user", "content": prompt}],
            }
        ).encode()
        headers = {
            "Authorization": f"Bearer {self._target.api_key}",
            "Content-Type": "application/json",
        }
        data: bytes | AsyncIterator[bytes] = body
        if exchange.kind == "slow":
            headers["Content-Length"] = str(len(body))
            data = self._trickle(body)
        async with session.post(
            f"{self._target.url}/v1/chat/completions", data=data, headers=headers
        ) as response:
            exchange.status = response.status
            exchange.slot = response.headers.get("X-Devshard-Slot", "")
            tail = b""
            async for chunk in response.content.iter_any():
                if exchange.first_byte is None:
                    exchange.first_byte = self.now()
                tail = (tail + chunk)[-64:]
        if response.status != 200:
            exchange.outcome = "failed"
            exchange.error = tail.decode(errors="replace")
            await asyncio.sleep(0.2)
        elif tail.rstrip().endswith(b"data: [DONE]"):
            exchange.outcome = "ok"
        else:
            exchange.outcome = "cut"
            exchange.error = "the stream ended without [DONE]"

    async def _trickle(self, body: bytes) -> AsyncIterator[bytes]:
        pieces = 10
        size = max(1, len(body) // pieces)
        for start in range(0, len(body), size):
            yield body[start : start + size]
            await asyncio.sleep(self._target.upload_s / pieces)
