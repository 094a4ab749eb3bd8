# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Drained is what is proved; unknown and busy are not."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnknownStateError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain import (
    Drained,
    look,
    wait_until_drained,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain_rules import (
    DrainRecord,
    DrainVerdict,
    Row,
    Sample,
    in_words,
    judge,
    unknown,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import GatewayState
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile


@pytest.mark.parametrize(
    ("records", "limiter", "workers", "verdict"),
    [
        ([], 0, 0, DrainVerdict.DRAINED),
        ([DrainRecord("1", True, 0)], 0, 0, DrainVerdict.DRAINED),
        ([DrainRecord("1", True, 1)], 0, 0, DrainVerdict.BUSY),
        ([DrainRecord("1", False, 1)], 0, 0, DrainVerdict.BUSY),
        ([DrainRecord("1", True, 0), DrainRecord("2", True, 0)], 1, 0, DrainVerdict.BUSY),
        ([DrainRecord("1", True, 0)], 0, 2, DrainVerdict.BUSY),
        ([DrainRecord("1", False, None)], 0, 0, DrainVerdict.DRAINED),
        ([DrainRecord("1", True, None)], 0, 0, DrainVerdict.UNKNOWN),
        ([DrainRecord("1", True, 0), DrainRecord("2", True, None)], 3, 0, DrainVerdict.UNKNOWN),
        ([DrainRecord("1", True, 1), DrainRecord("2", True, -1)], 0, 0, DrainVerdict.UNKNOWN),
        ([DrainRecord("1", True, 0)], -1, 0, DrainVerdict.UNKNOWN),
    ],
)
def test_judge(
    records: list[DrainRecord], limiter: int, workers: int, verdict: DrainVerdict
) -> None:
    assert judge(records, limiter, workers).verdict is verdict


def test_busy_names_the_escrows() -> None:
    sample = judge([DrainRecord("1", True, 0), DrainRecord("2", False, 3)], 1)
    assert sample.per_escrow == {"2": 3}
    assert sample.requests == 3


@given(st.lists(st.sampled_from(list(DrainVerdict)), max_size=30), st.integers(1, 5))
def test_only_an_unbroken_row_is_full(verdicts: list[DrainVerdict], needed: int) -> None:
    row = Row(needed)
    for verdict in verdicts:
        row = row.add(Sample(verdict))
    tail = verdicts[-needed:]
    assert row.full == (len(tail) == needed and set(tail) == {DrainVerdict.DRAINED})


def test_unknown_is_never_drained() -> None:
    sample = unknown("HTML instead of JSON")
    assert sample.verdict is DrainVerdict.UNKNOWN
    assert not Row(1).add(sample).full


# what a gateway answers


class Wire:
    """Answers every request alike."""

    def __init__(self, status: int, body: str, kind: str = "application/json") -> None:
        self.response = Response(status=status, headers={"Content-Type": kind}, body=body.encode())

    def send(self, request: Request) -> Response:
        assert (request.method, request.url) == ("GET", "http://127.0.0.1:1/v1/admin/state")
        return self.response


def nothing_held() -> bool:
    return False


def seen(wire: Wire, workers: int = 0, edge: t.Callable[[], bool] = nothing_held) -> Sample:
    gateway = GatewayApi(wire, url="http://127.0.0.1:1", admin_key="k", profile=profile("v2"))
    return look(gateway.state, lambda: workers, edge)


def state(*requests: int | None, in_flight: t.Any = 0, **runtime: t.Any) -> dict[str, t.Any]:
    """An answer with one record for each number; None is an inactive record without a runtime."""
    return {
        "capacity": {},
        "settings": {},
        "limiter": {"in_flight_requests": in_flight},
        "devshards": [
            {
                "id": str(number),
                "active": count is not None,
                "created_at": "2026-01-02T03:04:05Z",
                **(
                    {}
                    if count is None
                    else {
                        "runtime": {
                            "active": True,
                            "requests_blocked": False,
                            "active_requests": count,
                            **runtime,
                        }
                    }
                ),
            }
            for number, count in enumerate(requests, 1)
        ],
    }


@pytest.mark.parametrize("requests", [(), (0,), (0, 0, 0), (None,), (0, None)])
def test_a_gateway_with_any_number_of_escrows_can_be_drained(
    requests: tuple[int | None, ...],
) -> None:
    assert seen(Wire(200, json.dumps(state(*requests)))).verdict is DrainVerdict.DRAINED


@pytest.mark.parametrize(
    ("body", "count"),
    [(state(1), 1), (state(0, 2, 1), 3), (state(in_flight=4), 4), (state(2, in_flight=1), 2)],
)
def test_one_stream_anywhere_is_busy(body: dict[str, t.Any], count: int) -> None:
    sample = seen(Wire(200, json.dumps(body)))
    assert (sample.verdict, sample.requests) == (DrainVerdict.BUSY, count)


def test_an_upload_that_the_edge_still_receives_is_busy() -> None:
    """It chose its slot before the switch, and the gateway does not know of it yet."""
    sample = seen(Wire(200, json.dumps(state(0))), edge=lambda: True)
    assert (sample.verdict, sample.requests, sample.edge) == (DrainVerdict.BUSY, 0, True)
    assert "whose body is not complete" in in_words(sample)


def test_an_edge_that_does_not_tell_is_unknown() -> None:
    def silent() -> bool:
        raise UnknownStateError("got 404")

    sample = seen(Wire(200, json.dumps(state(0))), edge=silent)
    assert (sample.verdict, sample.reason) == (DrainVerdict.UNKNOWN, "got 404")


def without(*path: str) -> str:
    body: t.Any = state(0)
    place = body
    for name in path[:-1]:
        place = place[0][name] if isinstance(place, list) else place[name]
    if isinstance(place, list):
        place = place[0]
    del place[path[-1]]
    return json.dumps(body)


@pytest.mark.parametrize(
    "wire",
    [
        Wire(500, '{"error":{"message":"broken"}}'),
        Wire(401, '{"error":{"message":"unauthorized"}}'),
        Wire(404, "404 page not found", "text/plain"),
        Wire(308, '{"status":"disabled"}'),
        Wire(200, "<html>sign in</html>", "text/html"),
        Wire(200, "<html>sign in</html>"),
        Wire(200, "[]"),
        Wire(200, "null"),
        Wire(200, ""),
        Wire(200, without("limiter")),
        Wire(200, without("limiter", "in_flight_requests")),
        Wire(200, without("devshards")),
        Wire(200, without("devshards", "id")),
        Wire(200, without("devshards", "active")),
        Wire(200, without("devshards", "runtime")),
        Wire(200, without("devshards", "runtime", "active_requests")),
        Wire(200, json.dumps(state(0, active_requests="0"))),
        Wire(200, json.dumps(state(0, active_requests=0.0))),
        Wire(200, json.dumps(state(0, active_requests=False))),
        Wire(200, json.dumps(state(0, active_requests=None))),
        Wire(200, json.dumps(state(0, in_flight="0"))),
        Wire(200, json.dumps({**state(0), "devshards": None})),
    ],
)
def test_whatever_is_no_complete_answer_is_unknown(wire: Wire) -> None:
    sample = seen(wire)
    assert sample.verdict is DrainVerdict.UNKNOWN
    assert sample.reason
    assert sample.requests is None


# the wait


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(samples: t.Iterable[Sample], *, timeout: float = 100, needed: int = 3) -> Drained:
    clock = Clock()
    row = iter(samples)
    return wait_until_drained(
        lambda: next(row),
        needed=needed,
        deadline=WaitBudget(timeout, clock=lambda: clock.now, sleep=clock.sleep),
        interval=2,
        unknown_timeout=20,
    )


IDLE = Sample(DrainVerdict.DRAINED, requests=0, limiter=0)
BUSY = Sample(DrainVerdict.BUSY, requests=2, limiter=2, per_escrow={"7": 2})
BLIND = unknown("got 500")


def test_the_row_must_be_unbroken() -> None:
    done = wait([BUSY, IDLE, IDLE, BLIND, IDLE, IDLE, BUSY, IDLE, IDLE, IDLE])
    assert (done.polls, done.elapsed) == (10, 18)


def test_the_deadline_fails_and_says_that_nothing_was_stopped() -> None:
    with pytest.raises(WaitTimeoutError, match="2 request.s. left .escrow 7: 2.") as caught:
        wait([BUSY] * 100, timeout=10)
    assert "nothing was stopped" in str(caught.value)
    assert caught.value.details["last"]["requests"] == 2


def test_unknown_for_long_fails_before_the_deadline() -> None:
    with pytest.raises(UnknownStateError, match="got 500") as caught:
        wait([BUSY] + [BLIND] * 100, timeout=1000)
    assert caught.value.details["polls"] == 12


def test_unknown_now_and_then_does_not_fail() -> None:
    done = wait([*[BLIND] * 9, BUSY, *[BLIND] * 9, IDLE, IDLE, IDLE])
    assert done.polls == 22


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (BLIND, "unknown"),
        (IDLE, "not often enough"),
        (BUSY, "2 request"),
        (judge([], 0, 1), "1 nginx worker"),
    ],
)
def test_every_verdict_has_words(sample: Sample, words: str) -> None:
    assert words in in_words(sample)


def test_work_after_replies_keeps_a_gateway_from_being_stopped() -> None:
    state = GatewayState.from_api(
        Reader(
            {
                "devshards": [
                    {
                        "id": "7",
                        "active": True,
                        "created_at": "",
                        "runtime": {
                            "active": True,
                            "active_requests": 0,
                            "requests_blocked": False,
                            "pending_race_cleanup": 2,
                        },
                    },
                    {"id": "8", "active": True, "created_at": ""},
                ],
                "limiter": {"in_flight_requests": 0},
                "settings": {},
                "capacity": {},
            },
            "state",
        )
    )
    seen = look(lambda: state, lambda: 0, lambda: False, unloads=True)
    assert (seen.verdict, seen.per_escrow) == (DrainVerdict.BUSY, {"7": 2})
    # v2: an active record without a session in memory has a counter that nothing shows
    seen = look(lambda: state, lambda: 0, lambda: False)
    assert seen.verdict is DrainVerdict.UNKNOWN
