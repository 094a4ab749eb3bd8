# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway-0-runtimes.json in its order; the first two escrows are made here."""

from __future__ import annotations

import re

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import FEE
from ansible_collections.gonka.devshard.tests.contract._recordings import Exchange, load
from ansible_collections.gonka.devshard.tests.contract._story import Story, event_of

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

# the names of the recorded creates and the escrows that they made
MADE = {"create_nomodel": "1", "create_unknownmodel": "2"}


@pytest.mark.parametrize("exchange", load("gateway-0-runtimes"), ids=lambda exchange: exchange.id)
def test_recorded(story: Story, exchange: Exchange) -> None:
    if exchange.name in MADE:
        story.may_spend()
    before = story.chain.balance(story.creator)
    answer = story.replay(exchange)
    if exchange.name in MADE:
        reply = answer.json
        story.minted(MADE[exchange.name], reply)
        assert (type(reply["escrow_id"]), type(reply["id"])) == (int, str)
        assert reply["storage_path"].endswith(f"/escrow-{reply['id']}")
        story.storage = reply["storage_path"].rpartition("/")[0]
        assert reply["creator"] == story.creator
        # the field "model" is unknown and the default was used
        assert reply["model"] == story.target.model
        story.hashes.setdefault("tx_create", reply["tx_hash"])
        assert story.chain.balance(story.creator) == before - story.target.amount - FEE
    elif exchange.name == "create_toosmall":
        (story.hashes["tx_failed"],) = re.findall(r"\b[0-9A-F]{64}\b", answer.message)
        assert story.chain.balance(story.creator) == before - FEE
    else:
        assert story.chain.balance(story.creator) == before


def test_escrow_on_the_chain(story: Story) -> None:
    (number,) = story.need("1")
    escrow = story.chain.escrow(number)
    assert escrow is not None
    size = story.chain.params()["devshard_escrow_params"]["group_size"]
    assert escrow["id"] == number
    assert escrow["creator"] == story.creator
    assert escrow["amount"] == str(story.target.amount)
    assert escrow["model_id"] == story.target.model
    assert escrow["settled"] is False
    assert len(escrow["slots"]) == size
    assert escrow["epoch_index"].isdigit()


def test_transaction_of_the_create(story: Story) -> None:
    (number,) = story.need("1")
    tx = story.chain.tx(story.hashes["tx_create"])
    assert tx is not None
    assert tx["code"] == 0
    event = event_of(tx, "devshard_escrow_created")
    assert event["escrow_id"] == number
    assert event["creator"] == story.creator
    assert event["amount"] == str(story.target.amount)
    assert event["model_id"] == story.target.model
    assert event["epoch_index"].isdigit()


def test_creator_is_found_by_the_event(story: Story) -> None:
    newest = list(story.chain.created(story.creator))
    assert newest[:2] == list(reversed(story.need("1", "2")))
