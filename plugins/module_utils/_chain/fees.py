# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a transaction costs, by the chain's live parameters (contract chain-v0.2.16.md §5). Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.reader import Reader

CREATE_TYPE: t.Final = "/inference.inference.MsgCreateDevshardEscrow"
SETTLE_TYPE: t.Final = "/inference.inference.MsgSettleDevshardEscrow"
MAX_FEE: t.Final = 100_000_000_000
"""The chain refuses a higher fee, and none of our transactions needs a thousandth of it."""
INSUFFICIENT_FEE: t.Final = 13


@dataclass(frozen=True, kw_only=True, slots=True)
class FeeGroup:
    """Messages that have one price; a type that ends with a dot means all of that module."""

    name: str
    price: int
    types: tuple[str, ...]

    def has(self, type_url: str) -> bool:
        return any(
            type_url.startswith(one) if one.endswith(".") else type_url == one for one in self.types
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FeeParams:
    """``fee_params``. ``groups`` is None on a chain that has one price for all messages."""

    min_gas_price: int = 0
    groups: tuple[FeeGroup, ...] | None = None
    enabled: frozenset[str] | None = None
    """None where the chain does not say which groups are enabled: then each of them counts."""

    @classmethod
    def from_api(cls, body: Reader) -> FeeParams:
        enabled = body.texts("enabled_fee_groups") if body.has("enabled_fee_groups") else None
        groups = None
        if enabled is not None or body.has("groups"):
            groups = tuple(
                FeeGroup(
                    name=group.text("name"),
                    price=group.whole("min_gas_price", 0),
                    types=tuple(item.text("type_url") for item in group.children("msgs", [])),
                )
                for group in body.children("groups", [])
            )
        return cls(
            min_gas_price=body.whole("min_gas_price_ngonka", 0),
            groups=groups,
            enabled=None if enabled is None else frozenset(enabled),
        )

    @property
    def settle_exempt(self) -> bool:
        """Where messages have groups, settling is a duty that costs nothing, whatever is offered."""
        return self.groups is not None

    def price(self, type_url: str) -> int:
        """``ngonka`` per gas that a message needs at least; settling is a duty and exempt."""
        if self.groups is None:
            return self.min_gas_price
        if type_url == SETTLE_TYPE and self.settle_exempt:
            return 0
        return max(
            (
                group.price
                for group in self.groups
                if group.has(type_url) and (self.enabled is None or group.name in self.enabled)
            ),
            default=0,
        )

    def required(self, type_url: str, gas_limit: int) -> int:
        """The least fee. It goes by the gas limit, not by what is used of it."""
        return gas_limit * self.price(type_url)

    def offer(self, type_url: str, gas_limit: int, ceiling: int) -> int:
        """The fee to offer, which is charged in full whatever the price is.

        A chain with groups gets what it asks for. On one without, a node may ask for more than the
        parameters say, and ``ceiling`` is what is paid there.
        """
        return ceiling if self.groups is None else self.required(type_url, gas_limit)
