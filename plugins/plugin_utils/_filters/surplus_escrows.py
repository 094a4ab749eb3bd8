# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: which paid escrows are more than are wanted, as swaps leave them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import (
    Usable,
    gnk,
    surplus,
)


def _usable(escrow: Mapping[str, t.Any]) -> Usable | None:
    deadline = escrow.get("deadline")
    if not escrow["usable"] or deadline is None:
        return None
    return Usable(
        id=int(escrow["id"]),
        model=str(escrow["model"]),
        amount=int(escrow["amount"]),
        height=int(deadline["height"]),
        rotated=escrow.get("rotation_role") is not None,
    )


def surplus_escrows(escrows: object, models: Iterable[Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return their ids, the one with the nearest deadline first, and what they lock in words."""
    if not isinstance(escrows, list):
        raise AnsibleFilterError("surplus_escrows: the escrows of escrow_info are needed")
    wanted = {str(model["id"]): int(model.get("count", 1)) for model in models}
    usable = [found for escrow in escrows if (found := _usable(escrow)) is not None]
    over = surplus(usable, wanted)
    ids = [item.id for item in over]
    if not over:
        return {"ids": [], "amount": 0, "text": "no escrow more than are wanted"}
    amount = sum(item.amount for item in over)
    text = (
        f"escrow(s) {', '.join(map(str, ids))} are more than are wanted, with {gnk(amount)} of"
        f" deposits, the first to be settled before block {over[0].height}"
    )
    return {"ids": ids, "amount": amount, "text": text}
