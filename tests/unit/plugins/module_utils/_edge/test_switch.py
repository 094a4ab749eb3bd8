# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A slot is put in service and proved, or everything is as before."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._edge.reload import (
    leaving,
    reload_and_prove,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.selectors import (
    OTHER,
    AliasInclude,
    FlagFile,
    Slot,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.switch import (
    Proof,
    RouteAnswer,
    Switch,
    judge,
    refuse_unconfigured,
    refuse_unsafe_reload,
)

SERVERS: dict[Slot, str] = {"main": "127.0.0.1:18080", "temp": "127.0.0.1:18081"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def deadline(self, seconds: float) -> WaitBudget:
        return WaitBudget(seconds, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Edge:
    """An nginx with two slots; ``follows`` says whether what is written takes effect."""

    written: Slot = "main"
    live: Slot = "main"
    follows: bool = True
    reloads: bool = False
    refuses: bool = False
    marked: bool = True
    reachable: bool = True
    dead: set[str] = field(default_factory=set)
    writes: list[Slot] = field(default_factory=list)
    forced: int = 0

    def read(self) -> Slot:
        return self.written

    def write(self, slot: Slot) -> None:
        self.writes.append(slot)
        self.written = slot
        if self.follows and not self.reloads:
            self.live = slot

    def force(self) -> None:
        if self.refuses and self.written == "temp":
            raise ConfigurationError("nginx -t refuses the configuration")
        self.forced += 1
        if self.follows:
            self.live = self.written

    def route(self) -> RouteAnswer:
        if not self.reachable:
            raise TransportError("refused")
        served = OTHER[self.live] if self.live in self.dead else self.live
        return RouteAnswer(200, served if self.marked else None, closes=False)

    def alive(self, slot: Slot) -> bool:
        return slot not in self.dead

    def switch(self) -> Switch:
        return Switch(
            selector=self,
            route=self.route,
            alive=self.alive,
            confirmations=3,
            timeout=30,
            interval=1,
            force=self.force if self.reloads else None,
            deadline=Clock().deadline,
        )

    def put(self, slot: Slot, *, check_mode: bool = False) -> bool:
        return self.switch().put(slot, check_mode=check_mode).changed


@pytest.mark.parametrize("reloads", [False, True])
def test_there_and_back(reloads: bool) -> None:
    edge = Edge(reloads=reloads)
    assert [edge.put("temp"), edge.put("temp"), edge.put("main"), edge.put("main")] == [
        *(True, False),
        *(True, False),
    ]
    assert edge.writes == ["temp", "main"]
    assert edge.forced == (2 if reloads else 0)


@pytest.mark.parametrize("reloads", [False, True])
def test_check_mode_writes_nothing(reloads: bool) -> None:
    edge = Edge(reloads=reloads)
    assert edge.put("temp", check_mode=True)
    assert (edge.writes, edge.forced, edge.live) == ([], 0, "main")


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_dead_target_is_refused_before_anything_changes(check_mode: bool) -> None:
    edge = Edge(dead={"temp"})
    with pytest.raises(UnsafeError, match="slot temp does not answer") as caught:
        edge.put("temp", check_mode=check_mode)
    assert caught.value.details == {"rolled_back": False}
    assert edge.writes == []


def test_from_a_dead_slot_to_the_one_that_lives() -> None:
    edge = Edge(dead={"main"})
    assert edge.put("temp")
    assert edge.live == "temp"


@pytest.mark.parametrize(
    ("edge", "kind", "words"),
    [
        (Edge(reachable=False), UnknownStateError, "does not answer"),
        (Edge(marked=False), ConfigurationError, "without the header"),
        (Edge(written="main", live="temp"), UnknownStateError, "does not follow"),
    ],
)
def test_a_route_that_proves_nothing_is_refused_before_anything_changes(
    edge: Edge, kind: type[DevshardError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        edge.put("temp")
    assert edge.writes == []


def test_a_route_that_does_not_follow_is_rolled_back() -> None:
    edge = Edge(follows=False)
    with pytest.raises(UnknownStateError, match="slot main is back in service") as caught:
        edge.put("temp")
    assert caught.value.details == {"rolled_back": True, "confirmed": True}
    assert (edge.written, edge.live) == ("main", "main")


def test_nginx_that_refuses_the_file_is_not_reloaded_again() -> None:
    edge = Edge(reloads=True, refuses=True)
    with pytest.raises(ConfigurationError, match="nginx -t") as caught:
        edge.put("temp")
    assert caught.value.details["rolled_back"] is True
    assert (edge.written, edge.live, edge.forced) == ("main", "main", 0)


def test_a_run_cut_off_before_its_reload_is_made_good() -> None:
    edge = Edge(reloads=True, written="temp", live="main")
    assert edge.put("temp")
    assert (edge.live, edge.forced) == ("temp", 1)


def test_an_interrupt_brings_the_slot_of_before_back() -> None:
    edge = Edge()
    asked = 0

    def route() -> RouteAnswer:
        nonlocal asked
        asked += 1
        if asked > 4:
            raise KeyboardInterrupt
        return edge.route()

    switch = edge.switch()
    interrupted = Switch(
        selector=edge,
        route=route,
        alive=switch.alive,
        confirmations=3,
        timeout=30,
        interval=1,
        force=None,
        deadline=Clock().deadline,
    )
    with pytest.raises(KeyboardInterrupt):
        interrupted.put("temp", check_mode=False)
    assert (edge.written, edge.live) == ("main", "main")


def test_a_single_answer_of_the_other_slot_begins_the_row_anew() -> None:
    edge = Edge()
    answers: t.Iterator[Slot] = iter(
        ["main", "main", "main", "temp", "temp", "main", "temp", "temp", "temp"]
    )
    switch = Switch(
        selector=edge,
        route=lambda: RouteAnswer(200, next(answers), closes=False),
        alive=edge.alive,
        confirmations=3,
        timeout=30,
        interval=1,
        force=None,
        deadline=Clock().deadline,
    )
    assert switch.put("temp", check_mode=False).proved == 3
    assert list(answers) == []


def test_the_status_does_not_matter_to_the_proof() -> None:
    row = [RouteAnswer(status, "temp", closes=False) for status in (200, 308, 502)]
    assert judge(row, "temp") is Proof.PROVED
    assert judge([*row, RouteAnswer(200, "main", closes=False)], "temp") is Proof.CONTRADICTED
    assert judge([*row, RouteAnswer(200, None, closes=False)], "temp") is Proof.UNMARKED


# the two selectors, on a real disk


def test_flag_file(tmp_path: Path) -> None:
    flag = FlagFile(tmp_path / "temp-in-service")
    assert flag.read() == "main"
    flag.write("temp")
    flag.write("temp")
    assert flag.read() == "temp"
    flag.write("main")
    flag.write("main")
    assert list(tmp_path.iterdir()) == []


def test_flag_file_without_its_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        FlagFile(tmp_path / "missing" / "flag").write("temp")


def test_alias_include(tmp_path: Path) -> None:
    path = tmp_path / "devshard.conf"
    alias = AliasInclude(path, "devshard", SERVERS)
    with pytest.raises(ConfigurationError, match="Create it with this content"):
        alias.read()
    path.write_text(alias.render("main"))
    alias.write("temp")
    assert alias.read() == "temp"
    assert (tmp_path / "devshard.conf.previous").read_text() == alias.render("main")
    assert path.stat().st_mode & 0o777 == 0o644
    alias.write("main")
    assert alias.read() == "main"
    assert {item.name for item in tmp_path.iterdir()} == {
        "devshard.conf",
        "devshard.conf.previous",
    }


def test_alias_include_of_somebody_else_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "devshard.conf"
    path.write_text("upstream devshard { server 10.0.0.1:80; }\n")
    with pytest.raises(UnknownStateError, match="names neither slot"):
        AliasInclude(path, "devshard", SERVERS).read()


@pytest.mark.parametrize(
    "text", [b"upstream devshard { server 127.0.0.1:18080", b"\xff\xfe", b"upstream devshard }"]
)
def test_alias_include_that_its_owner_broke_is_unknown(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "devshard.conf"
    path.write_bytes(text)
    with pytest.raises(UnknownStateError, match="it is unknown which slot it puts in service"):
        AliasInclude(path, "devshard", SERVERS).read()
    path.write_text("upstream devshard { server; }")
    with pytest.raises(UnknownStateError, match="names neither slot"):
        AliasInclude(path, "devshard", SERVERS).read()


# what is refused from the configuration

FLAG = "/etc/nginx/devshard/temp-in-service"


def test_configuration_that_does_not_test_the_flag_is_refused() -> None:
    refuse_unconfigured(f"server {{ if (-f {FLAG}) {{ set $slot temp; }} }}", FLAG)
    with pytest.raises(ConfigurationError, match="a switch would do nothing"):
        refuse_unconfigured("server { if (-f /elsewhere) { set $slot temp; } }", FLAG)
    with pytest.raises(UnknownStateError):
        refuse_unconfigured("server {", FLAG)


@pytest.mark.parametrize(
    ("dump", "closes", "words"),
    [
        ("worker_shutdown_timeout 10s;", True, "10 s, shorter than the drain budget"),
        ("events {}", False, "keepalive_timeout 0"),
    ],
)
def test_a_reload_that_would_cut_is_refused(dump: str, closes: bool, words: str) -> None:
    with pytest.raises(UnsafeError, match=words):
        refuse_unsafe_reload(dump, RouteAnswer(405, "main", closes), 1800)


@pytest.mark.parametrize("dump", ["events {}", "worker_shutdown_timeout 1800s;"])
def test_a_safe_reload_is_not_refused(dump: str) -> None:
    refuse_unsafe_reload(dump, RouteAnswer(405, "main", closes=True), 1800)


# the reload and its proof


@dataclass
class FakeNginx:
    """Workers by name; a reload makes new ones unless nginx keeps its configuration."""

    complaint: str | None = None
    reload_complaint: str | None = None
    keeps: bool = False
    turn_after: int = 2
    asked: int = 0
    reloaded: bool = False

    def dump(self) -> str:
        return ""

    def check(self) -> str | None:
        return self.complaint

    def reload(self) -> str | None:
        self.reloaded = self.reload_complaint is None
        return self.reload_complaint

    def workers(self) -> dict[str, bool]:
        if not self.reloaded or self.keeps:
            return {"1@1": False, "2@1": False}
        self.asked += 1
        if self.asked < self.turn_after:
            return {"1@1": True, "2@1": False, "3@2": False}
        return {"2@1": True, "3@2": False}


def force(nginx: FakeNginx) -> tuple[str, ...]:
    return reload_and_prove(nginx, deadline=Clock().deadline(10), interval=1)


def test_workers_that_are_leaving_are_told_without_a_reload_of_our_own() -> None:
    assert leaving(FakeNginx()) == []
    assert leaving(FakeNginx(reloaded=True)) == ["1@1"]


def test_reload_waits_until_every_old_worker_takes_no_more_requests() -> None:
    nginx = FakeNginx(turn_after=4)
    assert force(nginx) == ("2@1",)
    assert nginx.asked >= 4


def test_a_reload_that_returns_0_with_the_old_configuration_is_found_out() -> None:
    with pytest.raises(UnknownStateError, match="it kept the old configuration"):
        force(FakeNginx(keeps=True))


@pytest.mark.parametrize(
    ("nginx", "reloaded"),
    [(FakeNginx(complaint="bad"), False), (FakeNginx(reload_complaint="bad"), False)],
)
def test_a_refused_reload_names_the_complaint(nginx: FakeNginx, reloaded: bool) -> None:
    with pytest.raises(ConfigurationError, match="bad"):
        force(nginx)
    assert nginx.reloaded is reloaded
