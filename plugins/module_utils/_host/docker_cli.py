# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""All containers of this host, asked with the docker program: a bare host has no Python SDK."""

from __future__ import annotations

import json
import os
import re
import shutil
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from .._core.errors import TransportError
from .docker import Container, from_inspect
from .options import Options, names_on_networks, options_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping

PATH: t.Final = ("/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/bin")
SOCKETS: t.Final = (Path("/run/docker.sock"), Path("/var/run/docker.sock"))
SECONDS: t.Final = 10
BOUNDED: t.Final = ("/usr/bin/timeout", "--kill-after=1")
TIMED_OUT: t.Final = (124, 137)
_ANONYMOUS: t.Final = re.compile(r"[0-9a-f]{64}")
_PROCESS: t.Final = {"Entrypoint": "entrypoint", "Cmd": "command", "User": "user"}
_ROOT: t.Final = ("", "/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A container with the additional data that an inspection of the whole host needs."""

    container: Container
    id: str
    exit_code: int
    command: tuple[str, ...]
    working_dir: str
    published: tuple[int, ...]
    """Ports of the host; those of a stopped container are the ones that it will have."""
    mounts: tuple[tuple[str, str], ...]
    """Target in the container and source on the host."""
    read_only: tuple[str, ...] = ()
    """Targets that the container cannot write to."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Target in the container and name of the engine's volume."""
    own_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those that do not come from its image as they are."""
    own_process: tuple[str, ...] = ()
    """What of its process is not as its image has it: entrypoint, command, user, working_dir."""
    own_mounts: tuple[str, ...] = ()
    """Targets of its mounts that its image does not ask for by itself."""
    networks: tuple[str, ...] = ()
    """Of the engine; ``host``, ``none`` or that of another container stand here too."""
    names: tuple[str, ...] = ()
    """What it was given to resolve names with: entries of extra_hosts, links, and DNS servers."""
    known_as: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By which names other containers reach it, on each network that has names."""
    options: Options = Options()


Run = t.Callable[[list[str]], tuple[int, str, str]]
"""Runs a program of this host: its status, stdout and stderr. May raise ``OSError``."""


class Docker(t.NamedTuple):
    """The docker program of this host, and how it is run."""

    program: str
    run: Run


def find(run: Run) -> Docker | None:
    """None when this host has no docker program."""
    program = shutil.which("docker") or shutil.which("docker", path=os.pathsep.join(PATH))
    return None if program is None else Docker(program, run)


def _run(docker: Docker, *argv: str) -> tuple[int, str, str]:
    bounded = [*BOUNDED, str(SECONDS), docker.program, *argv]
    try:
        status, stdout, stderr = docker.run(bounded)
    except OSError as exc:
        raise TransportError(f"{docker.program} cannot be run: {exc.strerror}") from exc
    if status in TIMED_OUT:
        raise TransportError(
            f"the Docker Engine of this host does not answer within {SECONDS} seconds"
        )
    return status, stdout, stderr


def _asked(docker: Docker, *argv: str, partly: bool = False) -> str:
    """``partly``: one of several that are asked for may be gone by now."""
    status, stdout, stderr = _run(docker, *argv)
    if status == 0 or (partly and "no such" in stderr.lower()):
        return stdout
    last = (stderr.strip().splitlines() or [f"status {status}"])[-1]
    raise TransportError(f"the Docker Engine of this host does not answer: {last}")


def _objects(text: str) -> list[dict[str, t.Any]]:
    try:
        found = json.loads(text or "[]")
    except ValueError as exc:
        raise TransportError("the docker program printed no JSON") from exc
    if not isinstance(found, list):
        raise TransportError("the docker program printed JSON that is not a list")
    return found


def _published(attrs: Mapping[str, t.Any]) -> tuple[int, ...]:
    actual = (attrs.get("NetworkSettings") or {}).get("Ports") or {}
    wanted = (attrs.get("HostConfig") or {}).get("PortBindings") or {}
    ports = {
        int(item["HostPort"])
        for name, bound in (*actual.items(), *wanted.items())
        if name.endswith("/tcp")
        for item in bound or ()
        if str(item.get("HostPort", "")).isdecimal()
    }
    return tuple(sorted(ports))


def _own_mounts(attrs: Mapping[str, t.Any], of_image: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Each container of an image with a volume gets one of its own, without a name.

    A tmpfs holds nothing that another container could miss; it is one of the options.
    """
    asked = of_image.get("Volumes") or {}
    return tuple(
        str(item["Destination"])
        for item in attrs.get("Mounts") or ()
        if item.get("Type") != "tmpfs"
        and not (item["Destination"] in asked and _ANONYMOUS.fullmatch(str(item.get("Name") or "")))
    )


def _networks(attrs: Mapping[str, t.Any]) -> tuple[str, ...]:
    """A mode that names no network is one of its own; without one the engine takes its bridge."""
    mode = str((attrs.get("HostConfig") or {}).get("NetworkMode") or "default")
    found = set((attrs.get("NetworkSettings") or {}).get("Networks") or ())
    if not found or mode.startswith("container:"):
        found.add("bridge" if mode == "default" else mode)
    return tuple(sorted(found))


def _names(attrs: Mapping[str, t.Any]) -> tuple[str, ...]:
    host = attrs.get("HostConfig") or {}
    keys = ("ExtraHosts", "Links", "Dns", "DnsSearch", "DnsOptions")
    return tuple(str(item) for key in keys for item in host.get(key) or ())


def _own_process(config: Mapping[str, t.Any], of_image: Mapping[str, t.Any]) -> tuple[str, ...]:
    found = [
        name
        for key, name in _PROCESS.items()
        if (config.get(key) or None) != (of_image.get(key) or None)
    ]
    folders = [str(one.get("WorkingDir") or "") for one in (config, of_image)]
    if folders[0] != folders[1] and not set(folders) <= set(_ROOT):
        found.append("working_dir")
    return tuple(found)


def _listed(attrs: Mapping[str, t.Any], images: Mapping[str, Mapping[str, t.Any]]) -> Listed:
    config = attrs["Config"]
    image = images.get(str(attrs["Image"]), {})
    of_image = image.get("Config") or {}
    variables_of_image = set(of_image.get("Env") or ())
    command = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    return Listed(
        container=from_inspect(attrs, tuple(image.get("RepoDigests") or ())),
        id=str(attrs["Id"]),
        exit_code=int(attrs["State"].get("ExitCode") or 0),
        command=tuple(str(word) for word in command),
        working_dir=str(config.get("WorkingDir") or "/"),
        published=_published(attrs),
        mounts=tuple(
            (str(item["Destination"]), str(item.get("Source") or ""))
            for item in attrs.get("Mounts") or ()
        ),
        read_only=tuple(
            str(item["Destination"])
            for item in attrs.get("Mounts") or ()
            if item.get("RW") is False
        ),
        volumes=tuple(
            (str(item["Destination"]), str(item["Name"]))
            for item in attrs.get("Mounts") or ()
            if item.get("Type") == "volume" and item.get("Name")
        ),
        own_variables=dict(
            item.split("=", 1)
            for item in config.get("Env") or ()
            if "=" in item and item not in variables_of_image
        ),
        own_process=_own_process(config, of_image),
        own_mounts=_own_mounts(attrs, of_image),
        networks=_networks(attrs),
        names=_names(attrs),
        known_as=names_on_networks(attrs),
        options=options_of(attrs, of_image),
    )


def containers(docker: Docker) -> list[Listed]:
    """Every container, running or not. Raises ``TransportError`` when the engine does not answer."""
    ids = _asked(docker, "ps", "--all", "--quiet", "--no-trunc").split()
    if not ids:
        return []
    found = _objects(_asked(docker, "container", "inspect", *ids, partly=True))
    images = sorted({str(attrs["Image"]) for attrs in found})
    known = _objects(_asked(docker, "image", "inspect", *images, partly=True)) if images else []
    by_id = {str(item["Id"]): item for item in known}
    try:
        return [_listed(attrs, by_id) for attrs in found]
    except (KeyError, TypeError, ValueError) as exc:
        raise TransportError(
            f"the docker program describes a container in an unknown format: {exc}"
        ) from exc


def image_id(docker: Docker, reference: str) -> str | None:
    """The id of an image that the engine has under this reference; None when it has none."""
    found = _objects(_asked(docker, "image", "inspect", reference, partly=True))
    return str(found[0]["Id"]) if found and "Id" in found[0] else None


def mountpoint(docker: Docker, volume: str) -> str | None:
    """Where a volume lies on the host; None when there is none of that name."""
    found = _objects(_asked(docker, "volume", "inspect", volume, partly=True))
    return str(found[0]["Mountpoint"]) if found and found[0].get("Mountpoint") else None


def compose_mount(docker: Docker, file: str, target: str) -> tuple[str, str] | None:
    """What a compose file mounts at a path: ``bind`` or ``volume``, and its source or name.

    None where it mounts nothing there, or Compose cannot read it.
    """
    status, stdout, _stderr = _run(docker, "compose", "--file", file, "config", "--format", "json")
    if status != 0:
        return None
    try:
        whole = json.loads(stdout)
        for service in whole["services"].values():
            for item in service.get("volumes") or ():
                if item["target"] == target and item["type"] == "bind":
                    return "bind", str(item["source"])
                if item["target"] == target and item["type"] == "volume":
                    named = (whole.get("volumes") or {}).get(item["source"]) or {}
                    return "volume", str(named.get("name") or item["source"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None
