# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Turns what Ansible hands to a module into a frozen object whose types hold. Pure."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing as t
from collections.abc import Mapping
from pathlib import Path

_Options = t.TypeVar("_Options")

_UNIONS: t.Final = (t.Union, types.UnionType)


class OptionTypeError(TypeError):
    """A module's argument spec and its options do not fit together: a bug, not the user's fault."""


def read_options(kind: type[_Options], params: Mapping[str, t.Any]) -> _Options:
    """An object of ``kind``, a dataclass: each field has the option of its own name.

    A field that has a default may have no option; ``dataclasses.replace`` fills it in.
    """
    hints = t.get_type_hints(kind)
    values: dict[str, t.Any] = {}
    for field in dataclasses.fields(t.cast("t.Any", kind)):
        if field.name in params:
            values[field.name] = _read(hints[field.name], params[field.name], field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise OptionTypeError(f"{kind.__name__} needs an option {field.name}")
    return kind(**values)


def _read(hint: t.Any, value: t.Any, name: str) -> t.Any:
    origin, parts = t.get_origin(hint), t.get_args(hint)
    if origin in _UNIONS:
        if value is None and types.NoneType in parts:
            return None
        (inner,) = (part for part in parts if part is not types.NoneType)
        return _read(inner, value, name)
    if origin in (tuple, frozenset):
        # an option that was left out is a list without elements
        if not isinstance(value, (list, types.NoneType)):
            raise _unfit(hint, value, name)
        return origin(_read(parts[0], item, name) for item in value or ())
    if origin is t.Literal:
        if value not in parts:
            raise _unfit(hint, value, name)
        return value
    if origin in (dict, Mapping):
        return _plain(dict, value, name)
    if hint is t.Any:
        return value
    return _one(hint, value, name)


def _one(hint: t.Any, value: t.Any, name: str) -> t.Any:
    if hint is Path:
        return Path(_plain(str, value, name))
    if issubclass(hint, enum.Enum):
        return hint(value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return read_options(hint, _plain(dict, value, name))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return value
    return _plain(hint, value, name)


def _plain(hint: type, value: t.Any, name: str) -> t.Any:
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise _unfit(hint, value, name)
    return value


def _unfit(hint: t.Any, value: t.Any, name: str) -> OptionTypeError:
    # the value may be a secret
    return OptionTypeError(f"option {name} is of type {type(value).__name__}, not {hint}")
