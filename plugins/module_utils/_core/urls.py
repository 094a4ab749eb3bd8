# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""URLs that a user gives. User information in them is a secret: refused, and never shown."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t
from urllib.parse import urlsplit

if t.TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN: t.Final = "(hidden)"
_USABLE: t.Final = re.compile(r"https?://[^/@?#\s]+(/[^@\s]*)?")
# up to the last '@': a password may hold one, and a slash
_USER: t.Final = re.compile(r"(?<=//)\S*@")


def without_user(text: str) -> str:
    """A text, with what stands before the host of each URL in it hidden."""
    return _USER.sub(f"{HIDDEN}@", text)


def user_of(url: str) -> list[str]:
    """The user information of a URL and its parts, to be hidden."""
    found = _USER.search(url)
    if found is None:
        return []
    whole = found[0].removesuffix("@")
    return [part for part in (whole, *whole.split(":", 1)) if part]


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this host itself."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def url_faults(given: Mapping[str, object]) -> list[str]:
    """What is wrong with URLs, each by the name of its variable."""
    faults = []
    for setting, value in given.items():
        if not isinstance(value, str):
            faults.append(f"{setting} must be an http or https URL, as text")
        elif "@" in value:
            faults.append(
                f"{setting} must not contain a user name, a password or any '@':"
                f" {without_user(value)}. They would be shown in logs and kept by the gateway"
            )
        elif _USABLE.fullmatch(value) is None:
            faults.append(f"{setting} must be an http or https URL, not '{value}'")
    return faults
