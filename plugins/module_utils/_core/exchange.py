# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A request and its answer, and who can send one."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call. ``timeout`` is in seconds, for connecting and between two reads."""

    method: str
    url: str
    json: t.Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    retry: bool = True

    @property
    def where(self) -> str:
        return f"{self.method} {self.url}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Transport(t.Protocol):
    """What the clients need; tests give a scripted one."""

    def send(self, request: Request) -> Response: ...


class Headers(Mapping[str, str]):
    """Of an answer; their names have no case."""

    def __init__(self, found: Mapping[str, str]) -> None:
        self._found = {name.lower(): value for name, value in found.items()}

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


Exchange = tuple[int, Mapping[str, str], Iterator[bytes]]
"""Status and headers of an answer, and its body as it arrives."""


class Wire(t.Protocol):
    """Sends one request, once. ``timeout`` is in seconds, for connecting and between two reads."""

    def exchange(
        self, request: Request, timeout: float
    ) -> contextlib.AbstractContextManager[Exchange]: ...


class StreamTransport(Transport, t.Protocol):
    """A transport that can also hand out a reply while it comes in."""

    def stream(self, request: Request) -> contextlib.AbstractContextManager[Exchange]: ...
