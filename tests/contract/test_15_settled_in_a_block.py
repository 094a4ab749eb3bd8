# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway-v4.1.md §4: one escrow from its create to its end, with the answers that 4.1 gives.

By reading: nothing was recorded of this generation. Run it against a real one before trusting it.
"""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import (
    Answer,
    is_text_error,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._story import KEY_ENV, Story, event_of

pytestmark = pytest.mark.profiles("v4.1")
CREATE = "/v1/admin/escrows"
DEVSHARDS = "/v1/admin/devshards"


@pytest.fixture(scope="module")
def prefix(story: Story) -> str:
    """Of the target's own rotation records and new sessions, as its first escrow shows."""
    (number,) = story.need("1")
    version = story.record(number)["runtime"]["session_version"]
    return f"/devshard/{version}"


def create(story: Story, name: str, **more: str) -> str:
    story.may_spend()
    body = {"amount": story.target.amount, "model_id": story.target.model, **more}
    number = story.minted(name, story.gateway.post(CREATE, body, timeout=300).good())
    until(
        lambda: (
            story.record(number)["runtime"].get("nonce", 0) >= 1
            and not story.record(number)["runtime"]["pending_race_cleanup"]
        ),
        f"{number} is warm",
    )
    return number


def test_refused_before_anything_is_paid(story: Story) -> None:
    story.open_models("api_key", "open")
    before = story.chain.balance(story.creator)
    for path, text in (
        ("/elsewhere", "storage_path must be relative to the gateway base dir"),
        ("../elsewhere", "storage_path must not contain .."),
    ):
        body = {"amount": story.target.amount, "storage_path": path}
        is_text_error(story.gateway.post(CREATE, body), 400, text)
    assert story.chain.balance(story.creator) == before


def test_create_warms_up(story: Story) -> None:
    """§4.1: nonce 1 without any client, so that what is spent is not always a client's."""
    number = create(story, "1")
    record = story.record(number)
    assert "private_key" not in record
    runtime = record["runtime"]
    assert {"pending_race_cleanup", "active_requests", "session_version"} <= set(runtime)
    assert runtime["balance"] < story.target.amount


def test_the_prefix_is_kept_when_it_is_told(story: Story, prefix: str) -> None:
    (first,) = story.need("1")
    number = create(story, "2", route_prefix=prefix)
    assert story.record(number)["route_prefix"] == prefix
    assert "route_prefix" not in story.record(first)


def test_chat(story: Story) -> None:
    for number in story.need("1", "2"):
        assert story.chat(devshard=number).status == 200
        answer = story.chat(devshard=number, stream=True)
        assert answer.text.endswith("data: [DONE]\n\n")


def test_busy_settle(story: Story) -> None:
    """§4.5: the 409 takes the escrow out of service and settles it later; face 4.0 does not."""
    (number,) = story.need("1")
    with story.held(), story.under_way(lambda: Story(story.target).chat(devshard=number)) as chat:
        while_busy(story, number, chat)
    assert chat.result().status == 200
    if story.profile.face == "4.0":
        return
    story.settled(number)
    until(lambda: "runtime" not in story.record(number), f"{number} is unloaded")


def while_busy(story: Story, number: str, chat: Future[Answer]) -> None:
    until(lambda: story.record(number)["runtime"]["active_requests"], "a request is under way")
    answer = story.gateway.post(f"{DEVSHARDS}/{number}/settle", {})
    is_text_error(answer, 409, f"devshard {number} has active requests")
    record = story.record(number)
    kept = story.profile.face == "4.0"
    assert (record["active"], record.get("settlement_pending", False)) == (kept, not kept)
    assert not chat.done()


def test_deactivate_twice(story: Story) -> None:
    (number,) = story.need("2")
    story.gateway.post(f"{DEVSHARDS}/{number}/deactivate").good()
    until(lambda: "runtime" not in story.record(number), f"{number} is unloaded")
    answer = story.gateway.post(f"{DEVSHARDS}/{number}/deactivate")
    is_text_error(answer, 404, f"devshard {number} is not active")
    found = story.gateway.get(f"/devshard/{number}/v1/status", "admin")
    assert found.headers["X-Devshard-Readonly"] == "1"
    found = story.gateway.get(f"/devshard/{number}/v1/status")
    assert found.headers["X-Devshard-Metadata-Only"] == "1"
    assert found.good()["metadata_only"] is True


def test_settle_answers_when_it_is_done(story: Story) -> None:
    """§4.5: 200 only after inclusion; the refund is the event's remainder."""
    (number,) = story.need("2")
    before = story.chain.balance(story.creator)
    reply = story.gateway.post(f"{DEVSHARDS}/{number}/settle", {}, timeout=1200).good()
    escrow = story.chain.escrow(number)
    assert escrow is not None
    assert escrow["settled"] is True
    event = event_of(story.chain.included(reply["tx_hash"]), "devshard_escrow_settled")
    refund = int(event["remainder"]) - story.settle_fee
    assert story.chain.balance(story.creator) == before + refund


def test_settle_of_a_settled_escrow(story: Story) -> None:
    (number,) = story.need("2")
    answer = story.gateway.post(f"{DEVSHARDS}/{number}/settle", {}, timeout=1200)
    is_text_error(answer, 502)
    assert f"escrow {number} already settled" in answer.message


def test_add_by_other_names(story: Story) -> None:
    (number,) = story.need("2")
    body = {"escrow_id": number, "model_id": story.target.model, "private_key_env": KEY_ENV}
    is_text_error(story.gateway.post(DEVSHARDS, body), 400, "id is required")
