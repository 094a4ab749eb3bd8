# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: a whole number of ngonka for people, exact and never by a float."""

from __future__ import annotations

import re

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows import funding


def gonka(amount: object, unit: bool = True) -> str:
    """A whole number of ngonka as a decimal number of GNK."""
    digits = isinstance(amount, str) and re.fullmatch(r"-?[0-9]+", amount)
    if isinstance(amount, bool) or not (isinstance(amount, int) or digits):
        raise AnsibleFilterError(
            f"gonka: the amount must be a whole number of ngonka, not {shown(amount)}"
        )
    text = funding.gnk(int(str(amount)))
    return text if unit else text.removesuffix(" GNK")


def shown(value: object) -> str:
    """A value that cannot be used as an amount, for a message."""
    if isinstance(value, (bool, float)):
        return f"{value}, which is not exact" if isinstance(value, float) else str(value)
    return f"'{value}'" if isinstance(value, str) else f"of type {type(value).__name__}"
