# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    AuthenticationError,
    DevshardError,
    PocPhaseError,
    ProtocolError,
    RateLimitedError,
    RedirectedError,
    TransportError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import HttpTransport
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.chat import (
    ChatOptions,
    ChatReply,
    ask,
    ask_through_poc,
    at_its_limit,
    read_stream,
    sse_events,
    unique_prompt,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Server,
    json_answer,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    ANSWERS,
    QWEN,
    body,
)

KEY = "sk-0123456789abcdef"
STREAM = str(ANSWERS["chat_stream"]["body"])
TEXT = "tok0 tok1 tok2 tok3 tok4 "
SSE = {"Content-Type": "text/event-stream", "X-Devshard-Id": "36", "X-Request-Id": "req-1"}


def event(content: object) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def chunk(text: str) -> str:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def pieces(raw: bytes, cuts: t.Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(raw)]
    return [raw[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def options(**more: t.Any) -> ChatOptions:
    values = {"model": QWEN, "prompt": "hi", "max_tokens": 20, "stream": False, "timeout": 5}
    return ChatOptions(**{**values, **more})


def send(server: Server, **more: t.Any) -> ChatReply:
    return ask(HttpTransport(timeout=5), server.url, KEY, options(**more))


# streams


@given(st.data())
def test_a_stream_however_it_is_cut(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
    end = data.draw(st.sampled_from(["\n\n", "\r\n\r\n", "\n", ""]))
    newline = "\r\n" if end.startswith("\r") else "\n"
    text = ": a comment\n\nevent: x\nid: 1\n" + "".join(chunk(word) for word in words) + END
    raw = f"{text}data: [DONE]{end}".replace("\n", newline).replace("\r\r", "\r").encode()
    cuts = data.draw(st.lists(st.integers(min_value=0, max_value=len(raw))))
    content, count, finish = read_stream(sse_events(pieces(raw, cuts)), "x")
    assert content == "".join(words)
    assert count == len(words) + 1
    assert finish == "stop"


def test_the_recorded_stream_byte_by_byte() -> None:
    raw = STREAM.encode()
    assert read_stream(sse_events(pieces(raw, range(1, len(raw)))), "x") == (TEXT, 6, "stop")


@given(st.integers(min_value=0, max_value=len(STREAM) - len("data: [DONE]\n\n")))
def test_a_stream_that_breaks_off_anywhere(end: int) -> None:
    with pytest.raises(ProtocolError, match="the stream broke off after .* without"):
        read_stream(sse_events([STREAM[:end].encode()]), "x")


def test_a_gateways_error_in_a_stream() -> None:
    raw = chunk("a") + event({"error": {"message": "no host left"}})
    with pytest.raises(ProtocolError, match="^x: the stream ended with an error: no host left$"):
        read_stream(sse_events([raw.encode()]), "x")


@pytest.mark.parametrize("error", [{"message": "bad"}, "bad", {"code": 500}, None])
def test_a_hosts_error_in_a_stream_that_ends_well(error: object) -> None:
    raw = chunk("a") + event({"error": error}) + "data: [DONE]\n\n"
    with pytest.raises(ProtocolError, match="the stream ended with an error"):
        read_stream(sse_events([raw.encode()]), "x")


@pytest.mark.parametrize("content", [5, [], "text", None, {}, {"choices": [1]}, {"choices": None}])
def test_an_event_of_another_shape(content: object) -> None:
    with pytest.raises(ProtocolError, match="not part of a chat completion"):
        read_stream(sse_events([(event(content) + "data: [DONE]\n\n").encode()]), "x")


@pytest.mark.parametrize("reason", [None, "", 5])
def test_a_stream_that_never_says_why_it_ended_was_cut(reason: object) -> None:
    last = event({"choices": [{"delta": {}, "finish_reason": reason}]})
    raw = chunk("a") + last + "data: [DONE]\n\n"
    with pytest.raises(
        ProtocolError, match="^x: the reply has no finish_reason, so it was interrupted"
    ):
        read_stream(sse_events([raw.encode()]), "x")


def test_usage_may_follow_the_end() -> None:
    raw = chunk("a") + END + event({"choices": [], "usage": {}}) + "data: [DONE]\n\n"
    assert read_stream(sse_events([raw.encode()]), "x") == ("a", 3, "stop")


def test_a_stream_with_nothing_in_it() -> None:
    with pytest.raises(ProtocolError, match="ended before any data arrived"):
        read_stream(sse_events([b"data: [DONE]\n\n"]), "x")


def test_an_event_that_is_no_json() -> None:
    with pytest.raises(ProtocolError, match="not part of a chat completion"):
        read_stream(sse_events([b"data: {oops\n\n"]), "x")


# whole requests


def test_a_streamed_reply(server: Server) -> None:
    server.answers(Answer(body=STREAM.encode(), headers={**SSE, "X-Devshard-Slot": "temp"}))
    reply = send(server, stream=True)
    result = reply.to_result()
    first = result.pop("first_byte_seconds")
    assert first <= result.pop("first_chunk_seconds") <= result.pop("total_seconds") < 5
    assert result == {
        "content": TEXT,
        "stream": True,
        "chunks": 6,
        "finish_reason": "stop",
        "devshard_id": "36",
        "request_id": "req-1",
        "slot": "temp",
    }


def test_a_whole_reply(server: Server) -> None:
    server.answers(json_answer(body("chat_default_model"), 200, {"X-Devshard-Id": "36"}))
    reply = send(server)
    assert (reply.content, reply.chunks, reply.devshard_id, reply.slot) == (TEXT, 1, "36", None)
    assert (reply.finish_reason, reply.first_chunk) == ("stop", None)
    seen = server.seen[0]
    sent = json.loads(seen.body)
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert (sent["model"], sent["max_tokens"], sent["stream"]) == (QWEN, 20, False)


def test_no_prompt_is_used_twice(server: Server) -> None:
    server.answers(json_answer(body("chat_default_model")))
    for _unused in range(5):
        send(server)
    prompts = {json.loads(seen.body)["messages"][0]["content"] for seen in server.seen}
    assert len(prompts) == 5
    assert all(prompt.startswith("hi (request ") for prompt in prompts)
    assert unique_prompt("a") != unique_prompt("a")


def test_a_request_is_sent_once(server: Server) -> None:
    for answer in (json_answer({}, 502), Answer(reset=True), Answer(body=b"x", length=99)):
        server.seen.clear()
        server.answers(answer)
        with pytest.raises(DevshardError):
            send(server)
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        {},
        [],
        {"choices": []},
        {"choices": [{"message": {}}]},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {"content": None, "reasoning_content": ""}}]},
        {"choices": [{"message": "content"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"text": "x"}]},
    ],
)
def test_a_reply_without_text(server: Server, reply: object) -> None:
    server.answers(json_answer(reply))
    with pytest.raises(ProtocolError, match="is not a chat completion|holds no text"):
        send(server)


def test_a_whole_reply_that_was_cut(server: Server) -> None:
    choice = {"message": {"content": "Two"}, "finish_reason": None}
    server.answers(json_answer({"choices": [choice]}))
    with pytest.raises(ProtocolError, match="has no finish_reason"):
        send(server)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_model_that_only_thought_within_its_tokens_has_answered(
    server: Server, name: str
) -> None:
    message = {"role": "assistant", "content": None, name: "Hamsters are"}
    server.answers(json_answer({"choices": [{"message": message, "finish_reason": "length"}]}))
    assert send(server).content == ""


def test_a_whole_reply_where_a_stream_was_asked_for(server: Server) -> None:
    server.answers(json_answer(body("chat_default_model")))
    with pytest.raises(ProtocolError, match="asked for a stream, got application/json"):
        send(server, stream=True)


def test_a_stream_that_the_connection_cuts(server: Server) -> None:
    half = STREAM[: len(STREAM) // 2].encode()
    server.answers(Answer(body=half, headers=SSE, length=len(STREAM)))
    with pytest.raises(TransportError, match="the answer broke off"):
        send(server, stream=True)


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        (
            "chat_client_denied",
            AuthenticationError,
            "set access_mode of the model in devshard_models",
        ),
        ("chat_429", RateLimitedError, "limits are reached"),
        ("dis_status", RedirectedError, "in its disabled state, and no edge in front of it names"),
        ("chat_poc_503", PocPhaseError, "PoC generation"),
    ],
)
def test_recorded_refusals(server: Server, name: str, kind: type[DevshardError], told: str) -> None:
    server.answers(json_answer(body(name), ANSWERS[name]["status"]))
    with pytest.raises(kind, match=told) as caught:
        send(server)
    assert caught.type is kind
    assert str(caught.value).startswith(f"POST {server.url}/v1/chat/completions: ")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (
            "https://other.example.org/v1/chat/completions",
            "are sent to https://other.example.org, ",
        ),
        ("https://127.0.0.1:8443/v1", "Set devshard_client_base_url to https://127.0.0.1:8443$"),
    ],
)
def test_who_redirects_is_named_and_not_followed(server: Server, target: str, told: str) -> None:
    server.answers(json_answer({}, 308, {"Location": target}))
    with pytest.raises(RedirectedError, match=told) as caught:
        send(server)
    assert "disabled" not in str(caught.value)
    assert caught.value.details["location"] == target
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("rate limit exceeded: too many concurrent requests", True),
        ("rate limit exceeded: too many input tokens in flight", True),
        ("no available escrows: participant request budget exhausted", False),
    ],
)
def test_only_the_limiters_429_proves_that_others_are_served(
    server: Server, message: str, limit: bool
) -> None:
    server.answers(json_answer({"error": {"message": message}}, 429))
    with pytest.raises(RateLimitedError) as caught:
        send(server)
    assert at_its_limit(caught.value) is limit


def test_another_503_is_no_poc_phase(server: Server) -> None:
    server.answers(json_answer({"error": {"message": "the store is not available"}}, 503))
    with pytest.raises(ProtocolError) as caught:
        send(server)
    assert not isinstance(caught.value, PocPhaseError)


# PoC phases


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def reply() -> ChatReply:
    return ChatReply(
        content="x",
        stream=False,
        chunks=1,
        finish_reason="stop",
        first_byte=0,
        first_chunk=None,
        total=0,
        devshard_id=None,
        request_id=None,
        slot=None,
    )


def test_a_poc_phase_is_waited_for() -> None:
    clock, told, left = Clock(), list[str](), [PocPhaseError("PoC")] * 3

    def once() -> ChatReply:
        if left:
            raise left.pop()
        return reply()

    deadline = WaitBudget(60, clock=clock, sleep=clock.sleep)
    assert ask_through_poc(once, deadline, 5, told.append).content == "x"
    assert clock.now == 15
    assert len(told) == 1
    assert "PoC phase" in told[0]


def test_but_not_for_ever() -> None:
    clock = Clock()

    def once() -> ChatReply:
        raise PocPhaseError("PoC")

    deadline = WaitBudget(12, clock=clock, sleep=clock.sleep)
    with pytest.raises(WaitTimeoutError, match="no fault of the gateway is known") as caught:
        ask_through_poc(once, deadline, 5, lambda _text: None)
    assert caught.value.details == {"waited": 12}


def test_other_failures_are_not_waited_for() -> None:
    clock = Clock()

    def once() -> ChatReply:
        raise ProtocolError("no")

    deadline = WaitBudget(60, clock=clock, sleep=clock.sleep)
    with pytest.raises(ProtocolError):
        ask_through_poc(once, deadline, 5, lambda _text: None)
    assert clock.now == 0
