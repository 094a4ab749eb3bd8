# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A v2 gateway answers 500 while its database is being written (contract gateway.md, E6).

A read is repeated for some seconds. What became of a write is not known: it is sent once, and its
caller looks.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    OutcomeUnknownError,
    ProtocolError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import HttpTransport
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Kind
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    restore_rotation,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.settings_copy import (
    copy_settings,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Server,
    json_answer,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows import (
    pools as escrows,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows import (
    recording as devshards,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows import (
    settling as settles,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._swap.test_gateway import (
    FRESH,
    SETTINGS,
    Gateway,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import World

# as a real one said it on GET /v1/admin/state during a rotation step
TEXT = "load gateway settings: database is locked (5) (SQLITE_BUSY)"
BUSY = json_answer({"error": {"message": TEXT}}, 500)
KEY = "admin-key-of-the-tests-0123456789"
TX: dict[str, t.Any] = {
    "private_key_env": "DEVSHARD_PRIVATE_KEY",
    "chain_id": "gonka-sim",
    "fee_amount": 1,
    "gas_limit": 1,
}
WRITES: dict[str, t.Callable[[GatewayApi], object]] = {
    "settings": lambda api: api.post_settings({"default_model": "a"}),
    "add": lambda api: api.add("1"),
    "activate": lambda api: api.activate("1"),
    "import": lambda api: api.import_session(
        "1", storage_path="/x", private_key_env="DEVSHARD_PRIVATE_KEY", model="a"
    ),
    "deactivate": lambda api: api.deactivate("1"),
    "delete": lambda api: api.delete("1"),
    "create": lambda api: api.create_escrow(model_id="a", amount=1, **TX),
    "finalize": lambda api: api.finalize("1"),
    "settle": lambda api: api.settle("1", **TX),
}
WHEN = pytest.mark.parametrize("when", ["before", "after"])
When = t.Literal["before", "after"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def api(server: Server, clock: Clock, seconds: float = 60) -> GatewayApi:
    deadline = WaitBudget(seconds, clock=clock, sleep=clock.sleep)
    http = HttpTransport(timeout=5, sleep=clock.sleep, deadline=deadline)
    return GatewayApi(http, url=server.url, admin_key=KEY, profile=profiles.profile("v2"))


# at the gateway's interface


def test_a_read_is_repeated_for_some_seconds(server: Server) -> None:
    clock = Clock()
    server.answers(BUSY, BUSY, BUSY, json_answer({"default_model": "a"}))
    assert api(server, clock).settings() == {"default_model": "a"}
    assert len(server.seen) == 4
    assert 0 < clock.now < 5


def test_a_read_gives_up_and_says_what_it_heard(server: Server) -> None:
    clock = Clock()
    server.answers(*[BUSY] * 20)
    with pytest.raises(ProtocolError, match="SQLITE_BUSY"):
        api(server, clock).settings()
    assert 5 < clock.now < 15


def test_a_read_is_not_repeated_past_the_deadline(server: Server) -> None:
    clock = Clock()
    server.answers(*[BUSY] * 20)
    with pytest.raises(ProtocolError, match="SQLITE_BUSY"):
        api(server, clock, seconds=1).settings()
    assert clock.now < 1


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"error": {"message": "finalize: insufficient signatures"}}, 500),
        json_answer({"error": {"message": TEXT}}, 502),
        Answer(status=500, body=b"database is locked"),
    ],
)
def test_another_500_is_none_of_these(server: Server, answer: Answer) -> None:
    server.answers(answer, answer, answer, answer)
    with pytest.raises(ProtocolError):
        WRITES["finalize"](api(server, Clock()))
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_sent_once_and_its_outcome_is_not_known(server: Server, name: str) -> None:
    clock = Clock()
    server.answers(BUSY, json_answer({}))
    with pytest.raises(OutcomeUnknownError, match="not known whether this was done") as caught:
        WRITES[name](api(server, clock))
    assert caught.value.details["sent"] is True
    assert len(server.seen) == 1
    assert clock.slept == []


def test_a_create_that_names_its_escrow_tells_more_than_that(server: Server) -> None:
    error = {"message": f"runtime 7: {TEXT}", "escrow_id": "7", "tx_hash": "AB" * 32}
    server.answers(json_answer({"error": error}, 500))
    with pytest.raises(ProtocolError) as caught:
        WRITES["create"](api(server, Clock()))
    assert caught.value.details["server_error"] == error


# who writes, looks


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.gateway.error = OutcomeUnknownError
    return made


@pytest.fixture
def served(world: World) -> World:
    """One escrow that the gateway serves."""
    escrows.run(world)
    world.gateway.calls.clear()
    return world


@WHEN
def test_create(world: World, when: When) -> None:
    world.gateway.lose["create"] = when
    if when == "after":
        escrows.run(world, seconds=60, **escrows.GATEWAY)
        escrows.proved(world, 1)
    else:
        with pytest.raises(WaitTimeoutError):
            escrows.run(world, seconds=5, **escrows.GATEWAY)
        assert [intent.open for intent in escrows.intents(world)] == [True]
    assert world.gateway.calls.count("create") == 1


@WHEN
def test_register(world: World, when: When) -> None:
    world.gateway.lose["add"] = when
    if when == "after":
        escrows.run(world, seconds=10)
    else:
        with pytest.raises(OutcomeUnknownError):
            escrows.run(world, seconds=10)
        assert world.gateway.calls.count("add") == 1
        escrows.run(world, seconds=10)
    escrows.proved(world, 1)


@WHEN
@pytest.mark.parametrize(("state", "call"), [("active", "activate"), ("inactive", "deactivate")])
def test_activate_and_deactivate(served: World, state: str, call: str, when: When) -> None:
    if state == "active":
        devshards.go(served, "inactive")
    served.gateway.lose[call] = when
    served.gateway.calls.clear()
    if when == "before":
        with pytest.raises(OutcomeUnknownError):
            devshards.go(served, state)
        assert served.gateway.calls.count(call) == 1
    devshards.go(served, state)
    assert served.gateway.records["1"].active is (state == "active")
    assert served.gateway.calls.count(call) == (2 if when == "before" else 1)


@WHEN
def test_import(served: World, when: When) -> None:
    del served.gateway.records["1"]
    served.gateway.stored[devshards.TEMP] = 7
    served.known_nonce = 7
    served.gateway.lose["import"] = when
    if when == "before":
        with pytest.raises(OutcomeUnknownError):
            devshards.go(served, "imported", expected_nonce=7)
        assert [intent.open for intent in devshards.intents(served, Kind.IMPORT)] == [True]
        assert served.gateway.calls.count("import") == 1
    devshards.go(served, "imported", expected_nonce=7)
    assert served.gateway.records["1"].runtime.nonce == 7


@WHEN
@pytest.mark.parametrize("call", ["deactivate", "finalize"])
def test_settle_looks_and_goes_on(served: World, call: str, when: When) -> None:
    served.gateway.lose[call] = when
    assert settles.only(settles.settle(served)).settled
    assert settles.settles_on_chain(served) == 1


@WHEN
def test_the_gateways_own_settle(served: World, when: When) -> None:
    served.gateway.lose["settle"] = when
    if when == "after":
        assert settles.only(settles.settle(served, **settles.GATEWAY)).settled
    else:
        with pytest.raises(WaitTimeoutError):
            settles.settle(served, seconds=20, **settles.GATEWAY)
    assert served.gateway.calls.count("settle") == 1


class BusyGateway(Gateway):
    """Its next post is answered with an error, done or not."""

    when: When | None = None

    def post_settings(self, patch: dict[str, t.Any]) -> dict[str, t.Any]:
        when, self.when = self.when, None
        if when == "before":
            self.posts.append(patch)
            raise OutcomeUnknownError(TEXT, sent=True)
        answer = super().post_settings(patch)
        if when == "after":
            raise OutcomeUnknownError(TEXT, sent=True)
        return answer


@WHEN
def test_settings_of_a_swap(when: When) -> None:
    source: t.Any = Gateway(SETTINGS)
    actions: list[tuple[dict[str, t.Any], t.Callable[[t.Any], object]]] = [
        (FRESH, lambda target: copy_settings(source, target, check_mode=False)),
        (SETTINGS, lambda target: freeze_rotation(target, check_mode=False)),
        (
            FRESH,
            lambda target: restore_rotation(target, SETTINGS["escrow_rotation"], check_mode=False),
        ),
    ]
    for held, act in actions:
        target = BusyGateway(held)
        target.when = when
        if when == "before":
            with pytest.raises(OutcomeUnknownError):
                act(target)
            assert len(target.posts) == 1
            assert target.held == held
        else:
            act(target)
            assert target.posts


def test_rotation_is_frozen_only_by_an_answer() -> None:
    """Which comes after the pass that runs; sent again, the same value changes nothing."""
    target = BusyGateway(SETTINGS)
    target.when = "after"
    freeze_rotation(t.cast(t.Any, target), check_mode=False)
    assert target.posts == [{"escrow_rotation": {"enabled": False}}] * 2
