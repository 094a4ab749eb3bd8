# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a container that was made by hand has and another one would lose. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_AGAIN: t.Final = "make the container again, which cuts its streams once, and run this again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Beyond:
    """What a container has that neither of the collection's compose files gives to one."""

    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Entries of extra_hosts, links, and DNS servers."""
    mounts: tuple[str, ...] = ()
    """Where they lie in the container."""
    process: tuple[str, ...] = ()
    """Entrypoint, command, user or working directory, where it is not that of the image."""
    rights: tuple[str, ...] = ()
    """Options that let its process do more on the host than a usual one may."""


def beyond_faults(name: str, beyond: Beyond) -> list[str]:
    """Why the container of this name cannot be taken over, one sentence for each kind."""
    return [
        *_lost(
            beyond.networks,
            lambda found: (
                f"the container {name} is on the Docker network {found}, and neither the next container"
                " nor the temporary one of a swap would be. Use addresses in its variables that every"
                " container of the host reaches, let its clients use a port of the host, take it off"
                f" that network, {_AGAIN}"
            ),
        ),
        *_lost(
            beyond.names,
            lambda found: (
                f"the container {name} resolves names by entries of its own (extra_hosts, links, dns: {found}),"
                " which the next container would not have. Use addresses in its variables that every"
                f" container of the host reaches, remove these entries, {_AGAIN}"
            ),
        ),
        *_lost(
            beyond.mounts,
            lambda found: (
                f"the container {name} has more mounted than its storage ({found}), which the next"
                f" container would not have. Let the gateway do without, remove these mounts, {_AGAIN}"
            ),
        ),
        *_lost(
            beyond.process,
            lambda found: (
                f"the container {name} was started with {found} of its own, and the next container would"
                f" start as its image says. Set by variables what they set, remove them, {_AGAIN}"
            ),
        ),
        *_lost(
            beyond.rights,
            lambda found: (
                f"the container {name} has rights that a usual container does not have ({found}), and the"
                f" next container would not have them. A gateway needs none of them. Remove them, {_AGAIN}"
            ),
        ),
    ]


def _lost(found: Sequence[str], text: Callable[[str], str]) -> list[str]:
    return [text(", ".join(found))] if found else []
