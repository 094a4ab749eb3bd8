# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the gonka.devshard collection; its content may change at any time.
"""The durable journal of a swap: one file, 0600, replaced by a rename, written before each step."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils._errors import UnknownStateError
from ansible_collections.gonka.devshard.plugins.module_utils._swap import Journal, SwapRefused

if t.TYPE_CHECKING:
    from pathlib import Path


class JournalFile:
    """Reads and writes the journal; a finished one stays until the next swap begins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Journal | None:
        """None when no swap was ever begun here. A file that cannot be read is unknown."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            raw = json.loads(text)
            if not isinstance(raw, dict):
                raise UnknownStateError(f"the swap journal {self.path} holds no JSON object")
            return Journal.from_dict(raw)
        except (json.JSONDecodeError, SwapRefused, ValueError) as exc:
            raise UnknownStateError(
                f"the swap journal {self.path} cannot be read ({exc}); whether a swap is under way"
                " is unknown. Look at both containers before you move the file away",
                path=str(self.path),
            ) from exc

    def write(self, journal: Journal) -> None:
        """Survives a power cut: the content is on the disk before the name points to it."""
        candidate = self.path.with_name(f".{self.path.name}.new")
        descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            json.dump(journal.to_dict(), handle, indent=2, sort_keys=True)
            handle.write("\n")
            handle.flush()
            os.fsync(handle.fileno())
        candidate.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def archive(self, journal: Journal) -> None:
        """Keeps a finished journal under its id, so that history can be read."""
        self.path.replace(self.path.with_name(f"{self.path.stem}-{journal.id}.json"))
