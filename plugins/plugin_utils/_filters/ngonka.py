# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: an amount with its unit in ngonka, exact and never by a float."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows import funding
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.gonka import shown


def ngonka(text: object) -> int:
    """An amount with its unit as a whole number of ngonka."""
    amount = funding.ngonka(text) if isinstance(text, str) else None
    if amount is None:
        raise AnsibleFilterError(
            "ngonka: the amount must be text with its unit, such as '5.001 GNK' or '5001000000"
            f" ngonka', and 1 ngonka is its smallest part; it is {shown(text)}"
        )
    return amount
