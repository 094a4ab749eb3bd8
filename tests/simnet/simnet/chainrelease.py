# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What differs between releases of the chain: data, and a strategy where a rule differs.

The sections in the comments are those of ``chain-v0.2.16.md``.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from simnet import txs
from simnet.bank import DENOM
from simnet.refusal import Refused

Params = Mapping[str, t.Any]
GNK = 1_000_000_000
# Before anything is deducted (#1874); the code and the text were not read.
_MAX_FEE = 100 * GNK
_DUTY_GAS = 3_000_000_000
_MAX_DEPTH = 3


# --- fees ------------------------------------------------------------------------


class FeeRule(t.Protocol):
    def charge(self, tx: txs.Tx, params: Params) -> int:
        """What the transaction pays; raises :class:`Refused` when that is too little."""


class MinGasPrice:
    """One price for all, which is off where it is zero."""

    def charge(self, tx: txs.Tx, params: Params) -> int:
        price = int((params.get("fee_params") or {}).get("min_gas_price_ngonka", 0))
        for coin in tx.auth_info.fee:
            if coin.denom != DENOM:
                raise Refused(10, f"invalid fee denom {coin.denom}: invalid coins")
        fee = sum(coin.amount for coin in tx.auth_info.fee)
        required = tx.auth_info.gas_limit * price
        if fee < required:
            raise Refused(
                13,
                f"insufficient fees; got: {fee}{DENOM} required: {required}{DENOM}: "
                "insufficient fee",
            )
        return fee


class FeeGroups:
    """§5: a price for each enabled group of messages; network duties are free."""

    def charge(self, tx: txs.Tx, params: Params) -> int:
        fees = params.get("fee_params") or {}
        messages = list(_unwrapped(tx.body.messages))
        gas = tx.auth_info.gas_limit
        if all(isinstance(message, txs.MsgSettle) for message in messages):
            if gas > _DUTY_GAS:
                raise Refused(
                    11, f"fee-bypass: gas {gas} exceeds cap {_DUTY_GAS} for network-duty tx"
                )
            return 0
        price = max((_price(message, fees) for message in messages), default=0)
        offered = sum(coin.amount for coin in tx.auth_info.fee if coin.denom == DENOM)
        if offered > _MAX_FEE:
            raise Refused(18, f"fee {offered}{DENOM} exceeds the maximum: invalid request")
        required = gas * price
        if offered < required:
            coins = ",".join(str(coin) for coin in tx.auth_info.fee)
            raise Refused(
                13,
                f"insufficient fee: got {coins}, required at least {required}{DENOM} "
                f"(gas={gas}, min_gas_price={price}{DENOM}): insufficient fee",
            )
        return offered


def _unwrapped(messages: t.Iterable[txs.Message], depth: int = 0) -> t.Iterator[txs.Message]:
    if depth > _MAX_DEPTH:
        raise Refused(18, "nested MsgExec exceeds the depth limit: invalid request")
    for message in messages:
        if not isinstance(message, txs.MsgExec):
            yield message
            continue
        if not message.messages:
            raise Refused(18, "empty MsgExec cannot be classified: invalid request")
        yield from _unwrapped(message.messages, depth + 1)


def _price(message: txs.Message, fees: Params) -> int:
    """The highest price of the enabled groups that a message is in; settling is exempt."""
    if isinstance(message, txs.MsgSettle):
        return 0
    enabled = set(fees.get("enabled_fee_groups") or [])
    return max(
        (
            int(group["min_gas_price"])
            for group in fees.get("groups") or []
            if group["name"] in enabled
            and any(_of_type(message.type_url, entry["type_url"]) for entry in group["msgs"])
        ),
        default=0,
    )


def _of_type(type_url: str, pattern: str) -> bool:
    """A whole type, or all of a module: then the pattern ends with a dot."""
    return type_url.startswith(pattern) if pattern.endswith(".") else type_url == pattern


def _group(name: str, *types: str) -> dict[str, t.Any]:
    base = {"gas": "0", "period_type": "", "period_length": "0"}
    return {
        "name": name,
        "min_gas_price": "1",
        "base": base,
        "msgs": [{"type_url": each} for each in types],
    }


_INFERENCE = "/inference.inference."
_FEE_PARAMS = {
    "min_gas_price_ngonka": "0",
    "base_validation_gas": "500000",
    "gas_per_poc_count": "100",
    "enabled_fee_groups": ["epoch", "cosmos"],
    "groups": [
        _group(
            "devshard",
            txs.CREATE_TYPE,
            txs.SETTLE_TYPE,
            f"{_INFERENCE}MsgSetDevshardRequestsEnabled",
        ),
        _group(
            "cosmos",
            *(
                f"/cosmos.{module}."
                for module in (
                    "bank", "staking", "distribution", "slashing", "authz", "feegrant", "group",
                    "vesting", "evidence", "nft", "circuit", "crisis",
                )
            ),
        ),
        _group("epoch", f"{_INFERENCE}MsgSubmitPocBatch", f"{_INFERENCE}MsgSubmitPocValidation"),
    ],
}  # fmt: skip


# --- the releases ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ChainRelease:
    name: str
    # as the running node tells it
    version: str
    fees: FeeRule
    # §2: approved versions have a store and a query of their own, and these are in it
    approved_store: tuple[str, ...] | None = None
    unapproved: str = (
        'settlement version "{}" is not listed in devshard_escrow_params.approved_versions'
    )
    # §3.1: what a new escrow keeps of the parameters besides
    escrow_fields: tuple[str, ...] = ()
    # §4.1: the epoch is judged after the proof, the settler already before the mempool
    proof_first: bool = False
    duty_signer: bool = False
    too_high: str = "nonce {} exceeds max_nonce {}"
    too_much: str = "total cost {total} exceeds escrow amount {amount}"
    # §4.1 and §4.2: participants must exist, excluded ones forfeit their share
    judges_participants: bool = False
    params: Params | None = None
    # §7: the shape of /v1/epochs/latest
    epochs_shape: str = "legacy"
    newer_queries: bool = False


EPOCHS_SHAPES: t.Final = ("legacy", "transition", "flat")
V0_2_13: t.Final = ChainRelease(name="v0.2.13", version="v0.2.13", fees=MinGasPrice())
V0_2_16: t.Final = ChainRelease(
    name="v0.2.16",
    version="v0.2.16-post1",
    fees=FeeGroups(),
    approved_store=("v2", "v3", "v4", "v4.1", "v5"),
    # its real wording was not read; what is known is its beginning and the "not"
    unapproved='settlement version "{}" is not among the approved devshard versions',
    escrow_fields=("validation_rate", "vote_threshold_factor"),
    proof_first=True,
    duty_signer=True,
    too_high="nonce {} exceeds maximum {}",
    too_much="total debit {total} (cost {cost} + fees {fees}) exceeds escrow amount {amount}",
    judges_participants=True,
    params={
        "fee_params": _FEE_PARAMS,
        "devshard_escrow_params": {"execution_timeout": "1920"},
    },
    epochs_shape="flat",
    newer_queries=True,
)
RELEASES: t.Final[Mapping[str, ChainRelease]] = {each.name: each for each in (V0_2_13, V0_2_16)}
