# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Creates of a gateway's rotation whose outcome the gateway does not know yet.

It notes each before it sends it, and looks for it as long as rotation is on. When that is switched
off in between, the deposit has no record (``gateway-v4.1.md``, rule 19). No API shows these notes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t
from dataclasses import dataclass

from .._core.errors import DevshardError, ProtocolError, WaitTimeoutError
from .backup.inspect import open_database

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .._core.timer import WaitBudget

TABLE: t.Final = "escrow_rotation_commitments"


def read_commitments(database: Path) -> tuple[str, ...]:
    """Their transactions, from a ``gateway.db``. Earlier generations have no such table."""
    if not database.is_file():
        raise ProtocolError(f"{database} does not exist")
    try:
        with contextlib.closing(open_database(database)) as db:
            found = db.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (TABLE,)
            )
            if found.fetchone() is None:
                return ()
            rows = db.execute(f"SELECT * FROM {TABLE} ORDER BY rowid")
            names = [column[0] for column in rows.description]
            where = names.index("tx_hash") if "tx_hash" in names else 0
            return tuple(str(row[where]) for row in rows)
    except sqlite3.Error as exc:
        raise ProtocolError(f"{database} cannot be read: {exc}") from exc


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitmentWatch:
    """Asked before rotation is switched off, and after it."""

    read: Callable[[], tuple[str, ...]]
    deadline: WaitBudget
    interval: float
    warn: Callable[[str], None]
    check_mode: bool

    def before(self) -> None:
        """Wait until the gateway knows the outcome of each of its creates."""
        while found := self._found():
            named = ", ".join(found)
            if self.check_mode:
                self.warn(
                    "rotation would be switched off only when the gateway knows the outcome of its"
                    f" create (transaction {named})"
                )
                return
            if not self.deadline.pause(self.interval):
                raise WaitTimeoutError(
                    "rotation is not switched off: the gateway does not know yet whether its create"
                    f" (transaction {named}) locked a deposit, and it registers the escrow only while"
                    " rotation is on. It knows at the latest 11 minutes after the create. Run this"
                    " again then"
                )

    def after(self) -> None:
        """A pass that still ran when it was switched off may have left one."""
        if found := self._found():
            self.warn(
                "rotation is off, and the gateway does not know whether its create (transaction"
                f" {', '.join(found)}) locked a deposit. Run the playbook gonka.devshard.escrow in ten"
                " minutes: it names an escrow that the gateway has no record of, and registers it with"
                " escrow_adopt"
            )

    def _found(self) -> tuple[str, ...]:
        try:
            return self.read()
        except DevshardError as exc:
            self.warn(
                f"whether the rotation has an unfinished create is not known: {exc}. Afterwards run the"
                " playbook gonka.devshard.escrow, which names an escrow that no gateway has"
            )
            return ()
