# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The ways in which gateways are replaced elsewhere, done by hand on the test host.

All but the restart in place use a second gateway that stands ready with an escrow of its own. No
image is changed: what clients notice comes from the switch and the stop.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.gonka.devshard.benchmarks.swap.report import Swap
from ansible_collections.gonka.devshard.tests.swap.lab import MAIN, TEMP, Lab, wait_until
from ansible_collections.gonka.devshard.tests.swap.second import (
    AliasEdge,
    reload,
    wait_for,
    write_alias,
)

Clock = t.Callable[[], float]
Change = t.Callable[[Clock], Swap]


def drain(lab: Lab, gateway: str, timeout: float = 120) -> None:
    """Until three looks in a row find nobody."""
    row = 0

    def idle() -> bool:
        nonlocal row
        state = lab.admin("/v1/admin/state", gateway=gateway)
        busy = sum(item["runtime"]["active_requests"] for item in state["devshards"])
        row = 0 if busy or state["limiter"]["in_flight_requests"] else row + 1
        return row >= 3

    wait_until(idle, f"{gateway} is drained", timeout=timeout)


def restart(lab: Lab) -> None:
    lab.on_host("docker", "restart", MAIN)
    wait_for(lab, MAIN)


@contextlib.contextmanager
def in_place(lab: Lab) -> t.Iterator[Change]:
    """The one gateway there is is restarted while it serves."""

    def change(now: Clock) -> Swap:
        begin = now()
        restart(lab)
        return Swap(begin=begin, switched=None, drained=None, end=now())

    lab.on_host("docker", "stop", TEMP)
    try:
        yield change
    finally:
        lab.on_host("docker", "start", TEMP)
        wait_for(lab, TEMP)


@contextlib.contextmanager
def stop_at_once(lab: Lab) -> t.Iterator[Change]:
    """The usual blue/green role: switch, stop the old one at once, switch back, stop temp."""
    flag = "/etc/nginx/devshard/temp-in-service"

    def change(now: Clock) -> Swap:
        begin = now()
        lab.on_host("touch", flag)
        switched = now()
        restart(lab)
        back = now()
        lab.on_host("rm", flag)
        lab.on_host("docker", "restart", TEMP)
        return Swap(begin=begin, switched=switched, drained=None, end=now(), back=back)

    try:
        yield change
    finally:
        lab.on_host("rm", "-f", flag)
        wait_for(lab, TEMP)


def _alias(lab: Lab, keepalive: str) -> t.Iterator[Change]:
    def change(now: Clock) -> Swap:
        begin = now()
        write_alias(lab, TEMP)
        reload(lab)
        switched = now()
        drain(lab, MAIN)
        drained = now()
        restart(lab)
        write_alias(lab, MAIN)
        reload(lab)
        back = now()
        drain(lab, TEMP)
        return Swap(begin=begin, switched=switched, drained=drained, end=now(), back=back)

    with AliasEdge(lab, keepalive):
        yield change


@contextlib.contextmanager
def alias_reload(lab: Lab) -> t.Iterator[Change]:
    """An alias include and a reload, with a drain before each stop: the guide's way."""
    yield from _alias(lab, "75s")


@contextlib.contextmanager
def alias_reload_closing(lab: Lab) -> t.Iterator[Change]:
    """The same with ``keepalive_timeout 0`` in force from the start."""
    yield from _alias(lab, "0")


OTHERS: dict[str, t.Callable[[Lab], t.ContextManager[Change]]] = {
    "alias + reload": alias_reload,
    "alias + reload, keepalive_timeout 0": alias_reload_closing,
    "switch, old stopped at once": stop_at_once,
    "restart in place": in_place,
}
