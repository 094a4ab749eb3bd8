# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the look at a host is asked for, and what it may use of the host."""

from __future__ import annotations

import stat
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from .._gateway.instance import Instance, Places
from .._host import docker_cli
from .._host.processes import PROC
from .._host.storage import identity
from .model import File, Place

if t.TYPE_CHECKING:
    from collections.abc import Mapping


STATE_DIR: t.Final = Path("/var/lib/gonka-devshard")


NGINX: t.Final = Path("/etc/nginx")


SWAP_LABEL: t.Final = "gonka.devshard.swap"


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
    instance: Instance = Instance()
    storage_dir: str
    """Of a gateway of this generation, inside its container."""
    ports: tuple[tuple[str, int], ...]
    paths: Mapping[str, Path] = field(default_factory=dict)
    """What else the play asks about, by name."""
    adopt: bool = False
    """Whether the user says that the container of this name is the gateway, made by hand."""

    @property
    def places(self) -> Places:
        return Places(deploy_dir=self.deploy_dir, state_dir=self.state_dir, instance=self.instance)


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """Where this host shows itself; tests have one of their own."""

    run: docker_cli.Run
    proc: Path = PROC
    nginx: Path = NGINX
    default_state_dir: Path = STATE_DIR
    sockets: tuple[Path, ...] = docker_cli.SOCKETS


def look_at_file(path: Path) -> File:
    try:
        return File(path=str(path), exists=identity(path) is not None)
    except PermissionError:
        return File(path=str(path), exists=None)


def look_at_place(path: Path) -> Place:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Place(path=str(path), exists=False)
    except OSError:
        return Place(path=str(path), exists=None)
    return Place(path=str(path), exists=True, directory=stat.S_ISDIR(found.st_mode))
