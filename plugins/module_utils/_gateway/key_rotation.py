# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""New keys for clients and for the admin API: which ones a rotation makes. Pure.

A new key waits beside the environment file until a container is started with it (``staged``). A
rotation has a name, and what is done once under a name is not done again.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import asdict, dataclass, field

from .._core.errors import ConfigurationError, UnknownStateError
from .._core.keys import ADMIN_API_KEY, API_KEYS, check_secret

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Action = t.Literal["admin", "client_add", "client_drop", "client_replace"]
ACTIONS: t.Final[tuple[Action, ...]] = t.get_args(Action)
SECRET_OF: t.Final[Mapping[Action, str]] = {
    "admin": ADMIN_API_KEY,
    "client_add": API_KEYS,
    "client_drop": API_KEYS,
    "client_replace": API_KEYS,
}
SCHEMA: t.Final = 1
_NAME: t.Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class KeyNotes:
    """What is kept beside the environment file."""

    done: Mapping[str, str] = field(default_factory=dict)
    """Under which name each action was done last."""
    staged: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys that no container was started with yet, by their variable."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """The actions that made them."""

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    def used(self) -> KeyNotes:
        """The environment file holds the keys now."""
        return KeyNotes(done=self.done)


def parse(text: str, where: str) -> KeyNotes:
    """Raises UnknownStateError for a file that is not what :meth:`KeyNotes.to_json` writes."""
    try:
        raw = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise ValueError
        notes = KeyNotes(
            done=_texts(raw["done"]),
            staged=_texts(raw["staged"]),
            waiting=_texts(raw["waiting"]),
        )
        if set(notes.waiting) != set(notes.staged) or any(
            SECRET_OF.get(t.cast("Action", action)) != name
            for name, action in notes.waiting.items()
        ):
            raise ValueError
        for name, value in notes.staged.items():
            check_secret(name, value, where)
    except (ValueError, KeyError, TypeError, ConfigurationError) as exc:
        raise UnknownStateError(
            f"{where} cannot be read, so it is unknown which keys wait for a swap. Move it away,"
            " and begin the rotation again under another name (rotate_keys_name)",
            path=where,
        ) from exc
    return notes


def _texts(raw: t.Any) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise ValueError
    return raw


def check_wish(name: str, actions: Sequence[Action]) -> None:
    """Raises ConfigurationError for a wish that says nothing, or two things at once."""
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"the name of a rotation has letters, digits and ._- only, and begins with a letter or"
            f" a digit; got '{name}'"
        )
    of_clients = [action for action in actions if SECRET_OF[action] == API_KEYS]
    if len(of_clients) > 1:
        raise ConfigurationError(
            f"one rotation does one thing with the keys of clients, not {' and '.join(of_clients)}"
        )


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What a run does: ``notes`` to write, and the actions that it begins."""

    notes: KeyNotes
    begun: tuple[Action, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """The variables whose new keys wait for a container."""
        return tuple(sorted(self.notes.staged))


def rotate(
    name: str,
    actions: Sequence[Action],
    notes: KeyNotes,
    present: Mapping[str, str],
    new_key: Callable[[str], str],
) -> Rotation:
    """``present`` are the variables of the environment file.

    A key that waits already is kept: no second one is made before a container had the first.
    """
    done = dict(notes.done)
    staged = {key: value for key, value in notes.staged.items() if present.get(key) != value}
    waiting = {key: notes.waiting[key] for key in staged}
    begun: list[Action] = []
    for action in actions:
        secret = SECRET_OF[action]
        if waiting.get(secret, action) != action:
            raise ConfigurationError(
                f"{action} was asked for, and what {waiting[secret]} made waits for a container"
                " still. Run the playbook gonka.devshard.hot_swap, which takes it into use, and then"
                " this again"
            )
        if done.get(action) == name:
            continue
        if secret in staged:
            done[action] = name
            continue
        if secret not in present:
            raise ConfigurationError(
                f"the environment file has no {secret}. Run the playbook gonka.devshard.site first"
            )
        value = _wanted(action, present[secret], new_key)
        done[action] = name
        if value != present[secret]:
            staged[secret] = value
            waiting[secret] = action
            begun.append(action)
    return Rotation(notes=KeyNotes(done=done, staged=staged, waiting=waiting), begun=tuple(begun))


def _wanted(action: Action, there: str, new_key: Callable[[str], str]) -> str:
    """The newest key of clients comes first: it is the one that the playbooks themselves use."""
    if action == "client_drop":
        return there.partition(",")[0]
    new = new_key(SECRET_OF[action])
    return f"{new},{there}" if action == "client_add" else new
