# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether the moment suits a create, and how far creates are apart (gateway-v4.1.md, rule 14). Pure."""

from __future__ import annotations

import math
import typing as t

from .deadlines import FASTEST_BLOCK

if t.TYPE_CHECKING:
    from .._chain.models import Epoch
    from .._gateway.profiles import Profile

WINDOW_OPTION: t.Final = "escrow_min_blocks_to_poc (min_blocks_to_poc)"
_PART_OF_EPOCH: t.Final = 10
"""An epoch of mainnet has 15391 blocks. In a shorter one no window may take more than this part."""


def window_of(chosen: int | None, profile: Profile) -> int:
    """The one that was chosen, else that of the generation's guide; 0 allows any moment."""
    return profile.create_window if chosen is None else chosen


def refuse_window(epoch: Epoch, height: int, wanted: int) -> str | None:
    """Why no escrow is created now, or None. ``wanted`` blocks are left to the next proof of compute.

    What is sent shortly before it may be included in the next epoch, or finds few hosts.
    """
    start, switch = epoch.stages["next_poc_start"], epoch.stages["set_new_validators"]
    if epoch.phase != "Inference":
        again = switch if max(height, epoch.height) < switch else None
        when = "in phase Inference" if again is None else f"from block {again} on"
        return (
            f"the chain is in phase {epoch.phase}, and escrows are created in phase Inference. Run"
            f" this again {when}. To create now, set {WINDOW_OPTION} to 0"
        )
    length = epoch.next_stages["set_new_validators"] - switch
    need = min(wanted, length // _PART_OF_EPOCH)
    left = start - max(height, epoch.height)
    if left >= need:
        return None
    after = epoch.next_stages["set_new_validators"]
    return (
        f"{max(0, left)} blocks are left to the next proof of compute (block {start}), and a create"
        f" needs {need}: it could be included in the next epoch. Run this again from block {after}"
        f" on. To create now, set {WINDOW_OPTION} to {max(0, left)} or less"
    )


def next_create(last: int, seconds: int, block_seconds: float | None) -> int:
    """The first block in which another escrow may be created after the one of block ``last``."""
    return last + math.ceil(seconds / (block_seconds or FASTEST_BLOCK))
