# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The journal of the swap that a run is a step of."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from pathlib import Path

from .._core.errors import ConfigurationError
from .._swap.journal import JournalFile, Notebook
from .._swap.steps import Step

if t.TYPE_CHECKING:
    from .._adapter import Context


def notebook_of(context: Context) -> Notebook | None:
    """None outside of a swap."""
    return context.once(notebook_of, lambda: _notebook(context))


def _notebook(context: Context) -> Notebook | None:
    path, step, finished = (context.params[name] for name in ("journal", "step", "finished"))
    if path is None:
        return None
    if step is None:
        raise ConfigurationError("step is required with journal")
    try:
        before = Step(finished) if finished else None
    except ValueError as exc:
        raise ConfigurationError(f"finished: there is no step {finished}") from exc
    return Notebook(
        file=JournalFile(Path(path)),
        run=context.params["run"],
        step=Step(step),
        finished=before,
        now=lambda: datetime.now(timezone.utc),
        check_mode=context.check_mode,
    )
