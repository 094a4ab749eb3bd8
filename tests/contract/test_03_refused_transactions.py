# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""chain.md §2.5: signed by the CLI, and refused by the chain. No deposit is locked here."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.tests.contract._cli import (
    FEE,
    Cli,
    Json,
    a_little_later,
    with_gas,
    with_timeout,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import plain
from ansible_collections.gonka.devshard.tests.contract._shape import CHAIN, differences
from ansible_collections.gonka.devshard.tests.contract._story import Story


@pytest.fixture(scope="module")
def unsigned(signing: Cli, story: Story) -> Json:
    """A create that would cost a deposit if it were signed rightly and sent."""
    target = story.target
    return signing.unsigned("create-devshard-escrow", str(target.amount), target.model)


@pytest.fixture(scope="module")
def account(story: Story) -> int:
    return story.chain.account_number(story.creator)


def test_unsigned_create(unsigned: Json, story: Story) -> None:
    (message,) = unsigned["body"]["messages"]
    assert message == {
        "@type": "/inference.inference.MsgCreateDevshardEscrow",
        "creator": story.creator,
        "amount": str(story.target.amount),
        "model_id": story.target.model,
    }
    assert unsigned["body"]["unordered"] is True
    ends = parse_time(unsigned["body"]["timeout_timestamp"])
    now = parse_time(story.chain.header()["time"])
    assert now < ends < now + timedelta(minutes=5)
    assert unsigned["auth_info"]["signer_infos"] == []
    assert unsigned["signatures"] == []


def refused(story: Story, signing: Cli, tx: Json, account: int, **sign: object) -> Json:
    before = story.chain.balance(story.creator)
    signed = signing.signed(tx, account, **sign)  # type: ignore[arg-type]
    reply = story.chain.broadcast(signed)
    assert reply["code"] != 0, reply
    assert reply["txhash"] == signed.tx_hash
    assert story.chain.tx(signed.tx_hash) is None
    assert story.chain.balance(story.creator) == before
    return reply


def test_expired(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    recorded = story.recorded("inferenced", "broadcast_expired").response["json"]["tx_response"]
    past = parse_time(story.chain.header()["time"]) - timedelta(seconds=2)
    reply = refused(story, signing, with_timeout(unsigned, past), account)
    assert not differences([recorded], reply, CHAIN)
    assert (reply["codespace"], reply["code"]) == ("sdk", 42)
    assert plain(reply["raw_log"]) == plain(recorded["raw_log"])


def test_with_a_sequence(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    recorded = story.recorded("inferenced", "broadcast_signed_online").response["json"][
        "tx_response"
    ]
    reply = refused(story, signing, a_little_later(unsigned, 1), account, sequence=1)
    assert not differences([recorded], reply, CHAIN)
    assert (reply["codespace"], reply["code"]) == ("sdk", 18)
    assert reply["raw_log"] == recorded["raw_log"]


def test_lifetime_too_long(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    ends = parse_time(story.chain.header()["time"]) + timedelta(minutes=12)
    reply = refused(story, signing, with_timeout(unsigned, ends), account)
    assert reply["code"] == 18
    assert "unordered tx ttl exceeds 10m0s" in reply["raw_log"]


def test_another_chain(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    tx = a_little_later(unsigned, 2)
    reply = refused(story, signing, tx, account, chain_id="another-chain-1")
    assert reply["code"] == 4
    assert "signature verification failed" in reply["raw_log"]


def test_another_account_number(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    reply = refused(story, signing, a_little_later(unsigned, 3), account + 1)
    assert reply["code"] == 4
    assert "signature verification failed" in reply["raw_log"]


def test_out_of_gas_costs_the_fee(story: Story, signing: Cli, unsigned: Json, account: int) -> None:
    """The mempool lets it pass; the block refuses it, and the fee is gone."""
    before = story.chain.balance(story.creator)
    signed = signing.signed(with_gas(a_little_later(unsigned, 4), 100_000), account)
    assert story.chain.broadcast(signed)["code"] == 0
    tx = story.chain.included(signed.tx_hash)
    assert (tx["code"], tx["codespace"]) == (11, "sdk")
    assert "out of gas in location: " in tx["raw_log"]
    assert story.chain.balance(story.creator) == before - FEE
