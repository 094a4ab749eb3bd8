# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.11 with gateway-chat-settle.json; and a settlement that needs no gateway."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import Cli
from ansible_collections.gonka.devshard.tests.contract._client import Answer, is_text_error, until
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    Exchange,
    between,
    one,
)
from ansible_collections.gonka.devshard.tests.contract._shape import GATEWAY, differences
from ansible_collections.gonka.devshard.tests.contract._story import (
    Json,
    Story,
    attributes,
    event_of,
)

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")


@pytest.fixture(scope="module", autouse=True)
def opened(story: Story) -> None:
    """As recorded: the default model with a key, the other for everybody."""
    story.need("1", "2", "3")
    story.open_models("api_key", "open")


# in order: idle, then with a request under way, then the end of escrow 2


@pytest.mark.parametrize(
    "exchange",
    between("gateway-chat-settle", "access_bogus", "chat_nomsg"),
    ids=lambda exchange: exchange.id,
)
def test_recorded_before(story: Story, exchange: Exchange) -> None:
    story.replay(exchange)


def test_recorded_with_a_request_under_way(story: Story) -> None:
    """A request that a host has and that has no answer yet; nothing cuts it."""
    (number,) = story.need("2")
    with story.held(), story.under_way(lambda: Story(story.target).chat(devshard=number)) as chat:
        replay_while_busy(story, number)
        assert not chat.done()
    assert chat.result().status == 200


def replay_while_busy(story: Story, number: str) -> None:
    until(lambda: story.record(number)["runtime"]["active_requests"], "a request is under way")
    for exchange in between("gateway-chat-settle", "settle_busy", "delete_busy"):
        story.replay(exchange)
    assert story.record(number)["runtime"]["active_requests"] == 1
    # of this one the recorder kept only the body
    recorded = story.recorded("gateway-chat-settle", "state_inflight").response
    state = story.gateway.get("/v1/admin/state", "admin").good()
    assert not differences([recorded["body"]], state, GATEWAY)
    assert state["limiter"]["in_flight_requests"] == 1


@pytest.mark.parametrize(
    "exchange",
    [
        one("gateway-chat-settle", "deactivate_busy"),
        *between("gateway-chat-settle", "chat_inactive", "delete_settled"),
    ],
    ids=lambda exchange: exchange.id,
)
def test_recorded_after(story: Story, exchange: Exchange) -> None:
    (number,) = story.need("2")
    before = story.chain.balance(story.creator)
    answer = story.replay(exchange, timeout=1200)
    if exchange.name == "finalize":
        check_settlement(story, number, answer)
        assert story.record(number)["active"] is False
    if exchange.name == "settle":
        story.hashes["tx_settle"] = answer.json["tx_hash"]
        assert (type(answer.json["escrow_id"]), type(answer.json["id"])) == (int, str)
        assert answer.json["settler"] == story.creator
        story.settled(number)
        refund = story.chain.balance(story.creator) - before
        event = event_of(story.chain.included(story.hashes["tx_settle"]), "devshard_escrow_settled")
        assert refund == int(event["remainder"]) - story.settle_fee
    if exchange.name == "settle_again":
        # 200 all the same; only the chain tells, and the fee is spent
        story.hashes["tx_settle_again"] = answer.json["tx_hash"]
        tx = story.chain.included(answer.json["tx_hash"])
        assert (tx["code"], tx["codespace"]) == (1, "undefined")
        assert f"escrow {number} already settled" in tx["raw_log"]
        assert story.chain.balance(story.creator) == before - story.settle_fee


def check_settlement(story: Story, number: str, answer: Answer) -> Json:
    """§1.11: no newline at the end, one entry for each slot, quorum, and what it costs."""
    assert not answer.body.endswith(b"\n"), answer
    body: Json = answer.json
    params = story.chain.params()["devshard_escrow_params"]
    slots = params["group_size"]
    assert body["escrow_id"] == number
    assert isinstance(body["nonce"], int)
    assert isinstance(body["version"], str)
    approved = [entry for entry in params["approved_versions"] if isinstance(entry, str)]
    assert not approved or body["version"] in approved
    assert sorted(entry["slot_id"] for entry in body["host_stats"]) == list(range(slots))
    signers = [entry["slot_id"] for entry in body["signatures"]]
    assert len(signers) == len(set(signers)) >= 2 * slots // 3 + 1
    assert len(base64.b64decode(body["state_root"], validate=True)) == 32
    assert len(base64.b64decode(body["rest_hash"], validate=True)) == 32
    for entry in body["signatures"]:
        base64.b64decode(entry["signature"], validate=True)
    # the rounds of finalizing, one more than there are slots, are not charged
    charged = body["nonce"] - (slots + 1)
    fees = int(params["create_devshard_fee"]) + int(params["fee_per_nonce"]) * charged
    assert body["fees"] == fees
    return body


def test_private_key_in_a_record_is_shown_in_clear(story: Story) -> None:
    """§1.8: the reason to give a variable's name; the record goes with its escrow below."""
    (number,) = story.need("2")
    story.deactivate(number)
    key = story.target.creator_key
    story.gateway.post("/v1/admin/devshards", {"id": number, "private_key": key}).good()
    assert story.record(number)["private_key"] == key


# escrow 1: finalized by the gateway, settled by the CLI


@pytest.fixture(scope="module")
def settlement(story: Story) -> Json:
    (number,) = story.need("1")
    path = f"/devshard/{number}/v1/finalize"
    answer = story.gateway.post(path, timeout=1200)
    answer.good()
    assert answer.headers["X-Devshard-ID"] == number
    return check_settlement(story, number, answer)


def test_finalize_is_answered_again(story: Story, settlement: Json) -> None:
    (number,) = story.need("1")
    path = f"/devshard/{number}/v1/finalize"
    for answer in (story.gateway.post(path, timeout=1200), story.gateway.get(path, "admin")):
        again = answer.good()
        assert {**again, "signatures": [], "host_stats": []} == {
            **settlement,
            "signatures": [],
            "host_stats": [],
        }
    assert story.status(number)["phase"] == "settlement"
    assert story.record(number)["runtime"]["phase"] == "settlement"


def test_signatures_after_finalize(story: Story, settlement: Json) -> None:
    (number,) = story.need("1")
    body = story.gateway.get(f"/devshard/{number}/v1/debug/signatures", "admin").good()
    assert body["current_nonce"] == settlement["nonce"]
    assert body["has_quorum"] is True
    assert body["highest_quorum_nonce"] == settlement["nonce"]
    assert body["quorum_threshold"] == 2 * body["total_slots"] // 3 + 1


def test_collecting_signatures(story: Story, settlement: Json) -> None:
    (number,) = story.need("1")
    path = f"/devshard/{number}/v1/debug/signatures/collect"
    nonce = settlement["nonce"]
    body = story.gateway.post(f"{path}?nonce={nonce}").good()
    assert set(body) == {"has_quorum", "nonce", "quorum_threshold", "sig_weight", "total_slots"}
    assert (body["nonce"], body["has_quorum"]) == (nonce, True)
    is_text_error(story.gateway.post(path), 400, "missing 'nonce' query parameter")
    is_text_error(story.gateway.post(f"{path}?nonce=x"), 400, "invalid 'nonce' parameter")
    ahead = story.gateway.post(f"{path}?nonce={nonce + 1}")
    is_text_error(ahead, 400, f"nonce {nonce + 1} is ahead of current nonce {nonce}")


@pytest.mark.usefixtures("settlement")
def test_finalized_session_serves_nobody(story: Story) -> None:
    """Also when its record is made active again."""
    (number,) = story.need("1")
    path = f"/devshard/{number}/v1/debug/sync-hosts"
    assert story.gateway.post(path).status == 500
    story.gateway.post("/v1/admin/devshards", {"id": number}).good()
    message = f"devshard {number} is unavailable for new inferences: phase=settlement"
    is_text_error(story.chat(devshard=number), 409, message)
    story.deactivate(number)


def test_settlement_is_portable(story: Story, signing: Cli, settlement: Json) -> None:
    """The file of the finalize and the creator's key are enough for the refund."""
    (number,) = story.need("1")
    file = signing.home / "settlement.json"
    file.write_text(json.dumps(settlement))
    recorded = story.recorded("inferenced", "settle_generate_only").data["stdout"]
    unsigned = signing.unsigned("settle-devshard-escrow", str(file), gas=1_000_000)
    (message,) = unsigned["body"]["messages"]
    # the recording is cut in the signatures; the block's copy of the message is whole
    sample = one("chain", "tx_settle").response["body"]["tx"]
    assert '"@type":"/inference.inference.MsgSettleDevshardEscrow"' in recorded
    assert not differences([sample["body"]["messages"][0]], message)
    assert (message["settler"], message["escrow_id"]) == (story.creator, number)
    before = story.chain.balance(story.creator)
    signed = signing.signed(unsigned, story.chain.account_number(story.creator))
    assert story.chain.broadcast(signed)["code"] == 0
    again = story.chain.broadcast(signed)
    assert (again["codespace"], again["code"]) == ("sdk", 19)
    tx = story.chain.included(signed.tx_hash)
    assert tx["code"] == 0, tx["raw_log"]
    assert story.settled(number)["settled"] is True
    after = story.chain.broadcast(signed)
    assert (after["codespace"], after["code"]) == ("sdk", 19)
    event = event_of(tx, "devshard_escrow_settled")
    assert event["settler"] == story.creator
    # total_payout holds the fees too
    assert int(event["total_payout"]) + int(event["remainder"]) == story.target.amount
    assert event["fees"] == str(settlement["fees"])
    assert story.chain.balance(story.creator) == before + int(event["remainder"]) - story.settle_fee
    assert [attributes(item) for item in tx["events"] if item["type"] == "tx"]


def test_status_knows_settled_ones_too(story: Story) -> None:
    """The gateway does not look whether an escrow is settled; its records stay."""
    recorded = one("gateway-2-runtimes", "status_after_deact").response["json"]
    assert not differences([recorded], story.gateway.get("/v1/status").good(), GATEWAY)
    assert set(story.need("1", "2", "3")) <= set(story.records())
