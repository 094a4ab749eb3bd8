# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filters: amounts of coins, exact and never by a float."""

from __future__ import annotations

import re

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows import funding


def gonka(amount: object, unit: bool = True) -> str:
    """A whole number of ngonka as a decimal number of GNK."""
    digits = isinstance(amount, str) and re.fullmatch(r"-?[0-9]+", amount)
    if isinstance(amount, bool) or not (isinstance(amount, int) or digits):
        raise AnsibleFilterError(
            f"gonka: the amount must be a whole number of ngonka, not {_shown(amount)}"
        )
    text = funding.gnk(int(str(amount)))
    return text if unit else text.removesuffix(" GNK")


def ngonka(text: object) -> int:
    """An amount with its unit as a whole number of ngonka."""
    amount = funding.ngonka(text) if isinstance(text, str) else None
    if amount is None:
        raise AnsibleFilterError(
            "ngonka: the amount must be text with its unit, such as '5.001 GNK' or '5001000000"
            f" ngonka', and 1 ngonka is its smallest part; it is {_shown(text)}"
        )
    return amount


def _shown(value: object) -> str:
    if isinstance(value, (bool, float)):
        return f"{value}, which is not exact" if isinstance(value, float) else str(value)
    return f"'{value}'" if isinstance(value, str) else f"of type {type(value).__name__}"
