# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which gateways of a host are asked. Pure.

The admin key goes to what is proved to be ours, or to a port that no program has.
"""

from __future__ import annotations

import typing as t

from .scene import OTHER

if t.TYPE_CHECKING:
    from .scene import Data


def slots_to_ask(presence: Data | None, slot: str) -> list[str]:
    """``slot`` is the one of the gateway itself, the other one that of a swap's."""
    found = presence or {}
    ports = [port["state"] for port in found.get("ports", ()) if port["name"] == "gateway"]
    temp = found.get("temp", {})
    asked = []
    if found.get("gateway_proved") or ports[:1] == ["free"]:
        asked.append(slot)
    if temp.get("running") and temp.get("ours") is True:
        asked.append(OTHER[slot])
    return asked
