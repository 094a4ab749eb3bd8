# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Waiting for a gateway: one deadline on an injected clock, and an end as soon as it is in vain."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.wait import (
    CRASHES,
    GatewayAnswer,
    GatewayWait,
    last_lines,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)

UP = GatewayAnswer(problem=None)
REFUSED = GatewayAnswer(problem="the connection was refused")


def container(
    status: str = "running",
    *,
    health: str | None = None,
    restarts: int = 0,
    policy: str = "unless-stopped",
    code: int = 0,
    killed: bool = False,
    test: list[str] | None = None,
) -> Container:
    state: dict[str, t.Any] = {"Status": status, "Running": status == "running"}
    state |= {"ExitCode": code, "OOMKilled": killed}
    if health is not None:
        state["Health"] = {"Status": health}
    return from_inspect(
        {
            "Name": "/g",
            "Image": "sha256:1",
            "RestartCount": restarts,
            "Config": {"Image": "g:1", "Healthcheck": None if test is None else {"Test": test}},
            "State": state,
            "HostConfig": {"RestartPolicy": {"Name": policy}},
        },
        (),
    )


class World:
    """Looks and answers in turn, the last one for ever; each answer takes ``slow`` seconds."""

    def __init__(
        self,
        looks: list[Container | None],
        answers: list[GatewayAnswer],
        *,
        slow: float = 0,
        log: list[str] | None = None,
        checks: list[bool] | None = None,
    ) -> None:
        self.looks, self.replies, self.slow = list(looks), list(answers), slow
        self.lines = log
        self.checks = checks or []
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self) -> Container | None:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def answer(self, left: float) -> GatewayAnswer:
        self.now += min(self.slow, left)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def log(self) -> list[str]:
        if self.lines is None:
            raise TransportError("no engine")
        return self.lines

    def check(self, _container: Container, left: float) -> bool:
        self.now += min(self.slow, left)
        return self.checks.pop(0) if self.checks else False

    def wait(self, seconds: float = 30, *, checked: bool = True) -> float:
        return GatewayWait(
            name="g",
            url="http://127.0.0.1:1",
            look=self.look,
            answers=self.answer,
            checks=self.check if checked else None,
            log=self.log,
            deadline=WaitBudget(seconds, clock=lambda: self.now, sleep=self.sleep),
            interval=2,
            option="hot_swap_wait_timeout",
        ).run()


def test_a_gateway_that_replays_its_sessions_is_waited_for() -> None:
    assert World([container()], [REFUSED, REFUSED, UP]).wait() == 4


def test_its_health_check_has_to_succeed_too() -> None:
    first = container(health="starting")
    assert World([first, first, first, container(health="healthy")], [UP]).wait() == 4


def test_a_check_that_succeeds_before_the_engine_runs_it_is_enough() -> None:
    first = container(health="starting")
    world = World([first], [REFUSED, UP], checks=[False, True])
    # the first answer is a refusal, and nothing is checked then
    assert world.wait() == 4
    assert not world.checks


def test_what_the_engine_found_counts_more_than_a_check_now() -> None:
    with pytest.raises(WaitTimeoutError, match="its health check is unhealthy"):
        World([container(health="unhealthy")], [UP], checks=[True] * 99).wait()


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (["CMD", "curl", "-f", "http://localhost"], ("curl", "-f", "http://localhost")),
        (["CMD-SHELL", "curl -f x || exit 1"], ("/bin/sh", "-c", "curl -f x || exit 1")),
        (["NONE"], ()),
        ([], ()),
        (None, ()),
    ],
)
def test_the_command_of_a_health_check(test: list[str] | None, words: tuple[str, ...]) -> None:
    found = container(test=test)
    assert found.health_command == words


def test_where_more_is_checked_afterwards_an_answer_is_enough() -> None:
    first = container(health="starting")
    assert World([first], [REFUSED, UP]).wait(checked=False) == 2
    with pytest.raises(WaitTimeoutError, match="its health check is unhealthy"):
        World([container(health="unhealthy")], [UP]).wait(checked=False)


@pytest.mark.parametrize("slow", [0, 5, 1000])
def test_the_time_out_is_kept_however_slowly_it_answers(slow: float) -> None:
    """30 seconds became 537: so many tries, each with a time-out of its own."""
    world = World([container()], [REFUSED], slow=slow, log=["boot"])
    with pytest.raises(WaitTimeoutError, match=r"within 30 s \(hot_swap_wait_timeout\).*refused"):
        world.wait(30)
    assert 30 <= world.now <= 33


def test_a_container_that_has_ended_ends_the_wait_at_once() -> None:
    looks: list[Container | None] = [container(), container("exited", policy="no", code=1)]
    world = World(looks, [REFUSED], log=["chain is away", "panic"])
    with pytest.raises(
        UnsafeError, match=r"has ended \(exited, status 1\).*its log: chain is away \| panic"
    ):
        world.wait()
    assert world.now == 0


def test_one_that_was_killed_for_its_memory_is_said_to_be() -> None:
    killed = container("exited", policy="no", code=137, killed=True)
    with pytest.raises(UnsafeError, match="status 137, out of memory"):
        World([killed], [REFUSED], log=[]).wait()


def test_one_that_is_started_over_and_over_ends_the_wait() -> None:
    looks: list[Container | None] = [
        container("restarting", restarts=7 + number) for number in range(CRASHES + 1)
    ]
    world = World([looks[0], *looks], [REFUSED], log=["chain is away"])
    with pytest.raises(UnsafeError, match=f"{CRASHES} times so far.*chain is away"):
        world.wait(300)
    assert world.now < 30


def test_one_that_ends_once_may_come_up() -> None:
    """The chain may have been away for a moment."""
    looks: list[Container | None] = [container(), container("exited", restarts=1), container()]
    assert World([looks[0], *looks], [REFUSED, REFUSED, UP]).wait() == 4


def test_a_container_that_is_not_there_is_not_waited_for() -> None:
    with pytest.raises(UnsafeError, match="no container g"):
        World([None], [REFUSED], log=[]).wait()


def test_a_log_that_cannot_be_read_does_not_hide_the_failure() -> None:
    with pytest.raises(UnsafeError, match=r"no container g\. Its log cannot be read \(no engine\)"):
        World([None], [REFUSED]).wait()


def test_the_log_in_a_message_holds_no_secret() -> None:
    key = "ab" * 32
    log = f"first\nkey {key} 0x{key}\n\nadmin sk-secret\n\tpanic:  no\n"
    assert last_lines(log, ["sk-secret", ""]) == ["key *** ***", "admin ***", "panic: no"]
    assert len(last_lines("x" * 5000, [])[0]) == 300
