# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role hot_swap decides in its own expressions, so that no swap gets stuck."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)

TASKS = ROOT / "roles/hot_swap/tasks"


def task(tasks: list[Data], name: str) -> Data:
    (found,) = [item for item in tasks if item.get("name") == name]
    return found


def evaluated(expression: str, variables: Data) -> t.Any:
    trusted = {
        key: trust_as_template(value) if isinstance(value, str) else value
        for key, value in variables.items()
    }
    return Templar(DataLoader(), variables=trusted).template(trust_as_template(expression))


def escrow(number: int, **given: t.Any) -> Data:
    plain = {"id": number, "settled": False, "on_chain": True, "loaded": True, "phase": "active"}
    return {**plain, **given}


ESCROWS = [
    escrow(1),
    escrow(2, settled=True),
    escrow(3, settled=None, on_chain=False, loaded=False, phase=None),
    escrow(4, phase="settlement"),
    escrow(5, loaded=False, phase=None),
]


@pytest.mark.parametrize(
    ("asked", "past"),
    [
        ({"escrows": ESCROWS, "epoch": {"effective": 5}}, {2, 3, 4}),
        # without a node that is known to be synced, not found proves nothing
        ({"escrows": ESCROWS, "epoch": None}, {2, 4}),
        # there was nothing to ask for
        ({"skipped": True}, set()),
    ],
)
def test_escrows_that_nobody_can_serve_any_more_do_not_hold_a_swap_up(
    asked: Data, past: set[int]
) -> None:
    note = task(read_yaml(TASKS / "past.yml"), "Note those that nobody can serve any more")
    variables = {**note["vars"], "__hot_swap_asked": asked}
    assert set(evaluated(note["ansible.builtin.set_fact"]["__hot_swap_past"], variables)) == past


@pytest.mark.parametrize("step", ["import_escrows", "activate"])
def test_only_what_can_be_served_is_imported_and_activated(step: str) -> None:
    tasks = read_yaml(TASKS / f"steps/{step}.yml")
    assert tasks[0]["ansible.builtin.include_tasks"] == "past.yml"
    left = [{"id": 1, "nonce": 3}, {"id": 2, "nonce": 4}]
    variables = {"__hot_swap": {"data": {"left": left}}, "__hot_swap_past": [2]}
    assert evaluated(tasks[0]["vars"]["__hot_swap_ids"], variables) == [1, 2]
    assert evaluated(tasks[1]["loop"], variables) == left[:1]
    if step == "activate":
        expected = tasks[2]["gonka.devshard.swap_sessions"]["expected"]
        assert set(evaluated(expected, variables)) == {"1"}


CONTAINER = {"Config": {"Image": "new"}, "State": {"Status": "running"}}
HEALTH = {"Health": {"Status": "starting"}}
ILL = {**CONTAINER, "State": {"Status": "running", **HEALTH}}


@pytest.mark.parametrize(
    ("container", "data", "asked"),
    [
        (CONTAINER, {}, True),
        (ILL, {}, True),
        (ILL, {"never_up": False, "failed_target": "new"}, True),
        (CONTAINER, {"never_up": True, "failed_target": "new"}, True),
        (ILL, {"never_up": True, "failed_target": "other"}, True),
        # these cannot answer whether they may be stopped
        (ILL, {"never_up": True, "failed_target": "new"}, False),
        ({**CONTAINER, "State": {"Status": "restarting", "Running": True}}, {}, False),
        ({**CONTAINER, "Config": {"Image": "target"}}, {}, False),
    ],
)
def test_a_main_that_cannot_answer_is_not_asked_before_it_is_replaced(
    container: Data, data: Data, asked: bool
) -> None:
    block = task(read_yaml(TASKS / "steps/replace_main.yml"), "Before the gateway is stopped")
    variables = {
        "__hot_swap_info": {"exists": True, "container": container},
        "__hot_swap": {"target": "target", "data": data},
    }
    met = [evaluated("{{ " + condition + " }}", variables) for condition in block["when"]]
    assert all(met) == asked


def test_a_temp_that_is_started_again_does_not_need_a_gateway_that_may_be_down() -> None:
    copy = task(read_yaml(TASKS / "steps/start_temp.yml"), "Give it the settings of the gateway")
    for started, wanted in ((["start_temp"], True), (["start_temp", "seed_temp"], False)):
        swap = {"__hot_swap": {"started": started}}
        assert evaluated("{{ " + copy["when"] + " }}", swap) is wanted


def test_a_rotation_is_noted_as_given_back_before_it_is() -> None:
    """Cut off in between, the next run freezes it again, and still knows what it was."""
    block = task(read_yaml(TASKS / "failed.yml"), "Give the rotation back")["block"]
    does = [next(key for key in item if key.startswith("gonka.")) for item in block]
    assert does == ["gonka.devshard.swap_step", "gonka.devshard.swap_rotation"] + [
        "gonka.devshard.swap_step"
    ]
    first, last = block[0]["gonka.devshard.swap_step"], block[2]["gonka.devshard.swap_step"]
    assert first == {"state": "undone", "step": "freeze_rotation"}
    assert last == {**first, "forget": ["rotation"]}
