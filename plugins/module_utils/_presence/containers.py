# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The containers of the host, which of them are gateways, and where each has its storage."""

from __future__ import annotations

import typing as t
from pathlib import Path, PurePosixPath

from .._core.errors import TransportError
from .._gateway.beyond import Beyond
from .._gateway.instance import DATABASE, RECORD
from .._host import docker_cli
from .._host.image import digest_of
from .._host.storage import identity, mounted, same_place
from .._swap.plan import generation_of_tag
from .asked import SWAP_LABEL, Asked, Host, look_at_file
from .model import (
    Engine,
    Found,
    FoundRecord,
    Slot,
    Swaps,
)
from .notes import read_record, storage_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._host.docker_cli import Listed


_STORAGE_VARIABLE: t.Final = "DEVSHARD_STORAGE_DIR"


_PROJECT: t.Final = "com.docker.compose.project"


_VARIABLES: t.Final = ("DEVSHARD_", "DEVSHARDS_")


_CLOCK: t.Final = ("/etc/localtime", "/etc/timezone")
"""They change the hours in the log, and nothing else."""


def ask_engine(host: Host) -> tuple[Engine, list[Listed] | None]:
    docker = docker_cli.find(host.run)
    if docker is None:
        if any(path.exists() for path in host.sockets):
            error = "the host has the socket of a Docker Engine, but no docker program to query it"
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
        if (
            source
            and look_at_file(_seen(one.container.pid, target, source, host) / DATABASE).exists
        ):
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
        if look_at_file(folder / RECORD).exists:
            return str(folder / RECORD)
    return None


def _instance_of(record_path: str | None) -> str | None:
    """The name of a gateway of the collection; None for one that has no record to read."""
    found = None if record_path is None else read_record(Path(record_path)).content
    return None if found is None else found.instance or ""


def look_at_container(one: Listed, asked: Asked, host: Host) -> Found:
    container = one.container
    inside, storage = _storage_in(one, asked, host)
    holds: bool | None = None
    if inside is not None and storage is not None:
        holds = look_at_file(_seen(container.pid, inside, storage, host) / DATABASE).exists
    named = digest_of(container.image)
    known = [digest for item in container.digests if (digest := digest_of(item)) is not None]
    record_path = _record_beside(storage, container.labels)
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
        record_path=record_path,
        instance=_instance_of(record_path),
        has_variables=has_variables(container.environment),
    )


def has_variables(environment: Mapping[str, str]) -> bool:
    """Whether a container has the variables of a gateway."""
    return any(name.startswith(_VARIABLES) for name in environment)


def beyond_of(one: Listed, found: Found) -> Beyond:
    """What it has besides what the compose files of the collection give to a container."""
    usual = {"bridge", f"{found.project}_default"}
    storage = PurePosixPath(found.storage_target or "/")
    return Beyond(
        networks=tuple(name for name in one.networks if name not in usual),
        names=one.names,
        mounts=tuple(
            target
            for target in one.own_mounts
            if target not in _CLOCK and not storage.is_relative_to(target)
        ),
        process=one.own_process,
        rights=one.options.rights,
    )


def is_gateway(one: Listed, found: Found) -> bool:
    if found.storage_holds_database:
        return True
    words = (found.image.rpartition("/")[2].partition("@")[0], *one.command)
    return any("devshard" in word for word in words)


def main_slot(
    asked: Asked, record: FoundRecord, containers: list[Found], host: Host, *, known: bool
) -> Slot:
    found = next((one for one in containers if one.name == asked.container), None)
    ours: bool | None = None
    if found is not None:
        if record.error is not None or record.exists is None:
            ours = None
        elif record.content is None:
            # its storage is recorded nowhere, so the user's word and its variables count
            ours = asked.adopt and found.record_path is None and found.has_variables
        else:
            places = asked.places
            ours = storage_is(found, storage_of(record, places), host)
    return Slot(name=asked.container, known=known, container=found, ours=ours)


def temp_slot(
    asked: Asked, record: FoundRecord, swaps: Swaps, containers: list[Found], *, known: bool
) -> Slot:
    """Its storage lies in that of the gateway, or in the one that a move leads to."""
    found = next((one for one in containers if one.name == asked.temp_container), None)
    ours: bool | None = None
    if found is not None:
        places = asked.places
        storages = [storage_of(record, places)]
        storages += [Path(swap.moves_to) for swap in swaps.found if swap.moves_to is not None]
        if found.storage is None or found.swap_id is None:
            ours = False
        else:
            parent = Path(found.storage).parent
            ours = any(same_place(parent, storage) for storage in storages)
    return Slot(name=asked.temp_container, known=known, container=found, ours=ours)
