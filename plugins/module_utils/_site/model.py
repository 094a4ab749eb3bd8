# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the roles want on a host, what is there, and the reasons why the two differ. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Kind = t.Literal["file", "directory", "link", "absent", "other"]
_KIND_TEXT: t.Final[Mapping[str, str]] = {
    "file": "a file",
    "directory": "a directory",
    "link": "a link",
    "other": "neither a file nor a directory",
}
_ENABLED: t.Final = frozenset(
    {"enabled", "enabled-runtime", "static", "indirect", "generated", "alias", "linked"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileWish:
    """One path. What is None does not count."""

    path: str
    state: Kind = "file"
    sha256: str | None = None
    mode: str | None = None
    owner: str | None = None
    """User and group."""
    target: str | None = None
    """Where a link leads."""
    entry_of: str | None = None
    """A zip file whose entry of the same name the file must be."""
    fields: Mapping[str, str] | None = None
    """All fields of a file of ``Name: value`` lines."""
    options: Mapping[str, t.Any] | None = None
    """Options that a JSON file must have among others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSeen:
    """``error`` is why the path could not be looked at."""

    kind: Kind
    error: str | None = None
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    sha256: str | None = None
    target: str | None = None
    is_entry: bool | None = None
    fields: Mapping[str, str] | None = None
    options: Mapping[str, t.Any] | None = None


def file_reasons(wish: FileWish, seen: FileSeen) -> list[str]:
    """Why a path is not as it is wanted; every difference that can be reported together."""
    if seen.error is not None:
        return [f"{wish.path} could not be checked: {seen.error}"]
    if seen.kind != wish.state:
        if seen.kind == "absent":
            return [f"{wish.path} is not there"]
        if wish.state == "absent":
            return [f"{wish.path} is there"]
        return [f"{wish.path} is {_KIND_TEXT[seen.kind]}, wanted is {_KIND_TEXT[wish.state]}"]
    return [*_content(wish, seen), *_access(wish, seen)]


def _content(wish: FileWish, seen: FileSeen) -> list[str]:
    reasons = []
    same = wish.sha256 in (None, seen.sha256) and (
        wish.fields is None or dict(wish.fields) == dict(seen.fields or {})
    )
    if not same:
        reasons.append(f"{wish.path} has other content")
    if wish.entry_of is not None and not seen.is_entry:
        reasons.append(f"{wish.path} is not the program that {wish.entry_of} holds")
    if wish.options is not None and (names := differing(wish.options, seen.options or {})):
        reasons.append(f"{wish.path} differs in {', '.join(names)}")
    if wish.target not in (None, seen.target):
        reasons.append(f"{wish.path} leads to {seen.target}, wanted is {wish.target}")
    return reasons


def _access(wish: FileWish, seen: FileSeen) -> list[str]:
    reasons = []
    if wish.mode not in (None, seen.mode):
        reasons.append(f"{wish.path} has mode {seen.mode}, wanted is {wish.mode}")
    if wish.owner is not None and {seen.owner, seen.group} != {wish.owner}:
        reasons.append(
            f"{wish.path} belongs to {seen.owner}:{seen.group}, wanted is {wish.owner}:{wish.owner}"
        )
    return reasons


def differing(wanted: Mapping[str, t.Any], found: Mapping[str, t.Any]) -> list[str]:
    """Options that are missing or have another value; of a dict in it only what is wanted counts."""
    names = []
    for name, value in wanted.items():
        there = found.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            if differing(value, there):
                names.append(name)
        elif name not in found or there != value:
            names.append(name)
    return sorted(names)


def package_reasons(wanted: Sequence[str], installed: Collection[str]) -> list[str]:
    missing = [name for name in wanted if name not in installed]
    word = "package is" if len(missing) == 1 else "packages are"
    return [f"the {word} not installed: {', '.join(missing)}"] if missing else []


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSeen:
    """What systemd says of a unit."""

    load: str
    active: str
    enabled: str


def service_reasons(name: str, seen: ServiceSeen) -> list[str]:
    if seen.load != "loaded":
        return [f"there is no service {name} ({seen.load})"]
    reasons = []
    if seen.active not in ("active", "reloading"):
        reasons.append(f"the service {name} does not run ({seen.active})")
    if seen.enabled not in _ENABLED:
        reasons.append(f"the service {name} does not start at boot ({seen.enabled})")
    return reasons


def is_startable(seen: ServiceSeen) -> bool:
    """Whether a role that wants the service to run would start it."""
    return seen.load == "loaded" and seen.active in ("inactive", "failed")


def program_reasons(argv: Sequence[str], says: str, found: tuple[int, str] | None) -> list[str]:
    """``found`` is the status of a program and what it said; None when it is not there."""
    command = " ".join(argv)
    if found is None:
        return [f"there is no program {argv[0]}"]
    status, said = found
    if status != 0 or re.search(says, said) is None:
        return [f"'{command}' says '{said.strip()[:200]}'"]
    return []


def answer_reasons(url: str, wanted: Collection[int], status: int | str) -> list[str]:
    """``status`` is why there was no answer, as text."""
    if isinstance(status, str):
        return [f"{url} could not be checked: {status}"]
    if status not in wanted:
        expected = " or ".join(str(number) for number in sorted(wanted))
        return [f"{url} answers HTTP {status}, wanted is {expected}"]
    return []


Plan = dict[str, list[str]]
"""Parts that have to be done, each with its reasons in words."""


def joined(found: Sequence[tuple[str, Sequence[str]]]) -> Plan:
    """The plan, in the order of the parts. A part without a reason is not in it."""
    plan: Plan = {}
    for part, reasons in found:
        if reasons:
            known = plan.setdefault(part, [])
            known += [reason for reason in reasons if reason not in known]
    return plan


PARTS: t.Final = (
    *("docker_engine", "inferenced", "environment", "creator"),
    *("gateway", "edge", "escrow", "rotation"),
)
"""In the order in which they are done."""

_FOLLOWS: t.Final = (
    ("docker_engine", "gateway", "the Docker Engine is worked on"),
    ("environment", "gateway", "its directories or its environment file are worked on"),
    ("escrow", "creator", "escrows are worked on, so the key, the allowlist and the funds count"),
)


def completed(plan: Plan) -> Plan:
    """With the parts that have to be done since another one is, in the order of the work."""
    found = {part: list(reasons) for part, reasons in plan.items()}
    for first, then, why in _FOLLOWS:
        if first in found and then not in found:
            found[then] = [why]
    return {part: found[part] for part in (*PARTS, *found) if part in found}
