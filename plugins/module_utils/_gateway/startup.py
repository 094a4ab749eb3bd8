# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What a gateway's log says of its start: it answers well while it has dropped an escrow. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

_DROPPED: t.Final = re.compile(
    r"devshard (?P<id>[0-9]+) (?P<why>[a-z][a-z ]{0,60}), marking inactive"
)
_OVER: t.Final = "escrow settled on chain"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """An escrow that was in service, and is not any more since this start."""

    id: int
    why: str

    def to_result(self) -> dict[str, t.Any]:
        return {"id": self.id, "why": self.why}


def dropped(log: str) -> tuple[Dropped, ...]:
    """Those that a start took out of service permanently, each once; not what was settled anyway.

    The line may be wrapped by another logger, so it is searched anywhere.
    """
    found: dict[int, Dropped] = {}
    for match in _DROPPED.finditer(log):
        if match["why"] != _OVER:
            found[int(match["id"])] = Dropped(id=int(match["id"]), why=match["why"])
    return tuple(found[number] for number in sorted(found))
