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
