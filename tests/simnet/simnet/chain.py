# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain: mempool, blocks, epochs and what a transaction does in a block.

Nothing here waits or reads the clock by itself: blocks are produced by the
caller and the clock is given, so tests advance both at will.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from simnet import txs
from simnet.ante import Ante, Checked, out_of_gas
from simnet.bank import DENOM, FEE_COLLECTOR, Bank, Event, InsufficientFundsError, event
from simnet.chainrelease import V0_2_13
from simnet.epochs import PHASES, Epoch, EpochParams
from simnet.escrows import Escrows, Executed, MessageError, approved_entry
from simnet.network import Host, Model, NetworkConfig, default_params, make_hosts, merged
from simnet.refusal import Refused
from simnet.store import Store
from simnet.timestamps import NANOS, Timestamp

# Blocks from the start of the first epoch to the start of the network.
_INTO_THE_EPOCH = 1_000
_FIRST_ACCOUNTS = 2
_GAS_SEND = 78_000
_GAS_EXEC = 12_000


class ReleaseError(Exception):
    """The state on disk is that of another release."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The answer to a broadcast: of the check only, not of the block."""

    hash: str
    code: int = 0
    codespace: str = ""
    raw_log: str = ""


@dataclass(frozen=True, slots=True)
class TxRecord:
    """A transaction in a block."""

    hash: str
    raw: bytes
    height: int
    time: Timestamp
    code: int
    codespace: str
    raw_log: str
    data: str
    gas_wanted: int
    gas_used: int
    events: list[Event]


@dataclass(slots=True)
class Inclusion:
    """What happens to the next broadcast transactions, for tests."""

    mode: str = "normal"
    blocks: int = 0
    times: int | None = None
    code: int = 1
    codespace: str = "undefined"
    raw_log: str = "failed to execute message; message index: 0: rejected by the simulator"


@dataclass(slots=True)
class Controls:
    """Switches of the faults port that concern the whole node."""

    block_interval: float = 1.0
    paused: bool = False
    stale_seconds: int = 0
    catching_up: bool = False
    tx_index: bool = True
    phase: str | None = None
    confirmation_poc: bool = False
    time_offset: int = 0
    # Of each host and model; the gateway's limits follow it.
    host_weight: int = 1000
    # So many hosts go on serving during PoC; nothing: all.
    preserved_hosts: int | None = None
    # The scheduled upgrade, its name and height.
    upgrade_plan: dict[str, Any] | None = None
    # Shapes of /v1/epochs/latest, one request after the other; empty: that of the release.
    epochs_shapes: list[str] = field(default_factory=list)
    # Addresses of hosts that lost their share in this epoch, and of those that are gone.
    excluded_hosts: list[str] = field(default_factory=list)
    removed_hosts: list[str] = field(default_factory=list)
    # Whether new escrows keep the fields that came with this release.
    escrow_fields: bool = True


class Chain:
    def __init__(
        self,
        store: Store,
        config: NetworkConfig,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.store = store
        self.config = config
        self.controls = Controls()
        self.inclusion = Inclusion()
        self.hosts: list[Host] = make_hosts(config)
        self.host_by_address = {host.address: host for host in self.hosts}
        self.bank = Bank(store)
        self.escrows = Escrows(
            store, self.bank, config, self.hosts, self.params, lambda: self.models, self.approved
        )
        self._clock = clock
        self.release = config.release
        duty = self.escrows.check_settler if self.release.duty_signer else None
        self._ante = Ante(self.bank, config.chain_id, self.release.fees, self.params, duty)
        if store.get("height") is None:
            with store.transaction():
                self._genesis()
        began = store.get("release") or V0_2_13.name
        if began != config.release.name:
            raise ReleaseError(f"this chain began as {began} and does not become another release")

    # --- state -----------------------------------------------------------------

    def _genesis(self) -> None:
        config = self.config
        params = default_params(config.release)
        params["devshard_escrow_params"]["allowed_creator_addresses"] = list(config.allowlist)
        self.store.set("params", params)
        self.store.set("release", config.release.name)
        if config.release.approved_store is not None:
            self.approve(list(config.release.approved_store))
        self.models = config.models
        self.store.set("height", config.start_height)
        self.store.set("time", self._clock())
        self.store.set("genesis_time", self._clock())
        self.store.set("epoch", [config.epoch_index, config.start_height - _INTO_THE_EPOCH])
        for number in range(_FIRST_ACCOUNTS):
            # The first account numbers belong to the chain's own accounts.
            self.bank.ensure_account((FEE_COLLECTOR, self.hosts[0].address)[number])
        for address, amount in config.balances.items():
            self.bank.set_balance(address, amount)
        for host in self.hosts:
            self.bank.ensure_account(host.address)

    @property
    def height(self) -> int:
        return int(self.store.get("height"))

    @property
    def block_time(self) -> Timestamp:
        return Timestamp.from_ns(int(self.store.get("time")))

    @property
    def reported_time(self) -> Timestamp:
        """The time of the newest block as the node tells it; older on a stale node."""
        return Timestamp.from_ns(self.block_time.ns - self.controls.stale_seconds * NANOS)

    def block_hash(self, height: int, salt: str = "block") -> bytes:
        return hashlib.sha256(f"{self.config.chain_id}/{salt}/{height}".encode()).digest()

    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = self.store.get("params")
        return params

    def approved(self) -> list[dict[str, Any]]:
        """The approved versions by name, wherever this release keeps them; none at all: any."""
        if self.release.approved_store is None:
            listed = self.params()["devshard_escrow_params"]["approved_versions"]
        else:
            listed = self.store.get("approved_versions") or []
        return sorted((approved_entry(entry) for entry in listed), key=lambda entry: entry["name"])

    def approve(self, versions: list[Any]) -> None:
        """Names, or objects with ``name``, ``binary``, ``sha256`` and ``pass_count``."""
        if self.release.approved_store is None:
            self.merge_params({"devshard_escrow_params": {"approved_versions": versions}})
        else:
            self.store.set("approved_versions", versions)

    def approved_versions(self) -> list[str]:
        return [entry["name"] for entry in self.approved()]

    def merge_params(self, patch: dict[str, Any]) -> None:
        """Merge nested objects; lists and values replace."""
        with self.store.transaction():
            self.store.set("params", merged(self.params(), patch))
            epoch = self.epoch
            if self.height >= epoch.next_poc_start:
                # A shorter epoch must not make several pass at once.
                start = self.height - epoch.params.switch_offset
                self.store.set("epoch", [epoch.index, start])

    @property
    def models(self) -> list[Model]:
        return [Model(**entry) for entry in self.store.get("models")]

    @models.setter
    def models(self, models: list[Model]) -> None:
        self.store.set("models", [asdict(model) for model in models])

    @property
    def epoch(self) -> Epoch:
        index, start = self.store.get("epoch")
        return Epoch(index, start, EpochParams.from_chain(self.params()["epoch_params"]))

    @property
    def effective_epoch(self) -> int:
        return self.epoch.effective_index(self.height)

    @property
    def phase(self) -> str:
        return self.controls.phase or self.epoch.phase(self.height)

    # --- blocks ----------------------------------------------------------------

    @property
    def halted(self) -> bool:
        """At the height of an upgrade the chain stands still until the plan is taken away."""
        plan = self.controls.upgrade_plan
        return plan is not None and self.height + 1 >= plan["height"]

    def produce_block(self, seconds: float = 0) -> None:
        """Add one block with everything that is due."""
        if self.halted:
            return
        with self.store.transaction():
            height = self.height + 1
            now = self._next_time(seconds)
            self.store.set("height", height)
            self.store.set("time", now.ns)
            self._enter_epochs(height)
            self._include(height, now)
            self.escrows.prune(self.effective_epoch)

    def _next_time(self, seconds: float) -> Timestamp:
        if seconds:
            self.controls.time_offset += int(seconds * NANOS)
        return Timestamp.from_ns(self._clock() + self.controls.time_offset)

    def _enter_epochs(self, height: int) -> None:
        epoch = self.epoch
        while height >= epoch.next_poc_start:
            epoch = epoch.next()
        self.store.set("epoch", [epoch.index, epoch.poc_start])

    def advance(self, blocks: int, seconds: float = 0) -> None:
        """Let ``blocks`` pass; those between the first and the last are empty."""
        if blocks < 1:
            raise ValueError("blocks must be at least 1")
        self.produce_block(seconds)
        if blocks > 2:
            with self.store.transaction():
                self.store.set("height", self.height + blocks - 2)
                self._enter_epochs(self.height)
        if blocks > 1:
            self.produce_block()

    def advance_to(self, stage: str, offset: int = 0) -> None:
        """Go on to the next height of a stage, or some blocks before or after it."""
        epoch = self.epoch
        for candidate in (epoch, epoch.next(), epoch.next().next()):
            stages = candidate.stages()
            if not isinstance(stages.get(stage), int) or stage == "epoch_index":
                raise ValueError(f"unknown stage {stage!r}")
            target = stages[stage] + offset
            if target > self.height:
                self.advance(target - self.height)
                return
        raise ValueError(f"stage {stage!r} with offset {offset} is not ahead")

    def advance_epochs(self, count: int) -> None:
        """Go on until ``count`` new epochs became effective."""
        for _unused in range(count):
            self.advance_to("set_new_validators")

    # --- transactions ----------------------------------------------------------

    def broadcast(self, raw: bytes) -> Broadcast:
        """Check a transaction and keep it for a block, as BROADCAST_MODE_SYNC does."""
        digest = txs.tx_hash(raw)
        if self._known(digest):
            return Broadcast(digest, 19, "sdk", "")
        try:
            tx = txs.Tx.decode(raw)
        except txs.TxDecodeError as error:
            return Broadcast(digest, 2, "sdk", f"{error}: tx parse error")
        try:
            self._ante.check(tx, self.block_time)
            self._check_unused(tx)
        except Refused as refused:
            return Broadcast(digest, refused.code, refused.codespace, refused.log)
        self._keep(tx, raw, digest)
        return Broadcast(digest)

    def _known(self, digest: str) -> bool:
        for table in ("pending", "txs"):
            if self.store.row(f"SELECT 1 FROM {table} WHERE hash = ?", digest) is not None:
                return True
        return False

    def _check_unused(self, tx: txs.Tx) -> None:
        timeout = tx.body.timeout_timestamp
        if not tx.body.unordered or timeout is None:
            return
        for table in ("pending", "unordered"):
            taken = self.store.row(
                f"SELECT 1 FROM {table} WHERE sender = ? AND timeout = ?", tx.signer, timeout.ns
            )
            if taken is not None:
                raise Refused(
                    18,
                    f"failed to add unordered nonce: sender {tx.signer} has already used "
                    f"timeout {timeout.ns}: invalid request",
                )

    def _keep(self, tx: txs.Tx, raw: bytes, digest: str) -> None:
        rule = self.inclusion
        earliest: int | None = 0
        verdict = None
        if rule.mode != "normal":
            if rule.mode == "delay":
                earliest = self.height + 1 + rule.blocks
            elif rule.mode == "never":
                earliest = None
            elif rule.mode == "reject":
                verdict = json.dumps([rule.code, rule.codespace, rule.raw_log])
            if rule.times is not None:
                rule.times -= 1
                if rule.times <= 0:
                    self.inclusion = Inclusion()
        timeout = tx.body.timeout_timestamp
        self.store.run(
            "INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?)",
            digest,
            raw,
            tx.signer,
            timeout.ns if timeout is not None and tx.body.unordered else -1,
            earliest,
            verdict,
        )

    def release_pending(self) -> None:
        """Let every held-back transaction into the next block."""
        self.store.run("UPDATE pending SET earliest = 0")

    def _include(self, height: int, now: Timestamp) -> None:
        for row in self.store.rows("SELECT * FROM pending ORDER BY rowid"):
            tx = txs.Tx.decode(row["raw"])
            try:
                # Signatures were verified at broadcast; a block checks the rest again.
                checked = self._ante.check(tx, now, verify=False)
            except Refused:
                # Evicted, as the recheck after each block does: it never happened.
                self.store.run("DELETE FROM pending WHERE hash = ?", row["hash"])
                continue
            if row["earliest"] is None or row["earliest"] > height:
                continue
            verdict = None if row["verdict"] is None else Refused(*_verdict(row["verdict"]))
            self._deliver(tx, row["raw"], checked, verdict, height, now)
            self.store.run("DELETE FROM pending WHERE hash = ?", row["hash"])

    def _deliver(
        self,
        tx: txs.Tx,
        raw: bytes,
        checked: Checked,
        verdict: Refused | None,
        height: int,
        now: Timestamp,
    ) -> None:
        events = self._pay_fee(tx, checked)
        code, codespace, log, data = 0, "", "", b""
        limit = tx.auth_info.gas_limit
        gas = 0
        try:
            if verdict is not None:
                raise MessageError(verdict.log, verdict.code, verdict.codespace)
            with self.store.transaction():
                done = self._execute(tx.body.messages[0], checked.first)
                if done.gas > limit:
                    spent = out_of_gas(limit, done.gas)
                    raise MessageError(spent.log, spent.code, spent.codespace, done.gas)
            gas = done.gas
            events += _message_events(tx, done.events)
            packed = txs.field_bytes(1, done.response_type) + txs.field_bytes(2, done.response)
            data = txs.field_message(2, packed)
        except MessageError as error:
            code, codespace, gas = error.code, error.codespace, error.gas
            own = verdict is not None or error.code == 11
            log = error.text if own else _failed(error.text)
        self._record(
            TxRecord(
                txs.tx_hash(raw),
                raw,
                height,
                now,
                code,
                codespace,
                log,
                data.hex().upper(),
                limit,
                gas,
                events,
            )
        )

    def _pay_fee(self, tx: txs.Tx, checked: Checked) -> list[Event]:
        signer = tx.signer
        if checked.first:
            self.bank.set_public_key(signer, checked.public_key)
        if tx.body.unordered and tx.body.timeout_timestamp is not None:
            self.store.run(
                "INSERT INTO unordered VALUES (?, ?, ?)",
                signer,
                tx.body.timeout_timestamp.ns,
                tx.hash,
            )
        else:
            self.bank.increase_sequence(signer)
        events = self.bank.send(signer, FEE_COLLECTOR, checked.fee) if checked.fee else []
        coins = ",".join(str(coin) for coin in tx.auth_info.fee)
        return [
            *events,
            event("tx", ("fee", coins), ("fee_payer", signer)),
            event("tx", ("signature", txs.b64(tx.signatures[0]))),
        ]

    def _execute(self, message: txs.Message, first: bool) -> Executed:
        if isinstance(message, txs.MsgCreate):
            more = self.release.escrow_fields if self.controls.escrow_fields else ()
            return self.escrows.create(message, self.effective_epoch, first, more)
        if isinstance(message, txs.MsgSettle):
            return self.escrows.settle(
                message,
                self.effective_epoch,
                excluded=set(self.controls.excluded_hosts),
                removed=set(self.controls.removed_hosts),
            )
        if isinstance(message, txs.MsgSend):
            return self._send(message)
        return self._exec(message, first)

    def _send(self, message: txs.MsgSend) -> Executed:
        events: list[Event] = []
        try:
            for coin in message.amount:
                if coin.denom != DENOM:
                    raise MessageError(f"spendable balance 0{coin.denom}", 5, "sdk")
                events += self.bank.send(message.sender, message.recipient, coin.amount)
        except InsufficientFundsError as error:
            raise MessageError(str(error), 5, "sdk") from error
        return Executed(_GAS_SEND, events, message.type_url + "Response", b"")

    def _exec(self, message: txs.MsgExec, first: bool) -> Executed:
        """One's own messages need no grant; there are no grants here."""
        gas, events = _GAS_EXEC, list[Event]()
        for inner in message.messages:
            if inner.signer != message.grantee:
                raise MessageError("authorization not found", 2, "authz")
            done = self._execute(inner, first)
            gas, events = gas + done.gas, events + done.events
        return Executed(gas, events, message.type_url + "Response", b"")

    def simulate(self, raw: bytes) -> int:
        """The gas that a transaction would use."""
        tx = txs.Tx.decode(raw)
        checked = self._ante.check(tx, self.block_time, verify=False)
        try:
            with self.store.transaction():
                done = self._execute(tx.body.messages[0], checked.first)
                raise _Undo(done.gas)
        except _Undo as undone:
            return undone.gas

    def _record(self, record: TxRecord) -> None:
        result = {
            "code": record.code,
            "codespace": record.codespace,
            "raw_log": record.raw_log,
            "data": record.data,
            "gas_wanted": record.gas_wanted,
            "gas_used": record.gas_used,
            "events": record.events,
        }
        position = self.store.run(
            "INSERT INTO txs (hash, raw, height, time, result) VALUES (?, ?, ?, ?, ?)",
            record.hash,
            record.raw,
            record.height,
            record.time.ns,
            json.dumps(result),
        )
        for entry in record.events:
            for attribute in entry["attributes"]:
                name = f"{entry['type']}.{attribute['key']}"
                self.store.run(
                    "INSERT INTO tx_events VALUES (?, ?, ?)", position, name, attribute["value"]
                )

    # --- queries ---------------------------------------------------------------

    def tx(self, digest: str) -> TxRecord | None:
        row = self.store.row("SELECT * FROM txs WHERE hash = ?", digest.upper())
        return None if row is None else _tx_record(row)

    def search(self, query: str, *, newest_first: bool) -> list[TxRecord]:
        """Transactions whose events match every ``name='value'`` of the query."""
        conditions = _parse_query(query)
        sql = "SELECT * FROM txs WHERE 1"
        values: list[str] = []
        for name, value in conditions:
            if name == "tx.height":
                sql += " AND height = CAST(? AS INTEGER)"
                values.append(value)
            elif name == "tx.hash":
                sql += " AND hash = UPPER(?)"
                values.append(value)
            else:
                sql += " AND position IN (SELECT position FROM tx_events "
                sql += "WHERE name = ? AND value = ?)"
                values += [name, value]
        sql += " ORDER BY position " + ("DESC" if newest_first else "ASC")
        return [_tx_record(row) for row in self.store.rows(sql, *values)]

    def pending(self) -> list[str]:
        return [row["hash"] for row in self.store.rows("SELECT hash FROM pending")]

    def coin_balance(self, address: str) -> int:
        row = self.store.row("SELECT coin_balance FROM participants WHERE address = ?", address)
        return 0 if row is None else int(row["coin_balance"])

    def set_phase(self, phase: str | None) -> None:
        if phase is not None and phase not in PHASES:
            raise ValueError(f"unknown phase {phase!r}; one of {', '.join(PHASES)}")
        self.controls.phase = phase


class _Undo(Exception):
    """Takes back what a simulation did."""

    def __init__(self, gas: int) -> None:
        super().__init__(gas)
        self.gas = gas


class QueryError(ValueError):
    """The search query cannot be parsed."""


_CONDITION = re.compile(r"\s*([\w.]+)\s*=\s*(?:'([^']*)'|(\d+))\s*")


def _parse_query(query: str) -> list[tuple[str, str]]:
    conditions = []
    for part in re.split(r"\bAND\b", query):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise QueryError(query)
        conditions.append((match[1], match[2] if match[2] is not None else match[3]))
    return conditions


def _tx_record(row: Any) -> TxRecord:
    return TxRecord(
        hash=row["hash"],
        raw=row["raw"],
        height=row["height"],
        time=Timestamp.from_ns(row["time"]),
        **json.loads(row["result"]),
    )


def _verdict(text: str) -> tuple[int, str, str]:
    code, codespace, log = json.loads(text)
    return code, log, codespace


def _failed(text: str) -> str:
    return f"failed to execute message; message index: 0: {text}"


def _message_events(tx: txs.Tx, events: list[Event]) -> list[Event]:
    message = tx.body.messages[0]
    action = event(
        "message",
        ("action", message.type_url),
        ("sender", message.signer),
        ("module", message.module),
    )
    numbered = copy.deepcopy([action, *events])
    for entry in numbered:
        entry["attributes"].append({"key": "msg_index", "value": "0", "index": True})
    return numbered
