# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The session of one escrow: its state, its diffs, and what the hosts know of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import typing as t
from dataclasses import dataclass, field

import aiohttp

from simnet import crypto, session, txs
from simnet.gateway.chainclient import ChainEscrow
from simnet.gateway.clock import Clock
from simnet.gateway.generation import Tags
from simnet.gateway.points import Points
from simnet.gateway.sessiondb import BrokenStateError, SessionDb, SessionError, StoredDiff

LOG = logging.getLogger("devshardctl")
PHASES = {
    session.PHASE_ACTIVE: "active",
    session.PHASE_FINALIZING: "finalizing",
    session.PHASE_SETTLEMENT: "settlement",
}
_RETRIES = 3
_BATCH = 2_000
# One request of so many.
_VALIDATED = 4

Op = dict[str, t.Any]


class InsufficientBalanceError(Exception):
    """The escrow cannot pay this request."""


class HostStateError(Exception):
    """A host holds another state than we do: the session was forked or rolled back."""


class HostUnavailableError(Exception):
    """A host did not answer, or refused what we sent."""


class FinalizeError(Exception):
    """Finalizing did not get to a quorum."""


@dataclass(slots=True)
class Inference:
    id: int
    slot: int
    model: str
    input_length: int
    max_tokens: int
    reserved: int
    prompt_hash: str
    started_at: int
    status: str = "pending"
    cost: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    response_hash: str = ""

    @property
    def validated_by(self) -> list[int] | None:
        """Some requests are looked at by other hosts; who did so is listed, else there is no list."""
        validated = self.status == "finished" and self.id % _VALIDATED == 0
        return [self.slot + 1] if validated else None

    def to_json(self) -> dict[str, t.Any]:
        return {
            "actual_cost": self.cost,
            "confirmed_at": 0,
            "executor_slot": self.slot,
            "input_length": self.input_length,
            "input_tokens": self.input_tokens,
            "max_tokens": self.max_tokens,
            "model": self.model,
            "output_tokens": self.output_tokens,
            "prompt_hash": self.prompt_hash,
            "reserved_cost": self.reserved,
            "response_hash": self.response_hash,
            "started_at": self.started_at,
            "status": self.status,
            "validated_by": self.validated_by,
            "votes_invalid": 0,
            "votes_valid": 0,
        }


@dataclass(slots=True)
class State:
    """What the diffs amount to."""

    slots: int
    version: str
    balance: int
    fees: int
    fee_per_nonce: int
    phase: int = session.PHASE_ACTIVE
    nonce: int = 0
    finalize_nonce: int = 0
    root: bytes = b""
    rest_hash: bytes = b""
    costs: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    inferences: dict[int, Inference] = field(default_factory=dict)

    def host_stats(self) -> list[txs.HostStats]:
        return [
            txs.HostStats(slot, missed=self.missed[slot], cost=self.costs[slot])
            for slot in range(self.slots)
        ]

    def apply(self, payload: bytes) -> None:
        """Go on by one diff; nothing changes when it cannot be paid."""
        ops = _decode(payload)
        finalizing = any(op["t"] == "finalize" for op in ops)
        charged = self.phase == session.PHASE_ACTIVE and not finalizing
        reserve = sum(op["reserved"] for op in ops if op["t"] == "start")
        fee = self.fee_per_nonce if charged else 0
        if charged and self.balance + self.refunds(ops) < reserve + fee:
            raise InsufficientBalanceError(
                "local apply: mandatory start inference: insufficient escrow balance"
            )
        nonce = self.nonce + 1
        self.balance -= fee
        self.fees += fee
        for op in ops:
            self._apply_op(op, nonce)
        self.nonce = nonce
        if self.phase == session.PHASE_FINALIZING and nonce - self.finalize_nonce >= self.slots:
            self.phase = session.PHASE_SETTLEMENT
        body = session.diff_txs(nonce, payload)
        self.rest_hash = hashlib.sha256(self.root + body).digest()
        self.root = session.state_root(
            self.host_stats(), self.fees, self.rest_hash, self.version, self.phase
        )

    def _pending(self, op: Op) -> Inference | None:
        inference = self.inferences.get(op["id"]) if op["t"] in ("finish", "timeout") else None
        return inference if inference and inference.status == "pending" else None

    def refunds(self, ops: list[Op]) -> int:
        found = ((self._pending(op), op) for op in ops)
        return sum(max(0, each.reserved - op.get("cost", 0)) for each, op in found if each)

    def _apply_op(self, op: Op, nonce: int) -> None:
        kind = op["t"]
        if kind == "start":
            self.balance -= op["reserved"]
            self.inferences[nonce] = Inference(
                nonce,
                op["slot"],
                op["model"],
                op["length"],
                op["max"],
                op["reserved"],
                op["hash"],
                op["at"],
            )
        elif kind in ("finish", "timeout"):
            inference = self._pending(op)
            if inference is None:
                return
            cost = min(op.get("cost", 0), inference.reserved)
            self.balance += inference.reserved - cost
            inference.cost = cost
            if kind == "timeout":
                inference.status = "timed_out"
                self.missed[inference.slot] += 1
                return
            inference.status = "finished"
            inference.input_tokens, inference.output_tokens = op["in"], op["out"]
            inference.response_hash = op["hash"]
            self.costs[inference.slot] += cost
        elif kind == "finalize":
            self.phase = session.PHASE_FINALIZING
            self.finalize_nonce = nonce


def _shown(stats: dict[str, t.Any], all_stats: bool) -> dict[str, t.Any]:
    counters = ("required_validations", "completed_validations")
    return {key: value for key, value in stats.items() if all_stats or value or key not in counters}


def _encode(ops: list[Op]) -> bytes:
    return txs.field_bytes(2, json.dumps(ops, separators=(",", ":")))


def _decode(payload: bytes) -> list[Op]:
    try:
        for number, value in txs.fields_of(payload):
            if number == 2 and isinstance(value, bytes):
                ops: list[Op] = json.loads(value)
                return ops
    except (txs.TxDecodeError, ValueError) as error:
        raise SessionError(f"decode diff: {error}") from error
    return []


@dataclass(slots=True)
class HostLink:
    """One distinct host of the group."""

    address: str
    url: str
    slots: tuple[int, ...]
    acked: int = -1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class DevSession:
    def __init__(
        self,
        escrow: ChainEscrow,
        key: crypto.PrivateKey,
        db: SessionDb | None,
        http: aiohttp.ClientSession,
        process_id: str,
        tags: Tags,
        clock: Clock,
    ) -> None:
        self.escrow = escrow
        self.tags = tags
        self.key = key
        self.signatures: dict[int, bytes] = {}
        self.signed_nonce = 0
        self.pending: list[Op] = []
        self.client_gone = False
        self._db = db
        self._http = http
        self._process_id = process_id
        self._clock = clock
        self._broken: str | None = None
        self._diffs: list[StoredDiff] = []
        self._roots: list[bytes] = [b""]
        slots = len(escrow.slots)
        fee = escrow.config["create_devshard_fee"]
        self.state = State(
            slots=slots,
            version=tags.state,
            balance=escrow.amount - fee,
            fees=fee,
            fee_per_nonce=escrow.config["fee_per_nonce"],
            costs=[0] * slots,
            missed=[0] * slots,
        )
        base = f"{tags.prefix}/sessions/{escrow.id}"
        self.links = {
            address: HostLink(
                address,
                escrow.host_urls[address] + base,
                tuple(slot for slot, owner in enumerate(escrow.slots) if owner == address),
            )
            for address in dict.fromkeys(escrow.slots)
        }

    # --- local state -----------------------------------------------------------

    @property
    def nonce(self) -> int:
        return self.state.nonce

    @property
    def phase(self) -> str:
        return PHASES[self.state.phase]

    @property
    def refunds(self) -> int:
        """What the next diff gives back."""
        return self.state.refunds(self.pending)

    @property
    def signed(self) -> bool:
        """Signatures for a quorum over the current state are in memory."""
        return self.signed_nonce == self.nonce and len(self.signatures) >= self.quorum

    @property
    def quorum(self) -> int:
        return session.quorum(self.state.slots)

    def load(self) -> None:
        """Replay what is stored and compare every state root."""
        if self._db is None:
            raise SessionError("the session is only read")
        self.replay(
            self._db.open_session(
                self.tags.bind,
                self.key.address,
                self.escrow.config,
                self.escrow.slots,
                self.state.balance,
            )
        )

    def replay(self, diffs: list[StoredDiff]) -> None:
        for diff in diffs:
            mismatch = BrokenStateError(f"state root mismatch at nonce {diff.nonce}")
            try:
                self.state.apply(diff.payload)
            except (InsufficientBalanceError, SessionError, KeyError, TypeError) as error:
                raise mismatch from error
            if self.state.root != diff.root:
                raise mismatch
            self._remember(diff)

    def _remember(self, diff: StoredDiff) -> None:
        self._diffs.append(diff)
        self._roots.append(diff.root)

    def append(self, ops: list[Op]) -> int:
        """Write one diff, what is pending included; returns its nonce."""
        if self._db is None or self._broken is not None:
            raise SessionError(self._broken or "the session is only read")
        payload = _encode([*self.pending, *ops])
        self.state.apply(payload)
        self.pending = []
        body = session.diff_txs(self.nonce, payload)
        message = session.diff_message(self.escrow.id, body, self.state.root)
        signature = self.key.sign_recoverable(message)
        diff = StoredDiff(self.nonce, payload, signature, self.state.root)
        self._remember(diff)
        try:
            self._db.append(diff)
        except SessionError as error:
            # Memory is ahead of the file now, as in the real gateway: nothing works any more.
            self._broken = str(error)
            raise
        return self.nonce

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    # --- hosts -----------------------------------------------------------------

    def link_of(self, slot: int) -> HostLink:
        return self.links[self.escrow.slots[slot]]

    async def _post(
        self, link: HostLink, what: str, body: dict[str, t.Any], timeout: float
    ) -> tuple[int, dict[str, t.Any]]:
        if self.client_gone:
            raise HostUnavailableError(f"{link.address}: context canceled")
        request = {"process_id": self._process_id, **body}
        try:
            status, data = await self._clock.within(
                timeout, self._exchange(f"{link.url}/{what}", request)
            )
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
            raise HostUnavailableError(
                f"{link.address}: {str(error) or type(error).__name__}"
            ) from error
        if not isinstance(data, dict):
            raise HostUnavailableError(f"{link.address}: status {status}, not an object")
        return status, data

    async def _exchange(self, url: str, body: dict[str, t.Any]) -> tuple[int, t.Any]:
        async with self._http.post(url, json=body) as response:
            return response.status, await response.json(content_type=None)

    async def _post_diffs(
        self, link: HostLink, first: int, last: int, timeout: float
    ) -> tuple[int, bytes]:
        """Send diffs ``first`` to ``last``; returns the host's newest nonce and its root."""
        diffs = []
        for nonce in range(first, last + 1):
            diff = self._diffs[nonce - 1]
            diffs.append(
                {
                    "nonce": nonce,
                    "txs": txs.b64(session.diff_txs(nonce, diff.payload)),
                    "user_sig": txs.b64(diff.user_sig),
                    "post_state_root": txs.b64(diff.root),
                    "parent_state_root": txs.b64(self._roots[nonce - 1]),
                }
            )
        status, answer = await self._post(link, "diffs", {"diffs": diffs}, timeout)
        if status != 200:
            raise HostUnavailableError(f"{link.address}: status {status}: {answer.get('error')}")
        try:
            return int(answer["nonce"]), txs.unb64(answer["state_hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise HostUnavailableError(f"{link.address}: not a diff answer: {error}") from error

    async def sync(self, link: HostLink, timeout: float) -> None:
        """Give a host everything it lacks and compare its state with ours."""
        async with link.lock:
            target = self.nonce
            if link.acked < 0 and target > 0:
                # Who knows what this host has seen: ask before sending thousands of diffs.
                newest, root = await self._post_diffs(link, 1, 0, timeout)
                if newest > target or (newest and root != self._roots[newest]):
                    # Let it see what we think, so that it can tell what it thinks of it.
                    first = min(newest, target)
                    newest, root = await self._post_diffs(link, first, target, timeout)
                    self._judge(link, newest, root, target)
                link.acked = newest
            while link.acked < target:
                last = min(target, link.acked + _BATCH)
                newest, root = await self._post_diffs(link, link.acked + 1, last, timeout)
                if newest < last and newest < link.acked and root == self._roots[newest]:
                    # It lost something: begin again from what it has.
                    link.acked = newest
                    continue
                self._judge(link, newest, root, last)
                link.acked = last

    async def show_fork(self, timeout: float) -> bool:
        """A diff that could not be stored: let a host see it that knows another one there.

        Never sent to a host that would take it: the other author's diff is the one on disk.
        """
        for link in self.links.values():
            try:
                newest, _unused = await self._post_diffs(link, 1, 0, timeout)
                if newest >= self.nonce:
                    await self._post_diffs(link, self.nonce, self.nonce, timeout)
                    return True
            except HostUnavailableError as error:
                LOG.info("escrow=%d %s", self.escrow.id, error)
        return False

    def _judge(self, link: HostLink, newest: int, root: bytes, sent: int) -> None:
        slot = link.slots[0]
        if newest == sent and root == self._roots[sent]:
            return
        if newest >= sent:
            raise HostStateError(
                f"host state hash does not match local state: host {slot} at nonce {sent} "
                f"(local {self._roots[sent].hex()}, host {root.hex()})"
            )
        raise HostUnavailableError(f"{link.address}: refused the diffs after nonce {newest}")

    async def _sign(self, link: HostLink, timeout: float) -> dict[int, bytes]:
        await self.sync(link, timeout)
        body = {"nonce": self.nonce, "state_root": txs.b64(self.state.root)}
        status, answer = await self._post(link, "signatures", body, timeout)
        if status != 200:
            raise HostUnavailableError(f"{link.address}: {answer.get('error')}")
        return {
            int(entry["slot_id"]): txs.unb64(entry["signature"])
            for entry in answer.get("signatures", [])
        }

    async def collect(self, timeout: float) -> int:
        """Ask all hosts for signatures over the current state; returns their slots."""
        if self.signed_nonce != self.nonce:
            self.signatures, self.signed_nonce = {}, self.nonce
        lacking = [
            link
            for link in self.links.values()
            if any(slot not in self.signatures for slot in link.slots)
        ]
        answers = await asyncio.gather(
            *(self._sign(link, timeout) for link in lacking), return_exceptions=True
        )
        for link, answer in zip(lacking, answers, strict=True):
            if isinstance(answer, dict):
                self.signatures.update(answer)
            elif isinstance(answer, (HostStateError, HostUnavailableError)):
                LOG.info("escrow=%d signature_fetch_failed: %s", self.escrow.id, answer)
            else:
                raise answer
        return len(self.signatures)

    def weight_at(self, nonce: int) -> int:
        """Slots that agreed to the state at a nonce."""
        if nonce == self.signed_nonce and self.signatures:
            return len(self.signatures)
        return sum(len(link.slots) for link in self.links.values() if link.acked >= nonce)

    # --- finalizing ------------------------------------------------------------

    async def finalize(self, points: Points, host_timeout: float, retry_seconds: float) -> None:
        """To phase settlement and a quorum of signatures, whatever is missing of it."""
        if self.state.phase == session.PHASE_FINALIZING:
            raise FinalizeError(
                f"finalize already in progress (phase=finalizing, nonce={self.nonce})"
            )
        if self.state.phase == session.PHASE_ACTIVE:
            await self._rounds(points, host_timeout)
        await points.reach("finalize.before_signatures")
        await self._quorum(host_timeout, retry_seconds)

    async def _rounds(self, points: Points, host_timeout: float) -> None:
        for number in range(self.state.slots + 1):
            await points.reach("finalize.round")
            nonce = self.append([{"t": "finalize"} if number == 0 else {"t": "round"}])
            link = self.link_of(nonce % self.state.slots)
            try:
                await self.sync(link, host_timeout)
            except HostStateError as error:
                raise FinalizeError(str(error)) from error
            except HostUnavailableError as error:
                LOG.info("escrow=%d finalize round %d: %s", self.escrow.id, number, error)

    async def _quorum(self, host_timeout: float, retry_seconds: float) -> None:
        if self.signed:
            return
        weight = 0
        for attempt in range(_RETRIES + 1):
            weight = await self.collect(host_timeout)
            if weight >= self.quorum:
                return
            if attempt < _RETRIES:
                await self._clock.sleep(retry_seconds * 2**attempt)
        raise FinalizeError(f"insufficient signatures: {weight}/{self.quorum} weight")

    def settlement(self, settler: str) -> txs.MsgSettle:
        """The settlement with the signatures that are in memory, few as they may be."""
        signatures = self.signatures if self.signed_nonce == self.nonce else {}
        return txs.MsgSettle(
            settler=settler,
            escrow_id=self.escrow.id,
            state_root=self.state.root,
            nonce=self.nonce,
            rest_hash=self.state.rest_hash,
            host_stats=tuple(self.state.host_stats()),
            signatures=tuple(
                txs.SlotSignature(slot, signature) for slot, signature in signatures.items()
            ),
            fees=self.state.fees,
            version=self.tags.state,
        )

    def settlement_json(self, *, all_stats: bool = True) -> dict[str, t.Any]:
        """``all_stats``: counters of validations are printed also when they are zero."""
        message = self.settlement("")
        return {
            "escrow_id": str(message.escrow_id),
            "version": message.version,
            "state_root": txs.b64(message.state_root),
            "nonce": message.nonce,
            "fees": message.fees,
            "rest_hash": txs.b64(message.rest_hash),
            "host_stats": [
                _shown({**stats.to_json(), "cost": stats.cost}, all_stats)
                for stats in message.host_stats
            ],
            "signatures": [entry.to_json() for entry in message.signatures],
        }

    # --- views -----------------------------------------------------------------

    def status_json(self) -> dict[str, t.Any]:
        return {
            "escrow_id": str(self.escrow.id),
            "nonce": self.nonce,
            "phase": self.phase,
            "balance": self.state.balance,
        }
