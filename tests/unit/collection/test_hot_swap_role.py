# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role hot_swap decides in its own expressions, so that no swap gets stuck."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
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


def test_a_temp_that_is_started_again_does_not_need_a_gateway_that_may_be_down() -> None:
    copy = task(
        read_yaml(TASKS / "steps/start_temp.yml"),
        "Copy the settings of the gateway to the temporary gateway",
    )
    for started, wanted in ((["start_temp"], True), (["start_temp", "seed_temp"], False)):
        swap = {"__hot_swap": {"started": started}}
        assert evaluated("{{ " + copy["when"] + " }}", swap) is wanted


def test_a_rotation_is_noted_as_given_back_before_it_is() -> None:
    """Cut off in between, the next run freezes it again, and still knows what it was."""
    block = task(read_yaml(TASKS / "failed.yml"), "Restore the rotation of the gateway")["block"]
    names = ("gonka.devshard.swap_step", "gonka.devshard.swap_rotation")
    does = [(name, item[name]) for item in block for name in names if name in item]
    step, rotation = names
    assert [name for name, _given in does] == [step, step, rotation, step]
    first = {"state": "undone", "step": "freeze_rotation"}
    assert (does[0][1], does[1][1]) == ({"state": "read"}, first)
    assert does[3][1] == {**first, "forget": ["rotation"]}
    # whether it is given back is decided once, by the state machine
    asked = [item["when"] for item in block[1:]]
    assert asked == ["__hot_swap_journal_read.swap.gives_rotation_back | default(false)"] * 3


def steps_of(file: str) -> list[Data]:
    """All tasks of a file with those in its blocks, in order."""

    def flat(tasks: list[Data]) -> list[Data]:
        return [inner for item in tasks for inner in (item, *flat(item.get("block", [])))]

    return flat(read_yaml(TASKS / file))


def test_nothing_is_written_before_the_preflight_has_passed_and_check_mode_runs_it_too() -> None:
    tasks = steps_of("swap.yml")
    names = [item["name"] for item in tasks]
    checks = names.index("Run step preflight")
    assert tasks[checks]["ansible.builtin.include_tasks"]["file"] == "steps/preflight.yml"
    assert checks < names.index("Create the journal") < names.index("Run a step")
    before = " ".join(str(item.get("when", "")) for item in tasks[: checks + 1])
    assert "check_mode" not in before
    states = [
        item["gonka.devshard.swap_step"].get("state", "planned")
        for item in tasks
        if "gonka.devshard.swap_step" in item
    ]
    assert states == ["planned", "begun", "finished"]


def test_the_preflight_only_reads_until_all_was_asked() -> None:
    tasks = steps_of("steps/preflight.yml")
    (disk,) = [item for item in tasks if "ansible.builtin.command" in item]
    assert disk["check_mode"] is False
    assert "community.docker.docker_image_pull" in tasks[-1]


def test_the_end_of_a_swap_names_the_image_for_the_inventory() -> None:
    variables = read_yaml(ROOT / "roles/hot_swap/vars/main.yml")
    record = {"image": "r/g:1.1"}
    text = evaluated(
        variables["__hot_swap_inventory"], {"__hot_swap_record": record, "gateway_image": "r/g:1.0"}
    )
    assert text.startswith("set gateway_image to r/g:1.1 in the inventory (it is r/g:1.0)")
    last = read_yaml(TASKS / "main.yml")[-1]["block"][-1]
    for image, shown in (("r/g:1.0", True), ("r/g:1.1", False)):
        asked = [
            evaluated(
                "{{ " + condition + " }}",
                {"__hot_swap_record": record, "gateway_image": image, "ansible_check_mode": False},
            )
            for condition in last["when"]
        ]
        assert all(asked) is shown


def test_the_steps_are_run_in_the_order_of_the_plan() -> None:
    """A filter for sets, such as difference, loses it."""
    (run,) = [item for item in steps_of("swap.yml") if item["name"] == "Run a step"]
    steps = [step.value for step in Step]
    variables = {"__hot_swap_plan": {"swap": {"steps": steps}}}
    assert evaluated(run["loop"], variables) == [step for step in steps if step != "preflight"]


def test_no_task_asks_the_journal_for_the_plan() -> None:
    """While the steps run, the journal is refreshed, and the conditions around them are asked again."""
    tasks = steps_of("swap.yml")
    after = [item["name"] for item in tasks].index("Run the preflight")
    text = str(tasks[after:])
    assert "__hot_swap.steps" not in text


def test_the_temporary_gateway_is_asked_with_the_keys_that_it_was_started_with() -> None:
    """The gateway may have got another admin key meanwhile."""
    asked = []
    for file in sorted((TASKS / "steps").glob("*.yml")):
        for item in steps_of(f"steps/{file.name}"):
            for name, given in item.items():
                if not name.startswith("gonka.devshard.") or not isinstance(given, dict):
                    continue
                urls = (given.get("gateway_url"), given.get("base_url"))
                if "{{ __hot_swap_temp_url }}" in urls:
                    asked.append(f"{file.stem}: {name}")
                    assert given["env_file"] == "{{ __hot_swap_temp_env }}", asked[-1]
    assert len(asked) > 5


def test_the_environment_is_compared_in_check_mode_and_written_before_the_replacement() -> None:
    (compare,) = [
        item
        for item in steps_of("swap.yml")
        if item.get("ansible.builtin.include_role", {}).get("tasks_from") == "environment"
    ]
    assert compare["ansible.builtin.include_role"]["apply"]["check_mode"] is True
    names = [item["name"] for item in steps_of("steps/replace_main.yml")]
    asked = names.index("Verify that the gateway may be stopped")
    written = names.index("Write the environment of the inventory")
    assert asked < written < names.index("Replace the container")


@pytest.mark.parametrize(
    ("active", "loaded", "left"),
    [(True, True, []), (True, False, []), (False, True, ["org/a"])],
    ids=["serves", "not loaded", "all settled"],
)
def test_a_model_that_the_gateway_cannot_serve_is_refused_before_anything_is_paid(
    active: bool, loaded: bool, left: list[str]
) -> None:
    refusal = task(
        read_yaml(TASKS / "steps/preflight.yml"),
        "Refuse a swap after which the gateway could not be checked",
    )
    record = {"id": "7", "model": "org/a", "active": active, "loaded": loaded}
    variables = {
        "__hot_swap_models": [{"id": "org/a"}],
        "__hot_swap_gateway": {"gateway": {"devshards": [record]}},
    }
    assert evaluated(refusal["vars"]["__hot_swap_unchecked"], variables) == left
    paid = {"__hot_swap": {"mode": "temp", "started": ["start_temp", "seed_temp"]}}
    assert [evaluated("{{ " + when + " }}", paid) for when in refusal["when"]] == [True, False]
