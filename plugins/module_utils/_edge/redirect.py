# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Where clients may be sent: anywhere but back to the gateway that sends them away."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from .._core.errors import ConfigurationError

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_PORTS: t.Final = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Target:
    """``local``: the host's own addresses among those of the name. ``resolved`` is False when the
    host cannot resolve it."""

    scheme: str
    host: str
    port: int
    local: tuple[str, ...] = ()
    resolved: bool = True


def target_of(url: str) -> Target:
    """The parts of a base URL. Raises ConfigurationError for one that has more or less of them."""
    try:
        parts = urlsplit(url.rstrip("/"))
        port = parts.port
    except ValueError as exc:
        raise ConfigurationError(_not_usable(url)) from exc
    plain = parts.hostname and not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme not in _PORTS or not plain or not set(parts.hostname or "") <= _LETTERS:
        raise ConfigurationError(_not_usable(url))
    return Target(scheme=parts.scheme, host=parts.hostname or "", port=port or _PORTS[parts.scheme])


_LETTERS: t.Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-:")


def _not_usable(url: str) -> str:
    shown = "(hidden, since it holds an '@')" if "@" in url else f"'{url}'"
    return (
        "redirect_base_url must be an http or https URL without a path, such as"
        f" https://other-gateway.example.org, since the path of each request is appended. It is"
        f" {shown}"
    )


def refuse_own_address(
    target: Target, *, own_urls: Sequence[str], names: Collection[str], ports: Collection[int]
) -> None:
    """Refuse to send clients to the edge or gateway that sends them away: they would go in circles.

    ``own_urls`` are the client URL and the gateways' own, ``names`` the edge's server names,
    ``ports`` those on which the edge and the gateways of this host listen.
    """
    reason = None
    if target.port in ports:
        if target.host in {name.lower() for name in names}:
            reason = f"{target.host} is a name of this edge (edge_server_name)"
        elif target.local:
            reason = f"{', '.join(target.local)} is an address of this host"
    for url in own_urls:
        own = target_of_any(url)
        if (own.host, own.port) == (target.host, target.port):
            reason = f"it is {url}"
    if reason is not None:
        raise ConfigurationError(
            f"redirect_base_url is the address of this gateway itself: {reason}, port "
            f"{target.port}. Clients would be sent in circles. Name another gateway"
        )


def target_of_any(url: str) -> Target:
    """The same for a URL of this host, whose path does not matter."""
    parts = urlsplit(url)
    return target_of(f"{parts.scheme}://{parts.netloc}")
