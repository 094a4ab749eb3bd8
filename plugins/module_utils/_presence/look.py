# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The first look at a host: Python's library and the docker program are all that it needs."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from .._core.errors import ConfigurationError, TransportError, UnknownStateError
from .._gateway import env_file as _env_file
from .._gateway import record as _record
from .._host import docker_cli
from .._host import sockets as _sockets
from .._host.image import digest_of
from .._host.processes import PROC
from .._host.storage import identity, mounted, same_place
from .._swap.journal import JournalFile
from .._swap.plan import generation_of_tag
from .model import (
    Engine,
    File,
    Found,
    FoundRecord,
    Owner,
    Port,
    PortState,
    Presence,
    Redirect,
    Slot,
    Swap,
    Swaps,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._host.docker_cli import Listed

DATABASE: t.Final = "gateway.db"
STATE_DIR: t.Final = Path("/var/lib/gonka-devshard")
NGINX: t.Final = Path("/etc/nginx")
SWAP_LABEL: t.Final = "gonka.devshard.swap"
_STORAGE_VARIABLE: t.Final = "DEVSHARD_STORAGE_DIR"
_PROJECT: t.Final = "com.docker.compose.project"
_REDIRECTED: t.Final = re.compile(r"^\s*return\s+308\s+(\S+?)\$request_uri\s*;", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The play's settings, as the look needs them."""

    deploy_dir: Path
    state_dir: Path
    env_file: Path
    keyring: Path
    ledger: Path
    container: str
    temp_container: str
    storage_dir: str
    """Of a gateway of this generation, inside its container."""
    ports: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """Where this host shows itself; tests have one of their own."""

    run: docker_cli.Run
    proc: Path = PROC
    nginx: Path = NGINX
    default_state_dir: Path = STATE_DIR
    sockets: tuple[Path, ...] = docker_cli.SOCKETS


def look(asked: Asked, host: Host) -> Presence:
    places = _record.Places(deploy_dir=asked.deploy_dir, state_dir=asked.state_dir)
    record = _read_record(places.record)
    engine, listed = _ask_engine(host)
    containers = [_found(one, asked, host) for one in listed or ()]
    main = _main(asked, record, containers, host, known=listed is not None)
    temp = _temp(asked, record, containers, known=listed is not None)
    named = {asked.container, asked.temp_container}
    gateways = [
        found
        for one, found in zip(listed or (), containers, strict=True)
        if _is_gateway(one, found) and found.name not in named
    ]
    return Presence(
        deploy_dir=str(asked.deploy_dir),
        state_dir=str(asked.state_dir),
        record=record,
        retired=_file(places.retired),
        redirect=_redirect(places, host),
        swaps=_swaps(places),
        container=main,
        temp=temp,
        others=None if listed is None else tuple(gateways),
        ports=_ports(asked, host, containers, main, temp, asked_engine=listed is not None),
        keyring=_file(asked.keyring),
        ledger=_file(asked.ledger),
        env_file=_file(asked.env_file),
        storage=_file(_storage_of(record, places) / DATABASE),
        other_ledgers=_other_ledgers(asked, record, host),
        engine=engine,
    )


def _file(path: Path) -> File:
    try:
        return File(path=str(path), exists=identity(path) is not None)
    except PermissionError:
        return File(path=str(path), exists=None)


def _read_record(path: Path) -> FoundRecord:
    try:
        content = _record.parse(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return FoundRecord(path=str(path), exists=False)
    except PermissionError:
        return FoundRecord(path=str(path), exists=None)
    except UnknownStateError as exc:
        return FoundRecord(path=str(path), exists=True, error=str(exc))
    return FoundRecord(path=str(path), exists=True, content=content)


def _storage_of(record: FoundRecord, places: _record.Places) -> Path:
    recorded = None if record.content is None else record.content.storage
    return places.storage if recorded is None else Path(recorded)


# swap and redirect


def _since(identifier: str) -> str | None:
    """The id of a swap is the time at which it began."""
    try:
        return datetime.strptime(identifier, "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


def _swaps(places: _record.Places) -> Swaps:
    found: list[Swap] = []
    for slot, path in places.journals.items():
        try:
            journal = JournalFile(path).read()
        except UnknownStateError as exc:
            return Swaps(found=tuple(found), error=str(exc))
        except PermissionError:
            return Swaps(
                found=tuple(found),
                error=f"the swap journal {path} may not be read; run with become: true",
            )
        if journal is None or not journal.open:
            continue
        pending = [step for step in journal.started if step not in journal.done]
        at = next(iter(pending), next(iter(reversed(journal.started)), None))
        ids = journal.data.temp_escrow_ids
        found.append(
            Swap(
                path=str(path),
                slot=slot,
                id=journal.id,
                run=journal.data.run,
                mode=journal.mode,
                temp_escrows=journal.temp_escrows,
                target=journal.target,
                asked=journal.asked,
                origin=journal.origin,
                origin_asked=journal.origin_asked,
                started=tuple(step.value for step in journal.started),
                done=tuple(step.value for step in journal.done),
                step=None if at is None else at.value,
                since=_since(journal.id),
                rolling_back=journal.rolling_back,
                touched=journal.touched,
                temp_escrow_ids=tuple(str(one) for one in ids) if ids is not None else (),
            )
        )
    return Swaps(found=tuple(found))


def _redirect(places: _record.Places, host: Host) -> Redirect:
    path = host.nginx / "devshard/server.d/redirect.conf"
    noted = _file(places.redirect_note).exists
    edge: bool | None
    url: str | None = None
    try:
        match = _REDIRECTED.search(path.read_text(encoding="utf-8", errors="replace"))
        edge, url = True, None if match is None else match[1]
    except (FileNotFoundError, NotADirectoryError):
        edge = False
    except PermissionError:
        edge = None
    return Redirect(edge=edge, noted=noted, base_url=url, path=str(path))


# containers


def _ask_engine(host: Host) -> tuple[Engine, list[Listed] | None]:
    docker = docker_cli.find(host.run)
    if docker is None:
        if any(path.exists() for path in host.sockets):
            error = "the socket of a Docker Engine is there, but no docker program to ask it with"
            return Engine(program=None, answers=None, error=error), None
        return Engine(program=None, answers=False), []
    try:
        return Engine(program=docker.program, answers=True), docker_cli.containers(docker)
    except TransportError as exc:
        return Engine(program=docker.program, answers=None, error=str(exc)), None


def _on_host(one: Listed, inside: str) -> str | None:
    """What a path inside a container is on the host; None for one in the container's own layer."""
    wanted = PurePosixPath(inside)
    fitting = [
        (PurePosixPath(target), source)
        for target, source in one.mounts
        if source and wanted.is_relative_to(target)
    ]
    if not fitting:
        return None
    target, source = max(fitting, key=lambda item: len(item[0].parts))
    return str(PurePosixPath(source) / wanted.relative_to(target))


def _storage_in(one: Listed, asked: Asked, host: Host) -> tuple[str | None, str | None]:
    """The storage of a gateway: inside its container, and on the host."""
    named = one.container.environment.get(_STORAGE_VARIABLE) or asked.storage_dir
    named = str(PurePosixPath(one.working_dir) / named)
    if (place := _on_host(one, named)) is not None:
        return named, place
    for target, source in one.mounts:
        if source and _file(_seen(one.container.pid, target, source, host) / DATABASE).exists:
            return target, source
    return None, None


def _seen(pid: int, inside: str, on_host: str, host: Host) -> Path:
    """The folder itself: as a running container sees it, else by its name."""
    if pid:
        seen = mounted(pid, inside, host.proc)
        try:
            if identity(seen) is not None:
                return seen
        except PermissionError:
            return Path(on_host)
    return Path(on_host)


def storage_is(found: Found, storage: Path, host: Host) -> bool | None:
    """Whether a container's storage is this folder, whatever either of them is called."""
    if found.storage is None or found.storage_target is None:
        return False
    return same_place(_seen(found.pid, found.storage_target, found.storage, host), storage)


def _record_beside(storage: str | None, labels: Mapping[str, str]) -> str | None:
    folders = [] if storage is None else [Path(storage).parent]
    if working := labels.get(f"{_PROJECT}.working_dir"):
        folders.append(Path(working))
    for folder in folders:
        if _file(folder / _record.RECORD).exists:
            return str(folder / _record.RECORD)
    return None


def _found(one: Listed, asked: Asked, host: Host) -> Found:
    container = one.container
    inside, storage = _storage_in(one, asked, host)
    holds: bool | None = None
    if inside is not None and storage is not None:
        holds = _file(_seen(container.pid, inside, storage, host) / DATABASE).exists
    named = digest_of(container.image)
    known = [digest for item in container.digests if (digest := digest_of(item)) is not None]
    return Found(
        id=one.id,
        name=container.name,
        image=container.image,
        image_id=container.image_id,
        digest=named or next(iter(known), None),
        digests=container.digests,
        generation=generation_of_tag(container.image),
        state=container.state,
        health=container.health,
        exit_code=one.exit_code,
        pid=container.pid,
        started_at=container.started_at,
        restart_count=container.restart_count,
        restart_policy=container.restart_policy,
        project=container.labels.get(_PROJECT),
        working_dir=container.labels.get(f"{_PROJECT}.working_dir"),
        swap_id=container.labels.get(SWAP_LABEL),
        published=one.published,
        mounts=one.mounts,
        storage=storage,
        storage_target=inside,
        storage_holds_database=holds,
        record_path=_record_beside(storage, container.labels),
    )


def _is_gateway(one: Listed, found: Found) -> bool:
    if found.storage_holds_database:
        return True
    words = (found.image.rpartition("/")[2].partition("@")[0], *one.command)
    return any("devshard" in word for word in words)


def _main(
    asked: Asked, record: FoundRecord, containers: list[Found], host: Host, *, known: bool
) -> Slot:
    found = next((one for one in containers if one.name == asked.container), None)
    ours: bool | None = None
    if found is not None:
        if record.error is not None or record.exists is None:
            ours = None
        elif record.content is None:
            ours = False
        else:
            places = _record.Places(deploy_dir=asked.deploy_dir, state_dir=asked.state_dir)
            ours = storage_is(found, _storage_of(record, places), host)
    return Slot(name=asked.container, known=known, container=found, ours=ours)


def _temp(asked: Asked, record: FoundRecord, containers: list[Found], *, known: bool) -> Slot:
    found = next((one for one in containers if one.name == asked.temp_container), None)
    ours: bool | None = None
    if found is not None:
        places = _record.Places(deploy_dir=asked.deploy_dir, state_dir=asked.state_dir)
        storage = _storage_of(record, places)
        if found.storage is None or found.swap_id is None:
            ours = False
        else:
            ours = same_place(Path(found.storage).parent, storage)
    return Slot(name=asked.temp_container, known=known, container=found, ours=ours)


# ports


def _nginx_kind(host: Host, port: int) -> t.Literal["collection", "debian", "owner"]:
    conf = host.nginx / "conf.d/gonka-devshard.conf"
    try:
        text = conf.read_text(encoding="utf-8", errors="replace")
        if re.search(rf"^\s*listen\s+(\S*:)?{port}\b", text, re.MULTILINE):
            return "collection"
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    own = [
        path
        for pattern in ("sites-enabled/*", "conf.d/*.conf")
        for path in host.nginx.glob(pattern)
        if path != conf
    ]
    default = host.nginx / "sites-enabled/default"
    if own == [default] and default.is_symlink():
        return "debian"
    return "owner"


def _owners(
    name: str, port: int, containers: list[Found], sockets: list[_sockets.Listener], host: Host
) -> list[Owner]:
    found = [
        Owner(kind="container", name=one.name, pid=one.pid or None, container=one)
        for one in containers
        if one.running and port in one.published
    ]
    by_id = {one.id: one for one in containers}
    for socket in sockets:
        # clients come to the edge from everywhere, to a gateway from this host alone
        if socket.port != port or not (socket.local or name not in ("gateway", "temp")):
            continue
        inside = by_id.get(socket.container_id or "")
        if inside is not None:
            owner = Owner(kind="container", name=inside.name, pid=socket.pid, container=inside)
        elif socket.pid is None:
            owner = Owner(kind="unknown", name="")
        elif socket.program == "nginx":
            kind = _nginx_kind(host, port)
            owner = Owner(kind="nginx", name="nginx", pid=socket.pid, nginx=kind)
        elif socket.program in ("docker-proxy", "dockerd"):
            # its container is in the list already, or the engine could not be asked
            owner = Owner(kind="unknown", name=socket.program, pid=socket.pid)
        else:
            owner = Owner(kind="process", name=socket.program, pid=socket.pid)
        found.append(owner)
    return sorted(found, key=lambda owner: owner.container is None)


def _ports(
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
    slots = {"gateway": main, "temp": temp}
    ports = []
    for name, port in asked.ports:
        owner = next(iter(_owners(name, port, containers, sockets, host)), None)
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


# ledgers


def _env_ledger(asked: Asked) -> Path | None:
    """0.1.0 told where its ledger is through the environment file only, by the keyring beside it."""
    try:
        text = _env_file.read(asked.env_file)
        home = None if text is None else _env_file.parse(text, "").get("INFERENCED_HOME")
    except ConfigurationError:
        return None
    return None if not home else Path(home).parent / "ledger.db"


def _other_ledgers(asked: Asked, record: FoundRecord, host: Host) -> tuple[str, ...]:
    """The recorded ledger, or one in the usual place, where it is not the configured one."""
    content = record.content
    if content is not None and content.ledger is not None:
        # what is recorded counts from the beginning, before the first coin moves
        ledger = Path(content.ledger)
        there = _file(ledger.parent).exists
    else:
        usual = host.default_state_dir / "ledger.db"
        ledger = usual if content is None else _env_ledger(asked) or usual
        there = _file(ledger).exists
    return (str(ledger),) if there and not same_place(ledger, asked.ledger) else ()
