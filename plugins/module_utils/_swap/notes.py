# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the steps of a swap note for later steps and for a rollback: one typed record."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from .session_rules import LeftSession, ServedSession

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .._gateway.profiles import Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A generation, and the protocol that its escrows are made for; None where it is implied."""

    profile: str
    protocol: str | None

    @classmethod
    def of(cls, profile: Profile) -> Kind:
        chosen = profile.protocol_chosen
        return cls(profile=profile.name, protocol=profile.settlement_tag if chosen else None)

    def has(self, profile: str | None, protocol: str | None) -> bool:
        """Whether a deploy record with these is of this kind. Early ones name neither."""
        return profile in (None, self.profile) and protocol in (None, self.protocol)

    @property
    def text(self) -> str:
        return f"generation {self.profile}" + (f" ({self.protocol})" if self.protocol else "")

    def to_result(self) -> dict[str, t.Any]:
        """As the modules take it."""
        return {"gateway_profile": self.profile, "gateway_protocol": self.protocol}


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """From one generation to another: each has a storage of its own, for life."""

    origin: Kind
    target: Kind
    origin_storage: str
    storage: str
    ours: bool
    """Whether this collection made ``origin_storage``, and removes it once it is archived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapNotes:
    """No secrets. None where it was not noted yet, which differs from noted and empty."""

    run: str | None = None
    """Which run of the play works on the swap."""
    replaced_container: str | None = None
    """The id of the container that the swap replaces."""
    standby: bool | None = None
    """The other slot was in service from the start, and stays."""
    failed_target: str | None = None
    """The image that a rollback gives up."""
    never_up: bool | None = None
    """The container with that image was never seen to serve."""
    rotation: Mapping[str, t.Any] | None = None
    """The rotation as it was before the swap froze it."""
    temp_container: str | None = None
    """The name of the temporary gateway's container. Journals before 0.10.0 do not have it."""
    temp_image: str | None = None
    """The temporary gateway keeps its image, whatever becomes of the swap."""
    temp_env: str | None = None
    """The environment file that it was started with."""
    temp_escrow_ids: tuple[int, ...] | None = None
    workers: tuple[str, ...] | None = None
    """Workers of nginx from before the last switch that may still serve."""
    main_sessions: Mapping[str, ServedSession] | None = None
    """Where the sessions stood before the gateway was replaced."""
    backup: str | None = None
    """Name of the backup that was made before the gateway was replaced."""
    temp_sessions: Mapping[str, ServedSession] | None = None
    """The same of the temporary gateway, before it was stopped."""
    left: tuple[LeftSession, ...] | None = None
    """The sessions that the temporary gateway handed over."""
    move: Move | None = None
    """None where the new gateway is of the same generation."""
    balance: int | None = None
    """Of the creator before a move paid for anything, in ngonka."""
    origin_escrow_ids: tuple[int, ...] | None = None
    """The escrows of the earlier generation that a move settles."""
    main_escrow_ids: tuple[int, ...] | None = None
    """Those that the new gateway of a move got before it served."""
    given_up: tuple[int, ...] | None = None
    """Those that it leaves unsettled, as their owner wants."""
    archive: str | None = None
    """Where the storage of the earlier generation was archived."""

    def merged(self, new: SwapNotes, *, keep: bool = False) -> SwapNotes:
        """With what ``new`` holds; ``keep`` leaves what was noted before as it is.

        An escrow that was given up stays given up: each run may name more of them.
        """
        first, second = (self, new) if keep else (new, self)
        values = {}
        for field in dataclasses.fields(self):
            held = getattr(first, field.name)
            values[field.name] = getattr(second, field.name) if held is None else held
        if self.given_up is not None and new.given_up is not None:
            values["given_up"] = tuple(dict.fromkeys((*self.given_up, *new.given_up)))
        return SwapNotes(**values)

    def without(self, names: Collection[str]) -> SwapNotes:
        return dataclasses.replace(self, **dict.fromkeys(names))

    def to_dict(self) -> dict[str, t.Any]:
        """As the journal holds it, without what was not noted."""
        plain = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, t.Any]) -> SwapNotes:
        """Raise ValueError for anything but a note of a swap."""
        unknown = sorted(set(raw) - set(_READERS))
        if unknown:
            raise ValueError(f"it holds the unknown note {', '.join(unknown)}")
        values = {}
        for name, value in raw.items():
            try:
                values[name] = None if value is None else _READERS[name](value)
            except (AttributeError, KeyError, TypeError, ValueError) as exc:
                raise ValueError(f"its note {name} is not what a swap writes") from exc
        return cls(**values)


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _numbers(value: t.Any) -> tuple[int, ...]:
    return tuple(int(item) for item in _items(value))


def _texts(value: t.Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value))


def _items(value: t.Any) -> list[t.Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def read_sessions(value: t.Any) -> dict[str, ServedSession]:
    """Sessions by the id of their escrow. Raises for anything else."""
    return {
        str(number): ServedSession(
            nonce=int(mark["nonce"]),
            balance=None if mark.get("balance") is None else int(mark["balance"]),
            active=bool(mark["active"]),
        )
        for number, mark in _mapping(value).items()
    }


def _left(value: t.Any) -> tuple[LeftSession, ...]:
    return tuple(
        LeftSession(
            id=int(item["id"]),
            nonce=int(item["nonce"]),
            storage_path=_text(item["storage_path"]),
        )
        for item in _items(value)
    )


def _kind(value: t.Any) -> Kind:
    protocol = value["protocol"]
    return Kind(
        profile=_text(value["profile"]), protocol=None if protocol is None else _text(protocol)
    )


def _move(value: t.Any) -> Move:
    return Move(
        origin=_kind(value["origin"]),
        target=_kind(value["target"]),
        origin_storage=_text(value["origin_storage"]),
        storage=_text(value["storage"]),
        ours=_flag(value["ours"]),
    )


_READERS: t.Final[Mapping[str, Callable[[t.Any], t.Any]]] = {
    "run": str,
    "replaced_container": _text,
    "standby": _flag,
    "failed_target": _text,
    "never_up": _flag,
    "rotation": _mapping,
    "temp_container": _text,
    "temp_image": _text,
    "temp_env": _text,
    "temp_escrow_ids": _numbers,
    "workers": _texts,
    "main_sessions": read_sessions,
    "backup": _text,
    "temp_sessions": read_sessions,
    "left": _left,
    "move": _move,
    "balance": int,
    "origin_escrow_ids": _numbers,
    "main_escrow_ids": _numbers,
    "given_up": _numbers,
    "archive": _text,
}
