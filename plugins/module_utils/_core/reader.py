# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Typed values from an answer: a missing field or a wrong type is an error that names its path."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timezone

from .errors import ProtocolError

if t.TYPE_CHECKING:
    from collections.abc import Mapping


MISSING: t.Final = object()


def parse_time(text: str) -> datetime:
    """RFC 3339 UTC with up to nine fractional digits; finer than a microsecond is cut."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if found is None:
        raise ProtocolError(f"expected a UTC time such as 2026-01-02T03:04:05.6Z, got '{text}'")
    try:
        whole = datetime.fromisoformat(found[1])
    except ValueError as exc:
        raise ProtocolError(f"not a time: '{text}'") from exc
    micro = int(((found[2] or "") + "000000")[:6])
    return whole.replace(microsecond=micro, tzinfo=timezone.utc)


class Reader:
    """Reads typed values from an answer; ``path`` is for messages."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ProtocolError(f"{path}: expected an object, got {type(value).__name__}")
        self._value: Mapping[str, t.Any] = value
        self.path = path

    def _get(self, key: str, default: object) -> object:
        found = self._value.get(key, MISSING)
        if found is MISSING or found is None:
            if default is MISSING:
                raise ProtocolError(f"{self.path}.{key}: the field is missing")
            return default
        return found

    def _wrong(self, key: str, wanted: str, found: object) -> ProtocolError:
        shown = type(found).__name__
        return ProtocolError(f"{self.path}.{key}: expected {wanted}, got {shown}")

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def text(self, key: str, default: object = MISSING) -> str:
        found = self._get(key, default)
        if not isinstance(found, str):
            raise self._wrong(key, "a string", found)
        return found

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def flag(self, key: str, default: object = MISSING) -> bool:
        found = self._get(key, default)
        if not isinstance(found, bool):
            raise self._wrong(key, "true or false", found)
        return found

    def whole(self, key: str, default: object = MISSING, *, signed: bool = False) -> int:
        """A whole number, as a number or as a string of digits; below zero only if ``signed``."""
        found = self._get(key, default)
        if isinstance(found, bool) or not isinstance(found, (int, str)):
            raise self._wrong(key, "a whole number", found)
        if isinstance(found, str) and not re.fullmatch(r"-?[0-9]{1,40}", found):
            raise ProtocolError(f"{self.path}.{key}: expected a whole number, got '{found[:40]}'")
        return self._counted(key, int(found), signed=signed)

    def number(self, key: str) -> int:
        """A JSON number that is whole and not below zero; a string is the wrong type here."""
        found = self._get(key, MISSING)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._wrong(key, "a whole number", found)
        return self._counted(key, found, signed=False)

    def _counted(self, key: str, found: int, *, signed: bool) -> int:
        """No sum, count or height of gateway and chain is below zero."""
        if found < 0 and not signed:
            raise ProtocolError(f"{self.path}.{key}: must not be negative, got {found}")
        return found

    def digits(self, key: str) -> str:
        """A number that is spelled as a string."""
        found = self.text(key)
        if not re.fullmatch(r"[0-9]{1,20}", found):
            raise ProtocolError(f"{self.path}.{key}: expected digits, got '{found[:40]}'")
        return found

    def child(self, key: str) -> Reader:
        return Reader(self._get(key, MISSING), f"{self.path}.{key}")

    def items(self, key: str, default: object = MISSING) -> list[t.Any]:
        found = self._get(key, default)
        if not isinstance(found, list):
            raise self._wrong(key, "a list", found)
        return found

    def children(self, key: str, default: object = MISSING) -> list[Reader]:
        return [
            Reader(item, f"{self.path}.{key}[{index}]")
            for index, item in enumerate(self.items(key, default))
        ]

    def texts(self, key: str, default: object = MISSING) -> tuple[str, ...]:
        found = self.items(key, default)
        if not all(isinstance(item, str) for item in found):
            raise self._wrong(key, "a list of strings", found)
        return tuple(found)

    def raw(self) -> dict[str, t.Any]:
        return dict(self._value)


# the chain
