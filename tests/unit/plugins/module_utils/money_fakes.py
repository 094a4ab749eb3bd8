# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A chain, a gateway and a signer in memory, with a clock that moves only when somebody waits.

They know the rules that money depends on: one deposit per hash, lifetimes on the chain's clock,
epochs, pruning. What they are told to forget, refuse or lose is in plain attributes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import FeeParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import (
    Account,
    BroadcastReply,
    ChainHead,
    CreatedEvent,
    Epoch,
    Escrow,
    EscrowParams,
    HostsNonce,
    SettledEvent,
    TxEvent,
    TxResult,
    Voices,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.node import judge_clock
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
    Release,
    UpgradePlan,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConflictError,
    NotFoundError,
    ProtocolError,
    TransportError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure_options import (
    EscrowOptions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Via
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import Limits
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ports import Ports
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import (
    CreateReply,
    Devshard,
    GatewayState,
    RotationStatus,
    Runtime,
    SessionStatus,
    SettleReply,
)

CREATOR = "gonka1creator"
MODEL = "some/model"
AMOUNT = 5_000_000_000
BLOCK = timedelta(seconds=5)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
EPOCH_BLOCKS = 1000
CREATE_FEE = 10_000


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Deposit:
    """An escrow as the chain has it now; what is asked for it gets as an ``Escrow``."""

    id: int
    amount: int = AMOUNT
    creator: str = CREATOR
    epoch_index: int = 5
    settled: bool = False
    model_id: str = MODEL
    slots: tuple[str, ...] = tuple(f"host{slot}" for slot in range(16))

    def seen(self) -> Escrow:
        return Escrow(
            id=self.id,
            creator=self.creator,
            amount=self.amount,
            slots=self.slots,
            epoch_index=self.epoch_index,
            settled=self.settled,
            model_id=self.model_id,
        )


@dataclass
class Inclusion:
    """A transaction in a block, with the event of this chain that it caused."""

    txhash: str = ""
    height: int = 0
    code: int = 0
    codespace: str = ""
    raw_log: str = ""
    gas: int = 0
    creator: str | None = None
    events: tuple[TxEvent, ...] = field(default=())
    created: CreatedEvent | None = None
    settled: SettledEvent | None = None

    def result(self) -> TxResult:
        return TxResult(
            txhash=self.txhash,
            height=self.height,
            code=self.code,
            codespace=self.codespace,
            raw_log=self.raw_log,
            gas_used=1,
            gas_wanted=self.gas,
            events=self.events,
        )


class FakeChain:
    def __init__(self) -> None:
        self.now = START
        self.height = 100
        self.epoch_index = 5
        self.epoch_start = 0
        self.money = 100 * AMOUNT
        self.vesting = 0
        """What of it cannot be spent yet."""
        self.escrows: dict[int, Deposit] = {}
        self.minted: list[int] = []
        self.forfeited: list[int] = []
        self.txs: dict[str, Inclusion] = {}
        self.pending: list[tuple[str, dict[str, t.Any]]] = []
        self.allowed: tuple[str, ...] = (CREATOR,)
        self.approved: tuple[str, ...] = ("v2",)
        self.approves_every = False
        self.release: Release | None = Release.parse("v0.2.13")
        self.plan: UpgradePlan | None = None
        self.fees: FeeParams | None = None
        """Those of a chain with groups; otherwise there is one price."""
        self.terms: dict[str, int] = {}
        self.max_nonce = 20_000
        self.gas_price = 0
        self.models = [MODEL]
        self.index_on = True
        self.first_block = 0
        """A node that began later knows no transaction of the blocks before."""
        self.delay = 0
        """Blocks for which nothing is included."""
        self.refuse: str | None = None
        """The raw log with which the next transaction is refused in the block."""
        self.lose: t.Literal["", "before", "after"] = ""
        """Whether the next broadcast is lost before or after the node has it."""
        self.check_tx: tuple[int, str] | None = None
        self.silent = False
        self.host_behind = timedelta()
        """By how much the host's clock is behind the chain's."""
        self.before_execution: Callable[[int], None] | None = None
        """What else happens in the block of the next settle, before it."""
        self.signed_by_gateways = 0

    # time

    def step(self, blocks: int = 1) -> None:
        for _unused in range(blocks):
            self.height += 1
            self.now += BLOCK
            if self.height - self.epoch_start >= EPOCH_BLOCKS:
                self._next_epoch()
            if self.delay > 0:
                self.delay -= 1
                continue
            for tx_hash, body in self.pending:
                if self.now <= body["ends"]:
                    self._include(tx_hash, body)
            self.pending.clear()

    def next_epoch(self) -> None:
        self.step(EPOCH_BLOCKS - (self.height - self.epoch_start))

    def _next_epoch(self) -> None:
        self.epoch_start = self.height
        self.epoch_index += 1
        for number, escrow in list(self.escrows.items()):
            if escrow.epoch_index + 2 <= self.epoch_index:
                if not escrow.settled:
                    self.forfeited.append(number)
                del self.escrows[number]

    def fresh_hash(self) -> str:
        self.signed_by_gateways += 1
        return hashlib.sha256(f"tx {self.signed_by_gateways}".encode()).hexdigest().upper()

    # what the clients ask

    def head(self) -> ChainHead:
        self._answer()
        return ChainHead(height=self.height, time=self.now, chain_id="fake", catching_up=False)

    def signing_head(self) -> ChainHead:
        head = self.head()
        host = self.now - self.host_behind
        if (fault := judge_clock(head.time, self.now, host)) is not None:
            raise UnknownStateError(fault.text)
        return head

    def epoch(self) -> Epoch:
        self._answer()
        end = self.epoch_start + EPOCH_BLOCKS
        return Epoch(
            confirmation_poc=False,
            index=self.epoch_index,
            height=self.height,
            phase="Inference",
            stages={"set_new_validators": self.epoch_start, "next_poc_start": end - 40},
            next_stages={"set_new_validators": end},
        )

    def effective_epoch(self) -> int | None:
        self._answer()
        return self.epoch_index

    def upgrade_plan(self) -> UpgradePlan | None:
        self._answer()
        return self.plan

    def block_seconds(self) -> float | None:
        return BLOCK.total_seconds()

    def escrow_params(self) -> EscrowParams:
        self._answer()
        return EscrowParams(
            max_escrows_per_epoch=100,
            create_devshard_fee=CREATE_FEE,
            fee_per_nonce=0,
            min_amount=50_000_000,
            max_amount=100_000_000_000,
            max_nonce=self.max_nonce,
            group_size=16,
            allowed_creator_addresses=self.allowed,
            approved=ApprovedVersions(names=self.approved, every=self.approves_every),
            fees=FeeParams(min_gas_price=self.gas_price) if self.fees is None else self.fees,
            terms=dict(self.terms),
        )

    def active_models(self) -> list[str]:
        return list(self.models)

    def balance(self, address: str) -> int:
        self._answer()
        return self.money if address == CREATOR else 0

    def spendable(self, address: str) -> int:
        return self.balance(address) - self.vesting

    def account(self, address: str) -> Account | None:
        return Account(address=address, account_number=7) if address == CREATOR else None

    def escrow(self, number: int) -> Escrow | None:
        self._answer()
        found = self.escrows.get(number)
        return None if found is None else found.seen()

    def tx(self, tx_hash: str) -> TxResult | None:
        self._answer()
        found = self.txs.get(tx_hash)
        return found.result() if found and found.height >= self.first_block else None

    def tx_indexer_on(self) -> bool:
        return self.index_on

    def begins_after(self, height: int) -> int | None:
        return self.first_block if height < self.first_block else None

    def created_by(self, creator: str) -> list[CreatedEvent]:
        self._answer()
        if not self.index_on:
            raise UnknownStateError("the node keeps no index")
        return [
            tx.created
            for tx in self.txs.values()
            if tx.created and tx.creator == creator and tx.height >= self.first_block
        ]

    def settled_event(self, escrow_id: int) -> SettledEvent | None:
        if not self.index_on:
            raise UnknownStateError("the node keeps no index")
        for tx in self.txs.values():
            if tx.settled and tx.settled.escrow_id == escrow_id:
                return tx.settled
        return None

    def broadcast(self, tx_bytes: str) -> BroadcastReply:
        self._answer()
        lose, self.lose = self.lose, ""
        if lose == "before":
            raise TransportError("connection reset", sent=None)
        raw = base64.b64decode(tx_bytes)
        reply = self.receive(hashlib.sha256(raw).hexdigest().upper(), json.loads(raw)["body"])
        if lose == "after":
            raise TransportError("connection reset", sent=None)
        return reply

    def receive(self, tx_hash: str, message: dict[str, t.Any]) -> BroadcastReply:
        def reply(code: int, log: str = "") -> BroadcastReply:
            return BroadcastReply(
                txhash=tx_hash, code=code, codespace="sdk" if code else "", raw_log=log
            )

        ends = datetime.fromisoformat(message["timeout_timestamp"].replace("Z", "+00:00"))
        if self.check_tx is not None:
            return reply(*self.check_tx)
        if tx_hash in self.txs or any(known == tx_hash for known, _unused in self.pending):
            return reply(19)
        if ends < self.now:
            return reply(42, "tx timeout")
        self.pending.append((tx_hash, {**message, "ends": ends}))
        return reply(0)

    def _answer(self) -> None:
        if self.silent:
            raise TransportError("the node does not answer", sent=None)

    # execution

    def _include(self, tx_hash: str, body: dict[str, t.Any]) -> None:
        self.money -= body["fee"]
        (message,) = body["messages"]
        tx = Inclusion(
            txhash=tx_hash,
            height=self.height,
            gas=body["gas"],
            creator=message.get("creator"),
        )
        self.txs[tx_hash] = tx
        try:
            if self.refuse is not None:
                raise ValueError(self.refuse)
            if "amount" in message:
                self._mint(tx, message, body)
            else:
                self._settle(tx, message)
        except ValueError as exc:
            tx.code, tx.codespace, tx.raw_log = 1, "undefined", str(exc)
        self.refuse = None

    def _mint(self, tx: Inclusion, message: dict[str, t.Any], body: dict[str, t.Any]) -> None:
        amount = int(message["amount"])
        if amount > self.money:
            raise ValueError("failed to lock funds: insufficient funds")
        number = len(self.minted) + 1
        self.money -= amount
        self.minted.append(number)
        self.escrows[number] = Deposit(
            id=number,
            creator=message["creator"],
            amount=amount,
            epoch_index=self.epoch_index,
            model_id=message["model_id"],
        )
        tx.created = CreatedEvent(
            escrow_id=number,
            amount=amount,
            epoch_index=self.epoch_index,
            model_id=message["model_id"],
            tx_hash=tx.txhash,
            height=self.height,
            gas_wanted=body["gas"],
            timeout_at=parse_time(body["timeout_timestamp"]),
        )
        created = {"escrow_id": str(number)}
        tx.events = (TxEvent(type="devshard_escrow_created", attributes=created),)

    def _settle(self, tx: Inclusion, message: dict[str, t.Any]) -> None:
        number = int(message["escrow_id"])
        if self.before_execution is not None:
            self.before_execution(number)
        escrow = self.escrows.get(number)
        if escrow is None:
            raise ValueError(f"escrow {number} not found")
        if escrow.settled:
            raise ValueError(f"escrow {number} already settled")
        if self.epoch_index > escrow.epoch_index + 1:
            raise ValueError("devshard settlement only supports current or previous epoch")
        if message["signatures"] < 11:
            raise ValueError("insufficient quorum")
        payout = message["cost"] + message["fees"]
        escrow.settled = True
        self.money += escrow.amount - payout
        attributes = {
            "escrow_id": str(number),
            "settler": escrow.creator,
            "total_payout": str(payout),
            "fees": str(message["fees"]),
            "remainder": str(escrow.amount - payout),
        }
        tx.events = (TxEvent(type="devshard_escrow_settled", attributes=attributes),)
        tx.settled = SettledEvent.from_tx(tx.result(), number)


class FakeSigner:
    """Makes what the CLI makes, with the lifetime on the chain's clock."""

    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.signed = 0

    def address(self) -> str | None:
        return CREATOR

    def generate_create(
        self,
        amount: int | None,
        model: str | None,
        *,
        chain_id: str,
        fee: int | None,
        gas: int | None,
        lifetime: int,
    ) -> str:
        message = {
            "@type": "/inference.inference.MsgCreateDevshardEscrow",
            "creator": CREATOR,
            "amount": str(amount),
            "model_id": model,
        }
        return self._unsigned(message, chain_id, lifetime, {"fee": fee, "gas": gas})

    def generate_settle(
        self, settlement: str, *, chain_id: str, fee: int | None, gas: int | None, lifetime: int
    ) -> str:
        document = json.loads(Path(settlement).read_text())
        message = {
            "@type": "/inference.inference.MsgSettleDevshardEscrow",
            "settler": CREATOR,
            "escrow_id": document["escrow_id"],
            "cost": sum(host["cost"] for host in document["host_stats"]),
            "fees": document["fees"],
            "signatures": len(document["signatures"]),
        }
        return self._unsigned(message, chain_id, lifetime, {"fee": fee, "gas": gas})

    def _unsigned(
        self, message: dict[str, t.Any], chain_id: str, lifetime: int, price: dict[str, t.Any]
    ) -> str:
        assert chain_id == "fake"
        self.signed += 1
        now = self._chain.now - self._chain.host_behind
        ends = now + timedelta(seconds=lifetime, microseconds=self.signed)
        body = {
            "messages": [message],
            "unordered": True,
            "timeout_timestamp": rfc3339(ends),
            **price,
        }
        return json.dumps({"body": body, "signatures": []})

    def sign(self, file: str, *, account_number: int, chain_id: str) -> str:
        assert (account_number, chain_id) == (7, "fake")
        return json.dumps({**json.loads(Path(file).read_text()), "signatures": ["x"]})

    def encode(self, file: str) -> str:
        return base64.b64encode(Path(file).read_bytes()).decode() + "\n"


@dataclass
class Session:
    """A session in the gateway's memory."""

    phase: str = "active"
    nonce: int = 0
    balance: int = AMOUNT - CREATE_FEE
    active_requests: int = 0
    active: bool = True

    def seen(self) -> Runtime:
        return Runtime(
            active=self.active,
            phase=self.phase,
            nonce=self.nonce,
            balance=self.balance,
            active_requests=self.active_requests,
            requests_blocked=False,
            block_reason="",
            chain_phase="",
        )


@dataclass
class Record:
    """What the gateway has of one escrow now; who asks for it gets a ``Devshard``."""

    id: str
    model: str | None
    active: bool
    storage_path: str
    created_at: str
    runtime: t.Any
    """A ``Session``, or None when it is not loaded."""
    rotation_role: str | None = None

    def seen(self) -> Devshard:
        session: Session | None = self.runtime
        return Devshard(
            id=self.id,
            active=self.active,
            model=self.model,
            storage_path=self.storage_path,
            private_key_env="DEVSHARD_PRIVATE_KEY",
            has_plain_key=False,
            rotation_role=self.rotation_role,
            rotation_epoch=None,
            created_at=self.created_at,
            runtime=None if session is None else session.seen(),
        )


Reply = dict[str, t.Any]


class FakeGateway:
    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.records: dict[str, Record] = {}
        self.documents: dict[str, dict[str, t.Any]] = {}
        self.calls: list[str] = []
        self.lose: dict[str, t.Literal["before", "after"]] = {}
        """Which call loses its request or its reply, once."""
        self.error: type[TransportError] = TransportError
        """What its caller then gets: no answer, or one that does not tell what became of it."""
        self.signatures = 16
        self.stored: dict[str, int] = {}
        """Folders with a session that another process wrote, and its nonce."""
        self.in_memory: dict[str, int] = {}
        """Signatures that a settle would use; a restart costs them."""
        self.down = False
        self.creates = 0

    def _call(self, name: str) -> bool:
        """Note a call; True when its reply is to be lost."""
        self.calls.append(name)
        if self.down:
            raise TransportError(f"{name}: connection refused", sent=False)
        how = self.lose.pop(name, "")
        if how == "before":
            raise self.error(f"{name}: connection reset", sent=self._sent)
        return how == "after"

    @property
    def _sent(self) -> bool | None:
        return None if self.error is TransportError else True

    def _lost(self, name: str, lost: bool) -> None:
        if lost:
            raise self.error(f"{name}: the reply was lost", sent=self._sent)

    def state(self) -> GatewayState:
        self._call("state")
        return GatewayState(
            devshards=tuple(record.seen() for record in self.records.values()),
            in_flight_requests=0,
            settings={},
            capacity={},
        )

    def settings(self) -> Reply:
        raise NotImplementedError

    def rotation(self) -> RotationStatus:
        raise NotImplementedError

    def session(self, number: str) -> SessionStatus:
        raise NotImplementedError

    def post_settings(self, patch: Reply) -> Reply:
        raise NotImplementedError

    def _record(self, number: str, model: str | None) -> Record:
        escrow = self._chain.escrows.get(int(number))
        if escrow is None:
            raise ProtocolError(f"runtime {number}: escrow not found", http_status=400)
        return Record(
            id=number,
            model=model,
            active=True,
            storage_path=f"/root/.devshardctl/escrow-{number}",
            created_at=rfc3339(self._chain.now),
            runtime=Session(balance=escrow.amount - CREATE_FEE),
        )

    def add(
        self, number: str, *, private_key_env: str | None = None, model: str | None = None
    ) -> Reply:
        lost = self._call("add")
        assert private_key_env == "DEVSHARD_PRIVATE_KEY"
        found = self.records.get(number)
        if found is not None and found.active:
            raise ConflictError("devshard already active", http_status=409)
        if found is None:
            self.records[number] = self._record(number, model)
        else:
            found.active = found.runtime.active = True
        self._lost("add", lost)
        return {}

    def create_escrow(
        self,
        *,
        model_id: str,
        amount: int,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> CreateReply:
        lost = self._call("create")
        self.creates += 1
        body = {
            "messages": [{"creator": CREATOR, "amount": str(amount), "model_id": model_id}],
            "timeout_timestamp": rfc3339(self._chain.now + timedelta(minutes=9)),
            "fee": fee_amount,
            "gas": gas_limit,
        }
        tx_hash = self._chain.fresh_hash()
        self._chain.receive(tx_hash, body)
        if lost:
            self._lost("create", lost)
        for _unused in range(9):
            self._chain.step()
            tx = self._chain.txs.get(tx_hash)
            if tx is None:
                continue
            if tx.code:
                text = f"tx {tx_hash} failed code={tx.code} codespace= raw_log={tx.raw_log}"
                raise ProtocolError(text, http_status=502, server_message=text)
            assert tx.created is not None
            number = str(tx.created.escrow_id)
            self.records[number] = self._record(number, model_id)
            return CreateReply(
                escrow_id=int(number), tx_hash=tx_hash, creator=CREATOR, registered=True
            )
        text = f"wait for tx {tx_hash}: not found"
        raise ProtocolError(text, http_status=502, server_message=text)

    def activate(self, number: str) -> Reply:
        lost = self._call("activate")
        record = self.records[number]
        if record.runtime is None:
            record.runtime = self._record(number, record.model).runtime
            record.runtime.nonce = self.stored.get(record.storage_path, 0)
        record.active = record.runtime.active = True
        self._lost("activate", lost)
        return {}

    def import_session(
        self,
        number: str,
        *,
        storage_path: str,
        private_key_env: str,
        model: str,
        perf_path: str | None = None,
    ) -> Reply:
        lost = self._call("import")
        if number in self.records:
            raise ConflictError("already exists in gateway state", http_status=409)
        record = self._record(number, model)
        record.storage_path = storage_path
        record.active = record.runtime.active = False
        record.runtime.nonce = self.stored.get(storage_path, 0)
        self.records[number] = record
        self._lost("import", lost)
        return {}

    def deactivate(self, number: str) -> Reply:
        lost = self._call("deactivate")
        record = self.records[number]
        record.active = record.runtime.active = False
        self._lost("deactivate", lost)
        return {}

    def delete(self, number: str) -> Reply:
        lost = self._call("delete")
        if number not in self.records:
            raise NotFoundError(f"devshard {number} not found", http_status=404)
        if self.records[number].active:
            raise ConflictError("deactivate it first", http_status=409)
        del self.records[number]
        self._lost("delete", lost)
        return {}

    def finalize(self, number: str) -> dict[str, t.Any]:
        lost = self._call("finalize")
        record = self.records[number]
        if record.runtime.active_requests:
            raise ConflictError("has active requests", http_status=409)
        record.runtime.phase = "settlement"
        record.active = record.runtime.active = False
        if self.signatures < 11:
            text = f"insufficient signatures: {self.signatures}/11 weight"
            raise ProtocolError(text, http_status=500, server_message=text)
        self.documents[number] = self.document(number, self.signatures)
        self.in_memory[number] = self.signatures
        self._lost("finalize", lost)
        return self.documents[number]

    def finalized(self, number: str) -> dict[str, t.Any]:
        self._call("finalized")
        if number not in self.documents:
            raise ConflictError("session not yet finalized", http_status=409)
        return self.documents[number]

    def document(self, number: str, signatures: int) -> dict[str, t.Any]:
        return {
            "escrow_id": number,
            "version": "v2",
            "state_root": "AA==",
            "nonce": self.records[number].runtime.nonce + 17,
            "fees": CREATE_FEE,
            "rest_hash": "AA==",
            "host_stats": [{"slot_id": slot, "cost": 10} for slot in range(16)],
            "signatures": [{"slot_id": slot, "signature": "x"} for slot in range(signatures)],
        }

    def settle(
        self,
        number: str,
        *,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> SettleReply:
        lost = self._call("settle")
        record = self.records[number]
        record.active = record.runtime.active = False
        self.creates += 1
        message = {"escrow_id": number, "cost": 160, "fees": CREATE_FEE}
        body = {
            "messages": [{**message, "signatures": self.in_memory.get(number, 0)}],
            "timeout_timestamp": rfc3339(self._chain.now + timedelta(minutes=9)),
            "fee": fee_amount,
            "gas": gas_limit,
        }
        tx_hash = self._chain.fresh_hash()
        self._chain.receive(tx_hash, body)
        self._lost("settle", lost)
        return SettleReply(escrow_id=int(number), tx_hash=tx_hash, settler=CREATOR)


def fake_deadline(chain: FakeChain, seconds: float) -> WaitBudget:
    """Waiting makes blocks, however short it was to be; the budget is in seconds of the chain."""

    def clock() -> float:
        return (chain.now - START).total_seconds()

    return WaitBudget(seconds, clock=clock, sleep=lambda _seconds: chain.step())


@contextlib.contextmanager
def first_problem() -> Iterator[None]:
    """Raise the cause of a partial failure itself, for tests that ask for no more."""
    try:
        yield
    except PartialFailure as exc:
        raise exc.problems[0] from exc


class World:
    """All of it together, with one ledger file."""

    def __init__(self, folder: Path) -> None:
        self.chain = FakeChain()
        self.gateway = FakeGateway(self.chain)
        self.signer = FakeSigner(self.chain)
        self.path = str(folder / "state" / "ledger.db")
        self.warnings: list[str] = []
        self.known_nonce = 0
        self.silent_hosts = 0
        self.ledger_class: type[Ledger] = Ledger

    def ports(
        self,
        ledger: Ledger | None,
        *,
        check: bool = False,
        seconds: float = 300,
        signer: bool = True,
        gateway_id: str = "http://127.0.0.1:18080",
    ) -> Ports:
        return Ports(
            gateway=self.gateway,
            chain=self.chain,
            signer=self.signer if signer else None,
            ledger=ledger,
            gateway_id=gateway_id,
            chain_id="fake",
            limits=Limits(min_balance=1_000_000, max_nonce=19_800),
            settlement_tag="v2",
            deadline=fake_deadline(self.chain, seconds),
            interval=1.0,
            now=lambda: self.chain.now,
            warn=self.warnings.append,
            check_mode=check,
            hosts_nonce=self._hosts_nonce,
            voices=self._voices,
        )

    def _hosts_nonce(self, escrow: Escrow, _since: int) -> HostsNonce:
        return HostsNonce(
            nonce=self.known_nonce,
            silent=escrow.slots[: self.silent_hosts],
            asked=len(escrow.slots),
        )

    def _voices(self, escrow: Escrow) -> Voices:
        return Voices(
            slots=len(escrow.slots),
            answering=len(escrow.slots) - self.silent_hosts,
            silent=escrow.slots[: self.silent_hosts],
        )

    def open(self) -> Ledger:
        return self.ledger_class.open(self.path, "run", lambda: self.chain.now)


def options(**changes: t.Any) -> EscrowOptions:
    values: dict[str, t.Any] = {
        "model_id": MODEL,
        "amount": AMOUNT,
        "count": 1,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "create_via": Via.SIGNED,
        "creator": None,
        "adopt": (),
        "adopt_orphans": False,
        "other_gateway_escrow_ids": frozenset(),
        "allow_unclaimed": False,
        "others_create_after": None,
        "reactivate": True,
        "max_creates_per_run": 4,
        "max_total_locked": None,
        "fee_amount": 1_000_000,
        "gas_limit": 500_000,
        "tx_lifetime": 120,
        **changes,
    }
    return EscrowOptions(**values)
