# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role hot_swap decides in its own expressions, so that no swap gets stuck."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    doc_constants,
    read_yaml,
    run_ansible,
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


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"hot_swap_image": "g:2", "gateway_image": "g:1"}, "g:2"),
        # a survey gives an empty text for a question without an answer
        ({"hot_swap_image": "", "gateway_image": "g:1"}, "g:1"),
        ({"gateway_image": "g:1"}, "g:1"),
        ({"hot_swap_image": ""}, None),
        ({"hot_swap_image": "", "gateway_image": ""}, None),
        ({}, None),
    ],
)
def test_an_empty_image_is_none(given: Data, wanted: str | None) -> None:
    plan = task(read_yaml(TASKS / "swap.yml"), "Plan the steps")["gonka.devshard.swap_step"]
    assert evaluated(plan["image"], {**given, "omit": "(omitted)"}) == (wanted or "(omitted)")


@pytest.mark.parametrize(
    ("step", "state"), [("import_escrows", "imported"), ("activate", "active")]
)
def test_all_escrows_are_imported_and_activated_in_one_run_of_a_module(
    step: str, state: str
) -> None:
    (only,) = read_yaml(TASKS / f"steps/{step}.yml")
    assert only["gonka.devshard.swap_escrows"]["state"] == state
    assert "loop" not in only


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: [ROLE/vars/main.yml]
  tasks:
    - ansible.builtin.set_fact: {__hot_swap_at: its plan}
    - block:
        - ansible.builtin.include_tasks: {file: FAILING, apply: {tags: [x]}}
      rescue:
        - ansible.builtin.debug: {msg: "{{ 'stopped at ' ~ __hot_swap_at }}"}
"""
LOOP = """
- ansible.builtin.include_tasks: step.yml
  loop: [drain_main, replace_main, done]
  loop_control: {loop_var: __hot_swap_step, extended: true, extended_allitems: false}
"""
FAILS = "[{ansible.builtin.fail: {msg: x}}]\n"


@pytest.mark.parametrize("at", ["its plan", "preflight", "replace_main"])
def test_a_failure_is_reported_at_the_step_that_runs(tmp_path: Path, at: str) -> None:
    names = ("Record the step", "Run step preflight")
    preflight = [item for item in steps_of("swap.yml") if item["name"] in names]
    (tmp_path / "steps").mkdir()
    for step in ("preflight", "drain_main", "replace_main", "done"):
        (tmp_path / f"steps/{step}.yml").write_text(
            FAILS if step == at else "[{ansible.builtin.debug: {msg: x}}]\n"
        )
    (tmp_path / "step.yml").write_text((TASKS / "step.yml").read_text())
    texts = {
        "its plan": FAILS,
        "preflight": json.dumps(preflight),
        "replace_main": LOOP,
    }
    (tmp_path / "failing.yml").write_text(texts[at])
    play = tmp_path / "play.yml"
    play.write_text(PLAY.replace("ROLE", str(TASKS.parent)).replace("FAILING", "failing.yml"))
    variables = {"__hot_swap_run": "1", "__hot_swap_journal": "/j"}
    done = run_ansible("playbook", "-i", "localhost,", play, "--extra-vars", json.dumps(variables))
    assert f'"stopped at {at}"' in done.stdout, done.stdout + done.stderr


def test_no_step_decides_anything_but_what_the_operator_set() -> None:
    """What was started, done or noted is for the state machine, which the modules ask."""
    for file in sorted((TASKS / "steps").glob("*.yml")):
        text = file.read_text()
        for word in ("set_fact", ".started", ".done", ".data.", "from_json", "slurp"):
            assert word not in text, f"{file.name}: {word}"
        assert len(read_yaml(file)) <= 4, file.name


V2 = {"gateway_profile": "v2", "gateway_protocol": None}
V41 = {"gateway_profile": "v4.1", "gateway_protocol": "v4.1"}


@pytest.mark.parametrize(
    ("mode", "frozen", "back", "accounts"),
    [
        ("generation", V2, False, True),
        ("generation", V41, False, False),
        ("generation", V2, True, False),
        ("temp", V2, False, False),
    ],
)
def test_only_the_earlier_gateway_of_a_move_must_be_one_that_can_be_settled(
    mode: str, frozen: Data, *, back: bool, accounts: bool
) -> None:
    """Otherwise an escrow that cannot be settled would stop the way back, and the end of a move."""
    tasks = read_yaml(TASKS / "steps/freeze_rotation.yml")
    block = task(tasks, "Record what the account of the move begins with")
    swap = {
        "mode": mode,
        "generations": {"freeze_rotation": frozen},
        "temp_generation": V41,
        "rolling_back": back,
    }
    conditions = block["when"] if isinstance(block["when"], list) else [block["when"]]
    found = [evaluated("{{ " + one + " }}", {"__hot_swap": swap}) for one in conditions]
    assert all(found) is accounts


@pytest.mark.parametrize(
    ("problems", "named"),
    [
        ({12: {"kind": "timeout", "message": "few hosts answer"}}, ""),
        ({12: {"kind": "unsafe", "message": "the chain upgrades"}}, ""),
        ({12: {"kind": "unsafe", "message": "held back", "objection": "held"}}, ""),
        (
            {
                12: {"kind": "timeout", "message": "few hosts answer"},
                13: {"kind": "unsafe", "message": "not approved", "objection": "version"},
                14: {"kind": "unsafe", "message": "no session", "objection": "no_session"},
            },
            "13,14",
        ),
    ],
)
def test_only_what_can_never_be_settled_is_offered_to_be_given_up(
    problems: dict[int, Data], named: str
) -> None:
    check = task(
        read_yaml(TASKS / "earlier.yml"),
        "Verify that every escrow of the earlier generation can be settled",
    )
    escrows: list[Data] = [{"id": 11, "problem": None}]
    escrows += [{"id": number, "problem": problem} for number, problem in problems.items()]
    messages = [problem["message"] for problem in problems.values()]
    asked = {"__hot_swap_asked": {"escrows": escrows}}
    known = {**asked, **check["vars"], "__hot_swap_problems": messages}
    said = evaluated(check["ansible.builtin.assert"]["fail_msg"], known)
    assert said.startswith(". ".join(messages))
    assert ("hot_swap_given_up=" in said) is bool(named)
    assert f"hot_swap_given_up={named}:" in said or not named


def test_each_step_notes_in_the_journal_that_it_begins() -> None:
    noting = read_yaml(ROOT / "meta/runtime.yml")["action_groups"]["swap"]
    for step in Step:
        if step is Step.PREFLIGHT:
            continue
        tasks = read_yaml(TASKS / f"steps/{step.value}.yml")
        used = [
            item
            for item in tasks
            if any(f"gonka.devshard.{name}" in item for name in noting) and "when" not in item
        ]
        assert used, step
    # with the step before it
    (block,) = [item for item in read_yaml(TASKS / "step.yml") if "block" in item]
    given = block["module_defaults"]["group/gonka.devshard.swap"]
    assert set(given) == {"journal", "run", "step", "finished"}
    for loop, before in (({"previtem": "check_temp"}, "check_temp"), ({}, "")):
        assert evaluated(given["finished"], {"ansible_loop": loop}) == before


def test_a_failure_is_judged_by_the_state_machine() -> None:
    tasks = steps_of("failed.yml")
    (asked,) = [item for item in tasks if "gonka.devshard.swap_step" in item]
    assert asked["gonka.devshard.swap_step"]["state"] == "aftermath"
    (back,) = [item for item in tasks if "gonka.devshard.swap_rotation" in item]
    assert back["gonka.devshard.swap_rotation"]["state"] == "given_back"
    decided = f"{asked['register']}.swap.gives_rotation_back"
    assert back["when"] == ["not ansible_check_mode", decided]
    for at, given in (("its plan", "left out"), ("drain_main", "drain_main")):
        variables = {"__hot_swap_at": at, "omit": "left out"}
        assert evaluated(asked["gonka.devshard.swap_step"]["step"], variables) == given


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
    assert states == ["planned", "begun"]


def test_the_preflight_only_reads_until_all_was_asked() -> None:
    tasks = steps_of("steps/preflight.yml")
    (edge,) = [item for item in tasks if "gonka.devshard.edge_slot" in item]
    assert edge["check_mode"] is True
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
                    assert given["env_file"] == "{{ __hot_swap.temp_env }}", asked[-1]
    assert len(asked) > 5, asked


def asked_of(item: Data) -> t.Iterator[tuple[str, Data]]:
    """The modules of a task that ask a gateway with its admin key, and their options."""
    admin = read_yaml(ROOT / "meta/runtime.yml")["action_groups"]["admin"]
    for name, given in item.items():
        if name.startswith("gonka.devshard.") and name.rpartition(".")[2] in admin:
            yield name, given


def test_main_is_asked_with_the_keys_that_it_was_started_with_until_it_is_stopped() -> None:
    """An interrupted run may have written the next admin key before it replaced the container."""
    before = list(Step)[: list(Step).index(Step.REPLACE_MAIN)]
    tasks = [(step.value, item) for step in before for item in steps_of(f"steps/{step.value}.yml")]
    replace = steps_of("steps/replace_main.yml")
    writes = [item["name"] for item in replace].index("Replace the container")
    tasks += [("replace_main", item) for item in replace[:writes]]
    tasks += [("earlier", item) for item in steps_of("earlier.yml")]
    asked = []
    for where, item in tasks:
        for name, given in asked_of(item):
            if given.get("gateway_url") == "{{ __hot_swap_temp_url }}":
                continue
            assert given["env_file"] == "{{ __hot_swap.main_env }}", (where, name)
            asked.append(where)
    wanted = {"preflight", "freeze_rotation", "drain_main", "settle_main", "retire_main"}
    assert set(asked) == {*wanted, "replace_main", "earlier"}
    # behind the write the new container is asked, and the plan still names the file of the other
    later = [
        item
        for step in list(Step)[len(before) + 1 :]
        for item in steps_of(f"steps/{step.value}.yml")
    ]
    assert "main_env" not in str([*replace[writes:], *later])


def test_the_settings_are_copied_with_the_key_of_each_gateway() -> None:
    for step, file in (("start_temp", "main_env"), ("seed_main", "temp_env")):
        (copied,) = [
            item["gonka.devshard.swap_settings"]
            for item in steps_of(f"steps/{step}.yml")
            if "gonka.devshard.swap_settings" in item
        ]
        assert copied["source_env_file"] == "{{ __hot_swap." + file + " }}"


def test_the_rotation_is_given_back_with_the_key_of_what_runs() -> None:
    (back,) = [item for item in steps_of("failed.yml") if "gonka.devshard.swap_rotation" in item]
    given = back["gonka.devshard.swap_rotation"]
    assert given["env_file"] == "{{ __hot_swap_aftermath.swap.main_env }}"


def test_the_environment_is_compared_before_the_plan_and_written_before_the_replacement() -> None:
    tasks = steps_of("swap.yml")
    compare = next(item for item in tasks if "ansible.builtin.include_role" in item)
    assert compare["ansible.builtin.include_role"]["tasks_from"] == "preflight"
    names = [item["name"] for item in tasks]
    assert names.index(compare["name"]) < names.index("Plan the steps")
    assert "gonka.devshard.swap_sessions" in read_yaml(TASKS / "steps/replace_main.yml")[0]
    replaced = read_yaml(ROOT / "roles/gateway/tasks/replaced.yml")
    order = [item["name"] for item in replaced]
    written = "Write the environment and the compose file, and compare the container with them"
    started = "Start the container"
    assert order.index(written) < order.index(started)
    recreate = task(replaced, started)["community.docker.docker_compose_v2"]["recreate"]
    for drifted, given in ((True, "always"), (False, "never")):
        variables = {"__gateway_drift": {"drift": {"recreate": drifted}}}
        assert evaluated(recreate, variables) == given


def test_the_role_reads_only_what_the_plan_returns() -> None:
    """A name that is misspelt is found here, and not with a temporary gateway half started."""
    result = yaml.safe_load(doc_constants("swap_step")["RETURN"])
    returned = result["swap"]["contains"]
    files = [*(ROOT / "roles/hot_swap").rglob("*.yml"), *(ROOT / "roles/hot_swap").rglob("*.j2")]
    asked = {
        (file.name, name)
        for file in files
        for name in re.findall(r"(?:__hot_swap|\.swap)\.([a-z_]+)", file.read_text())
    }
    assert len(asked) > 10
    assert [(file, name) for file, name in sorted(asked) if name not in returned] == []


# to another generation

VARIABLES = read_yaml(ROOT / "roles/hot_swap/vars/main.yml")


@pytest.mark.parametrize(
    ("counts", "temp_count", "temp", "main"),
    [
        ([2], 1, [1], [1]),
        ([5], 1, [4], [1]),
        # one that is alone has to be served by both for a while
        ([1], 1, [1], [1]),
        ([3], 4, [4], [1]),
        ([2, 0, 3], 1, [1, 2], [1, 1]),
    ],
)
@pytest.mark.parametrize("mode", ["generation", "temp"])
def test_the_new_generation_gets_as_many_escrows_as_the_models_want(
    mode: str, counts: list[int], temp_count: int, temp: list[int], main: list[int]
) -> None:
    models = [{"id": str(n), "amount": 7, "count": count} for n, count in enumerate(counts)]
    given = {
        "devshard_models": models,
        "hot_swap_mode": mode,
        "hot_swap_temp_count": str(temp_count),
        "__hot_swap_wanted": VARIABLES["__hot_swap_wanted"],
    }
    needs = evaluated(VARIABLES["__hot_swap_needs"], given)
    of_main = evaluated(VARIABLES["__hot_swap_main_needs"], given)
    if mode == "temp":
        temp, main = [temp_count] * len(temp), []
    assert [(need["count"], need["amount"]) for need in needs] == [(count, 7) for count in temp]
    assert [need["count"] for need in of_main] == main
    if main:
        ids = [need["model_id"] for need in needs]
        assert [need["model_id"] for need in of_main] == ids


@pytest.mark.parametrize(
    ("given", "noted", "ids"),
    [
        ([], [], []),
        ([7, 8], [], [7, 8]),
        ("7,8", [], [7, 8]),
        ("[7, 8]", [8], [7, 8]),
        # a run that goes on need not be given them again
        ([], [7], [7]),
    ],
)
def test_what_is_given_up_is_a_list_of_ids_however_it_is_given(
    given: t.Any, noted: list[int], ids: list[int]
) -> None:
    told = {"hot_swap_given_up": given, "__hot_swap": {"given_up": noted}}
    assert sorted(evaluated(VARIABLES["__hot_swap_given_up"], told)) == ids


def test_no_limit_of_a_single_run_stops_a_move_in_the_middle() -> None:
    """A model may want any number of escrows, and the wallet was asked before."""
    steps = read_yaml(TASKS / "steps/seed_temp.yml")
    (pays,) = [item["gonka.devshard.escrow"] for item in steps if "gonka.devshard.escrow" in item]
    for count in (1, 4, 9):
        limit = evaluated(pays["max_creates_per_run"], {"__hot_swap_item": {"count": count}})
        assert int(limit) >= count
