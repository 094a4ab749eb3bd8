# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway-2-runtimes.json in its order; the third escrow, for another model, is made here."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.tests.contract._client import is_text_error, until
from ansible_collections.gonka.devshard.tests.contract._recordings import Exchange, load
from ansible_collections.gonka.devshard.tests.contract._story import Story

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")


def test_two_runtimes(story: Story) -> None:
    one, two = story.need("1", "2")
    story.need_runtimes(2)
    body = story.gateway.get("/v1/status").good()
    assert (body["mode"], body["runtimes"]) == ("gateway", 2)
    # by id as text
    assert [item["id"] for item in body["devshards"]] == sorted([one, two])
    for item in body["devshards"]:
        assert item["active"] is True
        assert item["phase"] == "active"
        assert item["active_requests"] == item["reserved_tokens"] == 0
        assert item["requests_blocked"] is False
        # a fresh session has no nonce key in this view
        assert "nonce" not in item
    assert set(body["capacity"]["escrow_weights"]) == {one, two}
    model = body["capacity"]["models"][story.target.model]
    assert model["routable"] is True
    assert model["active_devshards"] == model["routable_devshards"] == 2


def test_fresh_session_in_its_own_view(story: Story) -> None:
    """Here zero is printed, and balance is the deposit without the fee for creating."""
    (number,) = story.need("1")
    fee = int(story.chain.params()["devshard_escrow_params"]["create_devshard_fee"])
    status = story.status(number)
    assert (status["escrow_id"], status["nonce"]) == (number, 0)
    assert status["balance"] == story.target.amount - fee


def test_records(story: Story) -> None:
    for number in story.need("1", "2"):
        record = story.record(number)
        assert record["active"] is True
        assert record["private_key_env"] == "DEVSHARD_PRIVATE_KEY"
        assert record["model"] == story.target.model
        assert record["storage_path"] == f"{story.storage}/escrow-{number}"
        assert "private_key" not in record
        assert parse_time(record["created_at"]) <= parse_time(record["updated_at"])
        assert "rotation_role" not in record
        assert record["runtime"]["active"] is True


@pytest.mark.parametrize("exchange", load("gateway-2-runtimes"), ids=lambda exchange: exchange.id)
def test_recorded(story: Story, exchange: Exchange) -> None:
    story.need("1", "2")
    if exchange.name == "create_no_register":
        story.may_spend()
    answer = story.replay(exchange)
    if exchange.name == "create_no_register":
        story.minted("3", answer.json)
        assert story.ids["3"] not in story.records()
    if exchange.name == "add_adopt_3":
        assert answer.json["storage_path"] == f"{story.storage}/escrow-{story.ids['3']}"
    if exchange.name in ("access_public", "access_kimi", "settings_bad"):
        assert "model_limits" not in story.settings()


def test_status_by_any_method(story: Story) -> None:
    assert story.gateway.ask("POST", "/v1/status").good()["mode"] == "gateway"


def test_retired_runtime_still_counts(story: Story) -> None:
    """Loaded and not active: it has its view and its place in the list."""
    one, _unused, _unused = story.need("1", "2", "3")
    story.need_runtimes(3)
    body = story.gateway.get("/v1/status").good()
    item = next(item for item in body["devshards"] if item["id"] == one)
    assert item["active"] is False
    assert body["runtimes"] == 3
    assert story.status(one)["phase"] == "active"
    assert story.record(one)["active"] is False
    assert story.record(one)["runtime"]["active"] is False


def test_participants_are_the_escrows_hosts(story: Story) -> None:
    (number,) = story.need("1")
    escrow = story.chain.escrow(number)
    assert escrow is not None
    body = story.gateway.get(f"/v1/admin/devshards/{number}/participants", "admin").good()
    slots = {item["participant_key"]: item["slot_count"] for item in body["participants"]}
    assert slots == {host: escrow["slots"].count(host) for host in set(escrow["slots"])}
    assert body["participant_count"] == len(slots)


def test_activate_again_by_the_same_route(story: Story) -> None:
    """There is no /activate: the same POST, and a field `active` in it is unknown."""
    (number,) = story.need("1")
    body = {"id": number, "active": False}
    reply = story.gateway.post("/v1/admin/devshards", body).good()
    assert reply["active"] is True
    assert story.record(number)["active"] is True
    answer = story.gateway.post("/v1/admin/devshards", {"id": number})
    is_text_error(answer, 409, "devshard already active")
    story.gateway.post(f"/v1/admin/devshards/{number}/deactivate").good()


def test_import_of_a_loaded_one(story: Story) -> None:
    (number,) = story.need("1")
    body = {
        "id": number,
        "storage_path": f"{story.storage}/escrow-{number}",
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
    }
    answer = story.gateway.post("/v1/admin/devshards/import", body)
    is_text_error(answer, 409, f"devshard {number} already loaded")


def test_metrics_of_runtimes(story: Story) -> None:
    one, two = story.need("1", "2")
    text = story.gateway.get("/metrics").text
    model = story.target.model
    # 1 and 0: the first is deactivated by now
    for number, value in ((one, 0), (two, 1)):
        line = f'devshard_runtime_active{{devshard_id="{number}",model="{model}"}} {value}\n'
        assert line in text
        assert f'devshard_runtime_active_requests{{devshard_id="{number}",' in text
    assert f'devshard_gateway_escrow_weight{{devshard_id="{two}"}} ' in text


def test_chat_raised_the_nonce(story: Story) -> None:
    """One chat was answered by one of the two; the sum tells."""
    numbers = story.need("1", "2")
    until(
        lambda: sum(story.status(number)["nonce"] for number in numbers) > 0,
        "the session has a nonce",
    )
