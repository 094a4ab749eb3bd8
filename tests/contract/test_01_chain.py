# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""chain.md §1–§3: what can be read before any escrow exists."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.tests.contract._recordings import NO_ESCROW
from ansible_collections.gonka.devshard.tests.contract._story import INFERENCE, TXS, Story

# an address with a right checksum that nobody has a key to
NOBODY = "gonka1a6ylnnnwc90ummwnc9au2x4jkwhkq4fq64sg4v"


def test_escrow_params(story: Story) -> None:
    params = story.chain.params()["devshard_escrow_params"]
    strings = ("min_amount", "max_amount", "token_price", "create_devshard_fee", "fee_per_nonce")
    for name in (*strings, "refusal_timeout", "execution_timeout"):
        assert isinstance(params[name], str), name
        assert params[name].isdigit(), name
    for name in ("max_escrows_per_epoch", "group_size", "max_nonce", "validation_rate"):
        assert isinstance(params[name], int), name
    assert isinstance(params["devshard_requests_enabled"], bool)
    allowed = params["allowed_creator_addresses"]
    assert allowed == [] or story.creator in allowed
    assert isinstance(params["approved_versions"], list)


def test_epoch_params_are_strings(story: Story) -> None:
    params = story.chain.params()["epoch_params"]
    for name in ("epoch_length", "poc_stage_duration", "set_new_validators_delay"):
        assert isinstance(params[name], str), name
        assert params[name].isdigit(), name


def test_unknown_escrow_is_no_error(story: Story) -> None:
    answer = story.chain.rest.get(f"{INFERENCE}/devshard_escrow/{NO_ESCROW}")
    assert answer.good() == {"escrow": None, "found": False}


def test_account(story: Story) -> None:
    body = story.chain.rest.get(f"/cosmos/auth/v1beta1/accounts/{story.creator}").good()
    account = body["account"]
    assert account["address"] == story.creator
    assert account["account_number"].isdigit()
    assert account["sequence"].isdigit()


def test_account_that_does_not_exist(story: Story) -> None:
    answer = story.chain.rest.get(f"/cosmos/auth/v1beta1/accounts/{NOBODY}")
    assert answer.status == 404, answer
    assert answer.json["code"] == 5, answer
    assert answer.json["details"] == [], answer


def test_balances(story: Story) -> None:
    body = story.chain.rest.get(f"/cosmos/bank/v1beta1/balances/{story.creator}").good()
    coins = {coin["denom"]: coin["amount"] for coin in body["balances"]}
    assert coins["ngonka"].isdigit()
    assert int(coins["ngonka"]) == story.chain.balance(story.creator)


def test_balance_of_nobody_is_empty(story: Story) -> None:
    body = story.chain.rest.get(f"/cosmos/bank/v1beta1/balances/{NOBODY}").good()
    assert body["balances"] == []
    assert story.chain.balance(NOBODY) == 0


def test_unknown_transaction(story: Story) -> None:
    answer = story.chain.rest.get(f"{TXS}/{'0' * 64}")
    assert answer.status == 404, answer
    assert answer.json["code"] == 5, answer
    assert "not found" in answer.json["message"], answer


def test_node_and_its_index(story: Story) -> None:
    body = story.chain.rest.get("/cosmos/base/tendermint/v1beta1/node_info").good()
    node = body["default_node_info"]
    assert node["network"] == story.chain_id
    # without it the outcome of a transaction cannot be known, nor these tests be run
    assert node["other"]["tx_index"] == "on"


def test_head_is_fresh_and_the_same_on_rpc(story: Story) -> None:
    header = story.chain.header()
    result = story.chain.rpc.get("/status").good()["result"]
    sync = result["sync_info"]
    assert result["node_info"]["network"] == header["chain_id"] == story.chain_id
    assert isinstance(header["height"], str)
    assert isinstance(sync["latest_block_height"], str)
    assert int(sync["latest_block_height"]) >= int(header["height"])
    assert sync["catching_up"] is False
    age = datetime.now(timezone.utc) - parse_time(sync["latest_block_time"])
    assert abs(age) < timedelta(minutes=5)
    syncing = story.chain.rest.get("/cosmos/base/tendermint/v1beta1/syncing").good()
    assert syncing == {"syncing": False}


def test_empty_transaction_is_refused(story: Story) -> None:
    body = {"tx_bytes": "", "mode": "BROADCAST_MODE_SYNC"}
    reply = story.chain.rest.post(TXS, body, auth=None).good()["tx_response"]
    assert (reply["codespace"], reply["code"]) == ("sdk", 18), reply
    assert reply["raw_log"] == "must contain at least one message: invalid request"


# the public API, chain.md §3 and gateway.md §A


def test_latest_epoch(story: Story) -> None:
    body = story.chain.public.get("/v1/epochs/latest").good()
    assert int(body["block_height"]) > 0
    assert int(body["latest_epoch"]["index"]) > 0
    assert int(body["latest_epoch"]["poc_start_block_height"]) >= 0
    assert isinstance(body["phase"], str)
    assert isinstance(body.get("is_confirmation_poc_active", False), bool)
    for stages in (body["epoch_stages"], body["next_epoch_stages"]):
        assert int(stages["set_new_validators"]) > 0
        assert int(stages["next_poc_start"]) > 0


def test_participants_serve_the_model(story: Story) -> None:
    body = story.chain.public.get("/v1/epochs/current/participants").good()
    serving = [
        host
        for host in body["active_participants"]["participants"]
        if story.target.model in host["models"]
    ]
    assert serving
    for host in serving:
        assert host["index"].startswith("gonka1")
        assert host["inference_url"].startswith("http")
        nodes = [node for group in host["ml_nodes"] for node in group["ml_nodes"]]
        assert all(int(node["poc_weight"]) >= 0 for node in nodes)


def test_participant_has_a_url(story: Story) -> None:
    body = story.chain.public.get("/v1/epochs/current/participants").good()
    address = body["active_participants"]["participants"][0]["index"]
    found = story.chain.rest.get(f"{INFERENCE}/participant/{address}").good()["participant"]
    assert found["address"] == address
    assert found["inference_url"].startswith("http")


def test_governance_models(story: Story) -> None:
    answer = story.chain.public.get("/v1/governance/models")
    if answer.status == 404:
        pytest.skip("this stand-in for the public API has no /v1/governance/models")
    assert story.target.model in [item["id"] for item in answer.good()["models"]]
