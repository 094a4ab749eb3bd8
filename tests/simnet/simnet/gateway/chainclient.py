# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain as the gateway asks it: REST queries and transactions."""

from __future__ import annotations

import abc
import asyncio
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from simnet import crypto, txs
from simnet.gateway.clock import Clock
from simnet.gateway.environment import TxOptions
from simnet.timestamps import NANOS, Timestamp

_INFERENCE = "/productscience/inference/inference"
Result = t.TypeVar("Result")
_LIFETIME_NS = 9 * 60 * NANOS


class ChainError(Exception):
    """The chain did not answer, or not with what was asked for."""


class TxFailedError(ChainError):
    """The transaction is in a block and did nothing."""


class EscrowNotFoundError(ChainError):
    """The chain says that it does not have the escrow."""


@dataclass(frozen=True, slots=True)
class ChainEscrow:
    """An escrow with the parameters that a session needs of the chain."""

    id: int
    creator: str
    amount: int
    slots: tuple[str, ...]
    epoch_index: int
    token_price: int
    config: dict[str, int]
    host_urls: dict[str, str]
    settled: bool = False


def _go_error(error: Exception, method: str, url: str) -> str:
    """The text that Go's HTTP client has for it."""
    if isinstance(error, asyncio.TimeoutError):
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    elif isinstance(error, aiohttp.ClientConnectorError):
        why = f"dial tcp {error.host}:{error.port}: connect: connection refused"
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        why = "EOF"
    else:
        why = str(error) or type(error).__name__
    return f'{method.title()} "{url}": {why}'


def find(data: t.Any, name: str) -> t.Any:
    """The first field of that name at any depth."""
    if isinstance(data, dict):
        if name in data:
            return data[name]
        data = list(data.values())
    if isinstance(data, list):
        for entry in data:
            found = find(entry, name)
            if found is not None:
                return found
    return None


class ChainClient(abc.ABC):
    """What the gateway needs of a chain, whatever it is asked by."""

    def __init__(self, clock: Clock, fixed: Mapping[str, int] | None) -> None:
        """``fixed``: what a session takes instead of the chain's words."""
        self._clock = clock
        self._fixed = fixed or {}

    # --- what ways differ in -----------------------------------------------------

    @property
    @abc.abstractmethod
    def base(self) -> str:
        """Its address, as errors name it."""

    @abc.abstractmethod
    async def escrow_row(self, escrow_id: str) -> dict[str, t.Any]: ...

    @abc.abstractmethod
    async def _params(self) -> dict[str, t.Any]: ...

    @abc.abstractmethod
    async def _host_url(self, address: str) -> str: ...

    @abc.abstractmethod
    async def _chain_id(self) -> str: ...

    @abc.abstractmethod
    async def _account_number(self, address: str) -> int: ...

    @abc.abstractmethod
    async def _send(self, raw: bytes) -> dict[str, t.Any]:
        """The answer to a broadcast."""

    @abc.abstractmethod
    async def _tx(self, digest: str) -> dict[str, t.Any] | None:
        """The answer about a transaction; nothing while it is in no block."""

    # --- queries ---------------------------------------------------------------

    async def load_escrow(self, escrow_id: str) -> ChainEscrow:
        """What building a runtime asks: escrow, params, one participant per host."""
        row = await self.escrow_row(escrow_id)
        params = (await self._params()).get("devshard_escrow_params")
        if not params:
            raise ChainError("devshard_escrow_params not found")
        slots = tuple(str(entry) for entry in row["slots"])
        urls = {}
        for address in dict.fromkeys(slots):
            urls[address] = (await self._host_url(address)).rstrip("/")
        config = {
            "refusal_timeout": int(params["refusal_timeout"]),
            "execution_timeout": int(params["execution_timeout"]),
            "token_price": int(row["token_price"]),
            "create_devshard_fee": int(row["create_devshard_fee"]),
            "fee_per_nonce": int(row["fee_per_nonce"]),
            "vote_threshold": len(slots) * int(params["vote_threshold_factor"]) // 100,
            "validation_rate": int(params["validation_rate"]),
            "inference_seal_grace_nonces": int(row["inference_seal_grace_nonces"]),
            "inference_seal_grace_seconds": int(row["inference_seal_grace_seconds"]),
            "auto_seal_every_n_nonces": int(row["auto_seal_every_n_nonces"]),
        }
        for name, value in self._fixed.items():
            # The escrow's own word goes before the gateway's, where it has one.
            config[name] = int(row.get(name) or 0) or value
        return ChainEscrow(
            id=int(row["id"]),
            creator=str(row["creator"]),
            amount=int(row["amount"]),
            slots=slots,
            epoch_index=int(row["epoch_index"]),
            token_price=int(row["token_price"]),
            config=config,
            host_urls=urls,
            settled=bool(row.get("settled", False)),
        )

    # --- transactions ----------------------------------------------------------

    async def sign(self, message: txs.Message, key: crypto.PrivateKey, options: TxOptions) -> bytes:
        """An unordered transaction, valid for nine minutes."""
        chain_id = options.chain_id or await self._chain_id()
        number = await self._account_number(key.address)
        timeout = Timestamp.from_ns(_STAMPS.next() + _LIFETIME_NS)
        tx = txs.sign_tx(
            txs.TxBody((message,), unordered=True, timeout_timestamp=timeout),
            key,
            chain_id=chain_id,
            account_number=number,
            fee=(txs.Coin(options.fee_denom, options.fee_amount),),
            gas_limit=options.gas_limit,
        )
        return tx.encode()

    async def broadcast(self, raw: bytes) -> str:
        """Send it; the answer is about the mempool only. Returns the hash."""
        answer = await self._send(raw)
        if answer.get("code", 0) != 0:
            raise ChainError(
                f"broadcast tx failed code={answer['code']} "
                f"codespace={answer.get('codespace', '')} raw_log={answer.get('raw_log', '')}"
            )
        return str(answer["txhash"])

    async def escrow_of_tx(self, digest: str) -> int | None:
        """The escrow that a transaction made; nothing while it is in no block."""
        answer = await self._tx(digest)
        return None if answer is None else _escrow_of(_landed(digest, answer))

    async def created_escrow(
        self, digest: str, others: Sequence[ChainClient], options: TxOptions
    ) -> int:
        """Poll until the transaction tells its escrow, here and at the other places."""

        def created(answer: dict[str, t.Any]) -> int:
            found = _escrow_of(answer)
            if found is None:
                raise ChainError("no devshard_escrow_created event")
            return found

        return await self._poll(digest, others, options, created)

    async def included(self, digest: str, options: TxOptions) -> None:
        """Poll until the transaction is in a block, and did what it should."""
        await self._poll(digest, (), options, lambda answer: None)

    async def _poll(
        self,
        digest: str,
        others: Sequence[ChainClient],
        options: TxOptions,
        read: Callable[[dict[str, t.Any]], Result],
    ) -> Result:
        deadline = self._clock.now() + options.poll_timeout
        last = "not found"
        while True:
            for client in (self, *others):
                try:
                    answer = await client._tx(digest)
                    if answer is None:
                        raise ChainError(f"tx not found: {digest}")
                    return read(_landed(digest, answer))
                except TxFailedError:
                    raise
                except ChainError as error:
                    last = f"{client.base}: {error}"
            if self._clock.now() >= deadline:
                raise ChainError(f"wait for tx {digest}: {last}")
            await self._clock.sleep(options.poll_seconds)


class RestChain(ChainClient):
    """One base URL of a chain's REST API."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        timeout: float,
        clock: Clock,
        fixed: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(clock, fixed)
        self._base = base.rstrip("/")
        self._session = session
        self._timeout = timeout

    @property
    def base(self) -> str:
        return self._base

    async def _ask(self, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        method, url = ("GET" if body is None else "POST"), self.base + path
        try:
            return await self._clock.within(self._timeout, self._request(method, path, body))
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise ChainError(_go_error(error, method, url)) from error
        except ValueError as error:
            raise ChainError(f"{method} {path}: decode: {error}") from error

    async def _request(self, method: str, path: str, body: t.Any) -> tuple[int, t.Any]:
        async with self._session.request(
            method, self.base + path, json=body, allow_redirects=True
        ) as response:
            raw = await response.read()
            if response.status == 404:
                return 404, raw.decode(errors="replace")
            if response.status != 200:
                text = raw.decode(errors="replace")
                raise ChainError(f"{method} {path} status {response.status}: {text}")
            return 200, await response.json(content_type=None)

    async def _get(self, path: str) -> t.Any:
        status, data = await self._ask(path)
        if status == 404:
            raise ChainError(f"GET {path} status 404: {data}")
        return data

    async def escrow_row(self, escrow_id: str) -> dict[str, t.Any]:
        status, data = await self._ask(f"{_INFERENCE}/devshard_escrow/{escrow_id}")
        if status == 404 or not isinstance(data, dict) or not data.get("found"):
            raise EscrowNotFoundError("escrow not found")
        row: dict[str, t.Any] = data["escrow"]
        return row

    async def load_escrow(self, escrow_id: str) -> ChainEscrow:
        # As the real one, which looks twice.
        await self.escrow_row(escrow_id)
        return await super().load_escrow(escrow_id)

    async def _params(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = (await self._get(f"{_INFERENCE}/params")).get("params", {})
        return found

    async def _host_url(self, address: str) -> str:
        answer = await self._get(f"{_INFERENCE}/participant/{address}")
        return str(answer["participant"]["inference_url"])

    async def _chain_id(self) -> str:
        try:
            found = find(await self._get("/cosmos/base/tendermint/v1beta1/node_info"), "network")
        except ChainError as error:
            raise ChainError(f"fetch chain id: {error}") from error
        if not isinstance(found, str):
            raise ChainError("fetch chain id: no network in node_info")
        return found

    async def _account_number(self, address: str) -> int:
        try:
            data = await self._get(f"/cosmos/auth/v1beta1/accounts/{address}")
        except ChainError as error:
            raise ChainError(f"fetch account {address}: {error}") from error
        found = find(data, "account_number")
        if found is None or find(data, "sequence") is None:
            raise ChainError(f"fetch account {address}: no account_number in the answer")
        return int(found)

    async def _send(self, raw: bytes) -> dict[str, t.Any]:
        body = {"tx_bytes": txs.b64(raw), "mode": "BROADCAST_MODE_SYNC"}
        try:
            status, data = await self._ask("/cosmos/tx/v1beta1/txs", body)
        except ChainError as error:
            raise ChainError(f"broadcast tx: {error}") from error
        answer = data.get("tx_response") if isinstance(data, dict) else None
        if status != 200 or not isinstance(answer, dict):
            raise ChainError(f"broadcast tx: POST /cosmos/tx/v1beta1/txs status {status}: {data}")
        return answer

    async def _tx(self, digest: str) -> dict[str, t.Any] | None:
        path = f"/cosmos/tx/v1beta1/txs/{digest}"
        status, data = await self._ask(path)
        if status == 404:
            return None
        return ((data or {}).get("tx_response") or {}) if isinstance(data, dict) else {}


def _landed(digest: str, answer: dict[str, t.Any]) -> dict[str, t.Any]:
    if answer.get("code", 0) != 0:
        raise TxFailedError(
            f"tx {digest} failed code={answer['code']} "
            f"codespace={answer.get('codespace', '')} raw_log={answer.get('raw_log', '')}"
        )
    return answer


def _escrow_of(answer: dict[str, t.Any]) -> int | None:
    events = list(answer.get("events") or [])
    for entry in answer.get("logs") or []:
        events += entry.get("events") or []
    for entry in events:
        if entry.get("type") == "devshard_escrow_created":
            for attribute in entry.get("attributes", []):
                if attribute.get("key") == "escrow_id":
                    return int(str(attribute["value"]).strip('"'))
    return None


class _Stamps:
    """The time, never the same twice: the chain refuses a second use of a timeout."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last = max(time.time_ns(), self._last + 1)
        return self._last


_STAMPS = _Stamps()
