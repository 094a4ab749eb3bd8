# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The compose file that a gateway's container is started from."""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass

from .._core.errors import ConfigurationError
from .._core.files import write_whole

if t.TYPE_CHECKING:
    from pathlib import Path

_MODE: t.Final = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeFile:
    """``owned``: it is the owner's, who keeps it with its mode."""

    path: Path
    text: str
    owned: bool

    def write(self, *, check_mode: bool) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """What was there before, and what is there now; the same where nothing had to be changed."""
        path = self.path
        if not path.parent.is_dir():
            raise ConfigurationError(f"there is no directory {path.parent} for the compose file")
        ours = (os.geteuid(), os.getegid(), _MODE)
        before: dict[str, t.Any] = {}
        wanted = ours
        if path.exists():
            there = path.stat()
            held = (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode))
            before = _shown(held, path.read_text("utf-8"))
            wanted = held if self.owned else ours
        after = _shown(wanted, self.text)
        if before != after and not check_mode:
            write_whole(path, self.text.encode(), wanted[2])
            if wanted[:2] != ours[:2]:
                os.chown(path, *wanted[:2])
        return before, after


def _shown(held: tuple[int, int, int], text: str) -> dict[str, t.Any]:
    return {"owner": held[0], "group": held[1], "mode": f"0{held[2]:o}", "text": text}
