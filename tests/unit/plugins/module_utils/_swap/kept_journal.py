# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A journal in memory, whose run can be killed at each of its writes."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import (
    JournalFile,
    Notebook,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    Kind,
    Move,
    SwapNotes,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

OLD = "registry/gateway@sha256:old"
NEW = "registry/gateway@sha256:new"
MOVE = Move(
    origin=Kind(profile="v2", protocol=None),
    target=Kind(profile="v4.1", protocol="v4.1"),
    origin_storage="/d/.devshardctl",
    storage="/d/.devshardctl-v4.1",
    ours=True,
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Killed(Exception):
    """The controller and what it started are gone."""


class Memory(JournalFile):
    """A journal that is not on a disk; after ``writes`` of them its run is killed."""

    def __init__(self, journal: Journal, *, writes: int | None = None) -> None:
        super().__init__(Path("/nowhere"))
        self.journal = journal.remember(SwapNotes(run="r1"))
        self.writes = writes

    def read(self) -> Journal:
        return self.journal

    def write(self, journal: Journal) -> None:
        if self.writes is not None:
            if not self.writes:
                raise Killed
            self.writes -= 1
        self.journal = journal

    def archive(self, journal: Journal) -> None:
        self.journal = journal

    def notebook(self, step: Step, *, finished: Step | None = None) -> Notebook:
        return Notebook(
            file=self, run="r1", step=step, finished=finished, now=lambda: NOW, check_mode=False
        )
