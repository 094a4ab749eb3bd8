# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What use cases need of the chain and of the creator's key, whatever implements it."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .models import (
        Account,
        BroadcastReply,
        ChainHead,
        CreatedEvent,
        Epoch,
        Escrow,
        EscrowParams,
        SettledEvent,
        TxResult,
    )
    from .releases import Release, UpgradePlan


class ChainPort(t.Protocol):
    """``ChainApi`` says what each of them means."""

    def head(self) -> ChainHead: ...

    def signing_head(self) -> ChainHead: ...

    @property
    def release(self) -> Release | None: ...

    def upgrade_plan(self) -> UpgradePlan | None: ...

    def epoch(self) -> Epoch: ...

    def effective_epoch(self) -> int | None: ...

    def block_seconds(self) -> float | None: ...

    def begins_after(self, height: int) -> int | None: ...

    def tx_indexer_on(self) -> bool: ...

    def escrow_params(self) -> EscrowParams: ...

    def active_models(self) -> list[str]: ...

    def balance(self, address: str) -> int: ...

    def spendable(self, address: str) -> int: ...

    def account(self, address: str) -> Account | None: ...

    def escrow(self, number: int) -> Escrow | None: ...

    def tx(self, tx_hash: str) -> TxResult | None: ...

    def created_by(self, creator: str) -> list[CreatedEvent]: ...

    def settled_event(self, escrow_id: int) -> SettledEvent | None: ...

    def broadcast(self, tx_bytes: str) -> BroadcastReply: ...


class SignerPort(t.Protocol):
    """``Inferenced`` says what each of them means."""

    def address(self) -> str | None: ...

    def generate_create(
        self,
        amount: int | None,
        model: str | None,
        *,
        chain_id: str,
        fee: int | None,
        gas: int | None,
        lifetime: int,
    ) -> str: ...

    def generate_settle(
        self, settlement: str, *, chain_id: str, fee: int | None, gas: int | None, lifetime: int
    ) -> str: ...

    def sign(self, file: str, *, account_number: int, chain_id: str) -> str: ...

    def encode(self, file: str) -> str: ...
