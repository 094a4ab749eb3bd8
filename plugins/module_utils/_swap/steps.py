# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The steps of a swap, in their order, and what a plan of them is made from."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass


class Step(str, enum.Enum):
    """The steps, named as operators know them."""

    PREFLIGHT = "preflight"
    FREEZE_ROTATION = "freeze_rotation"
    START_TEMP = "start_temp"
    SEED_TEMP = "seed_temp"
    CHECK_TEMP = "check_temp"
    SWITCH_TO_TEMP = "switch_to_temp"
    DRAIN_MAIN = "drain_main"
    SETTLE_MAIN = "settle_main"
    RETIRE_MAIN = "retire_main"
    REPLACE_MAIN = "replace_main"
    SEED_MAIN = "seed_main"
    CHECK_MAIN = "check_main"
    SWITCH_BACK = "switch_back"
    DRAIN_TEMP = "drain_temp"
    SETTLE_TEMP = "settle_temp"
    STOP_TEMP = "stop_temp"
    IMPORT_ESCROWS = "import_escrows"
    ACTIVATE = "activate"
    RESTORE_ROTATION = "restore_rotation"
    DONE = "done"


OF_A_MOVE: t.Final = frozenset({Step.SETTLE_MAIN, Step.RETIRE_MAIN, Step.SEED_MAIN})
"""Only where the new gateway is of another generation, which takes over no escrow."""


_POOL = (
    Step.PREFLIGHT,
    Step.FREEZE_ROTATION,
    Step.CHECK_TEMP,
    Step.SWITCH_TO_TEMP,
    Step.DRAIN_MAIN,
    Step.REPLACE_MAIN,
    Step.CHECK_MAIN,
    Step.SWITCH_BACK,
    Step.RESTORE_ROTATION,
    Step.DONE,
)


Mode = t.Literal["temp", "pool", "generation"]
"""``temp``: a temporary gateway serves meanwhile. ``pool``: another gateway of the edge does.
``generation``: as ``temp``, to a gateway of another generation with a storage of its own."""


TempEscrows = t.Literal["import", "settle"]


Slot = t.Literal["main", "temp"]


def sequence(mode: Mode, temp_escrows: TempEscrows) -> tuple[Step, ...]:
    """All steps of a swap of this kind, in order."""
    if mode == "pool":
        return _POOL
    left = {Step.SETTLE_TEMP} if temp_escrows == "import" else {Step.IMPORT_ESCROWS, Step.ACTIVATE}
    if mode != "generation":
        left |= OF_A_MOVE
    return tuple(step for step in Step if step not in left)


class SwapRefused(ValueError):
    """The wish cannot be planned from the observed state; the message says what to do."""


@dataclass(frozen=True)
class SwapSeen:
    """What is observed on the host before the steps are computed.

    ``main_image`` is the image reference by digest of the container in slot main, None when there
    is no such container. ``flag`` is the slot that the edge has in service. ``drift`` names what
    only another container changes, ``moved`` says what a swap cannot change.
    """

    main_image: str | None
    main_running: bool
    temp_exists: bool
    temp_running: bool
    flag: Slot
    main_healthy: bool = True
    """False while its health check has not succeeded."""
    main_id: str | None = None
    drift: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
