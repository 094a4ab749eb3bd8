# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The chain's rules for escrows: create, settle, prune."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from simnet import crypto, session
from simnet.bank import ESCROW_MODULE, GOVERNANCE, Bank, Event, InsufficientFundsError, event
from simnet.network import Host, Model, NetworkConfig, slots_of
from simnet.refusal import Refused
from simnet.store import Store
from simnet.txs import MsgCreate, MsgSettle, field_varint

GAS_FAILED = 69_029
GAS_SETTLED_ALREADY = 72_200
GAS_CREATE = 120_534
GAS_CREATE_FIRST = 134_714
PRUNE_PER_BLOCK = 100
# SQLite counts to here; the chain itself goes to 2**64.
_MAX_ID = (1 << 63) - 1


@dataclass(eq=False)
class MessageError(Exception):
    """A message failed in the block."""

    text: str
    code: int = 1
    codespace: str = "undefined"
    gas: int = GAS_FAILED


@dataclass(frozen=True, slots=True)
class Executed:
    """A message that went through."""

    gas: int
    events: list[Event]
    response_type: str
    response: bytes


def settle_gas(signatures: int) -> int:
    """382 to 420 thousand for 14 to 16 signatures, as measured."""
    return 381_964 + 18_900 * max(0, signatures - 14)


class Escrows:
    def __init__(
        self,
        store: Store,
        bank: Bank,
        config: NetworkConfig,
        hosts: list[Host],
        params: Callable[[], dict[str, Any]],
        models: Callable[[], list[Model]],
        approved: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._store = store
        self._bank = bank
        self._config = config
        self._hosts = hosts
        self._params = params
        self._models = models
        self._approved = approved
        self._release = config.release

    def get(self, escrow_id: int) -> dict[str, Any] | None:
        if not 0 < escrow_id <= _MAX_ID:
            return None
        row = self._store.row("SELECT body, settled FROM escrows WHERE id = ?", escrow_id)
        if row is None:
            return None
        body: dict[str, Any] = json.loads(row["body"])
        body["settled"] = bool(row["settled"])
        return body

    def all(self) -> list[dict[str, Any]]:
        rows = self._store.rows("SELECT id FROM escrows ORDER BY id")
        found = [self.get(row["id"]) for row in rows]
        return [entry for entry in found if entry is not None]

    def _devshard_params(self) -> dict[str, Any]:
        params: dict[str, Any] = self._params()["devshard_escrow_params"]
        return params

    def _check_listed(self, address: str) -> None:
        listed = self._devshard_params()["allowed_creator_addresses"]
        if listed and address not in listed:
            raise MessageError(
                "address is not allowed to create devshard escrows for devshards",
                1173,
                "inference",
            )

    def _check_model(self, model_id: str) -> None:
        known = {model.id: model for model in self._models()}
        if model_id not in known:
            raise MessageError(
                f'failed to get epoch group for model "{model_id}": '
                "epoch group data not found for the given poc start block height and model id"
            )
        if not known[model_id].active:
            raise MessageError(f'no validation weights in epoch group for model "{model_id}"')

    def check_settler(self, message: MsgSettle) -> None:
        """Before the mempool: the waiver of the fee is for those who may settle."""
        try:
            self._check_listed(message.settler)
        except MessageError as error:
            raise Refused(error.code, error.text, error.codespace) from error

    def create(
        self, message: MsgCreate, epoch: int, first: bool, more: Sequence[str] = ()
    ) -> Executed:
        """``more``: parameters that the escrow keeps besides."""
        params = self._devshard_params()
        self._check_listed(message.creator)
        if not message.model_id:
            raise MessageError("model_id is required")
        low, high = int(params["min_amount"]), int(params["max_amount"])
        if not low <= message.amount <= high:
            raise MessageError(f"escrow amount {message.amount} out of range [{low}, {high}]")
        row = self._store.row("SELECT COUNT(*) AS n FROM escrows WHERE epoch_index = ?", epoch)
        count, limit = (0 if row is None else row["n"]), int(params["max_escrows_per_epoch"])
        if count >= limit:
            raise MessageError(f"epoch {epoch} already has {count} escrows (max {limit})")
        self._check_model(message.model_id)
        try:
            moved = self._bank.send(message.creator, ESCROW_MODULE, message.amount)
        except InsufficientFundsError as error:
            raise MessageError(f"failed to lock funds: {error}", 5, "sdk") from error
        escrow_id = self._insert(message, epoch, params, more)
        created = event(
            "devshard_escrow_created",
            ("escrow_id", escrow_id),
            ("creator", message.creator),
            ("amount", message.amount),
            ("epoch_index", epoch),
            ("model_id", message.model_id),
        )
        return Executed(
            GAS_CREATE_FIRST if first else GAS_CREATE,
            [*moved, created],
            message.type_url + "Response",
            field_varint(1, escrow_id),
        )

    def _insert(
        self, message: MsgCreate, epoch: int, params: dict[str, Any], more: Sequence[str]
    ) -> int:
        escrow_id = self._store.run(
            "INSERT INTO escrows (creator, epoch_index, body) VALUES (?, ?, '')",
            message.creator,
            epoch,
        )
        app_hash = hashlib.sha256(f"{self._config.chain_id}/{escrow_id}".encode()).hexdigest()
        body = {
            "id": str(escrow_id),
            "creator": message.creator,
            "amount": str(message.amount),
            "slots": slots_of(self._config, self._hosts, escrow_id, int(params["group_size"])),
            "epoch_index": str(epoch),
            "app_hash": app_hash,
            "settled": False,
            "token_price": str(params["token_price"]),
            "model_id": message.model_id,
            "create_devshard_fee": str(params["create_devshard_fee"]),
            "fee_per_nonce": str(params["fee_per_nonce"]),
            "inference_seal_grace_nonces": params["default_inference_seal_grace_nonces"],
            "inference_seal_grace_seconds": params["default_inference_seal_grace_seconds"],
            "auto_seal_every_n_nonces": params["default_auto_seal_every_n_nonces"],
            **{name: params[name] for name in more},
        }
        self._store.run("UPDATE escrows SET body = ? WHERE id = ?", json.dumps(body), escrow_id)
        return escrow_id

    def settle(
        self,
        message: MsgSettle,
        epoch: int,
        *,
        excluded: Collection[str] = (),
        removed: Collection[str] = (),
    ) -> Executed:
        self._check_listed(message.settler)
        escrow = self.get(message.escrow_id)
        if escrow is None:
            raise MessageError(f"escrow {message.escrow_id} not found")
        checks: list[Callable[[], None]] = [
            lambda: _check_epoch(escrow, epoch),
            lambda: self._verify(message, escrow),
        ]
        for check in reversed(checks) if self._release.proof_first else checks:
            check()
        if self._release.judges_participants:
            for address in escrow["slots"]:
                if address in removed:
                    raise MessageError(f"participant {address} not found")
        costs = sum(stats.cost for stats in message.host_stats)
        payout = costs + message.fees
        remainder = int(escrow["amount"]) - payout
        forfeited = self._credit_hosts(message, escrow["slots"], excluded)
        events = self._bank.send(ESCROW_MODULE, message.settler, remainder) if remainder else []
        if forfeited:
            events += self._bank.send(ESCROW_MODULE, GOVERNANCE, forfeited)
        self._store.run("UPDATE escrows SET settled = 1 WHERE id = ?", message.escrow_id)
        settled = event(
            "devshard_escrow_settled",
            ("escrow_id", message.escrow_id),
            ("state_root_and_protocol_version", message.version),
            ("settler", message.settler),
            ("total_payout", payout),
            ("fees", message.fees),
            ("remainder", remainder),
        )
        return Executed(
            settle_gas(len(message.signatures)),
            [*events, settled],
            message.type_url + "Response",
            b"",
        )

    def _verify(self, message: MsgSettle, escrow: dict[str, Any]) -> None:
        params = self._devshard_params()
        slots: list[str] = escrow["slots"]
        if escrow["settled"]:
            raise MessageError(
                f"escrow {message.escrow_id} already settled", gas=GAS_SETTLED_ALREADY
            )
        if message.settler != escrow["creator"]:
            raise MessageError(
                f"settler {message.settler} is not the escrow creator {escrow['creator']}"
            )
        if message.nonce > int(params["max_nonce"]):
            raise MessageError(self._release.too_high.format(message.nonce, params["max_nonce"]))
        approved = [entry["name"] for entry in self._approved()]
        if approved and message.version not in approved:
            raise MessageError(self._release.unapproved.format(message.version))
        if len(message.state_root) != 32:
            raise MessageError(f"state_root must be 32 bytes, got {len(message.state_root)}")
        expected = session.state_root(
            message.host_stats, message.fees, message.rest_hash, message.version
        )
        if expected != message.state_root:
            raise MessageError("state_root mismatch")
        self._verify_signatures(message, slots)
        seen = {stats.slot_id for stats in message.host_stats}
        if len(seen) != len(message.host_stats):
            raise MessageError("duplicate host_stats slot_id")
        if any(slot >= len(slots) for slot in seen):
            raise MessageError("host_stats slot_id out of range")
        cost = sum(stats.cost for stats in message.host_stats)
        total = cost + message.fees
        if total > int(escrow["amount"]):
            raise MessageError(
                self._release.too_much.format(
                    total=total, cost=cost, fees=message.fees, amount=escrow["amount"]
                )
            )

    @staticmethod
    def _verify_signatures(message: MsgSettle, slots: list[str]) -> None:
        signed = session.signature_message(message.escrow_id, message.nonce, message.state_root)
        signers: dict[bytes, str | None] = {}
        seen: set[int] = set()
        for entry in message.signatures:
            if entry.slot_id in seen:
                raise MessageError(f"duplicate signature for slot {entry.slot_id}")
            seen.add(entry.slot_id)
            if entry.slot_id >= len(slots):
                raise MessageError(f"slot_id {entry.slot_id} out of range")
            if entry.signature not in signers:
                key = crypto.recover(signed, entry.signature)
                signers[entry.signature] = None if key is None else crypto.address_of(key)
            signer = signers[entry.signature]
            if signer is None:
                raise MessageError(
                    f"failed to recover address for slot {entry.slot_id}: ecrecover failed"
                )
            if signer != slots[entry.slot_id]:
                raise MessageError(
                    f"signature for slot {entry.slot_id} recovered {signer}, "
                    f"expected {slots[entry.slot_id]}"
                )
        needed = session.quorum(len(slots))
        if len(seen) < needed:
            raise MessageError(f"insufficient quorum: {len(seen)} slot votes, need {needed}")

    def _credit_hosts(self, message: MsgSettle, slots: list[str], excluded: Collection[str]) -> int:
        """Tells what excluded hosts forfeit; it is nobody's refund."""
        share, forfeited = message.fees // len(slots), 0
        for stats in message.host_stats:
            address = slots[stats.slot_id]
            if self._release.judges_participants and address in excluded:
                forfeited += stats.cost + share
                continue
            self._store.run(
                "INSERT INTO participants VALUES (?, ?) ON CONFLICT (address) "
                "DO UPDATE SET coin_balance = coin_balance + excluded.coin_balance",
                address,
                stats.cost + share,
            )
        return forfeited

    def prune(self, epoch: int) -> None:
        """Two epochs on the row goes; an unsettled deposit goes to the hosts."""
        rows = self._store.rows(
            "SELECT id FROM escrows WHERE epoch_index <= ? ORDER BY id LIMIT ?",
            epoch - 2,
            PRUNE_PER_BLOCK,
        )
        for row in rows:
            escrow = self.get(row["id"])
            if escrow is not None and not escrow["settled"]:
                members = sorted(set(escrow["slots"]))
                share = int(escrow["amount"]) // len(members)
                for member in members:
                    self._bank.send(ESCROW_MODULE, member, share)
            self._store.run("DELETE FROM escrows WHERE id = ?", row["id"])


def _check_epoch(escrow: dict[str, Any], epoch: int) -> None:
    born = int(escrow["epoch_index"])
    if epoch not in (born, born + 1):
        raise MessageError(
            "devshard settlement only supports current or previous epoch: "
            f"current epoch {epoch}, escrow epoch {born}"
        )


def approved_entry(entry: Any) -> dict[str, Any]:
    """One approved version; it may be written as its bare name."""
    given = entry if isinstance(entry, dict) else {"name": str(entry)}
    return {"name": "", "binary": "", "sha256": "", **given}
