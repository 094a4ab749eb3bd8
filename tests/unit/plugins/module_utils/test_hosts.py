# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils import _hosts
from ansible_collections.gonka.devshard.plugins.module_utils._hosts import HostsNonce
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    ScriptedTransport,
    as_response,
)

HOST = "GET /v1/devshard/sessions/7/diffs"


class FakeChain:
    def participant_url(self, address: str) -> str:
        return "http://hosts.test/"


def ask(answer: t.Any, since: int = 0) -> HostsNonce:
    transport = ScriptedTransport("http://hosts.test", {HOST: answer})
    chain, escrow = t.cast(t.Any, FakeChain()), t.cast(t.Any, Obj(id=7, slots=("a", "a")))
    return _hosts.newest_nonce(transport, chain, "/v1/devshard", escrow, since)


def diffs(*nonces: int) -> list[dict[str, t.Any]]:
    return [{"diff": {"nonce": nonce}, "state_hash": ""} for nonce in nonces]


@pytest.mark.parametrize(
    ("answer", "nonce"),
    [
        (as_response(diffs(1, 2, 3)), 3),
        (as_response([]), 0),
        (as_response({"error": "escrow 7 not found"}, 404), 0),
        ([as_response(diffs(*range(1, 201))), as_response(diffs(201))], 201),
    ],
    ids=["some", "none yet", "does not know it", "two pages"],
)
def test_the_newest_nonce_of_a_host(answer: t.Any, nonce: int) -> None:
    assert ask(answer) == HostsNonce(nonce=nonce, silent=(), asked=1)


@pytest.mark.parametrize(
    "answer",
    [
        as_response({"message": "Not Found"}, 404),
        as_response({"message": "no storage configured"}, 404),
        as_response("404 page not found", 404),
        as_response({"error": "build group"}, 500),
        as_response({}),
        as_response([{"diff": {}}]),
    ],
)
def test_what_says_nothing_is_silence_and_never_nonce_zero(answer: t.Any) -> None:
    assert ask(answer) == HostsNonce(nonce=0, silent=("a",), asked=1)
