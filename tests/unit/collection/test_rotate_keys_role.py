# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role rotate_keys says: a key is new when a container has it, and not before."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_hot_swap_role import evaluated

ROLE = ROOT / "roles/rotate_keys"
VARIABLES = read_yaml(ROLE / "vars/main.yml")
ADMIN, CLIENTS = "DEVSHARD_ADMIN_API_KEY", "DEVSHARD_API_KEYS"


def report(
    made: list[str],
    unused: list[str],
    *,
    check: bool = False,
    keys: int = 1,
    droppable: bool = False,
) -> str:
    now = {"unused": unused, "client_keys": keys, "droppable": droppable}
    given = {
        "rotate_keys_pending": made,
        "__rotate_keys_now": now,
        "__rotate_keys_used": VARIABLES["__rotate_keys_used"],
        "ansible_check_mode": check,
        "devshard_env_file": "/d/config.devshard.env",
    }
    lines: list[str] = evaluated(VARIABLES["__rotate_keys_report"], given)
    return "\n".join(lines)


def test_what_the_swap_has_taken_into_use_is_new() -> None:
    told = report([ADMIN, CLIENTS], [], keys=2, droppable=True)
    assert f"new in /d/config.devshard.env and in the container: {ADMIN}, {CLIENTS}" in told
    assert "clients may use 2 keys" in told
    assert "client_drop" in told
    assert "hot_swap" not in told


@pytest.mark.parametrize("made", [[ADMIN, CLIENTS], []])
def test_what_still_waits_is_not_called_new(made: list[str]) -> None:
    """With --tags rotate_keys no swap is run; nor has an interrupted one replaced the container."""
    told = report(made, [ADMIN, CLIENTS], keys=2, droppable=True)
    assert (
        f"the earlier one is valid: {ADMIN}, {CLIENTS}. Run the playbook gonka.devshard.hot_swap"
        in told
    )
    assert "new in " not in told
    assert "clients may use" not in told


def test_a_part_may_be_in_use() -> None:
    told = report([ADMIN], [CLIENTS])
    assert f"in the container: {ADMIN}" in told
    assert f"valid: {CLIENTS}. Run" in told


def test_keys_in_an_order_that_nobody_knows_are_not_offered_to_be_dropped() -> None:
    assert report([ADMIN], [], keys=2) == (
        f"new in /d/config.devshard.env and in the container: {ADMIN}"
    )


def test_check_mode_tells_what_would_be_new() -> None:
    told = report([ADMIN], [ADMIN], check=True)
    assert told == f"would be new after the swap: {ADMIN}"
    assert report([], []) == report([], [], check=True) == "no key was made in this run"


def tasks_of(file: str) -> list[Data]:
    found: list[Data] = read_yaml(ROLE / "tasks" / file)
    return found


def test_the_report_looks_at_the_container_and_makes_nothing() -> None:
    look, said = tasks_of("report.yml")
    given = look["gonka.devshard.gateway_keys"]
    assert "container_name" in given
    assert look["check_mode"] is True
    assert said["vars"]["__rotate_keys_now"] == "{{ " + look["register"] + ".rotation }}"
    for item in (look, said):
        assert item["tags"] == ["rotate_keys"]


@pytest.mark.parametrize("mode", [None, "pool"])
def test_a_name_that_is_not_given_is_left_out_and_the_mode_of_the_swap_is_told(
    mode: str | None,
) -> None:
    """The module tells then under which name a rotation is continued."""
    made = [
        item["gonka.devshard.gateway_keys"]
        for file in ("preflight.yml", "main.yml")
        for item in tasks_of(file)
        if "gonka.devshard.gateway_keys" in item
    ]
    assert len(made) == 2
    assert not (ROLE / "defaults/main.yml").exists()
    told: dict[str, t.Any] = {} if mode is None else {"hot_swap_mode": mode}
    for given in made:
        assert evaluated(given["name"], {"omit": "left out"}) == "left out"
        assert given["swap_mode"] == "{{ __rotate_keys_swap_mode }}"
    assert evaluated(VARIABLES["__rotate_keys_swap_mode"], told) == (mode or "temp")


# the image

IMAGE: t.Final = "registry.example.org/gateway"
RUNS, NEW = f"{IMAGE}@sha256:{'1' * 64}", f"{IMAGE}@sha256:{'2' * 64}"
TASKS: t.Final = {task["name"]: task for task in read_yaml(ROLE / "tasks/preflight.yml")}
REFUSAL = TASKS["Refuse to change the image with the keys unless that is asked for"]
NOTICE = TASKS["Report that the swap changes the image too"]


def planned(target: str, *, origin: str = RUNS, steps: tuple[str, ...] = ("start_temp",)) -> Data:
    swap: Data = {"steps": list(steps), "record": {"image": f"{IMAGE}:1", "digest": RUNS}}
    if steps:
        swap |= {"origin": origin, "origin_shown": "the running one"}
        swap |= {"target": target, "target_shown": "the wanted one"}
    return {"swap": swap, "skipped": False}


def of_image(swap: Data, **given: t.Any) -> tuple[str | None, str | None]:
    """The refusal and the notice of a run."""
    variables = {
        **{name: text for name, text in VARIABLES.items() if name.startswith("__rotate_keys_")},
        "__rotate_keys_swap": swap,
        "inventory_hostname": "gw1",
        "gateway_image": f"{IMAGE}:2",
        **given,
    }
    assert REFUSAL["when"] == NOTICE["when"]
    if not evaluated("{{ " + REFUSAL["when"] + " }}", variables):
        return None, None
    (condition,) = REFUSAL["ansible.builtin.assert"]["that"]
    # Ansible evaluates it also where nothing is refused
    text = evaluated(REFUSAL["ansible.builtin.assert"]["fail_msg"], variables)
    if not evaluated("{{ " + condition + " }}", variables):
        return text, None
    return None, evaluated(NOTICE["ansible.builtin.debug"]["msg"], variables)


def test_keys_do_not_bring_another_image_unless_that_is_asked_for() -> None:
    refused, _notice = of_image(planned(NEW))
    assert refused is not None
    for part in ("runs the running one", "gateway_image names the wanted one"):
        assert part in refused
    # both ways out can be typed
    assert f"add -e hot_swap_image={RUNS} to" in refused
    assert f"add -e hot_swap_image={IMAGE}:2." in refused
    refused, notice = of_image(planned(NEW), hot_swap_image=f"{IMAGE}:2")
    assert refused is None
    assert notice == (
        "gw1: the swap also changes the image, from the running one to the wanted one (hot_swap_image)"
    )


def test_an_empty_image_is_as_good_as_none() -> None:
    """A survey gives an empty text for a question without an answer."""
    refused, notice = of_image(planned(NEW), hot_swap_image="")
    assert (refused is None, notice) == (False, None)
    plan = TASKS["Determine the image that the swap would start"]["gonka.devshard.swap_step"]
    given = {"hot_swap_image": "", "omit": "left out"}
    assert evaluated(plan["image"], {**given, "gateway_image": RUNS}) == RUNS
    assert evaluated(plan["image"], {**given, "gateway_image": ""}) == "left out"
    assert evaluated(plan["image"], given) == "left out"


@pytest.mark.parametrize(
    "swap",
    [
        planned(RUNS),
        planned(RUNS, origin=f"mirror.example.org/{RUNS}"),
        planned(RUNS, steps=()),
        {"skipped": True},
    ],
    ids=["the same", "by a mirror", "nothing to do", "not asked"],
)
def test_keys_alone_are_refused_by_no_image(swap: Data) -> None:
    assert of_image(swap) == (None, None)


@pytest.mark.parametrize(
    ("run", "skip", "swaps"),
    [
        (["all"], [], True),
        (["rotate_keys"], [], False),
        (["rotate_keys", "hot_swap"], [], True),
        (["all"], ["hot_swap"], False),
    ],
)
def test_the_image_matters_where_a_swap_is_run(
    run: list[str], skip: list[str], swaps: bool
) -> None:
    given = {"ansible_run_tags": run, "ansible_skip_tags": skip}
    assert evaluated(VARIABLES["__rotate_keys_swaps"], given) is swaps
