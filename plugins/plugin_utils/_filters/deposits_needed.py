# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what a wallet must have free for escrows that are missing."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows import funding

FEE: t.Final = 1_000_000


def _whole(value: object, what: str) -> int:
    """A whole number; roles get numbers as text from the command line."""
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not text.isdigit():
        raise AnsibleFilterError(
            f"deposits_needed: {what} must be a whole number of ngonka, got '{value}'"
        )
    return int(text)


def deposits_needed(amounts: object, fee: object = FEE) -> int:
    """Return the sum of the deposits with their fees, in ngonka."""
    if not isinstance(amounts, Sequence) or isinstance(amounts, str):
        raise AnsibleFilterError(
            f"deposits_needed: a list of amounts is needed, not {type(amounts).__name__}"
        )
    whole = [_whole(amount, "each amount") for amount in amounts]
    return funding.deposits_needed(whole, _whole(fee, "fee"))
