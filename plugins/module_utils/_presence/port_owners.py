# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Who listens where the play wants to listen."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path, PurePosixPath

from .._edge import nginx_conf
from .._gateway.instance import EDGE_FILES
from .._host import sockets as _sockets
from .asked import Asked, Host
from .model import (
    Found,
    Owner,
    Port,
    PortState,
    Slot,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def _edges(host: Host) -> dict[Path, set[int]]:
    """The edges of the host's gateways that can be read, with the ports on which they listen."""
    found = {}
    for path in sorted((host.nginx / "conf.d").glob(EDGE_FILES)):
        # a file may go away while it is looked for, and nginx does not run with one that it cannot
        # read
        with contextlib.suppress(FileNotFoundError, PermissionError, nginx_conf.NginxSyntaxError):
            text = path.read_text(encoding="utf-8", errors="replace")
            found[path] = nginx_conf.ports(nginx_conf.parse(text))
    return found


def _own_edge(asked: Asked, host: Host) -> Path:
    return Path(asked.instance.edge_file(PurePosixPath(host.nginx)))


def other_edges(asked: Asked, host: Host) -> tuple[tuple[str, int], ...]:
    """The edges of the host's other gateways that have a port of this one, and that port."""
    wanted = {port for name, port in asked.ports if name == "edge"}
    return tuple(
        (str(path), port)
        for path, ports in _edges(host).items()
        if path != _own_edge(asked, host)
        for port in sorted(wanted & ports)
    )


def _nginx_kind(
    asked: Asked, host: Host, port: int
) -> t.Literal["collection", "another", "debian", "owner"]:
    edges = _edges(host)
    listening = [path for path, ports in edges.items() if port in ports]
    if listening:
        return "collection" if _own_edge(asked, host) in listening else "another"
    own = [
        path
        for pattern in ("sites-enabled/*", "conf.d/*.conf")
        for path in host.nginx.glob(pattern)
        if path not in edges
    ]
    default = host.nginx / "sites-enabled/default"
    if own == [default] and default.is_symlink():
        return "debian"
    return "owner"


def _owners(
    name: str,
    port: int,
    containers: list[Found],
    sockets: list[_sockets.Listener],
    asked: Asked,
    host: Host,
) -> list[Owner]:
    found = [
        Owner(kind="container", name=one.name, pid=one.pid or None, container=one)
        for one in containers
        if one.running and port in one.published
    ]
    by_id = {one.id: one for one in containers}
    for socket in sockets:
        # clients come to the edge from everywhere, to a gateway from this host alone
        if socket.port != port or not (socket.local or name == "edge"):
            continue
        inside = by_id.get(socket.container_id or "")
        if inside is not None:
            owner = Owner(kind="container", name=inside.name, pid=socket.pid, container=inside)
        elif socket.pid is None:
            owner = Owner(kind="unknown", name="")
        elif socket.program == "nginx":
            kind = _nginx_kind(asked, host, port)
            owner = Owner(kind="nginx", name="nginx", pid=socket.pid, nginx=kind)
        elif socket.program in ("docker-proxy", "dockerd"):
            # its container is in the list already, or the engine could not be asked
            owner = Owner(kind="unknown", name=socket.program, pid=socket.pid)
        else:
            owner = Owner(kind="process", name=socket.program, pid=socket.pid)
        found.append(owner)
    return sorted(found, key=lambda owner: owner.container is None)


def look_at_ports(
    asked: Asked,
    host: Host,
    containers: list[Found],
    main: Slot,
    temp: Slot,
    *,
    asked_engine: bool,
) -> tuple[Port, ...]:
    try:
        sockets = _sockets.listeners((port for _name, port in asked.ports), host.proc)
        readable = True
    except OSError:
        sockets, readable = [], False
    slots = {"gateway": main, "accounting": main, "temp": temp}
    ports = []
    for name, port in asked.ports:
        owner = next(iter(_owners(name, port, containers, sockets, asked, host)), None)
        state: PortState
        if owner is None:
            # an engine may forward a port without a socket to be seen
            state = "free" if readable and asked_engine else "unknown"
        elif owner.kind == "nginx":
            ours = owner.nginx == "collection" and name not in slots
            state = "ours" if ours else "foreign"
        elif owner.kind == "unknown":
            state = "unknown"
        else:
            slot = slots.get(name)
            same = (
                slot is not None
                and slot.container is not None
                and owner.container is not None
                and slot.container.id == owner.container.id
            )
            state = "foreign" if not same else _STATES[None if slot is None else slot.ours]
        ports.append(Port(name=name, port=port, state=state, owner=owner))
    return tuple(ports)


_STATES: t.Final[Mapping[bool | None, PortState]] = {
    True: "ours",
    False: "foreign",
    None: "unknown",
}
