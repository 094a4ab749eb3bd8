# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""For tests: a chain in memory whose clock only the test moves, and a session's writer."""

from __future__ import annotations

from typing import Any

from simnet import crypto, session, txs
from simnet.bank import DENOM
from simnet.chain import Broadcast, Chain
from simnet.hosts import Diff, Hosts
from simnet.network import DEFAULT_MODELS, NetworkConfig
from simnet.store import Store
from simnet.timestamps import NANOS, Timestamp

MODEL = DEFAULT_MODELS[0]
AMOUNT = 5_000_000_000
FEE = 1_000_000
START = 1_800_000_000 * NANOS


class Clock:
    def __init__(self) -> None:
        self.ns = START

    def __call__(self) -> int:
        return self.ns

    def pass_seconds(self, seconds: float) -> None:
        self.ns += int(seconds * NANOS)


class World:
    """A chain, its hosts and a creator who knows how to sign."""

    def __init__(self, config: NetworkConfig | None = None, balance: int = 100 * AMOUNT) -> None:
        self.clock = Clock()
        self.creator = crypto.PrivateKey.from_seed("creator")
        self.config = config or NetworkConfig()
        self.config.balances = {self.creator.address: balance}
        self.chain = Chain(Store(), self.config, self.clock)
        self.hosts = Hosts(self.chain)
        self._stamp = 0

    def block(self, seconds: float = 1) -> None:
        self.clock.pass_seconds(seconds)
        self.chain.produce_block()

    def sign(
        self,
        message: txs.Message,
        *,
        key: crypto.PrivateKey | None = None,
        lifetime: float = 120,
        timeout: Timestamp | None = None,
        gas: int = 500_000,
        fee: int = FEE,
        chain_id: str | None = None,
        account_number: int | None = None,
        sequence: int = 0,
        unordered: bool = True,
    ) -> bytes:
        key = key or self.creator
        self._stamp += 1
        account = self.chain.bank.account(key.address)
        number = (
            account_number if account_number is not None else (account.number if account else 0)
        )
        if timeout is None and unordered:
            timeout = Timestamp.from_ns(self.clock.ns + int(lifetime * NANOS) + self._stamp)
        tx = txs.sign_tx(
            txs.TxBody((message,), unordered=unordered, timeout_timestamp=timeout),
            key,
            chain_id=chain_id or self.config.chain_id,
            account_number=number,
            fee=(txs.Coin(DENOM, fee),) if fee else (),
            gas_limit=gas,
            sequence=sequence,
        )
        return tx.encode()

    def create_message(self, amount: int = AMOUNT, model: str = MODEL) -> txs.MsgCreate:
        return txs.MsgCreate(self.creator.address, amount, model)

    def create(self) -> int:
        """Create an escrow and return its id."""
        answer = self.chain.broadcast(self.sign(self.create_message()))
        assert answer.code == 0, answer
        self.block()
        record = self.chain.tx(answer.hash)
        assert record is not None
        assert record.code == 0, record.raw_log
        return int(self.chain.escrows.all()[-1]["id"])

    def deliver(self, message: txs.Message, **options: Any) -> tuple[int, str, str]:
        """Broadcast, add a block and return code, codespace and log of the block."""
        answer = self.chain.broadcast(self.sign(message, **options))
        assert answer.code == 0, answer
        self.block()
        record = self.chain.tx(answer.hash)
        assert record is not None
        return record.code, record.codespace, record.raw_log

    def broadcast(self, **options: Any) -> Broadcast:
        return self.chain.broadcast(self.sign(self.create_message(), **options))


class Session:
    """A gateway's side of one escrow, reduced to what hosts and chain look at."""

    def __init__(self, world: World, escrow_id: int, process: str = "process-1") -> None:
        self.world = world
        self.escrow_id = escrow_id
        self.process = process
        escrow = world.chain.escrows.get(escrow_id)
        assert escrow is not None
        self.slots: list[str] = escrow["slots"]
        self.group = [host for host in world.chain.hosts if host.address in self.slots]
        self.diffs: list[Diff] = []
        self.stats = [txs.HostStats(slot) for slot in range(len(self.slots))]
        self.fees = 10_000

    @property
    def root(self) -> bytes:
        return self.diffs[-1].root if self.diffs else b""

    @property
    def nonce(self) -> int:
        return len(self.diffs)

    def rest_hash(self, content: bytes) -> bytes:
        return crypto.sha256(self.root + content)

    def write(self, content: bytes, phase: int = session.PHASE_ACTIVE) -> Diff:
        nonce = self.nonce + 1
        body = session.diff_txs(nonce, content)
        root = session.state_root(self.stats, self.fees, self.rest_hash(content), "v2", phase)
        signed = session.diff_message(self.escrow_id, body, root)
        diff = Diff(nonce, body, self.world.creator.sign_recoverable(signed), root, self.root)
        self.diffs.append(diff)
        return diff

    def send(self, host_number: int = 0) -> dict[str, Any]:
        host = self.group[host_number]
        return self.world.hosts.append(host, str(self.escrow_id), self.process, self.diffs)

    def settlement(self, *, hosts: int | None = None) -> txs.MsgSettle:
        """Finalize, collect signatures and build the settlement."""
        rest = self.rest_hash(b"final")
        self.write(b"final", session.PHASE_SETTLEMENT)
        signatures = []
        for number, host in enumerate(self.group[:hosts]):
            self.send(number)
            answer = self.world.hosts.sign(
                host, str(self.escrow_id), self.process, self.nonce, self.root
            )
            signatures += [txs.SlotSignature.from_json(entry) for entry in answer["signatures"]]
        return txs.MsgSettle(
            self.world.creator.address,
            self.escrow_id,
            self.root,
            self.nonce,
            rest,
            tuple(self.stats),
            tuple(signatures),
            self.fees,
            "v2",
        )
