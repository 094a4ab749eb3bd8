# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The gateway's environment file: read by Compose and by ``source`` alike (contract §2.3).

Values are literal: written bare or in single quotes, so neither of the two expands anything.
"""

from __future__ import annotations

import re
import secrets
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from .._core.errors import ConfigurationError
from .._core.keys import (
    ADMIN_API_KEY,
    CURVE_ORDER,
    PRIVATE_KEY,
    SECRETS,
    check_secret,
    is_secret,
)
from .._core.urls import without_user

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NAME: t.Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE: t.Final = re.compile(r"[A-Za-z0-9_./:@,+=-]+")
_LINE: t.Final = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=
    (?: '(?P<single>[^']*)' | "(?P<double>[^"]*)" | (?P<bare>[^\s'"]*) )
    (?:\s+\#.*|\s*)""",
    re.VERBOSE,
)
_EXPANDED: t.Final = re.compile(r"[$`\\]")
_EXPANDED_BARE: t.Final = re.compile(r"[$`\\;&|<>()]|^~")


def read(file: Path) -> str | None:
    """The file as it is; None when there is none."""
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{file} is not a text file in UTF-8") from exc
    except PermissionError as exc:
        raise ConfigurationError(f"{file} cannot be read; run with become: true") from exc
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc


def parse(
    text: str, where: str, *, literal: bool = False, replaced: Collection[str] = ()
) -> dict[str, str]:
    """Names and values. A line that is not an assignment, a comment or blank is refused.

    A value that shell and Compose would expand stays as it is written; ``literal`` refuses it, and
    for a secret it is always refused. Those that are ``replaced`` may be what they are.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        place = f"{where}, line {number}"
        if "\r" in line:
            raise ConfigurationError(
                f"{place}: the line has a Windows line ending, which the shell would take for a"
                " part of the value; convert the file"
            )
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigurationError(
                f"{place}: this is not a NAME=VALUE assignment that shell and Compose read alike. Put a"
                " value with blanks or quotes in single quotes, on one line"
            )
        name, value = match["name"], match[match.lastgroup or "bare"]
        expanded = {"double": _EXPANDED, "bare": _EXPANDED_BARE}.get(match.lastgroup or "")
        strict = (literal or name in SECRETS) and name not in replaced
        if expanded and expanded.search(value) and strict:
            raise ConfigurationError(
                f"{place}: the shell or Compose would expand what {name} is set to; write the"
                " value itself, in single quotes"
            )
        found[name] = value
    return found


def render(variables: Mapping[str, str], header: str) -> str:
    """The file's content, in the order given."""
    lines = [f"# {header}"]
    for name, value in variables.items():
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(f"'{name}' is not a valid name of an environment variable")
        if any(char in value for char in "'\n\r\0"):
            raise ConfigurationError(
                f"the value of {name} contains a single quote or a line break, which Compose and"
                " the shell would read differently"
            )
        if value.endswith("\\"):
            raise ConfigurationError(
                f"the value of {name} ends with a backslash, which Compose would take for a quoted"
                " quote"
            )
        lines.append(f"export {name}={value if _BARE.fullmatch(value) else _quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return f"'{value}'"


def new_secret(name: str) -> str:
    """A fresh secret as the guide makes it (§2.1)."""
    if name == PRIVATE_KEY:
        while True:
            key = secrets.token_hex(32)
            if 0 < int(key, 16) < CURVE_ORDER:
                return key
    prefix = "sk-admin-" if name == ADMIN_API_KEY else "sk-"
    return prefix + secrets.token_hex(24)


@dataclass(frozen=True, kw_only=True)
class EnvPlan:
    """What the file is to hold. ``changed`` and ``removed`` hold names, never values."""

    variables: dict[str, str]
    generated: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, kw_only=True)
class EnvWish:
    variables: Mapping[str, str]
    given: Mapping[str, str] = field(default_factory=dict)
    """Secrets that the user brings."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """For variables that neither the file nor the container has."""
    running: Mapping[str, str] = field(default_factory=dict)
    """Variables of the container that the file may lack: its secrets are never generated again."""
    purge: bool = False


def plan(wish: EnvWish, present: Mapping[str, str] | None, where: str) -> EnvPlan:
    """Keep secrets that are there, take those that are given, make those that are missing.

    A given creator key that differs from the present one is refused: the escrows of the present
    one could no longer be settled.
    """
    in_file = dict(present or {})
    there = {**wish.running, **in_file}
    clash = sorted(set(wish.variables) & set(SECRETS))
    if clash:
        raise ConfigurationError(
            f"{', '.join(clash)} must not be given as plain variables; use the options made for"
            " secrets, which are kept out of logs and diffs"
        )
    missing = {name: value for name, value in wish.defaults.items() if name not in there}
    wanted = {**missing, **wish.variables}
    generated = []
    for name in SECRETS:
        given = wish.given.get(name)
        if given is not None:
            check_secret(name, given, "the options")
            present_key = there.get(name, "").lower()
            if name == PRIVATE_KEY and present_key not in ("", given.lower()):
                raise ConfigurationError(
                    f"{where} holds another creator key than the one given. Escrows of the key in "
                    f"the file could no longer be settled, so it is not replaced. Settle them"
                    " (playbook gonka.devshard.retire), or omit the key from the options"
                )
            wanted[name] = given
        elif name in there:
            wanted[name] = check_secret(name, there[name], where)
        else:
            wanted[name] = new_secret(name)
            generated.append(name)
    kept = {} if wish.purge else {k: v for k, v in there.items() if k not in wanted}
    found = {**wanted, **kept}
    # in the order of the file that is there, so that it is only written when it says something else
    variables = {name: found[name] for name in dict.fromkeys((*in_file, *found)) if name in found}
    return EnvPlan(
        variables=variables,
        generated=tuple(generated),
        added=tuple(sorted(name for name in variables if name not in in_file)),
        changed=tuple(sorted(k for k, v in variables.items() if k in in_file and in_file[k] != v)),
        removed=tuple(sorted(name for name in in_file if name not in variables)),
    )


def carried(environment: Mapping[str, str], *, adopting: bool) -> dict[str, str]:
    """Of a container's variables those that the file is to have too.

    A deployment that another tool made may have them only in its compose file. ``environment`` is
    without what the image sets.
    """
    return {name: value for name, value in environment.items() if adopting or name in SECRETS}


def shown(variables: Mapping[str, str], changed: Collection[str] = ()) -> dict[str, str]:
    """For a diff: secrets show only that they are there, and whether it is another one."""
    return {
        name: without_user(value)
        if not is_secret(name)
        else "(new secret)"
        if name in changed
        else "(secret)"
        for name, value in sorted(variables.items())
    }
