# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a gateway's environment file is to hold: from options, the file and the container."""

from __future__ import annotations

import typing as t

from .._core import keys
from .._core.errors import ConfigurationError
from . import env_file

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Hide = Callable[[Mapping[str, t.Any]], None]


def as_text(name: str, value: object) -> str:
    """A variable as the gateway reads it; what has no such spelling is refused."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigurationError(
        f"variables.{name} must be a string or a number, got {type(value).__name__}; write a list"
        " or a dict as JSON (filter to_json)"
    )


def wish(params: Mapping[str, t.Any], staged: Mapping[str, str], hide: Hide) -> env_file.EnvWish:
    """What the options ask for, and the keys that wait for a container, which options override."""
    hide(staged)
    given = {
        keys.PRIVATE_KEY: params["private_key"],
        keys.API_KEYS: params["api_keys"],
        keys.ADMIN_API_KEY: params["admin_api_key"],
    }
    # a secret among the plain variables is refused later, and must not be shown when it is
    hide(params["variables"])
    hide(params["defaults"])
    return env_file.EnvWish(
        variables={name: as_text(name, value) for name, value in params["variables"].items()},
        defaults={name: as_text(name, value) for name, value in params["defaults"].items()},
        given={
            **staged,
            **{name: value for name, value in given.items() if value is not None},
        },
        purge=params.get("purge", False),
    )


def present(
    file: Path, wanted: env_file.EnvWish, hide: Hide
) -> tuple[str | None, dict[str, str] | None]:
    """The file as it is: its text and its variables. What will be replaced may be anything."""
    text = env_file.read(file)
    if text is None:
        return None, None
    replaced = {*wanted.variables, *wanted.given}
    found = env_file.parse(text, str(file), literal=True, replaced=replaced)
    hide(found)
    return text, found


def plan(
    wanted: env_file.EnvWish,
    there: Mapping[str, str] | None,
    running: Mapping[str, str],
    where: str,
    *,
    adopting: bool,
) -> env_file.EnvPlan:
    """``running`` is the environment of the container, of which the file may know nothing."""
    carried = env_file.carried(running, adopting=adopting)
    return env_file.plan(
        env_file.EnvWish(
            variables=wanted.variables,
            given=wanted.given,
            defaults=wanted.defaults,
            running=carried,
            purge=wanted.purge,
        ),
        there,
        where,
    )
