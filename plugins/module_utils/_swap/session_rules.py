# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Where sessions stand, and whether the new gateway has every session of the old one."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class ServedSession:
    """Where a session stood: compared before and after it was moved or restarted.

    ``balance`` is None where only the nonce is known, from the session's own files.
    """

    nonce: int
    balance: int | None
    active: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftSession:
    """One session of the temporary gateway; ``storage_path`` is what the importing one sees."""

    id: int
    nonce: int
    storage_path: str

    def to_result(self) -> dict[str, t.Any]:
        return {"id": self.id, "nonce": self.nonce, "storage_path": self.storage_path}


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedSession:
    """A session that a step has to bring back into service, and where it stood.

    ``storage_path`` is None for one that the gateway has already. ``balance`` is None where only
    the nonce is known: background work may have gone on after the balance was asked.
    """

    id: int
    nonce: int
    balance: int | None = None
    storage_path: str | None = None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "id": self.id,
            "nonce": self.nonce,
            "balance": self.balance,
            "storage_path": self.storage_path,
        }


def served_before(sessions: Mapping[str, ServedSession]) -> list[NotedSession]:
    """The sessions that were in use, in the order of their escrows."""
    return [
        NotedSession(id=int(number), nonce=mark.nonce, balance=mark.balance)
        for number, mark in sorted(sessions.items(), key=lambda item: int(item[0]))
        if mark.active
    ]


def handed_over(
    left: Iterable[LeftSession], asked: Mapping[str, ServedSession]
) -> list[NotedSession]:
    """The sessions that the temporary gateway left; ``asked`` is its report before its stop."""
    noted = []
    for item in left:
        mark = asked.get(str(item.id))
        known = mark is not None and mark.nonce == item.nonce
        noted.append(
            NotedSession(
                id=item.id,
                nonce=item.nonce,
                balance=mark.balance if mark is not None and known else None,
                storage_path=item.storage_path,
            )
        )
    return noted


_PAST_PHASES = ("finalizing", "settlement")


def is_past(*, settled: bool | None, on_chain: bool | None, phase: str | None) -> bool:
    """Whether no gateway can serve an escrow any more. Unknown (None) proves nothing."""
    return settled is True or on_chain is False or phase in _PAST_PHASES


def session_losses(
    before: Mapping[str, ServedSession], after: Mapping[str, ServedSession | None]
) -> list[str]:
    """What a restart or an import lost, in words; empty when nothing.

    After a restart the nonce may only have grown: background work of the old process may have
    appended diffs until its end. A smaller nonce, or a session that is not there, means the wrong
    storage.
    """
    losses: list[str] = []
    for escrow, mark in sorted(before.items()):
        now = after.get(escrow)
        if now is None:
            losses.append(f"escrow {escrow} is not loaded any more")
        elif mark.active and not now.active:
            losses.append(f"escrow {escrow} was deactivated")
        elif now.nonce < mark.nonce:
            losses.append(f"escrow {escrow} is at nonce {now.nonce}, it was at {mark.nonce}")
        elif mark.balance is not None and now.nonce == mark.nonce and now.balance != mark.balance:
            losses.append(
                f"escrow {escrow} has balance {now.balance} ngonka at nonce {now.nonce}, it had"
                f" {mark.balance}"
            )
    return losses
