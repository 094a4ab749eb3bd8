# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""Putting a slot in service at the edge, proved through the public route (design §5).

Two ways: a flag file that nginx tests for every request (no reload, nothing to cut), and an alias
include with a reload for an nginx that others manage. Either way the public route must answer
from the wanted slot several times in a row; otherwise the earlier state comes back.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import typing as t
from dataclasses import dataclass

from . import _nginx_conf
from ._errors import (
    ConfigurationError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ._wait import Deadline

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Slot = t.Literal["main", "temp"]

OTHER: t.Final[Mapping[Slot, Slot]] = {"main": "temp", "temp": "main"}
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


class Nginx(t.Protocol):
    """The running nginx, on the host or in a container."""

    def dump(self) -> str: ...
    def check(self) -> str | None: ...
    def reload(self) -> str | None: ...
    def workers(self) -> Mapping[str, bool]: ...


class Selector(t.Protocol):
    """Where the slot in service is written."""

    def read(self) -> Slot: ...
    def write(self, slot: Slot) -> None: ...


class FlagFile:
    """The slot in service as the presence of a file: present means temp."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Slot:
        return "temp" if self._path.exists() else "main"

    def write(self, slot: Slot) -> None:
        with _named(self._path):
            if slot == "temp":
                self._path.touch(mode=0o644)
            else:
                self._path.unlink(missing_ok=True)
            _sync_directory(self._path.parent)


class AliasInclude:
    """The slot in service as the content of an include file that defines one upstream."""

    def __init__(self, path: Path, alias: str, servers: Mapping[Slot, str]) -> None:
        self._path = path
        self._alias = alias
        self._servers = servers

    def render(self, slot: Slot) -> str:
        """The whole file. The variable tells which slot really answered, for a header."""
        return (
            "# managed by gonka.devshard.edge_slot\n"
            f"upstream {self._alias} {{\n"
            f"    server {self._servers[slot]} max_fails=0;\n"
            f"    server {self._servers[OTHER[slot]]} backup max_fails=0;\n"
            "}\n"
            f"map $upstream_addr ${self._alias}_served {{\n"
            f"    default {slot};\n"
            f"    ~{re.escape(self._servers['main'])}$ main;\n"
            f"    ~{re.escape(self._servers['temp'])}$ temp;\n"
            "}\n"
        )

    def read(self) -> Slot:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise ConfigurationError(
                f"there is no alias include at {self._path}. Create it with this content, include it"
                f" from the http block, use http://{self._alias} as proxy_pass, and add the header"
                f" X-Devshard-Slot ${self._alias}_served always:\n{self.render('main')}",
                path=str(self._path),
            ) from exc
        servers = _nginx_conf.upstream(_nginx_conf.parse(text), self._alias)
        first = servers[0].args[0] if servers else None
        for slot, address in self._servers.items():
            if address == first:
                return slot
        raise UnknownStateError(
            f"the alias include {self._path} names neither slot in upstream {self._alias}: its"
            f" first server is '{first}'",
            path=str(self._path),
        )

    def write(self, slot: Slot) -> None:
        """Replaces the file by a rename in its directory; the one before is kept beside it."""
        candidate = self._path.with_name(f".{self._path.name}.candidate")
        previous = self._path.with_name(f"{self._path.name}.previous")
        with _named(self._path):
            with candidate.open("w", encoding="utf-8") as handle:
                handle.write(self.render(slot))
                handle.flush()
                os.fsync(handle.fileno())
            candidate.chmod(0o644)
            previous.unlink(missing_ok=True)
            os.link(self._path, previous)
            candidate.replace(self._path)
            _sync_directory(self._path.parent)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """A full disk or a missing directory is the host's fault and has a name."""
    try:
        yield
    except OSError as exc:
        raise ConfigurationError(
            f"{path} cannot be changed: {exc.strerror}", path=str(path)
        ) from exc


def _sync_directory(path: Path) -> None:
    """A switch must survive a power cut: the directory entry is the switch."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Proof(enum.Enum):
    """What K answers of the public route prove."""

    PROVED = "proved"
    CONTRADICTED = "contradicted"
    UNMARKED = "unmarked"
    UNREACHABLE = "unreachable"


def judge(answers: list[RouteAnswer], slot: Slot) -> Proof:
    """Judges a full row of answers; status codes do not matter, the mark does.

    A gateway may answer 308 or 502 for reasons of its own; which slot answered is in the header
    that the edge adds.
    """
    if any(answer.slot is None for answer in answers):
        return Proof.UNMARKED
    if all(answer.slot == slot for answer in answers):
        return Proof.PROVED
    return Proof.CONTRADICTED


def refuse_unconfigured(dump: str, flag_path: str) -> None:
    """Refuses an nginx whose configuration does not test the flag file."""
    try:
        tree = _nginx_conf.parse(dump)
    except _nginx_conf.NginxSyntaxError as exc:
        raise UnknownStateError(f"nginx -T: {exc}") from exc
    if not _nginx_conf.tests_flag(tree, flag_path):
        raise ConfigurationError(
            f"no server of the running nginx tests the flag file {flag_path} with 'if (-f …)', so"
            " a switch would do nothing; apply role gonka.devshard.edge, or use via=reload for an"
            " nginx that others manage"
        )


def refuse_unsafe_reload(dump: str, answer: RouteAnswer, drain_budget: float) -> None:
    """Refuses a reload that would cut somebody: see field facts on reloads.

    ``worker_shutdown_timeout`` ends old workers' streams; keep-alive towards clients makes a
    reusing client meet a closing connection. Both must be right in the configuration that runs
    *now*, since old workers keep it.
    """
    try:
        tree = _nginx_conf.parse(dump)
    except _nginx_conf.NginxSyntaxError as exc:
        raise UnknownStateError(f"nginx -T: {exc}") from exc
    timeout = _nginx_conf.worker_shutdown_timeout(tree)
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
    route: Route, slot: Slot, confirmations: int, deadline: Deadline, interval: float
) -> Proof:
    """Asks until K answers in a row come from the slot, or the time is over."""
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
    """What the public route says before the change must explain itself."""
    if before is Proof.UNREACHABLE:
        raise UnknownStateError(
            "the public route does not answer, so a switch could not be proved; check that nginx"
            " runs and that devshard_client_base_url (public_url) is its own",
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
    """Makes a written selector effective where it is not by itself: a reload.

    Raises ConfigurationError when nginx refuses, and nothing took effect then.
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
    deadline: Callable[[float], Deadline] = Deadline

    def _prove(self, slot: Slot, timeout: float) -> Proof:
        return _prove(self.route, slot, self.confirmations, self.deadline(timeout), self.interval)

    def put(self, slot: Slot, *, check_mode: bool) -> SlotChange:
        """Puts ``slot`` in service, or leaves everything as it was and says why.

        Raises UnsafeError before any change when the target is dead, and UnknownStateError with
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
                + ". Look at nginx's error log and at the slot's own answers",
                rolled_back=True,
                confirmed=back is Proof.PROVED,
            )


def leaving(nginx: Nginx) -> list[str]:
    """Workers that finish requests from before some reload, if only that of a run that was cut off."""
    return sorted(worker for worker, is_leaving in nginx.workers().items() if is_leaving)


def reload_and_prove(nginx: Nginx, *, deadline: Deadline, interval: float) -> tuple[str, ...]:
    """Checks, reloads, and proves that every worker of before is gone or shutting down.

    Returns the workers of before that still finish requests. Raises ConfigurationError when the
    configuration is refused, UnknownStateError when nginx took the signal but kept its workers
    (it returns 0 then, and only its error log tells why).
    """
    complaint = nginx.check()
    if complaint is not None:
        raise ConfigurationError(f"nginx -t refuses the configuration: {complaint}")
    before = set(nginx.workers())
    complaint = nginx.reload()
    if complaint is not None:
        raise ConfigurationError(f"nginx -s reload failed: {complaint}")

    def turned() -> bool:
        now = nginx.workers()
        return all(now.get(worker, True) for worker in before) and any(
            not leaving for worker, leaving in now.items() if worker not in before
        )

    while not turned():
        if not deadline.pause(interval):
            raise UnknownStateError(
                "nginx accepted the reload but its old workers still take requests: it kept the old"
                " configuration. Its error log names the reason (often an address it cannot listen"
                " on)"
            )
    now = nginx.workers()
    return tuple(sorted(worker for worker in before if worker in now))
