# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The file of the samples: a line of JSON each, the newest last, never more than a number of them."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

from .._core.files import private_folder, write_private
from .burn import Sample, sample_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .burn import SessionSample

KEEP: t.Final = 600
"""Two days of samples at one in five minutes."""
_LONGEST: t.Final = 64 * 1024 * 1024
_BOOT: t.Final = Path("/proc/sys/kernel/random/boot_id")


def read_samples(file: Path) -> list[Sample]:
    """All that can be read, the oldest first. A damaged line is left out."""
    try:
        if file.stat().st_size > _LONGEST:
            return []
        text = file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return []
    found = (_parse(line) for line in text.splitlines())
    return [sample for sample in found if sample is not None]


def _parse(line: str) -> Sample | None:
    try:
        return sample_of(json.loads(line))
    except ValueError:
        return None


def add_sample(file: Path, sample: Sample, keep: int = KEEP) -> list[Sample]:
    """Keep one more and drop the oldest. Returns all that are kept now."""
    kept = [*read_samples(file), sample][-keep:]
    private_folder(file.parent)
    lines = [json.dumps(item.to_json(), separators=(",", ":")) for item in kept]
    write_private(file, "".join(f"{line}\n" for line in lines))
    return kept


def sample_now(sessions: Mapping[int, SessionSample]) -> Sample:
    """What was just seen, with the time of both clocks."""
    return Sample(
        at=time.time(),
        boot=boot_id(),
        uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
        sessions=sessions,
    )


def boot_id() -> str:
    return _BOOT.read_text("ascii").strip()
