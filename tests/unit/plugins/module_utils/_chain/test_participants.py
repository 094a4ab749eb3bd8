# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What hosts know of a session decides whether an older copy or a new session may serve."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import HostsNonce
from ansible_collections.gonka.devshard.plugins.module_utils._chain.participants import (
    PAGE,
    newest_nonce,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import TransportError
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import as_response

PREFIX = "/v1/devshard"


def diffs(first: int, last: int) -> list[dict[str, t.Any]]:
    return [
        {"diff": {"nonce": nonce, "txs": "CAE=", "user_sig": "AA=="}, "state_hash": "AA=="}
        for nonce in range(first, last + 1)
    ]


class Network:
    """One answer for each host; a list of diffs is paged as a host does it."""

    def __init__(self, **answers: t.Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def participant_url(self, address: str) -> str:
        return f"http://{address}/"

    def send(self, request: Request) -> Response:
        self.asked.append(request.url)
        host, _unused, query = request.url.removeprefix("http://").partition("/")
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, list) and all(isinstance(item, dict) for item in answer):
            first, last = (int(part.partition("=")[2]) for part in query.split("?")[1].split("&"))
            answer = [item for item in answer if first <= _nonce(item, first) <= last]
        return as_response(answer)


def _nonce(item: dict[str, t.Any], default: int) -> int:
    found = item["diff"].get("nonce") if isinstance(item.get("diff"), dict) else None
    return found if isinstance(found, int) else default


def ask(network: Network, since: int = 0) -> HostsNonce:
    escrow: t.Any = Obj(id=7, slots=tuple(network.answers) * 2)
    transport: t.Any = network
    chain: t.Any = network
    return newest_nonce(transport, chain, PREFIX, escrow, since)


def test_the_newest_of_all_counts() -> None:
    network = Network(a=diffs(1, 23), b=diffs(1, 10), c=[])
    assert ask(network) == HostsNonce(nonce=23, silent=(), asked=3)
    assert network.asked[0] == f"http://a/v1/devshard/sessions/7/diffs?from=1&to={PAGE}"
    assert ask(network, since=23).nonce == 0


def test_a_host_may_say_that_it_knows_no_such_session() -> None:
    unknown = as_response({"message": "escrow 7 not found"}, 404)
    assert ask(Network(a=unknown)) == HostsNonce(nonce=0, silent=(), asked=1)
    other = as_response({"message": "session storage not found"}, 404)
    assert ask(Network(a=other)).silent == ("a",)


def test_many_diffs_come_in_pages() -> None:
    network = Network(a=diffs(1, 2 * PAGE + 1))
    assert ask(network).nonce == 2 * PAGE + 1
    assert len(network.asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        # a 404 that does not speak of the session is another service's word
        as_response({"message": "Not Found"}, 404),
        as_response({"message": "no storage configured"}, 404),
        Response(status=404, headers={"Content-Type": "text/html"}, body=b"<html>404</html>"),
        as_response({"message": "gone"}, 410),
        as_response({"message": "host is not in the group"}, 400),
        as_response({"message": "initializing"}, 503),
        TransportError("no answer"),
        {"diffs": []},
        None,
        [1],
        [{}],
        [{"diff": None}],
        [{"diff": "x"}],
        [{"diff": {"nonce": None}}],
        [{"diff": {"nonce": "23"}}],
        [{"diff": {"nonce": True}}],
        as_response([{"diff": {"nonce": 0}}]),
        as_response([{"diff": {"nonce": -1}}]),
    ],
    ids=str,
)
def test_what_is_no_answer_is_never_taken_for_no_session(answer: object) -> None:
    assert ask(Network(a=answer, b=diffs(1, 4))) == HostsNonce(nonce=4, silent=("a",), asked=2)
    assert ask(Network(a=answer)) == HostsNonce(nonce=0, silent=("a",), asked=1)
