# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role ``retire`` refuses because of deposits."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_refusals import (
    evaluated,
    task_of,
)

ASSERT = "ansible.builtin.assert"
FIRST = task_of(
    "roles/retire/tasks/ask_first.yml",
    "Verify that the gateway has a record of each of its deposits",
)
LISTED = task_of(
    "roles/retire/tasks/ask_first.yml",
    "Verify that the chain listed every escrow of the creator",
)
LAST = task_of(
    "roles/retire/tasks/settle.yml", "Verify that every deposit of this creator is settled"
)
FIXED: Data = read_yaml(ROOT / "roles/retire/vars/main.yml")


def row(**changes: t.Any) -> Data:
    """One that this gateway made, in a gateway that got an older backup."""
    found = {
        "id": 12,
        "recorded": False,
        "on_chain": True,
        "settled": False,
        "foreign": False,
        "of_gateway": True,
    }
    return {**found, **changes}


def refusal(task: Data, *rows: Data, complete: bool = True, **given: t.Any) -> str | None:
    variables = {
        "inventory_hostname": "gateway1",
        "retire_leave_foreign": False,
        "__retire_asked": {"escrows": []},
        "__retire_escrows": {
            "escrows": list(rows),
            "complete": complete,
            "intents": [],
            "not_known": [] if complete else ["the index is off"],
        },
        **FIXED,
        **task.get("vars", {}),
        **given,
    }
    wanted = task[ASSERT]["that"]
    each = [wanted] if isinstance(wanted, str) else wanted
    passed = all(evaluated("{{ " + one + " }}", variables) for one in each)
    return None if passed else evaluated(task[ASSERT]["fail_msg"], variables)


@pytest.mark.parametrize("task", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("whose", [True, None])
def test_an_own_escrow_without_a_record_is_refused_with_the_way_out(
    task: Data, whose: bool | None
) -> None:
    told = refusal(task, row(of_gateway=whose))
    assert told is not None
    assert ": 12. " in told
    for way in ("state: imported", "escrow_adopt", "escrow_other_gateway_ids"):
        assert way in told


@pytest.mark.parametrize("task", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize(
    "changes",
    [
        {"of_gateway": False},
        {"settled": True},
        {"on_chain": False, "settled": None},
        {"recorded": True, "settled": True},
    ],
    ids=str,
)
def test_what_is_settled_or_another_gateways_is_not_refused(task: Data, changes: Data) -> None:
    assert refusal(task, row(**changes)) is None


@pytest.mark.parametrize("task", [FIRST, LAST], ids=["first", "last"])
def test_what_the_user_explained_is_not_refused(task: Data) -> None:
    assert refusal(task, row(), escrow_other_gateway_ids=["12"]) is None
    assert refusal(task, row(foreign=True)) is not None
    assert refusal(task, row(foreign=True), retire_leave_foreign=True) is None


@pytest.mark.parametrize("task", [LISTED, LAST], ids=["first", "last"])
def test_an_incomplete_list_proves_nothing(task: Data) -> None:
    assert refusal(task) is None
    assert refusal(task, complete=False) is not None


def test_what_this_run_settles_is_not_refused_before_it() -> None:
    assert refusal(FIRST, row(), __retire_asked={"escrows": [{"id": 12}]}) is None
    assert refusal(FIRST, row(recorded=True)) is None
    told = refusal(LAST, row(recorded=True), escrow_other_gateway_ids=[12])
    assert told is not None
    assert "Unsettled on the chain: 12." in told
    assert "escrow_adopt" not in told
