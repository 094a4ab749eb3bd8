# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §5 with gateway-rotation-*.json, driven by the settings alone.

The window before the epoch's switch is as long as `pre_poc_blocks` says: longer than the epoch,
and the gateway prepares; one block, and it finishes.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.tests.contract._client import until
from ansible_collections.gonka.devshard.tests.contract._recordings import between, one
from ansible_collections.gonka.devshard.tests.contract._story import KEY_ENV, Json, Story

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

# so many blocks must be left, or the epoch could change and cost two deposits more
_ENOUGH_BLOCKS = 300
TEMP = "rotation's temp"


@pytest.fixture(scope="module", autouse=True)
def rotation_off(story: Story) -> t.Iterator[None]:
    before = story.settings()["escrow_rotation"]
    yield
    # answered when the pass under way has ended
    story.post_settings(escrow_rotation={**before, "models": before.get("models", [])})


@pytest.mark.parametrize("name", ["rot_enable_bad_nomodels", "rot_enable_bad_amount"])
def test_recorded_refusals(story: Story, name: str) -> None:
    story.replay(one("gateway-rotation-prepare", name))
    assert story.settings()["escrow_rotation"]["enabled"] is False


def test_recorded_with_a_variable_that_does_not_exist(story: Story) -> None:
    """Accepted; only a create would find out. Right after the POST the chain's part is blank."""
    story.need_runtimes(0)
    try:
        for exchange in between("gateway-rotation-prepare", "rot_enable_bad_env", "rot_get0"):
            answer = story.replay(exchange)
        rotation = answer.json["settings"]
        assert rotation["enabled"] is True
        # the default, which never settles
        assert rotation["settlement_enabled"] is False
        (model,) = rotation["models"]
        assert model["private_key_env"] == "NOPE"
    finally:
        story.post_settings(escrow_rotation={"enabled": False, "models": []})


def chain(story: Story) -> Json | None:
    found: Json = story.gateway.get("/v1/debug/rotation", "admin").good()["chain"]
    return found if found["phase"] else None


def role(story: Story, wanted: str) -> Json | None:
    """The record that rotation made, once it is in the gateway's state."""
    found = [item for item in story.records().values() if item.get("rotation_role") == wanted]
    assert len(found) <= 1, found
    return found[0] if found else None


def stage(story: Story, name: str, record: Json) -> Json | None:
    """The stage that made a record; rows of earlier runs of these tests may be there."""
    body = story.gateway.get("/v1/debug/rotation", "admin").good()
    made = parse_time(record["created_at"])
    rows: list[Json] = [row for row in body["latest"] or [] if row["stage"] == name]
    return next((row for row in rows if parse_time(row["updated_at"]) >= made), None)


def test_recorded_prepare(story: Story) -> None:
    story.need_runtimes(0)
    story.may_spend(2)
    polled = until(lambda: chain(story), "the gateway knows the chain's height")
    if polled["blocks_to_epoch_switch"] < _ENOUGH_BLOCKS:
        pytest.skip("the epoch ends soon: rotation would make more escrows than are paid for")
    model = {
        "model_id": story.target.model,
        "temp_count": 1,
        "target_count": 1,
        "amount": story.target.amount,
        "private_key_env": KEY_ENV,
    }
    story.post_settings(
        escrow_rotation={
            "enabled": True,
            "settlement_enabled": True,
            "pre_poc_blocks": polled["blocks_to_epoch_switch"] + 10_000,
            "models": [model],
        }
    )
    record = until(lambda: role(story, "temp"), "rotation has made a temp")
    story.ids[TEMP] = story.new_escrow()
    assert record["id"] == story.ids[TEMP]
    row = until(lambda: stage(story, "prepare_temp", record), "the stage is in the status")
    assert record["rotation_epoch"] == row["epoch"] == polled["epoch_index"]
    assert record["active"] is True
    assert (row["role"], row["target_count"]) == ("temp", 1)
    assert (row["existing_count"], row["created_count"], row["promoted_count"]) == (0, 1, 0)
    assert row["completed"] is True
    assert "create_error" not in row
    for exchange in between("gateway-rotation-prepare", "rot_get_after", "state_after"):
        story.replay(exchange)


def test_recorded_finish(story: Story) -> None:
    temp = story.ids.get(TEMP)
    if temp is None or role(story, "temp") is None:
        pytest.skip("no temp was made")
    story.post_settings(escrow_rotation={"pre_poc_blocks": 1})
    record = until(lambda: role(story, "regular"), "rotation has made a regular")
    story.ids["regular"] = story.new_escrow()
    assert record["id"] == story.ids["regular"]
    row = until(lambda: stage(story, "finish_regular", record), "the stage is in the status")
    assert (row["role"], row["created_count"]) == ("regular", 1)
    assert (row["settled_count"], row["settle_failed_count"]) == (1, 0)
    assert row["completed"] is True
    answer = story.replay(one("gateway-rotation-finish", "rot_finish"))
    # newest first
    stages = [item["stage"] for item in answer.json["latest"]]
    assert stages[:2] == ["finish_regular", "prepare_temp"]
    # the temp was retired, finalized and settled
    story.settled(temp)
    assert story.record(temp)["active"] is False
    assert story.record(temp)["runtime"]["phase"] == "settlement"
    assert story.record(record["id"])["active"] is True


def test_off_again(story: Story) -> None:
    """What rotation made stays; turning it off is a barrier."""
    answered = story.post_settings(escrow_rotation={"enabled": False, "models": []})
    assert answered["escrow_rotation"]["enabled"] is False
    if TEMP in story.ids:
        story.forget(story.ids[TEMP])
