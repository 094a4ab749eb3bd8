# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Putting a slot in service at the edge, proved through the public route (design §5).

Two ways: a flag file that nginx tests for every request (no reload, nothing to cut), and an alias
include with a reload for an nginx that others manage. Either way the public route must answer
from the wanted slot several times in a row; otherwise the previous state is restored.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from .._core.errors import (
    ConfigurationError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from .._core.timer import WaitBudget
from . import nginx_conf
from .selectors import OTHER, Selector, Slot

if t.TYPE_CHECKING:
    from collections.abc import Callable


_GLANCE: t.Final = 5.0


@dataclass(frozen=True)
class RouteAnswer:
    """One answer of the public route. ``slot`` is what the edge's header says, None without it."""

    status: int
    slot: str | None
    closes: bool


class Route(t.Protocol):
    """The public route, asked on a new connection each time; raises DevshardError."""

    def __call__(self) -> RouteAnswer: ...


class Proof(enum.Enum):
    """What K answers of the public route prove."""

    PROVED = "proved"
    CONTRADICTED = "contradicted"
    UNMARKED = "unmarked"
    UNREACHABLE = "unreachable"


def judge(answers: list[RouteAnswer], slot: Slot) -> Proof:
    """Judge a full row of answers by the slot that they name; status codes do not matter.

    A gateway may answer 308 or 502 for reasons of its own; which slot answered is in the header
    that the edge adds.
    """
    if any(answer.slot is None for answer in answers):
        return Proof.UNMARKED
    if all(answer.slot == slot for answer in answers):
        return Proof.PROVED
    return Proof.CONTRADICTED


def refuse_unconfigured(dump: str, flag_path: str) -> None:
    """Refuse an nginx whose configuration does not test the flag file."""
    try:
        tree = nginx_conf.parse(dump)
    except nginx_conf.NginxSyntaxError as exc:
        raise UnknownStateError(f"nginx -T: {exc}") from exc
    if not nginx_conf.tests_flag(tree, flag_path):
        raise ConfigurationError(
            f"no server of the running nginx tests the flag file {flag_path} with 'if (-f …)', so"
            " a switch would do nothing; apply role gonka.devshard.edge, or use via=reload for an"
            " nginx that others manage"
        )


def refuse_unsafe_reload(dump: str, answer: RouteAnswer, drain_budget: float) -> None:
    """Refuse a reload that would cut requests: see field facts on reloads.

    ``worker_shutdown_timeout`` ends old workers' streams; keep-alive towards clients makes a
    reusing client meet a closing connection. Both must be right in the configuration that runs
    *now*, since old workers keep it.
    """
    try:
        tree = nginx_conf.parse(dump)
    except nginx_conf.NginxSyntaxError as exc:
        raise UnknownStateError(f"nginx -T: {exc}") from exc
    timeout = nginx_conf.worker_shutdown_timeout(tree)
    if timeout is not None and timeout < drain_budget:
        raise UnsafeError(
            f"worker_shutdown_timeout is {timeout:g} s, shorter than the drain budget of"
            f" {drain_budget:g} s: a reload would cut streams at that age. Raise or remove it and"
            " reload once, before the switch"
        )
    if not answer.closes:
        raise UnsafeError(
            "the public route keeps client connections open: a client that reuses one would meet"
            " a reset at the reload. Set 'keepalive_timeout 0' for the chat location and reload"
            " once, before the switch"
        )


@dataclass(frozen=True)
class SlotChange:
    """What happened; ``proved`` is the number of answers in a row that came from the slot."""

    slot: Slot
    previous: Slot
    changed: bool
    proved: int


def _prove(
    route: Route, slot: Slot, confirmations: int, deadline: WaitBudget, interval: float
) -> Proof:
    """Request until K answers in a row come from the slot, or the time is over."""
    row: list[RouteAnswer] = []
    while True:
        try:
            row.append(route())
        except TransportError:
            verdict = Proof.UNREACHABLE
        else:
            verdict = judge(row, slot)
        if verdict is Proof.PROVED:
            if len(row) >= confirmations:
                return verdict
            if deadline.expired():
                return Proof.CONTRADICTED
            continue
        if not deadline.pause(interval):
            return verdict
        row = []


def _refuse_untrusted(before: Proof, previous: Slot, *, alive: bool) -> None:
    """Refuse a public route that does not answer as its configuration says, before the change."""
    if before is Proof.UNREACHABLE:
        raise UnknownStateError(
            "the public route does not answer, so a switch could not be proved; check that nginx "
            "is running and that devshard_client_base_url (public_url) is its URL",
            rolled_back=False,
        )
    if before is Proof.UNMARKED:
        raise ConfigurationError(
            "the public route answers without the header that names the slot, so which slot serves"
            " cannot be seen; apply role gonka.devshard.edge, or add the header to the location"
        )
    if before is Proof.CONTRADICTED and alive:
        raise UnknownStateError(
            f"slot {previous} should be in service and is alive, but the public route does not"
            " answer from it: the running nginx does not follow its configuration. Reload nginx,"
            " read its error log, and run this again",
            rolled_back=False,
        )


class Force(t.Protocol):
    """Make a written selector effective where it is not by itself: a reload.

    Raise ConfigurationError when nginx refuses; then nothing took effect.
    """

    def __call__(self) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """One way to put a slot in service, and how it is proved.

    ``force`` is None when the selector is effective by itself (a flag file).
    """

    selector: Selector
    route: Route
    alive: Callable[[Slot], bool]
    confirmations: int
    timeout: float
    interval: float
    force: Force | None
    deadline: Callable[[float], WaitBudget] = WaitBudget

    def _prove(self, slot: Slot, timeout: float) -> Proof:
        return _prove(self.route, slot, self.confirmations, self.deadline(timeout), self.interval)

    def put(self, slot: Slot, *, check_mode: bool) -> SlotChange:
        """Put ``slot`` in service, or leave everything as it was and say why.

        Raise UnsafeError before any change when the target is dead, and UnknownStateError with
        ``rolled_back`` when the public route did not follow.
        """
        written = self.selector.read()
        if not self.alive(slot):
            raise UnsafeError(
                f"slot {slot} does not answer, so it is not put in service; slot {written} stays",
                rolled_back=False,
            )
        # a glance: what is to be seen now has been so for long
        before = self._prove(written, min(_GLANCE, self.timeout))
        # what is written and not in force comes from a run that was cut off before its reload
        unforced = before is Proof.CONTRADICTED and self.force is not None
        if not unforced:
            _refuse_untrusted(before, written, alive=self.alive(written))
        previous: Slot = OTHER[slot] if unforced else written
        if previous == slot:
            return SlotChange(slot, previous, changed=False, proved=self.confirmations)
        if check_mode:
            return SlotChange(slot, previous, changed=True, proved=0)
        self._change(slot, previous)
        return SlotChange(slot, previous, changed=True, proved=self.confirmations)

    def _change(self, slot: Slot, previous: Slot) -> None:
        verdict = Proof.CONTRADICTED
        refused = False
        try:
            self.selector.write(slot)
            if self.force is not None:
                self.force()
            verdict = self._prove(slot, self.timeout)
        except DevshardError as exc:
            exc.details["rolled_back"] = True
            refused = isinstance(exc, ConfigurationError)
            raise
        finally:
            # whatever ends the proof, an interrupt too, the slot of before is back
            if verdict is not Proof.PROVED:
                self.selector.write(previous)
                if self.force is not None and not refused:
                    self.force()
        if verdict is not Proof.PROVED:
            back = self._prove(previous, self.timeout)
            raise UnknownStateError(
                f"the public route did not answer from slot {slot} {self.confirmations} times in a"
                f" row; slot {previous} is back in service"
                + ("" if back is Proof.PROVED else ", which the public route does not confirm")
                + ". Check nginx's error log and the slot's own answers",
                rolled_back=True,
                confirmed=back is Proof.PROVED,
            )
