# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a temporary gateway leaves behind: its sessions for main, and no way to serve them again."""

from __future__ import annotations

import typing as t
from pathlib import PurePosixPath

from .._core.errors import UnsafeError
from .._escrows.backup.inspect import records_in, refuse_in_use, sessions_in
from .._gateway.instance import DATABASE
from .._host.storage import require_absolute
from .session_rules import LeftSession

if t.TYPE_CHECKING:
    from pathlib import Path

ARCHIVE: t.Final = "archive"


def hand_over(storage: Path, seen_as: str, *, check_mode: bool) -> tuple[bool, list[LeftSession]]:
    """Take ``gateway.db`` out of a stopped gateway's storage, and list the sessions left there.

    A gateway that is started on this storage again finds no record and serves nothing. The move
    is a rename in the same folder, so it happens or it does not.
    """
    require_absolute(seen_as, "seen_as")
    refuse_in_use(storage)
    archive = storage / ARCHIVE
    there = storage / DATABASE
    kept = archive / DATABASE
    if there.exists() and kept.exists():
        raise UnsafeError(
            f"{there} is there again although it was archived: a gateway was started on this "
            f"storage after its sessions were handed over. Check both before you do anything else"
        )
    changed = there.exists()
    if changed and not check_mode:
        archive.mkdir(mode=0o700, exist_ok=True)
        # what SQLite keeps beside a database belongs to it; the database itself goes last
        for name in ("-journal", "-wal", "-shm", ""):
            file = storage / f"{DATABASE}{name}"
            if file.exists():
                file.rename(archive / file.name)
    database = there if check_mode and changed else kept
    sessions = {item.escrow_id: item for item in sessions_in(storage)}
    if not database.exists():
        if sessions:
            raise UnsafeError(
                f"{storage} holds sessions and no {DATABASE}, so it is not known which of them the"
                " temporary gateway served"
            )
        # a gateway that never came up leaves nothing
        return False, []
    left = []
    for number in sorted(records_in(database)):
        if number not in sessions:
            raise UnsafeError(
                f"the temporary gateway had escrow {number}, but {storage} holds no session of it",
                escrow_id=number,
            )
        session = sessions[number]
        path = str(PurePosixPath(seen_as) / session.path)
        left.append(LeftSession(id=number, nonce=session.nonce, storage_path=path))
    return changed, left
