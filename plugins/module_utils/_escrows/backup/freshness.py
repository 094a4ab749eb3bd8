# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether the chain allows that a backup serves again."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ..._gateway.instance import DATABASE
from ..observe import shown_escrow
from .inspect import Backup, SessionCopy, records_in, sessions_in
from .restore import present_storage, serving

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..ports import ChainPorts


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What is known about one session that a restore would bring into service."""

    escrow_id: int
    nonce: int
    live: bool
    amount: int
    known_nonce: int | None
    silent_hosts: tuple[str, ...]
    ledger_nonce: int | None
    local_nonce: int | None
    missing: bool = False
    """The backup has a record of it, but its session is nowhere."""

    def refusal(self) -> str | None:
        """Why restoring it would lose its deposit, or None. A settled escrow risks nothing."""
        if not self.live:
            return None
        newest = max(self.known_nonce or 0, self.ledger_nonce or 0, self.local_nonce or 0)
        if newest > self.nonce:
            what = (
                "its session is neither in the backup nor in the storage"
                if self.missing
                else f"the backup is at nonce {self.nonce}"
            )
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): {what}, but nonce {newest} is"
                " known"
            )
        if self.known_nonce is None or self.silent_hosts:
            who = ", ".join(self.silent_hosts) or "no host could be asked"
            return (
                f"escrow {self.escrow_id} ({self.amount} ngonka): it is not known whether the hosts"
                f" have a newer nonce than {self.nonce}, no answer from: {who}"
            )
        return None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "escrow_id": self.escrow_id,
            "nonce": self.nonce,
            "unsettled": self.live,
            "amount": self.amount,
            "hosts_nonce": self.known_nonce,
            "ledger_nonce": self.ledger_nonce,
            "storage_nonce": self.local_nonce,
            "refusal": self.refusal(),
        }


def at_risk(sessions: Iterable[Freshness]) -> int:
    """The deposits that a restore could lose."""
    return sum(item.amount for item in sessions if item.refusal() is not None)


def refuse_restore(sessions: Sequence[Freshness]) -> str | None:
    reasons = [text for item in sessions if (text := item.refusal()) is not None]
    if not reasons:
        return None
    return f"{at_risk(sessions)} ngonka would be at risk: " + "; ".join(reasons)


def freshness(ports: ChainPorts, backup: Backup, storage: Path) -> list[Freshness]:
    """Ask chain, hosts, ledger and the present storage about all that would serve again.

    That is every session in the backup, and every record of its ``gateway.db``: for one whose
    session the backup does not hold, the present storage's session stays in use.
    """
    present = present_storage(storage)
    held = sessions_in(present) if present.is_dir() else ()
    records = records_in(backup.storage / DATABASE)
    found = []
    for number in sorted(set(records) | {item.escrow_id for item in backup.sessions}):
        wanted = records.get(number)
        copy = serving(backup.sessions, number, wanted)
        here = serving(held, number, wanted)
        used = copy or here
        nonce = 0 if used is None else used.nonce
        escrow = shown_escrow(ports, number)
        live = escrow is not None and not escrow.settled
        known: int | None = None
        silent: tuple[str, ...] = ()
        if escrow is not None and live:
            answer = ports.hosts_nonce(escrow, nonce)
            silent = answer.silent
            known = None if len(silent) == answer.asked else max(answer.nonce, nonce)
        marks = [] if ports.ledger is None else ports.ledger.session_marks(number)
        found.append(
            Freshness(
                escrow_id=number,
                nonce=nonce,
                live=live,
                amount=escrow.amount if escrow else 0,
                known_nonce=known,
                silent_hosts=silent,
                ledger_nonce=max((mark.nonce for mark in marks), default=None),
                local_nonce=None if here is None else here.nonce,
                missing=used is None,
            )
        )
    return found


def left_without_record(ports: ChainPorts, backup: Backup, storage: Path) -> list[SessionCopy]:
    """Unsettled escrows of the present storage that the backup does not know: made after it.

    Their sessions are carried over, but nothing would serve or settle them.
    """
    known = set(records_in(backup.storage / DATABASE))
    found = []
    for item in sessions_in(present_storage(storage)):
        if item.escrow_id not in known:
            escrow = shown_escrow(ports, item.escrow_id)
            if escrow is not None and not escrow.settled:
                found.append(item)
    return found


def left_text(item: SessionCopy) -> str:
    return (
        f"escrow {item.escrow_id} is unsettled and younger than the backup, which has no record of"
        f" it: its session {item.path} stays in the storage, but nothing serves or settles it until"
        f" it is imported (gonka.devshard.devshard, state=imported, expected_nonce={item.nonce})"
    )
