# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Accounts and balances, and the events that moving coins leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simnet import crypto
from simnet.store import Store

DENOM = "ngonka"
FEE_COLLECTOR = crypto.module_address("fee_collector")
GOVERNANCE = crypto.module_address("gov")
ESCROW_MODULE = crypto.module_address("inference")

Event = dict[str, Any]


class InsufficientFundsError(Exception):
    """Says it as the bank module does."""


@dataclass(frozen=True, slots=True)
class Account:
    address: str
    number: int
    public_key: bytes | None
    sequence: int


def event(kind: str, *attributes: tuple[str, object]) -> Event:
    return {
        "type": kind,
        "attributes": [
            {"key": key, "value": str(value), "index": True} for key, value in attributes
        ],
    }


class Bank:
    def __init__(self, store: Store) -> None:
        self._store = store

    def account(self, address: str) -> Account | None:
        row = self._store.row("SELECT * FROM accounts WHERE address = ?", address)
        if row is None:
            return None
        return Account(row["address"], row["number"], row["public_key"], row["sequence"])

    def ensure_account(self, address: str) -> None:
        """An account exists from the moment it first receives coins."""
        if self.account(address) is None:
            self._store.run(
                "INSERT INTO accounts (address, number) "
                "SELECT ?, COALESCE(MAX(number) + 1, 0) FROM accounts",
                address,
            )

    def set_public_key(self, address: str, public_key: bytes) -> None:
        self._store.run("UPDATE accounts SET public_key = ? WHERE address = ?", public_key, address)

    def increase_sequence(self, address: str) -> None:
        self._store.run("UPDATE accounts SET sequence = sequence + 1 WHERE address = ?", address)

    def balance(self, address: str) -> int:
        row = self._store.row("SELECT amount FROM balances WHERE address = ?", address)
        return 0 if row is None else int(row["amount"])

    def set_balance(self, address: str, amount: int) -> None:
        self.ensure_account(address)
        self._store.run("INSERT OR REPLACE INTO balances VALUES (?, ?)", address, amount)

    def check(self, address: str, amount: int) -> None:
        have = self.balance(address)
        if have < amount:
            raise InsufficientFundsError(
                f"spendable balance {have}{DENOM} is smaller than {amount}{DENOM}: "
                "insufficient funds"
            )

    def send(self, sender: str, recipient: str, amount: int) -> list[Event]:
        self.check(sender, amount)
        self.set_balance(sender, self.balance(sender) - amount)
        self.set_balance(recipient, self.balance(recipient) + amount)
        coins = f"{amount}{DENOM}"
        return [
            event("coin_spent", ("spender", sender), ("amount", coins)),
            event("coin_received", ("receiver", recipient), ("amount", coins)),
            event("transfer", ("recipient", recipient), ("sender", sender), ("amount", coins)),
            event("message", ("sender", sender)),
        ]
