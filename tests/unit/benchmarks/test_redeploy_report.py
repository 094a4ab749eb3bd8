# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The figures of a run that changes nothing come from what was recorded of it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.benchmarks.redeploy.report import (
    TARGETS,
    Event,
    Timing,
    by_name,
    draw,
    durations,
    figures,
    judge,
    middle,
    on_host,
    pairwise,
    ratios,
    span,
    table,
)


def timing(wall: float, cpu: float = 1, lines: int = 10) -> Timing:
    return Timing(wall_s=wall, cpu_s=cpu, lines=lines)


def task(name: str, seconds: float) -> Event:
    return {"kind": "task", "name": name, "seconds": seconds}


def module(name: str, connection: str = "community.docker.docker") -> Event:
    return {"kind": "module", "name": name, "task": "a task", "connection": connection}


def test_only_what_goes_to_the_host_is_counted() -> None:
    events = [
        module("setup"),
        module("stat"),
        module("stat"),
        module("uri", "local"),
        {**module(""), "kind": "command"},
        task("a task", 1),
    ]
    found = on_host(events, "module")
    assert by_name(found) == {"stat": 2, "setup": 1}
    assert len(on_host(events, "command")) == 1


def test_each_task_is_compared_with_the_ping_before_it() -> None:
    events = [
        module("ping"),
        task("ping", 2),
        task("settings", 3),
        task("ping", 4),
        task("key", 5),
        task("ping", 1),
        task("settings", 3),
    ]
    assert ratios(events) == {"settings": [1.5, 3.0], "key": [1.25]}


def test_a_task_without_a_ping_before_it_is_left_out() -> None:
    assert ratios([task("key", 5), task("ping", 1), task("key", 2), task("key", 9)]) == {
        "key": [2.0]
    }


def test_durations_are_medians() -> None:
    assert durations([task("a", 1), task("a", 5), task("a", 2), module("a")]) == {"a": 2}


def test_runs_that_took_turns_are_compared_pair_by_pair() -> None:
    assert pairwise([timing(10), timing(30)], [timing(20), timing(20)]) == [0.5, 1.5]
    with pytest.raises(ValueError, match="shorter"):
        pairwise([timing(10)], [])


def test_the_middle_is_that_of_each_number() -> None:
    runs = [timing(1, 9, 30), timing(2, 8, 10), timing(9, 7, 20)]
    assert middle(runs) == timing(2, 8, 20)


def test_a_swap_lasts_from_its_first_task_to_the_recap() -> None:
    lines = [
        (0.5, "PLAY [Swap the gateways] ****"),
        (1.0, "TASK [Check the settings] ****"),
        (3.0, "TASK [Begin step done] ****"),
        (7.5, "PLAY RECAP ****"),
        (8.0, "host : ok=1"),
    ]
    assert span(lines) == 6.5


def test_figures_are_judged_in_the_order_of_the_targets() -> None:
    rows = judge({"lines": 121, "wall": 0.5, "cpu": 2.98765})
    assert [(row["measured"], row["reached"]) for row in rows] == [
        (0.5, True),
        (2.988, True),
        (121, False),
    ]
    lines = table(rows).splitlines()
    assert lines[2] == f"| {TARGETS['wall'].name} | 0.5 × | ≤ 0.5 × | yes |"
    assert lines[4] == f"| {TARGETS['lines'].name} | 121 | ≤ 120 | no |"


def lane(wall: float) -> dict[str, t.Any]:
    return {
        "module_runs": 4,
        "runs": [timing(wall).to_dict(), timing(wall + 1).to_dict()],
        "median": timing(wall).to_dict(),
    }


def test_a_figure_comes_from_the_part_that_measured_it() -> None:
    whole: dict[str, t.Any] = {
        "site": lane(9),
        "guide": lane(18),
        "pairs": [0.4, 0.6, 0.5],
        "ping": {"ratios": {"gateway_settings": [1.1, 1.3, 1.2], "creator_key": [9.0]}},
        "fleet": {"growth_wall_s": 1.05},
        "swap": {"seconds": [40.0, 42.0]},
    }
    assert figures(whole) == {
        "wall": 0.5,
        "modules": 4,
        "cpu": 1,
        "lines": 10,
        "ping": 1.2,
        "fleet": 1.05,
        "swap": 41.0,
    }


def test_a_part_that_was_not_measured_has_no_figure() -> None:
    assert figures({"guide": lane(18)}) == {}
    assert figures({"fleet": {"growth_wall_s": None}}) == {}


def test_a_picture_is_drawn_of_whatever_was_measured(tmp_path: Path) -> None:
    whole: dict[str, t.Any] = {
        "site": lane(9),
        "guide": lane(18),
        "ping": {"ratios": {"settings": [1.1, 1.2], "uri": [1.3]}},
        "fleet": {"runs": [{"hosts": 10, "per_host": {"wall_s": 3.0}}]},
        "swap": {"seconds": [40.0, 41.0]},
    }
    # as it is kept
    whole = json.loads(json.dumps(whole))
    for number, given in enumerate([whole, {"swap": whole["swap"]}, {"site": whole["site"]}]):
        picture = tmp_path / f"{number}.png"
        draw(picture, given)
        assert picture.read_bytes().startswith(b"\x89PNG")
