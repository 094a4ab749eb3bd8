# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the state of all gateways as data."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._page.gateways import (
    Gateway,
    fleet_data,
    gateways,
)

_TIME: t.Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _list(name: str, what: str, value: object) -> list[t.Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise AnsibleFilterError(f"{name}: {what} must be a list")
    return list(value)


def words(name: str, value: object) -> list[str]:
    """The inventories as text."""
    return [str(word) for word in _list(name, "inventory", value)]


def fleet_of(name: str, looks: object, hosts: object, at: object) -> list[Gateway]:
    """All gateways, the worst first, or an error of the filter ``name``."""
    found, names = _list(name, "the input", looks), _list(name, "hosts", hosts)
    if not all(isinstance(look, Mapping) and "verdict" in look for look in found):
        raise AnsibleFilterError(f"{name}: each look is what status_verdict returns")
    if not _TIME.fullmatch(str(at)):
        raise AnsibleFilterError(f"{name}: at is a time like 2026-01-31T12:00:00Z, not {at}")
    return gateways(found, names)


def status_fleet(looks: object, hosts: object, at: object) -> dict[str, t.Any]:
    """Return the worst verdict, how many have which, and all hosts, the worst first."""
    return fleet_data(fleet_of("status_fleet", looks, hosts, at), str(at))
