# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""How work on several things can end besides done: some of it must wait, some of it failed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .errors import DevshardError

if t.TYPE_CHECKING:
    from collections.abc import Sequence


class Result(t.Protocol):
    """What a use case reports, also when it failed after it had done something."""

    @property
    def changed(self) -> bool: ...
    def to_result(self) -> dict[str, t.Any]: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing went wrong, but it cannot continue now; ``reason`` is the failure if time runs
    out."""

    reason: DevshardError


class PartialFailure(DevshardError):
    """Some of the work failed. ``result`` holds what was done; the first problem is the failure."""

    def __init__(self, result: Result, problems: Sequence[DevshardError]) -> None:
        super().__init__(str(problems[0]), **problems[0].details)
        self.result = result
        self.problems = tuple(problems)

    def to_failure(self) -> dict[str, t.Any]:
        return self.problems[0].to_failure()
