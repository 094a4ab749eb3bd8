# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""chain.json in its order: by now the transactions and escrows that it asks for exist."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import Cli
from ansible_collections.gonka.devshard.tests.contract._client import JSON, Answer
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    CREATOR,
    NO_ESCROW,
    Exchange,
    load,
    plain,
)
from ansible_collections.gonka.devshard.tests.contract._shape import CHAIN, differences
from ansible_collections.gonka.devshard.tests.contract._story import INFERENCE, TXS, Story

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

_FOUND = ("tx_create", "tx_failed", "tx_settle", "tx_settle_again")


def path_of(story: Story, exchange: Exchange) -> str:
    """The recorded path, with what this run made."""
    path = str(exchange.request["path"]).replace(CREATOR, story.creator)
    if exchange.name in _FOUND:
        if exchange.name not in story.hashes:
            pytest.fail(f"no test before sent the transaction {exchange.name}")
        return f"{TXS}/{story.hashes[exchange.name]}"
    if exchange.name in ("escrow_settled", "escrow_found"):
        (number,) = story.need("2" if exchange.name == "escrow_settled" else "3")
        return f"{INFERENCE}/devshard_escrow/{number}"
    if exchange.name == "participant":
        escrow = story.chain.escrow(story.need("3")[0])
        assert escrow is not None
        return f"{INFERENCE}/participant/{escrow['slots'][0]}"
    return path.replace("/99999", f"/{NO_ESCROW}")


def ask(story: Story, exchange: Exchange) -> Answer:
    story.saw(exchange)
    service = story.chain.rpc if exchange.name.startswith("rpc_") else story.chain.rest
    return service.ask(exchange.request["method"], path_of(story, exchange))


@pytest.mark.parametrize("exchange", load("chain"), ids=lambda exchange: exchange.id)
def test_recorded(story: Story, exchange: Exchange) -> None:
    answer = ask(story, exchange)
    recorded = exchange.response
    assert answer.status == recorded["status"], answer
    assert answer.kind == recorded.get("content_type", JSON), answer
    for line in recorded.get("headers", []):
        assert line.partition(":")[0] in answer.headers, (line, dict(answer.headers))
    wrong = differences([recorded["body"]], answer.json, CHAIN)
    assert not wrong, (wrong, answer)
    if recorded["status"] != 200:
        assert answer.json["code"] == recorded["body"]["code"], answer
        assert plain(answer.json["message"]) == plain(recorded["body"]["message"]), answer


def test_recorded_query_of_an_escrow(story: Story, signing: Cli) -> None:
    """The CLI's view leaves out what is false and empty."""
    (number,) = story.need("2")
    recorded = json.loads(story.recorded("inferenced", "query_escrow").data["stdout"])
    argv = ["query", "inference", "show-devshard-escrow", number, "--output", "json"]
    found = signing.run(*argv, "--node", signing.node, "--home", str(signing.home)).json
    assert not differences([recorded], found, CHAIN)
    assert found == {"escrow": story.chain.escrow(number), "found": True}


def test_failed_transaction(story: Story) -> None:
    """Executed and refused: no event of ours, the reason in raw_log."""
    tx = story.chain.tx(story.hashes["tx_failed"])
    assert tx is not None
    assert (tx["code"], tx["codespace"]) == (1, "undefined")
    wanted = rf"escrow amount 1 out of range \[{story.min_amount}, {story.max_amount}\]"
    assert re.search(wanted, tx["raw_log"])
    assert not [event for event in tx["events"] if event["type"] == "devshard_escrow_created"]


def test_search_is_paged_newest_first(story: Story) -> None:
    one, two, three = story.need("1", "2", "3")
    query = f"devshard_escrow_created.creator%3D%27{story.creator}%27"
    found = []
    for page in (1, 2, 3):
        path = f"{TXS}?query={query}&order_by=ORDER_BY_DESC&page={page}&limit=1"
        body = story.chain.rest.get(path).good()
        assert int(body["total"]) >= 3
        (reply,) = body["tx_responses"]
        found.append(reply["txhash"])
    hashes = story.purse.spent
    assert found == [hashes[three], hashes[two], hashes[one]]


def test_search_for_a_settlement(story: Story) -> None:
    (number,) = story.need("2")
    path = f"{TXS}?query=devshard_escrow_settled.escrow_id%3D%27{number}%27"
    (reply,) = story.chain.rest.get(path).good()["tx_responses"]
    assert reply["txhash"] == story.hashes["tx_settle"]
