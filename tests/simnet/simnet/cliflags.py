# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Command line flags as the real CLI's library reads them: anywhere, ``--a=b`` too."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_UNITS = {"ns": 1, "us": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}


class UsageError(Exception):
    """The command line is wrong: usage is printed before the message."""


@dataclass(slots=True)
class Parsed:
    positionals: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)

    def value(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)


def parse(
    argv: Sequence[str],
    values: frozenset[str],
    switches: frozenset[str],
    short: Mapping[str, str],
) -> Parsed:
    parsed = Parsed()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.positionals += rest
            break
        if not word.startswith("-") or word == "-":
            parsed.positionals.append(word)
            continue
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = name[2:]
            if name not in values and name not in switches:
                raise UsageError(f"unknown flag: --{name}")
        elif name[1:] in short:
            name = short[name[1:]]
        else:
            raise UsageError(f"unknown shorthand flag: {name[1:2]!r} in {word}")
        if name in switches:
            if not equals or value == "true":
                parsed.switches.add(name)
            continue
        if not equals:
            if not rest:
                raise UsageError(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        parsed.values[name] = value
    return parsed


def need_args(parsed: Parsed, count: int) -> list[str]:
    if len(parsed.positionals) != count:
        raise UsageError(f"accepts {count} arg(s), received {len(parsed.positionals)}")
    return parsed.positionals


def unsigned(text: str, what: str) -> int:
    if re.fullmatch(r"\d+", text) is None:
        raise UsageError(f'{what}: strconv.ParseUint: parsing "{text}": invalid syntax')
    number = int(text)
    if number >= 1 << 64:
        raise UsageError(f'{what}: strconv.ParseUint: parsing "{text}": value out of range')
    return number


def duration_ns(text: str) -> int:
    """A Go duration such as ``2m``, ``1h30m`` or ``1.5s``."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f'time: invalid duration "{text}"'
        raise UsageError(f'invalid argument "{text}" for "--timeout-duration" flag: {message}')
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))
