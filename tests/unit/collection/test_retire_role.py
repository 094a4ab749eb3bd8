# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role ``retire`` refuses because of deposits."""

from __future__ import annotations

import base64
import json
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
        "absence": None,
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
        {"on_chain": False, "settled": None, "absence": "unknown"},
        {"on_chain": False, "settled": True, "absence": "settled"},
        {"recorded": True, "settled": True},
    ],
    ids=str,
)
def test_what_is_settled_or_another_gateways_is_not_refused(task: Data, changes: Data) -> None:
    assert refusal(task, row(**changes)) is None


@pytest.mark.parametrize("recorded", [True, False])
def test_one_that_the_node_does_not_show_is_not_taken_for_settled(recorded: bool) -> None:
    hidden = {"on_chain": False, "settled": None, "absence": "not_shown"}
    told = refusal(LAST, row(recorded=recorded, **hidden))
    assert told is not None
    assert "Unsettled: 12." in told


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
    assert "Unsettled: 12." in told
    assert "escrow_adopt" not in told


def test_what_is_left_after_the_last_proof_needs_no_gateway() -> None:
    """The archive may fail once; the next run finds the note and goes on behind the drain."""
    settle: list[Data] = read_yaml(ROOT / "roles/retire/tasks/settle.yml")
    stop: list[Data] = read_yaml(ROOT / "roles/retire/tasks/stop.yml")
    proof, note = settle[-2:]
    assert proof["name"] == LAST["name"]
    assert note["ansible.builtin.copy"]["dest"] == "{{ __retire_note }}"
    assert note["vars"]["__retire_noting"]["stage"] == "settled"
    asking = [task for task in stop if any(key.startswith("gonka.devshard.") for key in task)]
    drain, archive = asking
    assert drain["when"] == "'settle' in __retire_plan.steps"
    assert "gonka.devshard.gateway_backup" in archive
    texts = json.dumps(stop)
    assert "settlement_" not in texts


def test_the_last_note_has_what_the_earlier_run_settled() -> None:
    known = {"settled": [{"id": 11}], "left_to_others": []}
    content = base64.b64encode(json.dumps({"stage": "settled", **known}).encode()).decode()
    resumed = {"__retire_plan": {"steps": ["stop"]}, "__retire_noted": {"content": content}}
    found = evaluated(FIXED["__retire_outcome"], resumed)
    assert (found["settled"], found["left_to_others"]) == ([{"id": 11}], [])
    whole = {
        "__retire_plan": {"steps": ["settle", "stop"]},
        "settlement_escrows": [{"id": 12}],
        "settlement_foreign": [],
    }
    assert evaluated(FIXED["__retire_outcome"], whole)["settled"] == [{"id": 12}]


@pytest.mark.parametrize(
    ("storage", "refused"),
    [
        ("/srv/gonka/devshard-gateway/.devshardctl", False),
        ("/srv/gonka/devshard-gateway-data", False),
        ("/data/gateway", False),
        ("/srv/gonka/devshard-gateway", True),
        ("/srv/gonka/devshard-gateway/", True),
        ("/srv/gonka", True),
    ],
)
def test_a_storage_that_holds_the_deploy_directory_is_not_removed(
    storage: str, refused: bool
) -> None:
    """The one that gateway_storage_dir names, or that the owner of an adopted gateway made."""
    check = task_of(
        "roles/retire/tasks/preflight.yml",
        "Refuse to remove a storage that holds the deploy directory",
    )
    assert check["when"] == "'remove' in __retire_plan.steps"
    presence = {"record": {"storage": storage}}
    given: Data = {
        "devshard_presence": presence,
        "devshard_deploy_dir": "/srv/gonka/devshard-gateway",
    }
    told = refusal(check, **given)
    assert (told is not None) is refused
    assert told is None or "would remove more than the state" in told


def test_the_settings_of_the_settlement_are_checked_before_clients_are_turned_away() -> None:
    (settle,) = [
        task
        for task in read_yaml(ROOT / "roles/retire/tasks/settle.yml")
        if "ansible.builtin.include_role" in task
    ]
    role = settle["ansible.builtin.include_role"]["name"].rpartition(".")[2]
    checked = read_yaml(ROOT / "roles/devshard/vars/main.yml")["__devshard_play_roles"]
    assert role in checked["retire"]
