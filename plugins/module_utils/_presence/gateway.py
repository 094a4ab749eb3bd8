# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The look of the role ``gateway`` at a host; :mod:`_gateway.plan` judges what it saw."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from .._core import libraries
from .._core.errors import ConfigurationError, DevshardError, UnknownStateError
from .._gateway import env_file
from .._gateway.beyond import Beyond
from .._gateway.instance import DATABASE, Places
from .._gateway.plan_model import (
    RECORDED,
    SETTING,
    SIBLING,
    Available,
    Folder,
    GatewaySeen,
    Left,
    Own,
    Use,
)
from .._host import docker as _docker
from .._host import docker_cli
from .._host.image import digest_of, is_image
from .._host.storage import identity, mounted
from .asked import SWAP_LABEL, Asked, Host
from .containers import beyond_of, has_variables
from .look import look

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._gateway.plan_model import GatewayPlan, Relation
    from .._host.docker_cli import Docker, Listed, Run
    from .model import Found, Port, Presence

HOST_DIR: t.Final = "DEVSHARD_STORAGE_HOST_DIR"
_RUNNING: t.Final = ("running", "paused", "restarting")
_ASIDE: t.Final = ".before-"
"""In the name of a storage that a restore set aside."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is looked for."""

    asked: Asked
    image: str
    image_update: bool
    storage_dir: str | None
    """As the user gave it."""
    in_file: Mapping[str, str]
    """The environment file that is there."""


def see(subject: Subject, host: Host) -> tuple[GatewaySeen, Mapping[str, str]]:
    """What is on the host, and what the container has besides the variables of its image."""
    asked = subject.asked
    presence = look(asked, host)
    if presence.record.error is not None:
        raise UnknownStateError(presence.record.error)
    places = asked.places
    docker = docker_cli.find(host.run) if presence.engine.answers else None
    listed = [] if docker is None else docker_cli.containers(docker)
    mine = next((one for one in listed if one.container.name == asked.container), None)
    own = None if mine is None else _own(mine, presence.container.container, subject, host)
    folders = _folders(subject, presence, places, docker, searched=own is None)
    default = _folder(places.storage, "which is the folder of the collection", None)
    named = [folder for folder in folders if folder.says != SIBLING]
    storage = own.storage if own is not None and own.storage is not None else None
    candidates = [storage] if storage is not None else [*named, default]
    files = [places.compose, *_other_composes(places), asked.env_file]
    files += [Path(folder.path) for folder in folders if folder.says == SIBLING]
    there = [str(path) for path in dict.fromkeys((*files, places.storage)) if path.exists()]
    return (
        GatewaySeen(
            own=own,
            record=presence.record.content,
            files=tuple(there),
            folders=tuple(folders),
            default=default,
            uses=tuple(
                use
                for one in listed
                if one is not mine and one.container.state in _RUNNING
                for use in _uses(one, [Path(folder.path) for folder in candidates], host)
            ),
            variables=subject.in_file if mine is None else mine.container.environment,
            port_owner=_other_owner(presence.port("gateway")),
            accounting_owner=_other_owner(presence.port("accounting")),
            asked_is_running=None
            if mine is None or docker is None
            else _asked_is_running(docker, subject, mine.container),
            engine=presence.engine.error,
            answers=presence.engine.answers is True,
            left=Left(
                directory=places.deploy_dir.is_dir(),
                compose=bool(presence.paths["compose"].exists),
                retired=bool(presence.retired.exists),
                redirected=bool(presence.redirect.noted),
                docker_library=presence.libraries["docker"],
            ),
        ),
        {} if mine is None else mine.own_variables,
    )


def _other_owner(port: Port | None) -> str | None:
    """What listens there and is not proved to be the gateway."""
    if port is None or port.owner is None or port.state not in ("foreign", "unknown"):
        return None
    return port.owner.text


def _other_composes(places: Places) -> list[Path]:
    names = ("compose.yaml", "compose.yml", "docker-compose.yaml")
    return [places.deploy_dir / name for name in names]


# folders


def _folder(path: Path, says: str, volume: str | None, seen: Path | None = None) -> Folder:
    place = path if seen is None else seen
    return Folder(
        path=str(path),
        says=says,
        volume=volume,
        identity=identity(place),
        database=identity(place / DATABASE) is not None,
    )


def _own(mine: Listed, found: Found | None, subject: Subject, host: Host) -> Own:
    inside = None if found is None else found.storage_target
    path = None if found is None else found.storage
    if inside is None or path is None:
        named = mine.container.environment.get("DEVSHARD_STORAGE_DIR")
        return Own(
            container=mine.container,
            inside=named or subject.asked.storage_dir,
            storage=None,
            beyond=Beyond() if found is None else beyond_of(mine, found),
        )
    seen = None
    moved = False
    if mine.container.pid:
        seen = mounted(mine.container.pid, inside, host.proc)
        if identity(seen) is None:
            seen = None
        else:
            moved = identity(seen) != identity(Path(path))
    storage = _folder(Path(path), "which the container has", dict(mine.volumes).get(inside), seen)
    return Own(
        container=mine.container,
        inside=inside,
        storage=storage,
        moved=moved,
        beyond=Beyond() if found is None else beyond_of(mine, found),
    )


def _folders(
    subject: Subject, presence: Presence, places: Places, docker: Docker | None, *, searched: bool
) -> list[Folder]:
    """All folders named as the storage, and those beside it with a database."""
    found: list[Folder] = []
    if subject.storage_dir is not None:
        found.append(_folder(Path(subject.storage_dir), SETTING, None))
    record = presence.record.content
    if record is not None and record.storage is not None:
        found.append(_folder(Path(record.storage), RECORDED, record.volume))
    if searched and record is None:
        found += _composed(subject, places, docker)
    host_dir = subject.in_file.get(HOST_DIR, "")
    if host_dir and "$" not in host_dir and not host_dir.startswith("~"):
        found.append(_folder(places.deploy_dir / host_dir, f"which {HOST_DIR} names", None))
    found.append(_folder(places.storage, "which the guide names", None))
    known = {folder.identity for folder in found}
    if places.deploy_dir.is_dir():
        found += [
            folder
            for path in sorted(places.deploy_dir.iterdir())
            if path.is_dir() and _ASIDE not in path.name
            for folder in [_folder(path, SIBLING, None)]
            if folder.database and folder.identity not in known
        ]
    return found


def _composed(subject: Subject, places: Places, docker: Docker | None) -> list[Folder]:
    """What the owner's compose file mounts, when its container is gone."""
    found = []
    for file in (places.compose, *_other_composes(places)):
        if docker is None or not file.exists():
            continue
        mount = docker_cli.compose_mount(docker, str(file), subject.asked.storage_dir)
        if mount is None:
            continue
        kind, name = mount
        if kind == "bind":
            found.append(_folder(Path(name), f"which {file.name} mounts", None))
        elif (point := docker_cli.mountpoint(docker, name)) is not None:
            found.append(_folder(Path(point), f"which {file.name} mounts", name))
    return found


# what others have


def _ancestors(path: Path) -> list[tuple[int, int]]:
    real = path.resolve()
    return [found for parent in real.parents if (found := identity(parent)) is not None]


def relation(storage: Path, folder: Path, path: Path) -> Relation | None:
    """How a folder of a container lies to the storage; ``path`` is its name on the host."""
    try:
        mine, other = identity(storage), identity(folder)
        if mine is None or other is None:
            return None
        if mine == other:
            return "same"
        if other in _ancestors(storage):
            return "around"
        if mine in _ancestors(path):
            return "inside"
    except PermissionError:
        return "unknown"
    return None


def _uses(one: Listed, storages: list[Path], host: Host) -> list[Use]:
    found: list[Use] = []
    gateway = has_variables(one.container.environment)
    for target, source in one.mounts:
        if not source:
            continue
        seen = Path(source)
        if one.container.pid:
            inside = mounted(one.container.pid, target, host.proc)
            seen = inside if identity(inside) is not None else seen
        for storage in storages:
            how = relation(storage, seen, Path(source))
            # a swap's temporary gateway has a folder of its own in the storage
            temporary = how == "inside" and SWAP_LABEL in one.container.labels
            if how is not None and not temporary:
                found.append(
                    Use(
                        container=one.container.name,
                        folder=source,
                        relation=how,
                        writable=target not in one.read_only,
                        gateway=gateway,
                    )
                )
                break
    return found


# image


def _asked_is_running(
    docker: Docker, subject: Subject, container: _docker.Container
) -> bool | None:
    """Whether a tag means the image of the container: on this host, else at its registry."""
    if digest_of(subject.image) is not None:
        return None
    if not subject.image_update:
        here = docker_cli.image_id(docker, subject.image)
        if here is not None:
            return here == container.image_id
    if libraries.why_missing("docker") is not None:
        return None
    try:
        meant = _docker.resolve(subject.image)
    except DevshardError:
        return None
    return is_image(meant, container.image, container.digests)


def available(image: str, plan: GatewayPlan, run: Run) -> Available:
    """Whether what the plan makes a container from is on this host, else at its registry."""
    wanted = plan.pinned or image
    if plan.pinned is not None and plan.pinned == plan.runs_digest:
        return Available(there=True, text=f"{image} is the image of the container")
    docker = docker_cli.find(run) if plan.engine else None
    if docker is None:
        return Available(
            there=None, text=f"{wanted} was not searched: no Docker Engine answers on this host"
        )
    try:
        # a tag is always pulled
        if digest_of(wanted) is not None and docker_cli.image_id(docker, wanted) is not None:
            return Available(there=True, text=f"{wanted} is on this host")
        if libraries.why_missing("docker") is not None:
            return Available(
                there=None, text=f"{wanted} was not searched: the Docker SDK is not installed yet"
            )
        return Available(there=True, text=f"the registry has {_docker.resolve(wanted)}")
    except ConfigurationError as exc:
        return Available(there=False, text=str(exc))
    except DevshardError as exc:
        return Available(there=None, text=str(exc))


# the environment


def in_file(path: Path, replaced: set[str]) -> tuple[str | None, dict[str, str] | None]:
    """The environment file: its text, and what is in it, of which some will be replaced."""
    text = env_file.read(path)
    if text is None:
        return None, None
    return text, env_file.parse(text, str(path), literal=True, replaced=replaced)
