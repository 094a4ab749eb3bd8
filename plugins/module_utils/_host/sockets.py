# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Who listens on a port of this host, as ``/proc`` shows it."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .processes import PROC

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTEN: t.Final = "0A"
_SOCKET: t.Final = re.compile(r"socket:\[([0-9]+)\]")
_CONTAINER: t.Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """``pid`` is None when its process may not be looked at."""

    address: str
    port: int
    pid: int | None
    program: str
    argv: tuple[str, ...]
    container_id: str | None
    """Of the container that the process runs in."""

    @property
    def local(self) -> bool:
        """Whether a connection to 127.0.0.1 reaches it."""
        address = ipaddress.ip_address(self.address)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.is_unspecified or (address.version == 4 and address.is_loopback)


def _address(text: str) -> str:
    """The kernel prints words of 32 bits in the order of the machine."""
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))


def _rows(proc: Path, ports: Iterable[int]) -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of the listening sockets."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "self/net" / table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            if table == "tcp":
                raise
            # no IPv6 on this host
            continue
        for line in lines:
            fields = line.split()
            address, _unused, port = fields[1].partition(":")
            if fields[3] == _LISTEN and int(port, 16) in ports:
                yield _address(address), int(port, 16), fields[9]


def _holders(proc: Path, inodes: set[str]) -> dict[str, list[int]]:
    """Which processes hold a socket open."""
    found: dict[str, list[int]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            handles = list((entry / "fd").iterdir())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for handle in handles:
            try:
                match = _SOCKET.fullmatch(os.readlink(handle))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if match is not None and match[1] in inodes:
                found.setdefault(match[1], []).append(int(entry.name))
    return found


def _listener(proc: Path, address: str, port: int, pid: int | None) -> Listener:
    program, cgroup = "", ""
    argv: tuple[str, ...] = ()
    if pid is not None:
        place = proc / str(pid)
        try:
            program = (place / "comm").read_text(encoding="utf-8", errors="replace").strip()
            raw = (place / "cmdline").read_bytes().decode("utf-8", "replace")
            argv = tuple(raw.rstrip("\0").split("\0"))
            cgroup = (place / "cgroup").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pid = None
    inside = _CONTAINER.findall(cgroup)
    return Listener(
        address=address,
        port=port,
        pid=pid,
        program=program,
        argv=argv,
        container_id=inside[-1] if inside else None,
    )


def listeners(ports: Iterable[int], proc: Path = PROC) -> list[Listener]:
    """Who listens on these ports: of several processes that share a socket the first one.

    Raises ``OSError`` when the kernel does not show the sockets.
    """
    rows = list(_rows(proc, set(ports)))
    holders = _holders(proc, {inode for _address, _port, inode in rows})
    return [
        _listener(proc, address, port, min(holders.get(inode, ()), default=None))
        for address, port, inode in rows
    ]
