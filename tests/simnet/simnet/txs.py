# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Transactions in the chain's wire format: protobuf bytes, proto JSON, hash.

The field numbers are the chain's. Bytes are kept as they came: a signature
covers the sender's bytes, not our idea of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simnet import crypto
from simnet.timestamps import Timestamp

CREATE_TYPE = "/inference.inference.MsgCreateDevshardEscrow"
SETTLE_TYPE = "/inference.inference.MsgSettleDevshardEscrow"
SEND_TYPE = "/cosmos.bank.v1beta1.MsgSend"
EXEC_TYPE = "/cosmos.authz.v1beta1.MsgExec"
PUBKEY_TYPE = "/cosmos.crypto.secp256k1.PubKey"
MODE_DIRECT = 1
_MODE_NAMES = {0: "SIGN_MODE_UNSPECIFIED", MODE_DIRECT: "SIGN_MODE_DIRECT"}
_MODES = {name: number for number, name in _MODE_NAMES.items()}


# The end of the year 9999, as protobuf's timestamps have it.
_LAST_SECOND = 253_402_300_799


class TxDecodeError(ValueError):
    """The bytes or the JSON are not a transaction of a known shape."""


# --- protobuf primitives ---------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_bytes(number: int, value: bytes | str) -> bytes:
    """Encode a length-delimited field; empty values are left out."""
    raw = value.encode() if isinstance(value, str) else value
    return field_message(number, raw) if raw else b""


def field_message(number: int, raw: bytes) -> bytes:
    """Encode a length-delimited field, also when it is empty."""
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def field_varint(number: int, value: int) -> bytes:
    """Encode a varint field; zero is left out."""
    return _varint(number << 3) + _varint(value & (1 << 64) - 1) if value else b""


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise TxDecodeError("unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def fields_of(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of every field: ``int`` for varints, else ``bytes``."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _read_varint(data, position)
            yield number, value
        elif wire == 2:
            length, position = _read_varint(data, position)
            if position + length > len(data):
                raise TxDecodeError("unexpected EOF")
            yield number, data[position : position + length]
            position += length
        else:
            raise TxDecodeError(f"unexpected wire type {wire} in field {number}")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TxDecodeError("expected a length-delimited field")
    return value


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise TxDecodeError("expected a varint field")
    return value


def _as_text(value: int | bytes) -> str:
    try:
        return _as_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise TxDecodeError("string field is not UTF-8") from error


def _unknown(where: str, number: int) -> TxDecodeError:
    return TxDecodeError(f"errUnknownField {where}: unknown field {number}")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unb64(text: object) -> bytes:
    if not isinstance(text, str):
        raise TxDecodeError("expected a base64 string")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise TxDecodeError(f"illegal base64 data: {error}") from error


def _number(value: object) -> int:
    """Read a proto JSON integer: a number or a string of digits."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TxDecodeError(f"expected an integer, got {value!r}")
    try:
        number = int(value)
    except ValueError as error:
        raise TxDecodeError(f"expected an integer, got {value!r}") from error
    if not 0 <= number < 1 << 64:
        raise TxDecodeError(f"integer out of range: {number}")
    return number


# --- messages ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MsgCreate:
    """Lock ``amount`` for one escrow of a model."""

    creator: str
    amount: int
    model_id: str

    type_url = CREATE_TYPE
    module = "inference"

    @property
    def signer(self) -> str:
        return self.creator

    def encode(self) -> bytes:
        return (
            field_bytes(1, self.creator)
            + field_varint(2, self.amount)
            + field_bytes(3, self.model_id)
        )

    @classmethod
    def decode(cls, data: bytes) -> MsgCreate:
        creator, amount, model_id = "", 0, ""
        for number, value in fields_of(data):
            if number == 1:
                creator = _as_text(value)
            elif number == 2:
                amount = _as_int(value)
            elif number == 3:
                model_id = _as_text(value)
            else:
                raise _unknown("MsgCreateDevshardEscrow", number)
        return cls(creator, amount, model_id)

    def to_json(self) -> dict[str, Any]:
        return {
            "@type": self.type_url,
            "creator": self.creator,
            "amount": str(self.amount),
            "model_id": self.model_id,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MsgCreate:
        return cls(
            str(data.get("creator", "")),
            _number(data.get("amount", 0)),
            str(data.get("model_id", "")),
        )


@dataclass(frozen=True, slots=True)
class HostStats:
    """What one slot did in the session."""

    slot_id: int
    missed: int = 0
    invalid: int = 0
    cost: int = 0
    required_validations: int = 0
    completed_validations: int = 0

    def encode(self) -> bytes:
        return (
            field_varint(1, self.slot_id)
            + field_varint(2, self.missed)
            + field_varint(3, self.invalid)
            + field_varint(4, self.cost)
            + field_varint(5, self.required_validations)
            + field_varint(6, self.completed_validations)
        )

    @classmethod
    def decode(cls, data: bytes) -> HostStats:
        values = [0] * 6
        for number, value in fields_of(data):
            if not 1 <= number <= 6:
                raise _unknown("DevshardSettlementHostStats", number)
            values[number - 1] = _as_int(value)
        return cls(*values)

    def to_json(self) -> dict[str, Any]:
        return {
            "slot_id": self.slot_id,
            "missed": self.missed,
            "invalid": self.invalid,
            "cost": str(self.cost),
            "required_validations": self.required_validations,
            "completed_validations": self.completed_validations,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HostStats:
        return cls(
            _number(data.get("slot_id", 0)),
            _number(data.get("missed", 0)),
            _number(data.get("invalid", 0)),
            _number(data.get("cost", 0)),
            _number(data.get("required_validations", 0)),
            _number(data.get("completed_validations", 0)),
        )


@dataclass(frozen=True, slots=True)
class SlotSignature:
    slot_id: int
    signature: bytes

    def encode(self) -> bytes:
        return field_varint(1, self.slot_id) + field_bytes(2, self.signature)

    @classmethod
    def decode(cls, data: bytes) -> SlotSignature:
        slot_id, signature = 0, b""
        for number, value in fields_of(data):
            if number == 1:
                slot_id = _as_int(value)
            elif number == 2:
                signature = _as_bytes(value)
            else:
                raise _unknown("DevshardSlotSignature", number)
        return cls(slot_id, signature)

    def to_json(self) -> dict[str, Any]:
        return {"slot_id": self.slot_id, "signature": b64(self.signature)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SlotSignature:
        return cls(_number(data.get("slot_id", 0)), unb64(data.get("signature", "")))


@dataclass(frozen=True, slots=True)
class MsgSettle:
    """Settle an escrow with the hosts' signatures over its final state."""

    settler: str
    escrow_id: int
    state_root: bytes
    nonce: int
    rest_hash: bytes
    host_stats: tuple[HostStats, ...]
    signatures: tuple[SlotSignature, ...]
    fees: int
    version: str

    type_url = SETTLE_TYPE
    module = "inference"

    @property
    def signer(self) -> str:
        return self.settler

    def encode(self) -> bytes:
        return (
            field_bytes(1, self.settler)
            + field_varint(2, self.escrow_id)
            + field_bytes(3, self.state_root)
            + field_varint(4, self.nonce)
            + field_bytes(5, self.rest_hash)
            + b"".join(field_message(6, stats.encode()) for stats in self.host_stats)
            + b"".join(field_message(7, entry.encode()) for entry in self.signatures)
            + field_varint(8, self.fees)
            + field_bytes(9, self.version)
        )

    @classmethod
    def decode(cls, data: bytes) -> MsgSettle:
        texts = {1: "", 9: ""}
        numbers = {2: 0, 4: 0, 8: 0}
        blobs = {3: b"", 5: b""}
        stats: list[HostStats] = []
        signatures: list[SlotSignature] = []
        for number, value in fields_of(data):
            if number in texts:
                texts[number] = _as_text(value)
            elif number in numbers:
                numbers[number] = _as_int(value)
            elif number in blobs:
                blobs[number] = _as_bytes(value)
            elif number == 6:
                stats.append(HostStats.decode(_as_bytes(value)))
            elif number == 7:
                signatures.append(SlotSignature.decode(_as_bytes(value)))
            else:
                raise _unknown("MsgSettleDevshardEscrow", number)
        return cls(
            settler=texts[1],
            escrow_id=numbers[2],
            state_root=blobs[3],
            nonce=numbers[4],
            rest_hash=blobs[5],
            host_stats=tuple(stats),
            signatures=tuple(signatures),
            fees=numbers[8],
            version=texts[9],
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "@type": self.type_url,
            "settler": self.settler,
            "escrow_id": str(self.escrow_id),
            "state_root_and_protocol_version": self.version,
            "state_root": b64(self.state_root),
            "nonce": str(self.nonce),
            "rest_hash": b64(self.rest_hash),
            "host_stats": [stats.to_json() for stats in self.host_stats],
            "signatures": [entry.to_json() for entry in self.signatures],
            "fees": str(self.fees),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MsgSettle:
        return cls(
            settler=str(data.get("settler", "")),
            escrow_id=_number(data.get("escrow_id", 0)),
            state_root=unb64(data.get("state_root", "")),
            nonce=_number(data.get("nonce", 0)),
            rest_hash=unb64(data.get("rest_hash", "")),
            host_stats=tuple(HostStats.from_json(entry) for entry in data.get("host_stats", [])),
            signatures=tuple(
                SlotSignature.from_json(entry) for entry in data.get("signatures", [])
            ),
            fees=_number(data.get("fees", 0)),
            version=str(data.get("state_root_and_protocol_version", "")),
        )

    @classmethod
    def from_settlement(cls, settler: str, data: Mapping[str, Any]) -> MsgSettle:
        """Build the message from the JSON that a gateway's finalize answered."""
        message = dict(data)
        message["settler"] = settler
        message["state_root_and_protocol_version"] = data.get("version", "")
        return cls.from_json(message)


@dataclass(frozen=True, slots=True)
class Coin:
    denom: str
    amount: int

    def encode(self) -> bytes:
        return field_bytes(1, self.denom) + field_bytes(2, str(self.amount))

    @classmethod
    def decode(cls, data: bytes) -> Coin:
        denom, amount = "", "0"
        for number, value in fields_of(data):
            if number == 1:
                denom = _as_text(value)
            elif number == 2:
                amount = _as_text(value)
            else:
                raise _unknown("Coin", number)
        return cls(denom, _number(amount))

    def __str__(self) -> str:
        return f"{self.amount}{self.denom}"

    def to_json(self) -> dict[str, str]:
        return {"denom": self.denom, "amount": str(self.amount)}


@dataclass(frozen=True, slots=True)
class MsgSend:
    """Coins from one address to another."""

    sender: str
    recipient: str
    amount: tuple[Coin, ...]

    type_url = SEND_TYPE
    module = "bank"

    @property
    def signer(self) -> str:
        return self.sender

    def encode(self) -> bytes:
        coins = b"".join(field_message(3, coin.encode()) for coin in self.amount)
        return field_bytes(1, self.sender) + field_bytes(2, self.recipient) + coins

    @classmethod
    def decode(cls, data: bytes) -> MsgSend:
        sender, recipient = "", ""
        coins: list[Coin] = []
        for number, value in fields_of(data):
            if number == 1:
                sender = _as_text(value)
            elif number == 2:
                recipient = _as_text(value)
            elif number == 3:
                coins.append(Coin.decode(_as_bytes(value)))
            else:
                raise _unknown("MsgSend", number)
        return cls(sender, recipient, tuple(coins))

    def to_json(self) -> dict[str, Any]:
        return {
            "@type": self.type_url,
            "from_address": self.sender,
            "to_address": self.recipient,
            "amount": [coin.to_json() for coin in self.amount],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MsgSend:
        coins = tuple(
            Coin(str(coin.get("denom", "")), _number(coin.get("amount", 0)))
            for coin in data.get("amount", [])
        )
        return cls(str(data.get("from_address", "")), str(data.get("to_address", "")), coins)


@dataclass(frozen=True, slots=True)
class MsgExec:
    """Other messages, in the name of those who granted that."""

    grantee: str
    messages: tuple[Message, ...]

    type_url = EXEC_TYPE
    module = "authz"

    @property
    def signer(self) -> str:
        return self.grantee

    def encode(self) -> bytes:
        return field_bytes(1, self.grantee) + b"".join(
            field_message(2, _encode_any(message.type_url, message.encode()))
            for message in self.messages
        )

    @classmethod
    def decode(cls, data: bytes) -> MsgExec:
        grantee = ""
        messages: list[Message] = []
        for number, value in fields_of(data):
            if number == 1:
                grantee = _as_text(value)
            elif number == 2:
                messages.append(_decode_message(_as_bytes(value)))
            else:
                raise _unknown("MsgExec", number)
        return cls(grantee, tuple(messages))

    def to_json(self) -> dict[str, Any]:
        return {
            "@type": self.type_url,
            "grantee": self.grantee,
            "msgs": [message.to_json() for message in self.messages],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MsgExec:
        return cls(
            str(data.get("grantee", "")),
            tuple(_message_from_json(entry) for entry in data.get("msgs", [])),
        )


Message = MsgCreate | MsgSettle | MsgSend | MsgExec
_TYPES: tuple[type[MsgCreate | MsgSettle | MsgSend | MsgExec], ...] = (
    MsgCreate,
    MsgSettle,
    MsgSend,
    MsgExec,
)


def _encode_any(type_url: str, value: bytes) -> bytes:
    return field_bytes(1, type_url) + field_bytes(2, value)


def _decode_any(data: bytes) -> tuple[str, bytes]:
    type_url, value = "", b""
    for number, item in fields_of(data):
        if number == 1:
            type_url = _as_text(item)
        elif number == 2:
            value = _as_bytes(item)
        else:
            raise _unknown("Any", number)
    return type_url, value


def _decode_message(data: bytes) -> Message:
    type_url, value = _decode_any(data)
    for kind in _TYPES:
        if type_url == kind.type_url:
            return kind.decode(value)
    raise TxDecodeError(f"unable to resolve type URL {type_url}")


def _message_from_json(data: Mapping[str, Any]) -> Message:
    type_url = data.get("@type", "")
    for kind in _TYPES:
        if type_url == kind.type_url:
            return kind.from_json(data)
    raise TxDecodeError(f"unable to resolve type URL {type_url}")


# --- the transaction -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TxBody:
    messages: tuple[Message, ...]
    memo: str = ""
    timeout_height: int = 0
    unordered: bool = False
    timeout_timestamp: Timestamp | None = None

    def encode(self) -> bytes:
        timeout = self.timeout_timestamp
        return (
            b"".join(
                field_message(1, _encode_any(message.type_url, message.encode()))
                for message in self.messages
            )
            + field_bytes(2, self.memo)
            + field_varint(3, self.timeout_height)
            + field_varint(4, int(self.unordered))
            + (b"" if timeout is None else field_message(5, _encode_timestamp(timeout)))
        )

    @classmethod
    def decode(cls, data: bytes) -> TxBody:
        messages: list[Message] = []
        memo, height, unordered = "", 0, False
        timeout: Timestamp | None = None
        for number, value in fields_of(data):
            if number == 1:
                messages.append(_decode_message(_as_bytes(value)))
            elif number == 2:
                memo = _as_text(value)
            elif number == 3:
                height = _as_int(value)
            elif number == 4:
                unordered = bool(_as_int(value))
            elif number == 5:
                timeout = _decode_timestamp(_as_bytes(value))
            else:
                raise _unknown("TxBody", number)
        return cls(tuple(messages), memo, height, unordered, timeout)

    def to_json(self) -> dict[str, Any]:
        timeout = self.timeout_timestamp
        return {
            "messages": [message.to_json() for message in self.messages],
            "memo": self.memo,
            "timeout_height": str(self.timeout_height),
            "unordered": self.unordered,
            "timeout_timestamp": None if timeout is None else timeout.rfc3339(),
            "extension_options": [],
            "non_critical_extension_options": [],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TxBody:
        timeout = data.get("timeout_timestamp")
        return cls(
            messages=tuple(_message_from_json(entry) for entry in data.get("messages", [])),
            memo=str(data.get("memo", "")),
            timeout_height=_number(data.get("timeout_height", 0)),
            unordered=bool(data.get("unordered", False)),
            timeout_timestamp=None if timeout is None else Timestamp.parse(str(timeout)),
        )


def _encode_timestamp(value: Timestamp) -> bytes:
    return field_varint(1, value.seconds) + field_varint(2, value.nanos)


def _decode_timestamp(data: bytes) -> Timestamp:
    seconds = nanos = 0
    for number, value in fields_of(data):
        if number == 1:
            seconds = _as_int(value)
        elif number == 2:
            nanos = _as_int(value)
        else:
            raise _unknown("Timestamp", number)
    if seconds > _LAST_SECOND or nanos > 999_999_999:
        raise TxDecodeError("timestamp out of range")
    return Timestamp(seconds, nanos)


@dataclass(frozen=True, slots=True)
class SignerInfo:
    public_key: bytes
    sequence: int = 0
    mode: int = MODE_DIRECT

    def encode(self) -> bytes:
        key = _encode_any(PUBKEY_TYPE, field_bytes(1, self.public_key))
        mode_info = field_message(1, field_varint(1, self.mode))
        return field_message(1, key) + field_message(2, mode_info) + field_varint(3, self.sequence)

    @classmethod
    def decode(cls, data: bytes) -> SignerInfo:
        key, mode, sequence = b"", 0, 0
        for number, value in fields_of(data):
            if number == 1:
                type_url, raw = _decode_any(_as_bytes(value))
                if type_url != PUBKEY_TYPE:
                    raise TxDecodeError(f"unable to resolve type URL {type_url}")
                key = next((_as_bytes(item) for n, item in fields_of(raw) if n == 1), b"")
            elif number == 2:
                mode = _decode_mode(_as_bytes(value))
            elif number == 3:
                sequence = _as_int(value)
            else:
                raise _unknown("SignerInfo", number)
        return cls(key, sequence, mode)

    def to_json(self) -> dict[str, Any]:
        return {
            "public_key": {"@type": PUBKEY_TYPE, "key": b64(self.public_key)},
            "mode_info": {"single": {"mode": _MODE_NAMES.get(self.mode, self.mode)}},
            "sequence": str(self.sequence),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SignerInfo:
        mode = data.get("mode_info", {}).get("single", {}).get("mode", "SIGN_MODE_UNSPECIFIED")
        if mode not in _MODES:
            raise TxDecodeError(f"unknown sign mode {mode!r}")
        return cls(
            unb64(data.get("public_key", {}).get("key", "")),
            _number(data.get("sequence", 0)),
            _MODES[mode],
        )


def _decode_mode(data: bytes) -> int:
    for number, value in fields_of(data):
        if number == 1:
            return next((_as_int(item) for n, item in fields_of(_as_bytes(value)) if n == 1), 0)
    return 0


@dataclass(frozen=True, slots=True)
class AuthInfo:
    signer_infos: tuple[SignerInfo, ...]
    fee: tuple[Coin, ...]
    gas_limit: int
    payer: str = ""
    granter: str = ""

    def encode(self) -> bytes:
        fee = (
            b"".join(field_message(1, coin.encode()) for coin in self.fee)
            + field_varint(2, self.gas_limit)
            + field_bytes(3, self.payer)
            + field_bytes(4, self.granter)
        )
        infos = b"".join(field_message(1, info.encode()) for info in self.signer_infos)
        return infos + field_message(2, fee)

    @classmethod
    def decode(cls, data: bytes) -> AuthInfo:
        infos: list[SignerInfo] = []
        coins: list[Coin] = []
        gas_limit, payer, granter = 0, "", ""
        for number, value in fields_of(data):
            if number == 1:
                infos.append(SignerInfo.decode(_as_bytes(value)))
            elif number == 2:
                for fee_number, item in fields_of(_as_bytes(value)):
                    if fee_number == 1:
                        coins.append(Coin.decode(_as_bytes(item)))
                    elif fee_number == 2:
                        gas_limit = _as_int(item)
                    elif fee_number == 3:
                        payer = _as_text(item)
                    elif fee_number == 4:
                        granter = _as_text(item)
                    else:
                        raise _unknown("Fee", fee_number)
            else:
                raise _unknown("AuthInfo", number)
        return cls(tuple(infos), tuple(coins), gas_limit, payer, granter)

    def to_json(self) -> dict[str, Any]:
        return {
            "signer_infos": [info.to_json() for info in self.signer_infos],
            "fee": {
                "amount": [coin.to_json() for coin in self.fee],
                "gas_limit": str(self.gas_limit),
                "payer": self.payer,
                "granter": self.granter,
            },
            "tip": None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AuthInfo:
        fee = data.get("fee") or {}
        return cls(
            tuple(SignerInfo.from_json(entry) for entry in data.get("signer_infos", [])),
            tuple(
                Coin(str(coin.get("denom", "")), _number(coin.get("amount", 0)))
                for coin in fee.get("amount", [])
            ),
            _number(fee.get("gas_limit", 0)),
            str(fee.get("payer", "")),
            str(fee.get("granter", "")),
        )


@dataclass(frozen=True, slots=True)
class Tx:
    """A transaction with the exact bytes that were, or will be, signed."""

    body: TxBody
    auth_info: AuthInfo
    signatures: tuple[bytes, ...] = ()
    body_bytes: bytes = field(default=b"", repr=False)
    auth_info_bytes: bytes = field(default=b"", repr=False)

    @classmethod
    def build(cls, body: TxBody, auth_info: AuthInfo, signatures: tuple[bytes, ...] = ()) -> Tx:
        return cls(body, auth_info, signatures, body.encode(), auth_info.encode())

    @classmethod
    def decode(cls, data: bytes) -> Tx:
        body_bytes = auth_info_bytes = b""
        signatures: list[bytes] = []
        for number, value in fields_of(data):
            if number == 1:
                body_bytes = _as_bytes(value)
            elif number == 2:
                auth_info_bytes = _as_bytes(value)
            elif number == 3:
                signatures.append(_as_bytes(value))
            else:
                raise _unknown("TxRaw", number)
        return cls(
            TxBody.decode(body_bytes),
            AuthInfo.decode(auth_info_bytes),
            tuple(signatures),
            body_bytes,
            auth_info_bytes,
        )

    def encode(self) -> bytes:
        return (
            field_bytes(1, self.body_bytes)
            + field_bytes(2, self.auth_info_bytes)
            + b"".join(field_message(3, signature) for signature in self.signatures)
        )

    @property
    def hash(self) -> str:
        return tx_hash(self.encode())

    @property
    def signer(self) -> str:
        return self.body.messages[0].signer if self.body.messages else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "body": self.body.to_json(),
            "auth_info": self.auth_info.to_json(),
            "signatures": [b64(signature) for signature in self.signatures],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tx:
        if not isinstance(data, Mapping) or not isinstance(data.get("body"), Mapping):
            raise TxDecodeError("not a transaction: no body")
        return cls.build(
            TxBody.from_json(data["body"]),
            AuthInfo.from_json(data.get("auth_info") or {}),
            tuple(unb64(entry) for entry in data.get("signatures", [])),
        )


def tx_hash(tx_bytes: bytes) -> str:
    """Transaction hash: upper-case hexadecimal SHA-256 of the bytes."""
    return hashlib.sha256(tx_bytes).hexdigest().upper()


def sign_bytes(tx: Tx, chain_id: str, account_number: int) -> bytes:
    """The SignDoc that a direct-mode signature covers."""
    return (
        field_bytes(1, tx.body_bytes)
        + field_bytes(2, tx.auth_info_bytes)
        + field_bytes(3, chain_id)
        + field_varint(4, account_number)
    )


def sign_tx(
    body: TxBody,
    key: crypto.PrivateKey,
    *,
    chain_id: str,
    account_number: int,
    fee: tuple[Coin, ...],
    gas_limit: int,
    sequence: int = 0,
) -> Tx:
    """Build and sign a transaction in direct mode."""
    auth_info = AuthInfo((SignerInfo(key.public_key, sequence),), fee, gas_limit)
    unsigned = Tx.build(body, auth_info)
    signature = key.sign(sign_bytes(unsigned, chain_id, account_number))
    return Tx.build(body, auth_info, (signature,))
