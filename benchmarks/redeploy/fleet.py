# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Fleets of more hosts than a machine can hold, and what each host of them costs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from statistics import median

from ansible_collections.gonka.devshard.benchmarks.redeploy.report import Timing

if t.TYPE_CHECKING:
    from collections.abc import Sequence


def names(real: Sequence[str], size: int) -> dict[str, str]:
    """Names for the inventory, each with the test host that stands for it.

    The hosts take turns. Ansible works off an inventory in its order, so with as many forks as
    there are test hosts no two forks look at the same one at once.
    """
    return {f"fleet-{number + 1:03}": real[number % len(real)] for number in range(size)}


@dataclass(frozen=True)
class Fleet:
    """One run over so many hosts."""

    hosts: int
    timing: Timing

    def per_host(self) -> dict[str, float]:
        return {
            "wall_s": self.timing.wall_s / self.hosts,
            "cpu_s": self.timing.cpu_s / self.hosts,
        }


def growth(fleets: Sequence[Fleet], number: str = "wall_s") -> float | None:
    """Cost per host of the largest fleet against the smallest; nothing to compare: None."""
    sizes = sorted({fleet.hosts for fleet in fleets})
    if len(sizes) < 2:
        return None

    def cost(size: int) -> float:
        return median(fleet.per_host()[number] for fleet in fleets if fleet.hosts == size)

    return cost(sizes[-1]) / cost(sizes[0])
