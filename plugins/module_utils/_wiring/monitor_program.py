# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``monitor_program``."""

from __future__ import annotations

import hashlib
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._core.files import write_whole
from .._monitor.program import build
from . import monitor

SPEC = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
)
MODE: t.Final = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    path: Path
    state: t.Literal["present", "absent"]


def work(context: Context) -> Outcome:
    options = context.read(Options)
    path = options.path
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigurationError(
            f"{path} (path) is not a plain file. Remove it, or set another path"
        )
    found = _digest(path.read_bytes()) if path.exists() else None
    content = build(monitor.__name__) if options.state == "present" else None
    wanted = None if content is None else _digest(content)
    same_mode = content is None or (found is not None and path.stat().st_mode & 0o777 == MODE)
    changed = found != wanted or not same_mode
    if changed and not context.check_mode:
        if content is None:
            path.unlink()
        else:
            if not path.parent.is_dir():
                raise ConfigurationError(f"the directory {path.parent} (path) does not exist")
            write_whole(path, content, MODE)
    return Outcome(
        changed=changed,
        values={"program": {"path": str(path), "sha256": wanted, "python": sys.executable}},
        before={} if found is None else {"path": str(path), "sha256": found},
        after={} if wanted is None else {"path": str(path), "sha256": wanted},
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
