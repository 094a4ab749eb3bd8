# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""How the edge is switched to a gateway: by a flag file or an included alias."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from .._core.errors import (
    ConfigurationError,
    UnknownStateError,
)
from .._core.files import sync_folder
from . import nginx_conf

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


Slot = t.Literal["main", "temp"]


OTHER: t.Final[Mapping[Slot, Slot]] = {"main": "temp", "temp": "main"}


class Selector(t.Protocol):
    """Where the slot in service is written."""

    def read(self) -> Slot: ...
    def write(self, slot: Slot) -> None: ...


class FlagFile:
    """The slot in service as the presence of a file: present means temp."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Slot:
        return "temp" if self._path.exists() else "main"

    def write(self, slot: Slot) -> None:
        with _named(self._path):
            if slot == "temp":
                self._path.touch(mode=0o644)
            else:
                self._path.unlink(missing_ok=True)
            # a switch must survive a power cut: the directory entry is the switch
            sync_folder(self._path.parent)


class AliasInclude:
    """The slot in service as the content of an include file that defines one upstream."""

    def __init__(self, path: Path, alias: str, servers: Mapping[Slot, str]) -> None:
        self._path = path
        self._alias = alias
        self._servers = servers

    def render(self, slot: Slot) -> str:
        """The whole file. The variable holds the slot that really answered, for a header."""
        return (
            "# managed by gonka.devshard.edge_slot\n"
            f"upstream {self._alias} {{\n"
            f"    server {self._servers[slot]} max_fails=0;\n"
            f"    server {self._servers[OTHER[slot]]} backup max_fails=0;\n"
            "}\n"
            f"map $upstream_addr ${self._alias}_served {{\n"
            f"    default {slot};\n"
            f"    ~{re.escape(self._servers['main'])}$ main;\n"
            f"    ~{re.escape(self._servers['temp'])}$ temp;\n"
            "}\n"
        )

    def read(self) -> Slot:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise ConfigurationError(
                f"the alias include {self._path} does not exist. Create it with this content, "
                f"include it"
                f" from the http block, use http://{self._alias} as proxy_pass, and add the header"
                f" X-Devshard-Slot ${self._alias}_served always:\n{self.render('main')}",
                path=str(self._path),
            ) from exc
        except UnicodeDecodeError as exc:
            raise self._unreadable(exc) from exc
        try:
            servers = nginx_conf.upstream(nginx_conf.parse(text), self._alias)
        except nginx_conf.NginxSyntaxError as exc:
            raise self._unreadable(exc) from exc
        first = next(iter(servers[0].args), None) if servers else None
        for slot, address in self._servers.items():
            if address == first:
                return slot
        raise UnknownStateError(
            f"the alias include {self._path} names neither slot in upstream {self._alias}: its"
            f" first server is '{first}'",
            path=str(self._path),
        )

    def _unreadable(self, why: Exception) -> UnknownStateError:
        return UnknownStateError(
            f"the alias include {self._path} cannot be read, so it is unknown which slot it puts in"
            f" service: {why}. Correct it, or restore {self._path}.previous",
            path=str(self._path),
        )

    def write(self, slot: Slot) -> None:
        """Replace the file by a rename in its directory; the previous one is kept beside it."""
        candidate = self._path.with_name(f".{self._path.name}.candidate")
        previous = self._path.with_name(f"{self._path.name}.previous")
        with _named(self._path):
            with candidate.open("w", encoding="utf-8") as handle:
                handle.write(self.render(slot))
                handle.flush()
                os.fsync(handle.fileno())
            candidate.chmod(0o644)
            previous.unlink(missing_ok=True)
            os.link(self._path, previous)
            candidate.replace(self._path)
            sync_folder(self._path.parent)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """A full disk or a missing directory is the host's fault and has a name."""
    try:
        yield
    except OSError as exc:
        raise ConfigurationError(
            f"{path} cannot be changed: {exc.strerror}", path=str(path)
        ) from exc
