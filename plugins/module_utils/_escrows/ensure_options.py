# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is wanted of a pool of escrows, and what a run reports."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from .._core.errors import ConfigurationError
from .create_window import window_of
from .ledger.states import Via

if t.TYPE_CHECKING:
    from .._gateway.profiles import Profile
    from .ledger.states import Intent
    from .pool_rules import EscrowView
    from .ports import Ports


@dataclass(frozen=True, kw_only=True, slots=True)
class EscrowOptions:
    model_id: str
    amount: int
    count: int
    private_key_env: str
    create_via: Via
    creator: str | None
    adopt: tuple[int, ...]
    adopt_orphans: bool
    other_gateway_escrow_ids: frozenset[int]
    allow_unclaimed: bool
    others_create_after: int | None
    """Escrows of later blocks belong to the other gateways of the play, which take turns."""
    reactivate: bool
    max_creates_per_run: int
    max_total_locked: int | None
    fee_amount: int
    gas_limit: int
    tx_lifetime: int
    min_blocks_left: int = 0
    """One whose deadline is nearer is not usable."""
    min_blocks_to_poc: int | None = None
    """Nothing is created when the next proof of compute is nearer."""
    create_pause: int | None = None
    """Seconds from one create of this creator to the next."""
    other_models: frozenset[str] = frozenset()
    """Models with runs of their own, which adopt what is theirs."""

    def of_generation(self, profile: Profile) -> EscrowOptions:
        """With the pace that the guide of this generation names, where none was chosen."""
        pause = self.create_pause
        return replace(
            self,
            create_pause=profile.create_pause if pause is None else pause,
            min_blocks_to_poc=window_of(self.min_blocks_to_poc, profile),
        )

    def check(self) -> None:
        """What can be refused without asking anybody."""
        if not self.model_id.strip() or self.model_id != self.model_id.strip():
            raise ConfigurationError(
                "an id in devshard_models (model_id) must not be empty or begin or end with a blank"
            )
        if self.amount <= 0:
            raise ConfigurationError(
                f"amount in devshard_models must be a positive whole number of ngonka, got {self.amount}"
            )
        if self.count < 0:
            raise ConfigurationError(
                f"count in devshard_models must be 0 or more, got {self.count}"
            )
        if self.fee_amount < 0 or self.gas_limit < 100:
            raise ConfigurationError(
                "escrow_fee_amount (fee_amount) must be 0 or more and escrow_gas_limit (gas_limit) 100 or"
                " more"
            )
        if min(self.min_blocks_to_poc or 0, self.create_pause or 0) < 0:
            raise ConfigurationError(
                "escrow_min_blocks_to_poc (min_blocks_to_poc) and escrow_create_pause (create_pause)"
                " must be 0 or more"
            )
        if not 30 <= self.tx_lifetime <= 600:
            raise ConfigurationError(
                f"tx_lifetime must be between 30 and 600 seconds, got {self.tx_lifetime}"
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.private_key_env):
            raise ConfigurationError(
                "private_key_env must be the name of an environment variable of the gateway,"
                " never a key"
            )
        if self.create_via is Via.GATEWAY and not self.creator:
            raise ConfigurationError(
                "escrow_create_via (create_via) is gateway, which needs escrow_creator (creator): "
                "without the keyring nothing else names the creator whose escrows to look for"
            )


@dataclass(kw_only=True, slots=True)
class EscrowResult:
    escrows: list[EscrowView] = field(default_factory=list)
    created: list[dict[str, t.Any]] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    reactivated: list[int] = field(default_factory=list)
    surplus: list[EscrowView] = field(default_factory=list)
    foreign: list[EscrowView] = field(default_factory=list)
    balance: int | None = None
    pending: list[Intent] = field(default_factory=list)
    unclaimed: list[EscrowView] | None = None
    actions: list[str] = field(default_factory=list)
    before: dict[str, t.Any] = field(default_factory=dict)
    after: dict[str, t.Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.created or self.adopted or self.reactivated or self.actions)

    def to_result(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "escrows": [view.to_result() for view in self.escrows],
            "created": self.created,
            "adopted": self.adopted,
            "reactivated": self.reactivated,
            "surplus": [view.to_result() for view in self.surplus],
            "foreign": [view.to_result() for view in self.foreign],
            "balance": self.balance,
            "pending": [intent.to_result() for intent in self.pending],
            "unclaimed": None
            if self.unclaimed is None
            else [view.to_result() for view in self.unclaimed],
            "actions": self.actions,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolRun:
    """One run for one pool: what each of its parts works with, and the result that they fill."""

    ports: Ports
    options: EscrowOptions
    creator: str
    result: EscrowResult
