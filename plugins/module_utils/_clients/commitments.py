# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the rotation of a gateway on this host is bound to."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

from .. import _argspec
from .._escrows.commitments import CommitmentWatch, read_commitments
from .._gateway.instance import DATABASE

if t.TYPE_CHECKING:
    from .._adapter import Context
    from .._core.timer import WaitBudget


def watch_commitments(context: Context, deadline: WaitBudget) -> CommitmentWatch | None:
    """None where it is not said in which folder of this host the gateway keeps its state."""
    if (storage := context.params["storage_dir"]) is None:
        return None
    return CommitmentWatch(
        read=functools.partial(read_commitments, Path(storage) / DATABASE),
        deadline=deadline,
        interval=context.read(_argspec.WaitOptions).wait_interval,
        warn=context.warn,
        check_mode=context.check_mode,
    )
