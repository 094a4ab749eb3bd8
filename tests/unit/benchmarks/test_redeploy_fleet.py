# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A fleet is larger than the machine, and the cost of each host in it is compared."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.benchmarks.redeploy.fleet import Fleet, growth, names
from ansible_collections.gonka.devshard.benchmarks.redeploy.report import Timing


def timing(wall: float, cpu: float = 1) -> Timing:
    return Timing(wall_s=wall, cpu_s=cpu, lines=10)


def test_hosts_take_turns_in_the_order_of_the_inventory() -> None:
    found = names(["a", "b", "c"], 10)
    assert list(found) == sorted(found)
    hosts = list(found.values())
    assert hosts[:4] == ["a", "b", "c", "a"]
    assert all(len(set(hosts[begin : begin + 3])) == 3 for begin in range(8))


def test_growth_is_the_cost_of_a_host_in_the_large_fleet() -> None:
    fleets = [
        Fleet(10, timing(20, cpu=10)),
        Fleet(100, timing(330, cpu=100)),
        Fleet(10, timing(40, cpu=10)),
    ]
    assert growth(fleets) == pytest.approx(1.1)
    assert growth(fleets, "cpu_s") == pytest.approx(1.0)


def test_one_size_has_nothing_to_be_compared_with() -> None:
    assert growth([Fleet(10, timing(20)), Fleet(10, timing(21))]) is None
