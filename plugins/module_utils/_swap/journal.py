# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The durable journal of a swap: one file, 0600, replaced by a rename, written before each step."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t
from dataclasses import dataclass

from .._core.errors import BusyError, ConfigurationError, UnknownStateError
from .._core.files import sync_folder, write_private
from .journal_model import Journal
from .steps import Step, SwapRefused

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from .notes import SwapNotes


class JournalFile:
    """Reads and writes the journal of the open swap; finished ones lie beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Journal | None:
        """None when no swap is open here. A file that cannot be read is unknown."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            raw = json.loads(text)
            if not isinstance(raw, dict):
                raise SwapRefused("it holds no JSON object")
            return Journal.from_dict(raw)
        except (SwapRefused, ValueError) as exc:
            raise UnknownStateError(
                f"the swap journal {self.path} cannot be read ({exc}); whether a swap is under way"
                " is unknown. Look at both containers before you move the file away",
                path=str(self.path),
            ) from exc

    def write(self, journal: Journal) -> None:
        """Survives a power cut: the content is on the disk before the name points to it."""
        text = json.dumps(journal.to_dict(), indent=2, sort_keys=True) + "\n"
        with self._named():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, text)

    def archive(self, journal: Journal) -> None:
        """Keeps a finished journal under its id, so that history can be read."""
        with self._named():
            self.path.replace(self.path.with_name(f"{self.path.stem}-{journal.id}.json"))
            sync_folder(self.path.parent)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Without its journal a swap goes no step further."""
        try:
            yield
        except OSError as exc:
            raise ConfigurationError(
                f"the swap journal {self.path} cannot be written ({exc.strerror}), so the swap stops"
                " here; what serves now goes on serving. Make room or correct the path, and run "
                "this again",
                path=str(self.path),
            ) from exc


def opened(file: JournalFile, run: str) -> Journal:
    """The open swap, if it is still this run's."""
    journal = file.read()
    if journal is None:
        raise ConfigurationError(f"no swap is open: there is no {file.path}")
    if journal.data.run != run:
        raise BusyError(
            f"another run has taken over the swap {journal.id}; this one stops and changes nothing"
        )
    return journal


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """The journal in the hands of one step: its intent before it acts, its result after."""

    file: JournalFile
    run: str
    step: Step
    finished: Step | None
    """The step before, which is done when this one begins."""
    now: Callable[[], datetime]
    check_mode: bool

    def read(self) -> Journal:
        return opened(self.file, self.run)

    def begin(self, notes: SwapNotes | None = None) -> Journal:
        """One write: the step before is done, this one begins, and what must outlive it.

        What an earlier attempt at this step has noted is never overwritten.
        """
        before = self.read()
        journal = before if self.finished is None else before.finish(self.finished)
        journal = journal.start(self.step)
        if before.begun_last is not self.step:
            journal = journal.begun_at(self.step, self.now())
        if notes is not None:
            journal = journal.remember(notes, keep=True)
        return self._write(before, journal)

    def result(self, notes: SwapNotes) -> Journal:
        before = self.read()
        return self._write(before, before.remember(notes))

    def end(self, notes: SwapNotes) -> Journal:
        """Notes that the step is done, and what came of it. The last one closes the journal."""
        before = self.read()
        journal = before if self.finished is None else before.finish(self.finished)
        if before.begun_last is not self.step:
            journal = journal.begun_at(self.step, self.now())
        journal = self._write(before, journal.finish(self.step).remember(notes))
        if not journal.open and not self.check_mode:
            self.file.archive(journal)
        return journal

    def undo(self, *, forget: Collection[str] = ()) -> Journal:
        """Notes that the effect of the step was taken back, and forgets what it had noted."""
        before = self.read()
        return self._write(before, before.undo(self.step, forget))

    def _write(self, before: Journal, after: Journal) -> Journal:
        if after != before and not self.check_mode:
            self.file.write(after)
        return after


def freeze_once_more(notebook: Notebook) -> None:
    """Notes that the rotation was switched on since it was frozen: the next run freezes it again.

    What it is now is what the swap then restores, since the operator has chosen it last.
    """
    if notebook.read().data.rotation is not None:
        freezing = dataclasses.replace(notebook, step=Step.FREEZE_ROTATION)
        freezing.undo(forget=("rotation",))
