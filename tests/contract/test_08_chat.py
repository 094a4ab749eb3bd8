# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.5 with gateway-chat.json: access, replies, streams, cache, limits, PoC."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import (
    SSE,
    Answer,
    TooLateError,
    is_text_error,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    Exchange,
    between,
    compare,
    events,
    one,
)
from ansible_collections.gonka.devshard.tests.contract._shape import GATEWAY
from ansible_collections.gonka.devshard.tests.contract._story import Json, Story
from ansible_collections.gonka.devshard.tests.money.network import Port

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

CHATS = "/v1/chat/completions"
# gateway.md §1.10
ACCOUNTED = {"request_id", "escrow_id", "model", "outcome", "attempts", "cost", "started_at"}
ACCOUNTED_WHERE_IT_APPLIES = {
    "decision",
    "winner_nonce",
    "cached_from_request_id",
    "cached_from_escrow_id",
    "winner",
    "completed_at",
}
COST = {"winner_actual_cost", "other_attempts_actual_cost", "all_attempts_actual_cost"}


@pytest.fixture(scope="module", autouse=True)
def opened(story: Story) -> None:
    """The second escrow serves the default model; the recording calls its own 36."""
    (story.ids["36"],) = story.need("2")
    story.open_models("api_key", "open")


@pytest.mark.parametrize(
    "exchange",
    between("gateway-chat", "chat", "request_accounting"),
    ids=lambda exchange: exchange.id,
)
def test_recorded(story: Story, exchange: Exchange) -> None:
    story.replay(exchange)


def test_recorded_429(story: Story) -> None:
    """The cap follows the hosts' weights, so it takes a burst to go beyond it."""
    exchange = one("gateway-chat", "chat_429")
    with story.changed_settings(max_concurrent_requests_per_10000_weight=1):
        refused = until(lambda: _refused(story), "a burst goes beyond the cap")
    compare(story.saw(exchange), refused, story.words(), GATEWAY)


def _refused(story: Story) -> Answer | None:
    def chat(_unused: int) -> Answer:
        # a session of its own for each thread
        return Story(story.target).chat()

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(chat, range(24)))
    assert {answer.status for answer in answers} <= {200, 429}, answers
    return next((answer for answer in answers if answer.status == 429), None)


def test_recorded_poc(story: Story, faults: Port) -> None:
    """Refused during PoC, and then by the cache for an hour."""
    first, again = between("gateway-chat", "chat_poc_503", "chat_poc_503_again_after_poc")
    faults.post("/chain", {"phase": "PoCGenerate"})
    until(lambda: _item(story)["requests_blocked"], "the gateway has noticed the PoC")
    assert _item(story)["block_reason"] == "poc"
    story.replay(first)
    faults.post("/chain", {"phase": None})
    until(lambda: not _item(story)["requests_blocked"], "the PoC is over")
    story.replay(again)


def _item(story: Story) -> Json:
    body = story.gateway.get("/v1/status").good()
    return next(item for item in body["devshards"] if item["id"] == story.ids["36"])


# access


@pytest.mark.parametrize("auth", [None, "wrong"])
def test_api_key_mode_wants_a_key(story: Story, auth: str | None) -> None:
    message = f'model "{story.target.model}" requires an API key'
    is_text_error(story.chat(auth=auth), 401, message)


@pytest.mark.parametrize("auth", ["client", "admin"])
def test_api_key_mode_takes_both_keys(story: Story, auth: str) -> None:
    assert story.chat(auth=auth).status == 200


def test_open_mode_wants_none(story: Story) -> None:
    for auth in (None, "wrong", "client"):
        assert story.chat(story.other_model, auth=auth).status == 200


def test_modes_of_one_model(story: Story) -> None:
    model = story.target.model
    entry = {"model_id": model, "access_mode": "admin_only", "access_message": "ask us"}
    with story.changed_settings(model_limits=[entry]):
        is_text_error(story.chat(), 401, "ask us")
        assert story.chat(auth="admin").status == 200
        # the other model lost its entry with that
        message = f'model "{story.other_model}" requires an admin API key'
        is_text_error(story.chat(story.other_model), 401, message)
        story.post_settings(model_limits=[{"model_id": model}])
        is_text_error(story.chat(), 401, f'model "{model}" requires an admin API key')
        entry = {"model_id": model, "access_mode": "api_key", "access_message": "no key, no chat"}
        story.post_settings(model_limits=[entry])
        is_text_error(story.chat(auth=None), 401, "no key, no chat")
        assert story.chat().status == 200
        shown = story.gateway.get("/v1/status").good()["capacity"]["models"][model]
        assert shown["access_mode"] == "api_key"
        assert shown["access_message"] == "no key, no chat"


def test_without_a_model_any_escrow_serves(story: Story) -> None:
    """§1.5: the default model decides who may ask; escrows of all models take turns."""
    models = {name: item["model"] for name, item in story.records().items() if item["active"]}
    assert set(models.values()) == {story.target.model, story.other_model}
    limits = [
        {"model_id": story.target.model, "access_mode": "api_key"},
        {"model_id": story.other_model, "access_mode": "admin_only"},
    ]
    body = {"max_tokens": 20}
    with story.changed_settings(model_limits=limits):
        assert story.chat(story.other_model).status == 401
        served = set()
        for _unused in range(2 * len(models)):
            answer = story.gateway.post(CHATS, {**body, "messages": story.prompt()}, "client")
            assert answer.status == 200, answer
            served.add(models[answer.headers["X-Devshard-Id"]])
        assert served == set(models.values())
        refused = story.gateway.post(CHATS, {**body, "messages": story.prompt()}, None)
        message = f'model "{story.target.model}" requires an API key'
        is_text_error(refused, 401, message)


def test_direct_route_has_the_same_access(story: Story) -> None:
    message = f'model "{story.target.model}" requires an API key'
    is_text_error(story.chat(auth=None, devshard=story.ids["36"]), 401, message)


def test_direct_route_serves_only_its_model(story: Story) -> None:
    answer = story.chat(story.other_model, auth="admin", devshard=story.ids["36"])
    is_text_error(answer, 400)


# replies


def test_whole_reply(story: Story) -> None:
    answer = story.chat()
    body = answer.good()
    assert body["object"] == "chat.completion"
    assert body["model"] == story.target.model
    assert body["choices"][0]["message"]["role"] == "assistant"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer.headers["X-Devshard-ID"] == story.ids["36"]


@pytest.mark.parametrize("direct", [False, True])
def test_stream(story: Story, direct: bool) -> None:
    answer = story.chat(stream=True, devshard=story.ids["36"] if direct else None)
    assert (answer.status, answer.kind) == (200, SSE), answer
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Devshard-ID"] == story.ids["36"]
    assert "X-Request-Id" in answer.headers
    *chunks, end = events(answer.text)
    assert end == "[DONE]"
    bodies = [json.loads(chunk) for chunk in chunks]
    assert {body["object"] for body in bodies} == {"chat.completion.chunk"}
    assert len({body["id"] for body in bodies}) == 1


def test_cache(story: Story) -> None:
    """The same words again: the same body with a new request id."""
    messages = story.prompt()
    first = story.chat(messages=messages)
    again = story.chat(messages=messages)
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.headers["X-Devshard-ID"] == first.headers["X-Devshard-ID"]
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    # and it is shared with the escrow's own route
    direct = story.chat(devshard=story.ids["36"], messages=messages)
    assert direct.body == first.body
    other = story.chat()
    assert other.json["id"] != first.json["id"]


def test_cache_keeps_streams_apart(story: Story) -> None:
    messages = story.prompt()
    whole = story.chat(messages=messages)
    stream = story.chat(messages=messages, stream=True)
    again = story.chat(messages=messages, stream=True)
    assert whole.kind != stream.kind == again.kind == SSE
    assert again.body == stream.body


def test_balance_pays_for_it(story: Story) -> None:
    number = story.ids["36"]
    before = story.status(number)
    assert story.chat().status == 200
    after = until(
        lambda: _cheaper(story, number, before["balance"]), "the session has paid for the chat"
    )
    assert after["nonce"] > before["nonce"]


def _cheaper(story: Story, number: str, balance: int) -> Json | None:
    status = story.status(number)
    return status if status["balance"] < balance else None


def test_accounting(story: Story) -> None:
    """Without a key; the gateway writes it some time after the reply."""
    number = story.ids["36"]
    request = story.chat().headers["X-Request-Id"]
    path = f"/devshard/{number}/v1/requests/{request}"

    def written() -> bool:
        answer = story.gateway.get(path)
        assert answer.headers["X-Devshard-ID"] == number
        if answer.status == 404:
            message = f"request {request} not found for devshard {number}"
            is_text_error(answer, 404, message)
        return answer.status != 404

    try:
        until(written, "the accounting of a request")
    except TooLateError as exc:
        pytest.skip(f"{exc}: the gateway may wait for other attempts of the request")
    body = story.gateway.get(path).good()
    assert ACCOUNTED <= set(body) <= ACCOUNTED | ACCOUNTED_WHERE_IT_APPLIES
    assert set(body["cost"]) == COST
    assert (body["request_id"], body["escrow_id"]) == (request, number)
    assert body["model"] == story.target.model
    assert isinstance(body["attempts"], list)


# limits


def test_input_tokens_in_flight(story: Story) -> None:
    limits = [
        {
            "model_id": story.target.model,
            "access_mode": "api_key",
            "max_input_tokens_in_flight": 1,
        }
    ]
    with story.changed_settings(model_limits=limits):
        answer = story.chat()
        is_text_error(answer, 429, "rate limit exceeded: too many input tokens in flight")
        assert "Retry-After" not in answer.headers
    metrics = story.gateway.get("/metrics").text
    wanted = 'devshard_gateway_limit_rejections_total{reason="max_input_tokens_in_flight"} '
    assert wanted in metrics


def test_output_tokens_are_capped_silently(story: Story) -> None:
    assert story.chat(max_tokens=10_000_000).status == 200


def test_models_of_active_runtimes(story: Story) -> None:
    story.need("3")
    limits = [
        {"model_id": story.target.model, "access_mode": "open", "request_max_tokens_cap": 3999}
    ]
    with story.changed_settings(model_limits=limits):
        items = story.gateway.get("/v1/models").good()["data"]
        lengths = {item["id"]: item["context_length"] for item in items}
        whole = story.settings()["request_max_tokens_cap"]
        assert lengths == {story.target.model: 3999, story.other_model: whole}
        # the escrow's own list knows only the global cap
        own = story.gateway.get(f"/devshard/{story.ids['36']}/v1/models").good()["data"]
        assert [(item["id"], item["context_length"]) for item in own] == [
            (story.target.model, whole)
        ]
