# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One run at a time for each creator of a host."""

from __future__ import annotations

import fcntl
import json
import os
import typing as t
from pathlib import Path

from ..._core.errors import BusyError
from ..._core.files import private_folder, stamp, utc_now


class HostLock:
    """Only one run per host may move money; the second one reports the first."""

    def __init__(self, ledger_path: str, run_id: str, purpose: str) -> None:
        self._file = Path(ledger_path + ".lock")
        self._run_id = run_id
        self._purpose = purpose
        self._fd: int | None = None

    def __enter__(self) -> HostLock:
        private_folder(self._file.parent)
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = _holder(fd)
            os.close(fd)
            who = (
                f"process {holder['pid']} ({holder['purpose']}, since {holder['since']})"
                if holder
                else "another process"
            )
            raise BusyError(
                f"{who} holds {self._file}: only one run per host may move money. Wait until it"
                " ends; if it hangs, end that process and run this again, the ledger lets the run "
                "continue",
                holder=holder,
                path=str(self._file),
            ) from exc
        note = {"pid": os.getpid(), "run": self._run_id, "purpose": self._purpose}
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({**note, "since": stamp(utc_now())}).encode(), 0)
        self._fd = fd
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> dict[str, t.Any] | None:
    try:
        note = json.loads(os.pread(fd, 4096, 0))
    except ValueError:
        return None
    return note if isinstance(note, dict) and {"pid", "purpose", "since"} <= note.keys() else None
