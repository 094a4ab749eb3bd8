# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the chain answers, as frozen objects."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.reader import Reader
from .fees import CREATE_TYPE, SETTLE_TYPE, FeeParams
from .releases import ApprovedVersions, judge_approved

if t.TYPE_CHECKING:
    from collections.abc import Mapping


ESCROW_TERMS: t.Final = (
    "fee_per_nonce",
    "inference_seal_grace_nonces",
    "inference_seal_grace_seconds",
    "auto_seal_every_n_nonces",
    "validation_rate",
    "vote_threshold_factor",
    "max_nonce",
    "refusal_timeout",
    "execution_timeout",
)
"""What newer chains keep in the escrow of the parameters it was made with."""


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
    terms: Mapping[str, int] = field(default_factory=dict)
    """Those of ``ESCROW_TERMS`` that this chain names."""

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
            terms={name: body.whole(name) for name in ESCROW_TERMS if body.has(name)},
        )


PARAM_TERMS: t.Final = (
    "max_nonce",
    "refusal_timeout",
    "execution_timeout",
    "validation_rate",
    "vote_threshold_factor",
    "default_inference_seal_grace_nonces",
    "default_inference_seal_grace_seconds",
    "default_auto_seal_every_n_nonces",
)
"""Parameters that an escrow depends on as long as it is open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EscrowParams:
    """``devshard_escrow_params`` of the chain; an empty list of creators means every account."""

    min_amount: int
    max_amount: int
    max_escrows_per_epoch: int
    max_nonce: int
    group_size: int
    create_devshard_fee: int
    fee_per_nonce: int
    allowed_creator_addresses: tuple[str, ...]
    approved: ApprovedVersions
    fees: FeeParams
    terms: Mapping[str, int] = field(default_factory=dict)
    """Those of ``PARAM_TERMS`` that this chain names."""

    @classmethod
    def from_api(cls, body: Reader, approved: ApprovedVersions | None = None) -> EscrowParams:
        """``approved`` comes from both places where a chain may have its approved versions; what
        the parameters alone say of them is all that is known without."""
        params = body.child("devshard_escrow_params")
        return cls(
            min_amount=params.whole("min_amount"),
            max_amount=params.whole("max_amount"),
            max_escrows_per_epoch=params.whole("max_escrows_per_epoch"),
            max_nonce=params.whole("max_nonce"),
            group_size=params.whole("group_size", 16),
            create_devshard_fee=params.whole("create_devshard_fee", 0),
            fee_per_nonce=params.whole("fee_per_nonce", 0),
            allowed_creator_addresses=params.texts("allowed_creator_addresses"),
            approved=approved or judge_approved(None, listed_versions(body), None),
            fees=FeeParams.from_api(body.child("fee_params"))
            if body.has("fee_params")
            else FeeParams(),
            terms={name: params.whole(name) for name in PARAM_TERMS if params.has(name)},
        )

    @property
    def create_gas_price(self) -> int:
        return self.fees.price(CREATE_TYPE)

    def to_result(self) -> dict[str, t.Any]:
        return {
            "min_amount": self.min_amount,
            "max_amount": self.max_amount,
            "max_escrows_per_epoch": self.max_escrows_per_epoch,
            "max_nonce": self.max_nonce,
            "create_devshard_fee": self.create_devshard_fee,
            "fee_per_nonce": self.fee_per_nonce,
            **self.approved.to_result(),
            "min_gas_price": self.fees.min_gas_price,
            "create_gas_price": self.create_gas_price,
            "settle_gas_price": self.fees.price(SETTLE_TYPE),
            "settle_exempt": self.fees.settle_exempt,
        }


def listed_versions(body: Reader) -> tuple[str, ...]:
    """The approved versions in the parameters, which is where chains before v0.2.16 have them."""
    return _names(body.child("devshard_escrow_params"), "approved_versions")


def stored_versions(body: Reader) -> tuple[str, ...]:
    """The answer of the query that chains have for them since."""
    return _names(body, "versions")


def _names(body: Reader, key: str) -> tuple[str, ...]:
    return tuple(
        item if isinstance(item, str) else Reader(item, key).text("name")
        for item in body.items(key, [])
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainHead:
    """The newest block of a synced node of the right chain."""

    height: int
    time: datetime
    chain_id: str
    catching_up: bool
    clock: datetime | None = None
    """When the node answered, by the clock of its server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """``/v1/epochs/latest`` of the public API; stages are block heights.

    Nodes of different builds answer behind one name: numbers come as strings too, what is null may
    also be missing, and the parameters are nested in some (contract chain-v0.2.16.md §7.1).
    """

    index: int
    height: int
    phase: str
    confirmation_poc: bool
    stages: Mapping[str, int]
    next_stages: Mapping[str, int]

    @classmethod
    def from_api(cls, body: Reader) -> Epoch:
        stages = _stages(body.child("epoch_stages"), "set_new_validators", "next_poc_start")
        if body.has("next_epoch_stages"):
            following = _stages(body.child("next_epoch_stages"), "set_new_validators")
        else:
            switch = stages["set_new_validators"] + _epoch_length(body)
            following = {"set_new_validators": switch}
        return cls(
            index=body.child("latest_epoch").whole("index"),
            height=body.whole("block_height"),
            phase=_phase(body),
            confirmation_poc=body.flag("is_confirmation_poc_active", False),
            stages=stages,
            next_stages=following,
        )


def _stages(body: Reader, *names: str) -> dict[str, int]:
    return {name: body.whole(name) for name in names}


def _epoch_length(body: Reader) -> int:
    """Flat, or inside the parameters of the whole module."""
    params = body.child("epoch_params")
    if params.has("epoch_params"):
        params = params.child("epoch_params")
    return params.whole("epoch_length")


def _phase(body: Reader) -> str:
    """Very old builds number the phases; which is which is not known, so none of them is fine."""
    found = body.raw().get("phase")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return body.text("phase")


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
    timeout_at: datetime | None
    """The end of its lifetime, where the node reports it."""


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


# the hosts of an escrow


def quorum(slots: int) -> int:
    """Signatures that the chain wants: more than two thirds of the slots."""
    return 2 * slots // 3 + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class HostsNonce:
    """The newest nonce that any host reported, and the hosts that reported nothing."""

    nonce: int
    silent: tuple[str, ...]
    asked: int

    @property
    def nobody_told(self) -> bool:
        """Then nothing is known, also where the chain named no host at all."""
        return len(self.silent) == self.asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Voices:
    """How many slots of an escrow have a host that answers now."""

    slots: int
    answering: int
    silent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Hosts whose address the chain did not return."""

    @property
    def quorum(self) -> int:
        return quorum(self.slots)

    @property
    def enough(self) -> bool:
        return self.slots > 0 and self.answering >= self.quorum
