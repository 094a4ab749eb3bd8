# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The files of the temporary gateway: its storage, its environment, and how Compose starts it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ConfigurationError
from .._core.files import private_folder, write_whole
from .._gateway.compose_file import ComposeFile

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TempFiles:
    """What :func:`prepare` writes. ``environment`` is copied from ``env_file``."""

    storage: Path
    env_file: Path
    environment: Path
    compose_file: Path
    compose: str


def temp_environment(noted: str | None, env_file: Path, *, started: bool) -> Path:
    """The file that the temporary gateway has its environment from.

    The gateway may get another environment, and another admin key, while this one still serves.
    Swaps of early versions gave both the same file.
    """
    if noted is not None:
        return type(env_file)(noted)
    return env_file if started else env_file.with_name(f"{env_file.name}.temp")


def environment_of_main(running: str | None, held: Mapping[Path, str | None]) -> Path:
    """The file with the admin key that the container in slot main was started with.

    ``held`` are the admin keys of the files, that of the gateway first. It gets a new key before
    its container does, and then only the copy of the temporary gateway has the earlier one.
    """
    first, *copies = held
    if running and held[first] != running:
        first = next((file for file in copies if held[file] == running), first)
    return first


def prepare(files: TempFiles, *, running: bool, check_mode: bool) -> list[str]:
    """Make what a start needs, and return what had to be made.

    ``running``: what may serve already keeps the environment that it was started with.
    """
    made = []
    # that of another generation is new
    above = files.storage.parent
    if not above.is_dir() and not check_mode:
        private_folder(above)
    if not files.storage.is_dir():
        made.append(str(files.storage))
        if not check_mode:
            private_folder(files.storage)
    if files.environment != files.env_file:
        made += _copied(files, running=running, check_mode=check_mode)
    compose = ComposeFile(path=files.compose_file, text=files.compose, owned=False)
    before, after = compose.write(check_mode=check_mode)
    if before != after:
        made.append(str(files.compose_file))
    return made


def _copied(files: TempFiles, *, running: bool, check_mode: bool) -> list[str]:
    there = files.environment.exists()
    if there and running:
        return []
    try:
        wanted = files.env_file.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"there is no {files.env_file}; run the playbook gonka.devshard.site first"
        ) from exc
    if there and files.environment.read_bytes() == wanted:
        return []
    if not check_mode:
        write_whole(files.environment, wanted, 0o600)
    return [str(files.environment)]


def offer(flag: Path, *, check_mode: bool) -> bool:
    """Let the edge hand to the temporary gateway what the gateway itself does not accept."""
    if flag.exists():
        return False
    if not check_mode:
        write_whole(flag, b"", 0o644)
    return True


def withdraw(flag: Path, *, check_mode: bool) -> bool:
    """The opposite, before the temporary gateway is stopped."""
    if not flag.exists():
        return False
    if not check_mode:
        flag.unlink()
    return True
