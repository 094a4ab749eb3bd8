# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The durable journal of a swap: one file, 0600, replaced by a rename, written before each step."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from .._core.errors import BusyError, ConfigurationError, UnknownStateError
from .steps import Journal, Step, SwapRefused

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

RUN: t.Final = "run"
"""Key in the journal's data: which run of the play works on the swap."""


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
        candidate = self.path.with_name(f".{self.path.name}.new")
        with self._named():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                json.dump(journal.to_dict(), handle, indent=2, sort_keys=True)
                handle.write("\n")
                handle.flush()
                os.fsync(handle.fileno())
            candidate.replace(self.path)
            self._sync()

    def archive(self, journal: Journal) -> None:
        """Keeps a finished journal under its id, so that history can be read."""
        with self._named():
            self.path.replace(self.path.with_name(f"{self.path.stem}-{journal.id}.json"))
            self._sync()

    def _sync(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Without its journal a swap goes no step further."""
        try:
            yield
        except OSError as exc:
            raise ConfigurationError(
                f"the swap journal {self.path} cannot be written ({exc.strerror}), so the swap stops"
                " here; what serves now goes on serving. Make room or correct the path, and run the"
                " same again",
                path=str(self.path),
            ) from exc


def opened(file: JournalFile, run: str) -> Journal:
    """The open swap, if it is still this run's."""
    journal = file.read()
    if journal is None:
        raise ConfigurationError(f"no swap is open: there is no {file.path}")
    if journal.data.get(RUN) != run:
        raise BusyError(
            f"another run has taken over the swap {journal.id}; this one stops and changes nothing"
        )
    return journal


def note(
    file: JournalFile,
    run: str,
    *,
    finished: tuple[Step, Mapping[str, t.Any]] | None,
    started: tuple[Step, Mapping[str, t.Any]] | None,
    check_mode: bool,
) -> tuple[Journal, bool]:
    """Records in one write that a step is done and that the next one begins.

    What an earlier attempt at the beginning step has saved is never overwritten. The last step
    closes the journal.
    """
    before = opened(file, run)
    journal = before
    if finished is not None:
        step, data = finished
        journal = journal.finish(step).remember(data)
    if started is not None:
        step, data = started
        fresh = {key: value for key, value in data.items() if key not in journal.data}
        journal = journal.start(step).remember(fresh)
    journal, changed = _write(file, before, journal, check_mode=check_mode)
    if not journal.open and not check_mode:
        file.archive(journal)
    return journal, changed


def note_undone(
    file: JournalFile, run: str, step: Step, forget: Collection[str], *, check_mode: bool
) -> tuple[Journal, bool]:
    """Records that a step's effect was taken back, and forgets what it had saved."""
    before = opened(file, run)
    return _write(file, before, before.undo(step, forget), check_mode=check_mode)


def _write(
    file: JournalFile, before: Journal, after: Journal, *, check_mode: bool
) -> tuple[Journal, bool]:
    changed = after != before
    if changed and not check_mode:
        file.write(after)
    return after, changed
