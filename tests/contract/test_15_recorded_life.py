# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""generations.md §3: a whole life of a gateway from v3 on, question by question as recorded."""

from __future__ import annotations

import os
import shutil
import typing as t
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import Answer, until
from ansible_collections.gonka.devshard.tests.contract._profile import PROFILES, chosen
from ansible_collections.gonka.devshard.tests.contract._recordings import Exchange, load
from ansible_collections.gonka.devshard.tests.contract._story import Story, event_of

pytestmark = pytest.mark.profiles(*(each.name for each in PROFILES.values() if each.life))
PROFILE: t.Final = chosen(os.environ)
POOLED: t.Final = "/v1/chat/completions"
# what is asked while the first escrow has a request under way
WITH_A_REQUEST: t.Final = ("state_inflight", "activate_before_idle")


def part(name: str, first: str = "", last: str = "") -> list[Exchange]:
    if not PROFILE.folder:
        return []
    found = load(f"{PROFILE.folder}/gateway-{name}")
    names = [exchange.name for exchange in found]
    end = names.index(last) + 1 if last else len(names)
    return found[names.index(first) if first else 0 : end]


def replayed(*exchanges: list[Exchange]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    flat = [exchange for some in exchanges for exchange in some]
    return pytest.mark.parametrize("exchange", flat, ids=lambda exchange: exchange.id)


def ask(story: Story, exchange: Exchange) -> Answer:
    """The question again; what it paid for is noted."""
    life = story.profile.life or {}
    made = life.get(exchange.name)
    if made is not None:
        story.may_spend()
    path = exchange.request["path"]
    answer = story.replay(
        exchange, pool=tuple(story.ids.values()) if path == POOLED else (), timeout=1200
    )
    if made is not None:
        reply = answer.json if answer.status == 200 else answer.json["error"]
        story.minted(made, reply)
        if reply.get("storage_path"):
            story.storage = reply["storage_path"].rpartition("/")[0]
    return answer


@replayed(
    part("0-runtimes"),
    part("settings", last="disable"),
    part("lifecycle"),
    part("settings", first="enable"),
    part("1-runtime"),
    part("2-runtimes"),
    part("chat"),
)
def test_recorded_until_it_serves(story: Story, exchange: Exchange) -> None:
    ask(story, exchange)


def test_recorded_with_a_request_under_way(story: Story) -> None:
    """The postponed unload happens although the escrow was made active again (§3)."""
    (number,) = story.need(first_of(story))
    with story.held(), story.under_way(lambda: Story(story.target).chat(devshard=number)) as chat:
        while_busy(story, number, chat)
    assert chat.result().status == 200
    until(lambda: "runtime" not in story.record(number), f"{number} is unloaded")
    assert story.record(number)["active"] is True


def first_of(story: Story) -> str:
    return (story.profile.life or {})["create_default_model"]


def while_busy(story: Story, number: str, chat: Future[Answer]) -> None:
    until(lambda: story.record(number)["runtime"]["active_requests"], "a request is under way")
    for exchange in part("busy", *WITH_A_REQUEST):
        ask(story, exchange)
    assert not chat.done()


@replayed(part("busy", first="state_when_idle"))
def test_recorded_unloaded(story: Story, exchange: Exchange) -> None:
    ask(story, exchange)


@replayed(part("settle"))
def test_recorded_settlements(story: Story, exchange: Exchange) -> None:
    settles(story, exchange)


@replayed(part("import"))
def test_recorded_import(story: Story, exchange: Exchange) -> None:
    """The session that is imported was copied before its escrow was deleted: without a copy the
    deposit would be lost, so this needs the gateway's storage on this machine."""
    storage = Path(story.storage)
    if not storage.is_dir():
        pytest.skip("the gateway's storage is not on this machine")
    if exchange.name == "delete_before_import":
        folder = f"escrow-{story.ids[imported(story)]}"
        shutil.copytree(storage / folder, storage / "temp" / folder)
    ask(story, exchange)


def imported(story: Story) -> str:
    return (story.profile.life or {})["create_no_register"]


@replayed(part("ending"))
def test_recorded_until_the_end(story: Story, exchange: Exchange) -> None:
    settles(story, exchange)


def settles(story: Story, exchange: Exchange) -> None:
    before = story.chain.balance(story.creator)
    answer = ask(story, exchange)
    if exchange.name == "settle_again":
        # 200 all the same; only the chain tells
        tx = story.chain.included(answer.json["tx_hash"])
        assert tx["code"] != 0
        assert f"escrow {answer.json['id']} already settled" in tx["raw_log"]
    elif exchange.name.startswith("settle_"):
        # answered before the chain has it in a block
        story.settled(answer.json["id"])
        event = event_of(story.chain.included(answer.json["tx_hash"]), "devshard_escrow_settled")
        assert story.chain.balance(story.creator) > before
        assert int(event["remainder"]) > 0
