# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Processes of this host as ``/proc`` shows them, those inside containers included."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterable

PROC: t.Final = Path("/proc")
KEY: t.Final = re.compile(r"[0-9]+@[0-9]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """``started`` is in clock ticks since boot: a number that is used again has another one."""

    pid: int
    parent: int
    started: int
    namespace: str
    title: str

    @property
    def key(self) -> str:
        """An identity of this process that is unique while the host runs."""
        return f"{self.pid}@{self.started}"


def _stat(entry: Path) -> tuple[int, int]:
    """Parent and start time. The program's name, in parentheses, may hold anything."""
    fields = (
        (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
    return int(fields[1]), int(fields[19])


def _read(entry: Path) -> Process | None:
    """None for a process that ended, or that we may not look at."""
    try:
        parent, started = _stat(entry)
        title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        namespace = os.readlink(entry / "ns" / "pid")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return Process(
        pid=int(entry.name),
        parent=parent,
        started=started,
        namespace=namespace,
        title=title.strip(),
    )


def processes(proc: Path = PROC) -> list[Process]:
    """All processes that may be looked at."""
    found = (_read(entry) for entry in proc.iterdir() if entry.name.isdigit())
    return [process for process in found if process is not None]


def namespace_of(pid: int | None, proc: Path = PROC) -> str:
    """The pid namespace of a process, or our own."""
    return os.readlink(proc / ("self" if pid is None else str(pid)) / "ns" / "pid")


def still_there(keys: Iterable[str], proc: Path = PROC) -> list[str]:
    """Those of the named processes that have not ended."""
    left = []
    for key in keys:
        pid, _unused, started = key.partition("@")
        try:
            if _stat(proc / pid)[1] == int(started):
                left.append(key)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return left
