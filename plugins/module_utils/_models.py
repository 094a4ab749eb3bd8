# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""What gateway and chain answer, as frozen objects.

Unknown fields are tolerated; a field that is needed and missing or of a wrong type is an error
that names its path, since unknown must never turn into zero. Amounts are whole ``ngonka``.
Proto JSON spells 64-bit integers as strings, so both spellings are accepted.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ._errors import ProtocolError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MISSING: t.Final = object()


def parse_time(text: str) -> datetime:
    """RFC 3339 UTC with up to nine fractional digits; finer than a microsecond is cut."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if found is None:
        raise ProtocolError(f"expected a UTC time such as 2026-01-02T03:04:05.6Z, got '{text}'")
    try:
        whole = datetime.fromisoformat(found[1])
    except ValueError as exc:
        raise ProtocolError(f"not a time: '{text}'") from exc
    micro = int(((found[2] or "") + "000000")[:6])
    return whole.replace(microsecond=micro, tzinfo=timezone.utc)


class Reader:
    """Takes typed values out of an answer; ``path`` is for messages."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ProtocolError(f"{path}: expected an object, got {type(value).__name__}")
        self._value: Mapping[str, t.Any] = value
        self.path = path

    def _get(self, key: str, default: object) -> object:
        found = self._value.get(key, MISSING)
        if found is MISSING or found is None:
            if default is MISSING:
                raise ProtocolError(f"{self.path}.{key}: the field is missing")
            return default
        return found

    def _wrong(self, key: str, wanted: str, found: object) -> ProtocolError:
        shown = type(found).__name__
        return ProtocolError(f"{self.path}.{key}: expected {wanted}, got {shown}")

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def text(self, key: str, default: object = MISSING) -> str:
        found = self._get(key, default)
        if not isinstance(found, str):
            raise self._wrong(key, "a string", found)
        return found

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def flag(self, key: str, default: object = MISSING) -> bool:
        found = self._get(key, default)
        if not isinstance(found, bool):
            raise self._wrong(key, "true or false", found)
        return found

    def whole(self, key: str, default: object = MISSING, *, signed: bool = False) -> int:
        """A whole number, as a number or as a string of digits; below zero only if ``signed``."""
        found = self._get(key, default)
        if isinstance(found, bool) or not isinstance(found, (int, str)):
            raise self._wrong(key, "a whole number", found)
        if isinstance(found, str) and not re.fullmatch(r"-?[0-9]{1,40}", found):
            raise ProtocolError(f"{self.path}.{key}: expected a whole number, got '{found[:40]}'")
        return self._counted(key, int(found), signed=signed)

    def number(self, key: str) -> int:
        """A JSON number that is whole and not below zero; a string is the wrong type here."""
        found = self._get(key, MISSING)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._wrong(key, "a whole number", found)
        return self._counted(key, found, signed=False)

    def _counted(self, key: str, found: int, *, signed: bool) -> int:
        """No sum, count or height of gateway and chain is below zero."""
        if found < 0 and not signed:
            raise ProtocolError(f"{self.path}.{key}: expected no number below 0, got {found}")
        return found

    def digits(self, key: str) -> str:
        """A number that is spelled as a string."""
        found = self.text(key)
        if not re.fullmatch(r"[0-9]{1,20}", found):
            raise ProtocolError(f"{self.path}.{key}: expected digits, got '{found[:40]}'")
        return found

    def child(self, key: str) -> Reader:
        return Reader(self._get(key, MISSING), f"{self.path}.{key}")

    def items(self, key: str, default: object = MISSING) -> list[t.Any]:
        found = self._get(key, default)
        if not isinstance(found, list):
            raise self._wrong(key, "a list", found)
        return found

    def children(self, key: str, default: object = MISSING) -> list[Reader]:
        return [
            Reader(item, f"{self.path}.{key}[{index}]")
            for index, item in enumerate(self.items(key, default))
        ]

    def texts(self, key: str, default: object = MISSING) -> tuple[str, ...]:
        found = self.items(key, default)
        if not all(isinstance(item, str) for item in found):
            raise self._wrong(key, "a list of strings", found)
        return tuple(found)

    def raw(self) -> dict[str, t.Any]:
        return dict(self._value)


# the chain


@dataclass(frozen=True, kw_only=True, slots=True)
class Escrow:
    """The deposit as the chain has it (contract chain.md §2.2)."""

    id: int
    creator: str
    amount: int
    slots: tuple[str, ...]
    epoch_index: int
    settled: bool
    model_id: str

    @classmethod
    def from_api(cls, body: Reader) -> Escrow:
        return cls(
            id=body.whole("id"),
            creator=body.text("creator"),
            amount=body.whole("amount"),
            slots=body.texts("slots"),
            epoch_index=body.whole("epoch_index"),
            settled=body.flag("settled"),
            model_id=body.text("model_id"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EscrowParams:
    """``devshard_escrow_params`` of the chain; an empty list of creators means everybody."""

    min_amount: int
    max_amount: int
    max_escrows_per_epoch: int
    max_nonce: int
    group_size: int
    create_devshard_fee: int
    fee_per_nonce: int
    allowed_creator_addresses: tuple[str, ...]
    approved_versions: tuple[str, ...]
    min_gas_price: int

    @classmethod
    def from_api(cls, body: Reader) -> EscrowParams:
        params = body.child("devshard_escrow_params")
        gas = (
            body.child("fee_params").whole("min_gas_price_ngonka", 0)
            if body.has("fee_params")
            else 0
        )
        return cls(
            min_amount=params.whole("min_amount"),
            max_amount=params.whole("max_amount"),
            max_escrows_per_epoch=params.whole("max_escrows_per_epoch"),
            max_nonce=params.whole("max_nonce"),
            group_size=params.whole("group_size", 16),
            create_devshard_fee=params.whole("create_devshard_fee", 0),
            fee_per_nonce=params.whole("fee_per_nonce", 0),
            allowed_creator_addresses=params.texts("allowed_creator_addresses"),
            approved_versions=tuple(
                item if isinstance(item, str) else Reader(item, "approved_versions").text("name")
                for item in params.items("approved_versions", [])
            ),
            min_gas_price=gas,
        )

    def to_result(self) -> dict[str, t.Any]:
        return {
            "min_amount": self.min_amount,
            "max_amount": self.max_amount,
            "max_escrows_per_epoch": self.max_escrows_per_epoch,
            "max_nonce": self.max_nonce,
            "create_devshard_fee": self.create_devshard_fee,
            "fee_per_nonce": self.fee_per_nonce,
            "approved_versions": list(self.approved_versions),
            "min_gas_price": self.min_gas_price,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainHead:
    """The newest block of a synced node of the right chain."""

    height: int
    time: datetime
    chain_id: str
    catching_up: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """``/v1/epochs/latest`` of the public API; stages are block heights."""

    index: int
    height: int
    phase: str
    confirmation_poc: bool
    stages: Mapping[str, int]
    next_stages: Mapping[str, int]

    @classmethod
    def from_api(cls, body: Reader) -> Epoch:
        return cls(
            index=body.child("latest_epoch").whole("index"),
            height=body.whole("block_height"),
            phase=body.text("phase"),
            confirmation_poc=body.flag("is_confirmation_poc_active", False),
            stages=_stages(body.child("epoch_stages"), "set_new_validators", "next_poc_start"),
            next_stages=_stages(body.child("next_epoch_stages"), "set_new_validators"),
        )


def _stages(body: Reader, *names: str) -> dict[str, int]:
    return {name: body.whole(name) for name in names}


def active_models_of(body: Reader) -> list[str]:
    """``/v1/models`` of the public API; some builds call the list ``models``."""
    key = "data" if body.has("data") or not body.has("models") else "models"
    return sorted({item.text("id") for item in body.children(key)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    address: str
    account_number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TxEvent:
    type: str
    attributes: Mapping[str, str]

    @classmethod
    def from_api(cls, body: Reader) -> TxEvent:
        return cls(
            type=body.text("type"),
            attributes={
                item.text("key"): item.text("value", "") for item in body.children("attributes", [])
            },
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TxResult:
    """A transaction that is in a block; ``code`` other than 0 means refused, the fee is spent."""

    txhash: str
    height: int
    code: int
    codespace: str
    raw_log: str
    gas_used: int
    gas_wanted: int
    events: tuple[TxEvent, ...] = ()
    timeout_timestamp: str | None = None

    @classmethod
    def from_api(cls, body: Reader, timeout_timestamp: str | None = None) -> TxResult:
        return cls(
            txhash=body.text("txhash"),
            height=body.whole("height"),
            code=body.whole("code"),
            codespace=body.text("codespace", ""),
            raw_log=body.text("raw_log", ""),
            gas_used=body.whole("gas_used", 0),
            gas_wanted=body.whole("gas_wanted"),
            events=tuple(TxEvent.from_api(item) for item in body.children("events", [])),
            timeout_timestamp=timeout_timestamp,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastReply:
    """The mempool's answer; ``code`` 0 is not inclusion."""

    txhash: str
    code: int
    codespace: str
    raw_log: str

    @classmethod
    def from_api(cls, body: Reader) -> BroadcastReply:
        reply = body.child("tx_response")
        return cls(
            txhash=reply.text("txhash"),
            code=reply.whole("code"),
            codespace=reply.text("codespace", ""),
            raw_log=reply.text("raw_log", ""),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedEvent:
    """One ``devshard_escrow_created`` with the transaction it came in."""

    escrow_id: int
    tx_hash: str
    height: int
    model_id: str
    amount: int
    epoch_index: int
    gas_wanted: int
    timeout_timestamp: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SettledEvent:
    """One ``devshard_escrow_settled``; ``total_payout`` holds the fees too."""

    escrow_id: int
    settler: str
    total_payout: int
    fees: int
    remainder: int
    tx_hash: str
    height: int

    @classmethod
    def from_tx(cls, tx: TxResult, escrow_id: int) -> SettledEvent | None:
        """The event in a transaction, if that one settled this escrow."""
        for event in tx.events:
            if tx.code != 0 or event.type != "devshard_escrow_settled":
                continue
            body = Reader(dict(event.attributes), f"event of {tx.txhash}")
            if body.whole("escrow_id") == escrow_id:
                return cls(
                    escrow_id=escrow_id,
                    settler=body.text("settler"),
                    total_payout=body.whole("total_payout"),
                    fees=body.whole("fees"),
                    remainder=body.whole("remainder"),
                    tx_hash=tx.txhash,
                    height=tx.height,
                )
        return None

    @property
    def accounts(self) -> dict[str, int]:
        """deposit = spent + fees + refund."""
        return {
            "spent": self.total_payout - self.fees,
            "fees": self.fees,
            "refund": self.remainder,
        }


# the gateway


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """A session in the gateway's memory. The gateway leaves out what is zero or empty."""

    active: bool
    phase: str
    nonce: int
    balance: int
    active_requests: int
    requests_blocked: bool
    block_reason: str
    chain_phase: str

    @classmethod
    def from_api(cls, body: Reader) -> Runtime:
        return cls(
            active=body.flag("active"),
            phase=body.text("phase", ""),
            nonce=body.whole("nonce", 0),
            balance=body.whole("balance", 0),
            active_requests=body.number("active_requests"),
            requests_blocked=body.flag("requests_blocked"),
            block_reason=body.text("block_reason", ""),
            chain_phase=body.text("chain_phase", ""),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Devshard:
    """A record of the gateway; ``runtime`` is None when its session is not loaded.

    The plain key that an old record may hold is never kept here, only that it is there.
    """

    id: str
    active: bool
    model: str | None
    storage_path: str | None
    private_key_env: str | None
    has_plain_key: bool
    rotation_role: str | None
    rotation_epoch: int | None
    created_at: str
    runtime: Runtime | None

    @classmethod
    def from_api(cls, body: Reader) -> Devshard:
        return cls(
            id=body.digits("id"),
            active=body.flag("active"),
            model=body.text_or_none("model"),
            storage_path=body.text_or_none("storage_path"),
            private_key_env=body.text_or_none("private_key_env"),
            has_plain_key=body.has("private_key"),
            rotation_role=body.text_or_none("rotation_role"),
            rotation_epoch=body.whole("rotation_epoch") if body.has("rotation_epoch") else None,
            created_at=body.text("created_at"),
            runtime=Runtime.from_api(body.child("runtime")) if body.has("runtime") else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayState:
    """``GET /v1/admin/state``: the same for 0, 1 and N escrows, also when redirected."""

    devshards: tuple[Devshard, ...]
    in_flight_requests: int
    settings: Mapping[str, t.Any]
    capacity: Mapping[str, t.Any]

    @classmethod
    def from_api(cls, body: Reader) -> GatewayState:
        return cls(
            devshards=tuple(Devshard.from_api(item) for item in body.children("devshards")),
            in_flight_requests=body.child("limiter").number("in_flight_requests"),
            settings=body.child("settings").raw(),
            capacity=body.child("capacity").raw(),
        )

    @property
    def active_requests(self) -> int:
        return sum(item.runtime.active_requests for item in self.devshards if item.runtime)


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationStatus:
    """``GET /v1/debug/rotation``. Zeros and empty texts mean that no poll has succeeded yet."""

    block_height: int
    epoch_index: int
    phase: str
    confirmation_poc_phase: str
    blocks_to_epoch_switch: int
    blocks_until_next_rotation: int
    settings: Mapping[str, t.Any]
    latest: tuple[Mapping[str, t.Any], ...] = field(default=())

    @property
    def polled(self) -> bool:
        return self.block_height > 0 and self.phase != ""

    @classmethod
    def from_api(cls, body: Reader) -> RotationStatus:
        chain = body.child("chain")
        return cls(
            block_height=chain.whole("block_height"),
            epoch_index=chain.whole("epoch_index"),
            phase=chain.text("phase", ""),
            confirmation_poc_phase=chain.text("confirmation_poc_phase", ""),
            # below zero when a switch is late
            blocks_to_epoch_switch=chain.whole("blocks_to_epoch_switch", signed=True),
            blocks_until_next_rotation=chain.whole("blocks_until_next_rotation", signed=True),
            settings=body.child("settings").raw(),
            latest=tuple(item.raw() for item in body.children("latest", [])),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateReply:
    escrow_id: int
    tx_hash: str
    creator: str
    registered: bool

    @classmethod
    def from_api(cls, body: Reader) -> CreateReply:
        return cls(
            escrow_id=body.whole("escrow_id"),
            tx_hash=body.text("tx_hash"),
            creator=body.text("creator"),
            registered=body.flag("registered"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleReply:
    """The gateway's 200 to a settle: accepted for sending, not executed."""

    escrow_id: int
    tx_hash: str
    settler: str

    @classmethod
    def from_api(cls, body: Reader) -> SettleReply:
        return cls(
            escrow_id=body.whole("escrow_id"),
            tx_hash=body.text("tx_hash"),
            settler=body.text("settler"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStatus:
    """``/devshard/{id}/v1/status``: nonce and balance are always there in this view."""

    escrow_id: str
    nonce: int
    balance: int
    phase: str

    @classmethod
    def from_api(cls, body: Reader) -> SessionStatus:
        return cls(
            escrow_id=body.text("escrow_id"),
            nonce=body.number("nonce"),
            balance=body.number("balance"),
            phase=body.text("phase"),
        )
