# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Waits until a started gateway answers: one deadline, and an early end after a failure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._core.errors import DevshardError, UnsafeError, WaitTimeoutError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._core.timer import WaitBudget
    from .._host.docker import Container

CRASHES: t.Final = 5
"""Number of starts that ended immediately after which the chain is no longer the likely cause."""
SHOWN: t.Final = 3
"""Lines of the log in a message."""
_KEY = re.compile(r"(?<![0-9a-fA-F])(?:0x)?[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_LINE: t.Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayAnswer:
    """The gateway's answer over HTTP: whether it counts, or why not."""

    problem: str | None


def fatal(container: Container | None, name: str, restarts_before: int) -> str | None:
    """Why the gateway can no longer come up, or None."""
    if container is None:
        return f"there is no container {name}"
    again = container.restart_policy not in ("no", "")
    if container.state in ("exited", "dead", "created", "removing") and not again:
        return f"the container {name} has ended ({_ending(container)})"
    crashes = container.restart_count - restarts_before
    if crashes >= CRASHES:
        return f"the container {name} ends each time it is started, {crashes} times so far"
    return None


def _ending(container: Container) -> str:
    if container.exit_code is None:
        return container.state
    killed = ", out of memory" if container.out_of_memory else ""
    return f"{container.state}, status {container.exit_code}{killed}"


def pending(container: Container | None, answer: GatewayAnswer, *, checked: bool) -> str | None:
    """The missing condition, or None when the gateway is up.

    ``checked``: nothing more has to be known of one whose first health check is still to come.
    """
    if container is None or container.state != "running":
        return f"its container is {'gone' if container is None else container.state}"
    if answer.problem is not None:
        return answer.problem
    if container.health not in ("healthy", None) and not (checked and awaits_check(container)):
        return f"it answers, and its health check is {container.health}"
    return None


def awaits_check(container: Container) -> bool:
    """The engine runs the first health check only some seconds after the start."""
    return container.health == "starting"


def last_lines(log: str, secrets: Collection[str]) -> list[str]:
    """The end of a log for a message: no secret, no empty line, no endless line."""
    for secret in secrets:
        if secret:
            log = log.replace(secret, "***")
    lines = [" ".join(line.split()) for line in _KEY.sub("***", log).splitlines()]
    return [line[:_LINE] for line in lines if line][-SHOWN:]


@dataclass(frozen=True, kw_only=True)
class GatewayWait:
    """``answers`` asks the gateway and takes at most the seconds that it is given."""

    name: str
    url: str
    look: Callable[[], Container | None]
    answers: Callable[[float], GatewayAnswer]
    checks: Callable[[Container, float], bool] | None
    """Runs the container's health check now, in at most the seconds that it is given, rather than
    when the engine would; None where an answer is enough."""
    log: Callable[[], list[str]]
    deadline: WaitBudget
    interval: float
    option: str
    """How the user sets the deadline."""

    def run(self) -> float:
        """Wait, in seconds; raise once the gateway can no longer come up, or at the deadline."""
        first = self.look()
        before = 0 if first is None else first.restart_count
        while True:
            container = self.look()
            if (why := fatal(container, self.name, before)) is not None:
                raise UnsafeError(
                    f"the gateway at {self.url} does not come up: {why}{self._said()}"
                )
            answer = self.answers(self.deadline.left)
            missing = pending(container, answer, checked=self._checked(container, answer))
            if missing is None:
                return self.deadline.elapsed
            if not self.deadline.pause(self.interval):
                raise WaitTimeoutError(
                    f"the gateway at {self.url} did not come up within"
                    f" {self.deadline.elapsed:.0f} s ({self.option}): {missing}{self._said()}"
                )

    def _checked(self, container: Container | None, answer: GatewayAnswer) -> bool:
        if self.checks is None:
            return True
        if container is None or answer.problem is not None or not awaits_check(container):
            return False
        return self.checks(container, self.deadline.left)

    def _said(self) -> str:
        try:
            lines = self.log()
        except DevshardError as exc:
            return f". Its log cannot be read ({exc})"
        return f". The end of its log: {' | '.join(lines)}" if lines else ". Its log is empty"
