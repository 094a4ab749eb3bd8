# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The proxies that the environment names, for requests over Python's library."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import typing as t
import urllib.request
from urllib.parse import unquote, urlsplit

if t.TYPE_CHECKING:
    from urllib.parse import SplitResult

_PORTS: t.Final = {"http": 80, "https": 443}


class Proxy(t.NamedTuple):
    url: SplitResult

    @property
    def headers(self) -> dict[str, str]:
        """Its user, where its URL has one."""
        if self.url.username is None:
            return {}
        who = f"{unquote(self.url.username)}:{unquote(self.url.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}


def proxy_for(url: str) -> Proxy | None:
    """Its proxy; None where it needs none."""
    parts = urlsplit(url)
    if _without_proxy(parts):
        return None
    there = urllib.request.getproxies_environment()
    found = there.get(parts.scheme) or there.get("all")
    if not found:
        return None
    return Proxy(urlsplit(found if "://" in found else f"http://{found}"))


def _without_proxy(parts: SplitResult) -> bool:
    """Whether ``no_proxy`` names the host, also as a network of addresses."""
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    if any(urllib.request.proxy_bypass(name) for name in (host, f"{host}:{port}")):
        return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        for entry in urllib.request.getproxies_environment().get("no", "").split(","):
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
    return False
