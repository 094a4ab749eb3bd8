# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the chain asked and promised when an escrow was paid for, as the ledger keeps it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from .._core.reader import Reader
from .deadlines import SETTLE_EPOCHS, not_pruned
from .ledger.states import Intent, Kind

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._chain.models import EscrowParams
    from .._chain.releases import Release
    from .deadlines import EpochClock

_LIVE: t.Final = ("refusal_timeout", "execution_timeout")
"""Hosts and gateway go by the live ones, and must agree about them."""
_KEPT: t.Final = {
    "validation_rate": "validation_rate",
    "vote_threshold_factor": "vote_threshold_factor",
    "inference_seal_grace_nonces": "default_inference_seal_grace_nonces",
    "inference_seal_grace_seconds": "default_inference_seal_grace_seconds",
    "auto_seal_every_n_nonces": "default_auto_seal_every_n_nonces",
}
"""What an escrow keeps, and the parameter that it comes from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MintTerms:
    """``version`` is the one that its settlement was to name, ``epoch`` the one it was made in or
    the one before."""

    release: str | None
    version: str
    epoch: int | None
    params: Mapping[str, int]

    @classmethod
    def of(
        cls, params: EscrowParams, *, release: Release | None, version: str, epoch: int | None
    ) -> MintTerms:
        return cls(
            release=None if release is None else release.version,
            version=version,
            epoch=epoch,
            params=dict(params.terms),
        )

    def to_ledger(self) -> dict[str, t.Any]:
        return asdict(self)

    @classmethod
    def from_ledger(cls, found: object) -> MintTerms:
        body = Reader(found, "terms in the ledger")
        params = body.child("params")
        return cls(
            release=body.text_or_none("release"),
            version=body.text("version"),
            epoch=body.whole("epoch") if body.has("epoch") else None,
            params={name: params.whole(name) for name in params.raw()},
        )

    def changes(self, live: Mapping[str, int], kept: Mapping[str, int]) -> tuple[str, ...]:
        """What is not as it was then. What one side does not name is not compared."""
        pairs = [(name, name, live) for name in _LIVE]
        pairs += [(name, param, kept) for name, param in _KEPT.items()]
        return tuple(
            f"{name} was {self.params[param]} and is {now[name]}"
            for name, param, now in pairs
            if param in self.params and name in now and now[name] != self.params[param]
        )

    def lowered_nonce(self, live: Mapping[str, int]) -> str | None:
        """The limit of nonces only matters when it becomes smaller."""
        before, now = self.params.get("max_nonce"), live.get("max_nonce")
        if before is None or now is None or now >= before:
            return None
        return f"max_nonce was {before} and is {now}"


def minted_terms(intents: Iterable[Intent]) -> dict[int, MintTerms]:
    """By escrow. Ledgers of earlier versions say nothing of them, and rotation writes none."""
    return {
        intent.escrow_id: MintTerms.from_ledger(intent.terms)
        for intent in intents
        if intent.kind is Kind.CREATE and intent.escrow_id is not None and intent.terms is not None
    }


def must_be_on_chain(number: int, intents: Iterable[Intent], clock: EpochClock) -> bool:
    """Whether the ledger proves that the chain cannot have pruned an escrow yet.

    By the epoch that was noted when it was planned, or by the block that it was made in, which is not
    before the one that was seen then. The block of a switch itself may still be of the earlier epoch.
    """
    oldest = clock.next_switch - 2 * clock.epoch_length
    for intent in intents:
        if intent.kind is not Kind.CREATE or intent.escrow_id != number:
            continue
        epoch = (intent.terms or {}).get("epoch")
        height = (intent.result or {}).get("height") or intent.seen_height
        if epoch is not None and not_pruned(epoch, clock):
            return True
        # an epoch may have begun since it was planned, but not two
        last_pruned = clock.effective - SETTLE_EPOCHS - 1
        if epoch in (None, last_pruned) and height is not None and height > oldest:
            return True
    return False
