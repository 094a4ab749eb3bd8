# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: which gateways of a host may be sent the admin key."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._status import ask


def slots_to_ask(presence: object, slot: object = "main") -> list[str]:
    """Return the slots."""
    if not isinstance(presence, Mapping):
        raise AnsibleFilterError("slots_to_ask: a dict is needed")
    if slot not in ("main", "temp"):
        raise AnsibleFilterError("slots_to_ask: slot must be main or temp")
    return ask.slots_to_ask(presence, str(slot))
