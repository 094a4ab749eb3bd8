# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Looks at a host for gateways that were made by hand. Reads only, and needs Python's library alone."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace
from pathlib import Path

from .._core.errors import ConfigurationError, TransportError
from .._core.keys import ADMIN_API_KEY
from .._edge import nginx_conf
from .._gateway import env_file as _env_file
from .._gateway.instance import EDGE_FILES
from .._host import docker_cli, sockets
from .._presence.asked import SWAP_LABEL, Asked, Host
from .._presence.containers import beyond_of, has_variables, look_at_container
from .model import EnvFile, Front, HandMade

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._host.docker_cli import Listed

_COMPOSE: t.Final = "com.docker.compose"
_NGINX: t.Final = "/usr/sbin/nginx"
_FILE: t.Final = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_HOSTS: t.Final = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")
EDGE_PORT: t.Final = 80
OTHER_EDGE_PORT: t.Final = 8080
_COMPOSE_NAMES: t.Final = (
    *("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
    *("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml"),
)


def containers(host: Host) -> list[Listed]:
    """All of them; a host whose engine does not answer cannot be looked at."""
    docker = docker_cli.find(host.run)
    if docker is None:
        raise ConfigurationError("this host has no docker program, so no gateway runs here")
    return docker_cli.containers(docker)


def gateways(listed: Sequence[Listed], asked: Asked, host: Host) -> list[HandMade]:
    """Those with the variables of a gateway. A temporary one of a swap is not one by itself."""
    return [
        replace(
            _hand_made(one, asked, host),
            neighbours=_neighbours(one, listed),
            beside=_beside(one, listed),
            peers=_peers(one, listed),
        )
        for one in listed
        if has_variables(one.container.environment) and SWAP_LABEL not in one.container.labels
    ]


def _neighbours(one: Listed, listed: Sequence[Listed]) -> tuple[str, ...]:
    """The other services of a container's Compose project."""
    labels = one.container.labels
    if (project := labels.get(f"{_COMPOSE}.project")) is None:
        return ()
    services = {
        other.container.labels.get(f"{_COMPOSE}.service", other.container.name)
        for other in listed
        if other is not one and other.container.labels.get(f"{_COMPOSE}.project") == project
    }
    return tuple(sorted(services - {labels.get(f"{_COMPOSE}.service")}))


def _shared(one: Listed, listed: Sequence[Listed]) -> Iterable[tuple[Listed, str]]:
    """Other containers, each with a network that it shares with this one."""
    for other in listed:
        if other is not one:
            yield from ((other, network) for network in one.known_as.keys() & other.known_as)


def _beside(one: Listed, listed: Sequence[Listed]) -> tuple[str, ...]:
    """Clients among them do not follow a swap; those of its own project are its neighbours."""
    project = one.container.labels.get(f"{_COMPOSE}.project")
    found = {
        other.container.name
        for other, _network in _shared(one, listed)
        if project is None or other.container.labels.get(f"{_COMPOSE}.project") != project
    }
    return tuple(sorted(found))


def _peers(one: Listed, listed: Sequence[Listed]) -> dict[str, str]:
    return {
        name: other.container.name
        for other, network in _shared(one, listed)
        for name in other.known_as[network]
    }


def _hand_made(one: Listed, asked: Asked, host: Host) -> HandMade:
    found, container = look_at_container(one, asked, host), one.container
    labels = container.labels
    files = labels.get(f"{_COMPOSE}.project.config_files") or ""
    return HandMade(
        name=container.name,
        state=container.state,
        image=container.image,
        digest=found.digest,
        restart_policy=container.restart_policy,
        ports=container.ports,
        storage=found.storage,
        inside=found.storage_target or asked.storage_dir,
        volume=dict(one.volumes).get(found.storage_target or ""),
        project=found.project,
        service=labels.get(f"{_COMPOSE}.service"),
        working_dir=found.working_dir,
        compose_files=tuple(name for name in files.split(",") if name),
        record=found.record_path,
        beyond=beyond_of(one, found),
        options=one.options,
        variables=one.own_variables,
    )


# files of the owner


def owned_files(gateway: HandMade, front: Front, env_file: str | None) -> list[str]:
    """What the owner may need again: how he started it, and what leads to it."""
    folder = None if gateway.working_dir is None else Path(gateway.working_dir)
    beside = [] if folder is None else [folder / name for name in (*_COMPOSE_NAMES, ".env")]
    named = [Path(name) for name in gateway.compose_files]
    found = [*named, *beside, *([Path(env_file)] if env_file else []), *map(Path, front.leads)]
    return [str(path) for path in dict.fromkeys(found) if path.is_file()]


def find_env_file(gateway: HandMade, own: Path) -> EnvFile:
    """The file from which it has its keys, else the collection's own where that is there already.

    Not ``.env``, which Compose itself reads, nor any file of a project with other services.
    """
    key = gateway.variables.get(ADMIN_API_KEY) or ""
    found = [one for path in _env_files(gateway) if (one := _with_key(path, key)) is not None]
    if not found:
        return _read(own, _env_file.read(own) or "") if own.is_file() else EnvFile()
    first = found[0]
    others = [one for one in found[1:] if (one.variables, one.fault) != (first.variables, None)]
    if not others:
        return first
    return EnvFile(
        path=first.path,
        fault=(
            f"{' and '.join(str(one.path) for one in (first, *others))} all hold {ADMIN_API_KEY} of"
            f" the container {gateway.name}, and they differ, so it is unknown which one the gateway"
            " is started with. Move those that it is not started with to another folder"
        ),
    )


def _env_files(gateway: HandMade) -> list[Path]:
    """In an order that does not depend on the file system."""
    folder = None if gateway.working_dir is None else Path(gateway.working_dir)
    if folder is None or gateway.neighbours or not folder.is_dir():
        return []
    found = [path for path in folder.glob("*.env") if path.name != ".env" and path.is_file()]
    return sorted(found, key=lambda path: (path.name != "config.devshard.env", path.name))


def _with_key(path: Path, key: str) -> EnvFile | None:
    """The file, where it holds this key of a gateway."""
    text = _env_file.read(path) or ""
    if not key or key not in text:
        return None
    found = _read(path, text)
    return found if found.fault or found.variables.get(ADMIN_API_KEY) == key else None


def _read(path: Path, text: str) -> EnvFile:
    try:
        return EnvFile(path=str(path), variables=_env_file.parse(text, str(path)))
    except ConfigurationError as exc:
        return EnvFile(path=str(path), fault=str(exc))


# nginx


def front(port: int | None, own_edge: str, host: Host) -> Front:
    """Which files of nginx listen, and which lead to the gateway. ``own_edge`` is the file that the
    collection has, or would have, for this gateway."""
    try:
        status, stdout, stderr = host.run([_NGINX, "-T"])
    except OSError:
        return Front(installed=False)
    if status != 0:
        last = (stderr.strip().splitlines() or [f"status {status}"])[-1]
        return Front(installed=True, error=f"nginx -T fails: {last}")
    listens: dict[int, tuple[str, ...]] = {}
    leads = []
    ours: set[int] = set()
    for name, text in _files(stdout):
        try:
            parsed = nginx_conf.parse(text)
        except nginx_conf.NginxSyntaxError as exc:
            return Front(installed=True, error=f"{name}: {exc}")
        if name == own_edge:
            ours |= nginx_conf.ports(parsed)
        if Path(name).match(EDGE_FILES):
            continue
        for number in nginx_conf.ports(parsed):
            listens[number] = (*listens.get(number, ()), name)
        if port is not None and leads_to(parsed, port):
            leads.append(name)
    return Front(installed=True, listens=listens, leads=tuple(leads), ours=tuple(sorted(ours)))


def _files(dump: str) -> Iterable[tuple[str, str]]:
    parts = _FILE.split(dump)
    return zip(parts[1::2], parts[2::2], strict=True)


def leads_to(parsed: tuple[nginx_conf.Directive, ...], port: int) -> bool:
    """Whether a proxy or an upstream in it names this port of the host."""
    wanted = {f"{name}:{port}" for name in _HOSTS}
    return any(
        item.name in ("proxy_pass", "server", "uwsgi_pass", "grpc_pass")
        and item.block is None
        and any(_address(word) in wanted for word in item.args[:1])
        for item in nginx_conf.walk(parsed)
    )


def _address(word: str) -> str:
    return word.partition("://")[2].partition("/")[0] or word


# ports


def edge_port(found: Front, published: Iterable[int], host: Host) -> int:
    """The usual one, also in place of Debian's own site; beside a site of the owner another one."""
    if found.ours:
        return min(found.ours)
    files = found.listens.get(EDGE_PORT, ())
    if files and not all(_is_debians(Path(name)) for name in files):
        return free_port(OTHER_EDGE_PORT, published, host)
    if files or free_port(EDGE_PORT, published, host) == EDGE_PORT:
        return EDGE_PORT
    return free_port(OTHER_EDGE_PORT, published, host)


def _is_debians(path: Path) -> bool:
    return path.name == "default" and path.parent.name == "sites-enabled" and path.is_symlink()


def free_port(first: int, taken: Iterable[int], host: Host) -> int:
    """The first one from ``first`` on that nothing has, and no container will have."""
    candidates = [port for port in range(first, first + 200) if port not in set(taken)]
    try:
        used = {one.port for one in sockets.listeners(candidates, host.proc)}
    except OSError as exc:
        raise TransportError(f"the kernel does not show which ports are taken: {exc}") from exc
    return next((port for port in candidates if port not in used), first)
