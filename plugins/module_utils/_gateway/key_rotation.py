# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""New keys for clients and for the admin API: which ones a rotation makes. Pure.

A new key waits beside the environment file until a container is started with it (``staged``). A
rotation has a name, and what is done once under a name is not done again.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import asdict, dataclass, field

from .._core.errors import ConfigurationError, UnknownStateError
from .._core.keys import ADMIN_API_KEY, API_KEYS, SETTINGS, check_secret

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Action = t.Literal["admin", "client_add", "client_drop", "client_replace"]
ACTIONS: t.Final[tuple[Action, ...]] = t.get_args(Action)
SECRET_OF: t.Final[Mapping[Action, str]] = {
    "admin": ADMIN_API_KEY,
    "client_add": API_KEYS,
    "client_drop": API_KEYS,
    "client_replace": API_KEYS,
}
SCHEMA: t.Final = 1
POOL: t.Final = "pool"
"""Of the setting ``hot_swap_mode``: a second gateway serves meanwhile."""
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
    newest: str | None = None
    """The hash of the last key that was made for clients. Notes of 0.8.0 have none."""

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    def used(self) -> KeyNotes:
        """The environment file holds the keys now."""
        return KeyNotes(done=self.done, newest=self.newest)

    def not_in(self, present: Mapping[str, str]) -> dict[str, str]:
        """The staged keys that the environment file does not have; one that was interrupted may."""
        return {key: value for key, value in self.staged.items() if present.get(key) != value}

    def made_first(self, keys: str) -> bool:
        """Whether the first of the keys of clients was made by a rotation."""
        if self.newest is None:
            return "client_add" in self.done
        return self.newest == _hash(keys)


def _hash(keys: str) -> str:
    """Of the first key. It is too long to be guessed from that."""
    return hashlib.sha256(keys.partition(",")[0].encode()).hexdigest()


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
            newest=raw.get("newest"),
        )
        if notes.newest is not None and not isinstance(notes.newest, str):
            raise ValueError
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


def waiting(
    staged: Collection[str], present: Mapping[str, str], has: Mapping[str, str] | None
) -> tuple[str, ...]:
    """Variables whose new value no container has, whether it waits or the environment file has it.

    ``has`` are the variables of the container; None where they do not matter.
    """
    found = set(staged)
    if has is not None:
        found |= {name for name in (ADMIN_API_KEY, API_KEYS) if has.get(name) != present.get(name)}
    return tuple(sorted(found))


def check_wish(name: str | None, actions: Sequence[Action], notes: KeyNotes) -> None:
    """Raises ConfigurationError for a wish that says nothing, or two things at once."""
    if name is None:
        raise ConfigurationError(
            "rotate_keys_name is not set, so no key was made. Runs with the same name continue one"
            f" rotation, on any day. {_how_to_continue(actions, notes)}"
        )
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


def _how_to_continue(actions: Sequence[Action], notes: KeyNotes) -> str:
    """Another host may not have finished a rotation that is done here, so each names its own."""
    waits = set(notes.waiting.values())
    found = {action: notes.done[action] for action in (*waits, *actions) if action in notes.done}
    if not found:
        return "Name it, for example with -e rotate_keys_name=2026-12"
    told = [
        f"{action} was done here under the name {name}"
        + (", and its key still waits for a container" if action in waits else "")
        for action, name in found.items()
    ]
    return (
        f"{'; '.join(told)}. To continue that rotation, on this host or on another one, run this with"
        f" -e rotate_keys_name={next(iter(found.values()))}. For another rotation give a new name"
    )


def pool_fault(mode: str, names: Collection[str], advice: str | None = None) -> str | None:
    """Why keys cannot be changed by a swap of this mode; None where they can.

    ``names`` are the variables that change. Clients go to the second gateway meanwhile, and no
    copy of the environment file is left with which an interrupted run could ask the first one.
    """
    changed = [name for name in (ADMIN_API_KEY, API_KEYS) if name in names]
    if mode != POOL or not changed:
        return None
    settings = [setting for setting, name in SETTINGS.items() if name in changed]
    anew = (
        f"Keep the earlier ones, or set {' and '.join(settings)} in the inventory for both gateways"
        " and run the playbook gonka.devshard.site with gateway_allow_recreate=true, which cuts the"
        " streams that they serve"
    )
    return (
        f"{' and '.join(changed)} would be changed, and a swap with hot_swap_mode=pool changes no"
        " keys: the other gateway has the earlier ones, and an interrupted swap could not be"
        f" continued. {advice or anew}"
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
    staged = notes.not_in(present)
    made_by = {key: notes.waiting[key] for key in staged}
    newest = notes.newest
    begun: list[Action] = []
    for action in actions:
        secret = SECRET_OF[action]
        if made_by.get(secret, action) != action:
            raise ConfigurationError(
                f"{action} was asked for, and what {made_by[secret]} made waits for a container"
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
        if action == "client_drop":
            _refuse_drop(notes, present[secret])
        value = _wanted(action, present[secret], new_key)
        done[action] = name
        if action in ("client_add", "client_replace"):
            newest = _hash(value)
        if value != present[secret]:
            staged[secret] = value
            made_by[secret] = action
            begun.append(action)
    made = KeyNotes(done=done, staged=staged, waiting=made_by, newest=newest)
    return Rotation(notes=made, begun=tuple(begun))


def _refuse_drop(notes: KeyNotes, there: str) -> None:
    """A list that its owner wrote may have the keys in any order, and all of them in use."""
    if "," in there and not notes.made_first(there):
        raise ConfigurationError(
            f"client_drop keeps only the first key of {API_KEYS}, and no rotation has made that one,"
            " so clients that have another key would be refused. Run client_add first, give the new"
            " key to all clients, and then run client_drop. To keep other keys, set gateway_api_keys"
            " to them in the inventory and run the playbook gonka.devshard.hot_swap"
        )


def _wanted(action: Action, there: str, new_key: Callable[[str], str]) -> str:
    """The newest key of clients comes first: it is the one that the playbooks themselves use."""
    if action == "client_drop":
        return there.partition(",")[0]
    new = new_key(SECRET_OF[action])
    return f"{new},{there}" if action == "client_add" else new
