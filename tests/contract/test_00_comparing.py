# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The comparison itself: what it must find, and what it must let pass. Needs no target."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import JSON, TEXT, Answer
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    Words,
    compare,
    events,
    one,
    plain,
)
from ansible_collections.gonka.devshard.tests.contract._shape import (
    CHAIN,
    GATEWAY,
    Rules,
    differences,
)
from ansible_collections.gonka.devshard.tests.contract._target import (
    PREFIX,
    REQUIRED,
    TargetError,
    from_environment,
)

WORDS = Words(replace={}, ids={}, numbers={}, prompts="x")


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": None}),
        ({"a": None}, {"a": {}}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ({"a": [1]}, {"a": ["1"]}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": "1"}]}),
        ({"a": [{"b": 1}]}, {"a": [{}]}),
    ],
)
def test_deviations(recorded: object, found: object) -> None:
    assert len(differences([recorded], found)) == 1


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ({"a": 1}, {"a": 2.5}),
        ({"a": []}, {"a": [{"b": 1}]}),
        ({"a": [1]}, {"a": []}),
        # a key that not all recorded elements have
        ({"a": [{"b": 1}, {}]}, {"a": [{}, {"b": 3}]}),
        ({"a": [1, None]}, {"a": [None]}),
    ],
)
def test_same_shape(recorded: object, found: object) -> None:
    assert differences([recorded], found) == []


def test_rules() -> None:
    rules = Rules(
        optional={"a.#.b": "number"}, nullable={"c": "list"}, maps=("d",), more=("e",), fewer=("f",)
    )
    recorded: dict[str, t.Any] = {"a": [{}], "c": None, "d": {"x": 1}, "e": {}, "f": {"y": 1}}
    found: dict[str, t.Any] = {"a": [{"b": 1}], "c": [], "d": {"z": 2}, "e": {"q": 1}, "f": {}}
    assert differences([recorded], found, rules) == []
    found = {"a": [{"b": "1"}], "c": "", "d": {"z": "2"}, "e": [], "f": {"y": "1"}}
    assert len(differences([recorded], found, rules)) == 5


def test_documented_exceptions_are_used() -> None:
    status = one("gateway-lifecycle", "status_one").response["json"]
    assert differences([status], {**status, "chain_phase": "Inference"}, GATEWAY) == []
    assert differences([status], {**status, "chain_phase": 1}, GATEWAY)
    assert differences([status], {**status, "active_requests": 0}, GATEWAY)
    escrow = one("chain", "escrow_found").response["body"]
    wrong = {**escrow, "escrow": {**escrow["escrow"], "amount": 5}}
    assert differences([escrow], wrong, CHAIN) == ["escrow.amount: recorded string, found number"]


def test_texts_without_what_differs() -> None:
    left = f"tx {'0A' * 32} of gonka1{'q' * 38} at http://a:1/x in 2026-01-02T03:04:05.6Z: 7"
    right = f"tx {'1B' * 32} of gonka1{'z' * 38} at http://b/x in 2027-01-02T03:04:05Z: 8"
    assert plain(left) == plain(right) == "tx HASH of ADDRESS at URL/x in TIME: N"
    assert plain("a") != plain("b")


def test_streams() -> None:
    assert events('data: {"a":1}\n\ndata: [DONE]\n\n') == ['{"a":1}', "[DONE]"]
    for broken in ("data: 1\n", "data: 1\n\nevent: x\n\n", "data: 1\ndata: 2\n\n"):
        with pytest.raises(AssertionError):
            events(broken)


UNKNOWN_DEVSHARD = b'{"error":{"message":"unknown devshard 12"}}\n'
HEADERS = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}


def test_comparison_of_an_error() -> None:
    exchange = one("gateway-2-runtimes", "unknown_ds")
    compare(exchange, Answer("", 404, HEADERS, UNKNOWN_DEVSHARD), WORDS, GATEWAY)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, HEADERS, UNKNOWN_DEVSHARD),
        (404, {**HEADERS, "Content-Type": JSON}, UNKNOWN_DEVSHARD),
        (404, {"Content-Type": TEXT}, UNKNOWN_DEVSHARD),
        (404, {**HEADERS, "Location": "/"}, UNKNOWN_DEVSHARD),
        (404, {**HEADERS, "Retry-After": "1"}, UNKNOWN_DEVSHARD),
        (404, HEADERS, UNKNOWN_DEVSHARD.replace(b"unknown", b"missing")),
        (404, HEADERS, b'{"error":"unknown devshard 12"}\n'),
    ],
)
def test_comparison_of_another_error(status: int, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(AssertionError):
        compare(
            one("gateway-2-runtimes", "unknown_ds"),
            Answer("", status, headers, body),
            WORDS,
            GATEWAY,
        )


def test_target_is_named_whole_or_not_at_all() -> None:
    assert from_environment({}) is None
    whole = {PREFIX + name: "5" for name in REQUIRED}
    target = from_environment(whole)
    assert target is not None
    assert (target.amount, target.faults) == (5, None)
    with pytest.raises(TargetError, match=f"{PREFIX}MODEL is missing"):
        from_environment({**whole, f"{PREFIX}MODEL": ""})
    with pytest.raises(TargetError, match="whole number"):
        from_environment({**whole, f"{PREFIX}AMOUNT": "5 GNK"})
    with pytest.raises(TargetError, match="GATEWAY_URL"):
        from_environment({f"{PREFIX}FAULTS_URL": "http://127.0.0.1:1"})
