# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What every transaction must pass before its messages run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simnet import crypto, txs
from simnet.bank import Account, Bank, InsufficientFundsError
from simnet.chainrelease import FeeRule
from simnet.refusal import Refused
from simnet.timestamps import NANOS, Timestamp

MAX_LIFETIME_NS = 600 * NANOS
# What the checks themselves cost; less gas than this fails before any block.
GAS_CHECKS = 56_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks learned about a good transaction."""

    account: Account
    public_key: bytes
    fee: int
    first: bool


def out_of_gas(wanted: int, used: int) -> Refused:
    location = "out of gas in location: WritePerByte; gasWanted"
    return Refused(11, f"{location}: {wanted}, gasUsed: {used}: out of gas")


class Ante:
    def __init__(
        self,
        bank: Bank,
        chain_id: str,
        fees: FeeRule,
        params: Callable[[], Mapping[str, Any]],
        duty: Callable[[txs.MsgSettle], None] | None,
    ) -> None:
        """``duty`` refuses who may not settle, where that is judged before the mempool."""
        self._bank = bank
        self._chain_id = chain_id
        self._fees = fees
        self._params = params
        self._duty = duty

    def check(self, tx: txs.Tx, now: Timestamp, *, verify: bool = True) -> Checked:
        """Check in the order of the chain's decorators; raise :class:`Refused`."""
        self._check_basics(tx)
        timeout = tx.body.timeout_timestamp
        if timeout is not None and timeout < now:
            raise Refused(
                42,
                f"block time: {now.go_string()}, timeout timestamp: {timeout.go_string()}: "
                "tx timeout",
            )
        fee = self._fees.charge(tx, self._params())
        if self._duty is not None:
            for message in tx.body.messages:
                if isinstance(message, txs.MsgSettle):
                    self._duty(message)
        account = self._bank.account(tx.signer)
        if account is None:
            raise Refused(9, f"fee payer address: {tx.signer} does not exist: unknown address")
        try:
            self._bank.check(tx.signer, fee)
        except InsufficientFundsError as error:
            raise Refused(5, f"{error}: insufficient funds") from error
        info = tx.auth_info.signer_infos[0]
        public_key = info.public_key or account.public_key or b""
        if crypto.address_of(public_key) != tx.signer:
            raise Refused(
                8,
                f"pubKey does not match signer address {tx.signer} with signer index: 0: "
                "invalid pubkey",
            )
        self._check_order(tx, account, now)
        if verify:
            self._check_signature(tx, account, public_key)
        return Checked(account, public_key, fee, account.public_key is None)

    @staticmethod
    def _check_basics(tx: txs.Tx) -> None:
        if len(tx.body.messages) != 1:
            raise Refused(18, "must contain at least one message: invalid request")
        if not tx.signatures:
            raise Refused(15, "no signatures supplied")
        if len(tx.signatures) != 1 or len(tx.auth_info.signer_infos) != 1:
            raise Refused(
                4,
                f"wrong number of signers; expected 1, got {len(tx.signatures)}: unauthorized",
            )
        try:
            crypto.decode_address(tx.signer)
        except crypto.AddressError as error:
            raise Refused(7, f"{error}: invalid address") from error
        if tx.auth_info.gas_limit < GAS_CHECKS:
            raise out_of_gas(tx.auth_info.gas_limit, GAS_CHECKS)

    @staticmethod
    def _check_order(tx: txs.Tx, account: Account, now: Timestamp) -> None:
        sequence = tx.auth_info.signer_infos[0].sequence
        if not tx.body.unordered:
            if sequence != account.sequence:
                raise Refused(
                    32,
                    f"account sequence mismatch, expected {account.sequence}, got {sequence}: "
                    "incorrect account sequence",
                )
            return
        timeout = tx.body.timeout_timestamp
        if timeout is None or timeout.seconds == 0:
            raise Refused(
                18, "unordered transaction must have timeout_timestamp set: invalid request"
            )
        if timeout.ns > now.ns + MAX_LIFETIME_NS:
            raise Refused(18, "unordered tx ttl exceeds 10m0s: invalid request")
        if sequence:
            raise Refused(18, "sequence is not allowed for unordered transactions: invalid request")

    def _check_signature(self, tx: txs.Tx, account: Account, public_key: bytes) -> None:
        signed = txs.sign_bytes(tx, self._chain_id, account.number)
        direct = tx.auth_info.signer_infos[0].mode == txs.MODE_DIRECT
        if not direct or not crypto.verify(public_key, signed, tx.signatures[0]):
            raise Refused(
                4,
                "signature verification failed; please verify account number "
                f"({account.number}) and chain-id ({self._chain_id}): "
                "(unable to verify single signer signature): unauthorized",
            )
