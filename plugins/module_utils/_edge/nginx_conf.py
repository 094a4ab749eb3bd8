# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# This file is private to the gonka.devshard collection; its content may change at any time.
"""Reads what ``nginx -T`` prints, as far as a switch of slots has to know it.

Pure functions over text: a tokenizer for nginx's configuration syntax, a tree of directives, and
the few questions the edge asks of it. ``nginx -T`` shows the files on the disk, not what the
workers run; the caller proves the latter through the public route.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>\#[^\n]*)
  | (?P<punct>[;{}])
  | (?P<double>"(?:\\.|[^"\\])*")
  | (?P<single>'(?:\\.|[^'\\])*')
  | (?P<word>(?:\\.|\$\{[^}]*\}|[^\s;{}"'\\]|(?<=\S)["'])+)
    """,
    re.VERBOSE | re.DOTALL,
)

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|M|y)?")
_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
    "M": 30 * 86400.0,
    "y": 365 * 86400.0,
}


class NginxSyntaxError(ValueError):
    """The text is not an nginx configuration; the message quotes the place."""


@dataclass(frozen=True)
class Directive:
    """One directive; ``block`` is None for a simple one."""

    name: str
    args: tuple[str, ...] = ()
    block: tuple[Directive, ...] | None = field(default=None)

    def children(self, name: str) -> list[Directive]:
        return [item for item in self.block or () if item.name == name]


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (token, quoted)."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            snippet = text[position : position + 40]
            raise NginxSyntaxError(f"cannot read the nginx configuration at '{snippet}'")
        position = match.end()
        kind = match.lastgroup
        if kind in ("space", "comment"):
            continue
        token = match.group()
        if kind in ("double", "single"):
            yield re.sub(r"\\(.)", r"\1", token[1:-1]), True
        else:
            yield token, kind != "punct"


def parse(text: str) -> tuple[Directive, ...]:
    """Parse the output of ``nginx -T``: all files, one after the other, as one list.

    ``nginx -T`` prints included files separately and leaves the ``include`` directives as they
    are, so the answer to "is X configured" is looked for anywhere in this list.
    """
    stack: list[list[Directive]] = [[]]
    heads: list[tuple[str, tuple[str, ...]]] = []
    words: list[str] = []
    for token, is_word in _tokens(text):
        if is_word:
            words.append(token)
        elif token == ";":
            if words:
                stack[-1].append(Directive(words[0], tuple(words[1:])))
            words = []
        elif token == "{":
            if not words:
                raise NginxSyntaxError("a block without a name in the nginx configuration")
            heads.append((words[0], tuple(words[1:])))
            stack.append([])
            words = []
        else:
            if words or not heads:
                raise NginxSyntaxError("unbalanced } in the nginx configuration")
            name, args = heads.pop()
            block = tuple(stack.pop())
            stack[-1].append(Directive(name, args, block))
    if heads or words:
        raise NginxSyntaxError("the nginx configuration ends within a block or a directive")
    return tuple(stack[0])


def walk(directives: tuple[Directive, ...]) -> Iterator[Directive]:
    """All directives, depth first."""
    for item in directives:
        yield item
        if item.block:
            yield from walk(item.block)


def duration_seconds(value: str) -> float | None:
    """nginx's time notation (``1h 30m`` without the blank, ``75s``, ``0``) in seconds."""
    position = 0
    total = 0.0
    while position < len(value):
        match = _DURATION.match(value, position)
        if match is None:
            return None
        total += int(match.group(1)) * _UNITS[match.group(2) or ""]
        position = match.end()
    return total if value else None


def tests_flag(directives: tuple[Directive, ...], flag_path: str) -> bool:
    """Whether some server tests the flag file by ``if (-f PATH)``."""
    for item in walk(directives):
        if item.name == "if":
            condition = " ".join(item.args).strip("() ")
            if condition.split() == ["-f", flag_path]:
                return True
    return False


def upstream(directives: tuple[Directive, ...], name: str) -> tuple[Directive, ...] | None:
    """The ``server`` lines of the upstream of this name, or None when there is none."""
    for item in walk(directives):
        if item.name == "upstream" and item.args == (name,):
            return tuple(item.children("server"))
    return None


def worker_shutdown_timeout(directives: tuple[Directive, ...]) -> float | None:
    """``worker_shutdown_timeout`` in seconds; None when unset, which means unlimited."""
    for item in walk(directives):
        if item.name == "worker_shutdown_timeout" and item.args:
            return duration_seconds(item.args[0])
    return None


def ports(directives: tuple[Directive, ...]) -> set[int]:
    """The ports on which some server listens, whatever the address."""
    found = set()
    for item in walk(directives):
        if item.name == "listen" and item.args:
            match = re.search(r"(?:^|:)(\d+)$", item.args[0])
            if match is not None:
                found.add(int(match[1]))
    return found


def default_server_ports(directives: tuple[Directive, ...]) -> set[int]:
    """The ports of which some server is the default one, on all addresses of the host."""
    found = set()
    for item in walk(directives):
        if item.name == "listen" and {"default_server", "default"} & set(item.args[1:]):
            match = re.fullmatch(r"(?:(?:\*|0\.0\.0\.0|\[::\]):)?(\d+)", item.args[0])
            if match is not None:
                found.add(int(match[1]))
    return found
