# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A file of nginx is in force and proved, or everything is as before."""

from __future__ import annotations

import hashlib
import os
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
from ansible_collections.gonka.devshard.plugins.module_utils._edge.config import (
    Applying,
    DefaultSite,
    EdgeSeen,
    changes_of,
    errors_of,
    is_older,
    judge_default_site,
    plan,
    refuse_two_defaults,
    stamped,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import LoopbackAnswer

BAD = "bad;"


@dataclass
class FakeNginx:
    """Runs what was on the disk at its last reload that it took."""

    path: Path
    running: str | None
    since: float = 0.0
    keeps: bool = False
    down: bool = False
    shutdown_timeout: str = ""
    generation: int = 1
    reloads: int = 0

    def on_disk(self) -> str | None:
        return self.path.read_text() if self.path.exists() else None

    def dump(self) -> str:
        return self.shutdown_timeout

    def check(self) -> str | None:
        return "[emerg] unknown directive" if self.on_disk() == BAD else None

    def reload(self) -> str | None:
        self.reloads += 1
        if not self.keeps:
            self.generation += 1
            self.running = self.on_disk()
            self.since = 2e9
        return None

    def workers(self) -> dict[str, bool]:
        return {f"{self.generation}@1": False}

    def oldest_worker(self) -> float | None:
        return self.since

    def ask(self) -> LoopbackAnswer:
        if self.down:
            raise TransportError("refused")
        return LoopbackAnswer(200, {}, (self.running or "").encode())


@dataclass
class Host:
    folder: Path
    text: str | None = "old;"
    running: str | None = "old;"
    options: dict[str, t.Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = self.folder / "edge.conf"
        if self.text is not None:
            self.path.write_text(self.text)
        self.nginx = FakeNginx(self.path, self.running, since=2e9)
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def applying(self, wanted: str | None) -> Applying:
        values: dict[str, t.Any] = {
            "nginx": self.nginx,
            "path": self.path,
            "ask": self.nginx.ask,
            "is_live": lambda answer: answer.body.decode() == (wanted or ""),
            "watched": [],
            "error_log": self.folder / "error.log",
            "allow_shutdown_timeout": False,
            "keep_backup": False,
            "confirmations": 3,
            "deadline": WaitBudget(10, clock=lambda: self.now, sleep=self.sleep),
            "interval": 1,
        }
        return Applying(**{**values, **self.options})

    def put(self, wanted: str | None) -> tuple[str, ...]:
        applying = self.applying(wanted)
        applying.refuse(wanted)
        planned = plan(applying.look(), wanted)
        if planned.reload:
            applying.apply(wanted, planned)
        return planned.reasons


# the plan


@pytest.mark.parametrize(
    ("text", "live", "older", "site", "words"),
    [
        ("a", True, False, DefaultSite.ABSENT, []),
        ("a", True, False, DefaultSite.OWNERS, []),
        (None, False, False, DefaultSite.ABSENT, ["there was no file"]),
        ("b", True, True, DefaultSite.ABSENT, ["the file differs"]),
        ("a", False, False, DefaultSite.ABSENT, ["does not answer as the file"]),
        ("a", True, True, DefaultSite.ABSENT, ["newer than what nginx runs"]),
        ("a", True, False, DefaultSite.PACKAGED, ["example site is enabled"]),
    ],
)
def test_what_differs(
    text: str | None, live: bool, older: bool, site: DefaultSite, words: list[str]
) -> None:
    found = plan(EdgeSeen(text=text, live=live, older=older, default_site=site), "a")
    assert found.reload is bool(words)
    assert found.write is (text != "a")
    assert len(found.reasons) == len(words)
    for reason, word in zip(found.reasons, words, strict=True):
        assert word in reason


@pytest.mark.parametrize(
    ("changes", "worker", "older"),
    [
        ([100.0], 200.0, False),
        ([100.0, 201.0], 200.0, True),
        # within the grain of the two clocks
        ([200.05], 200.0, False),
        # the clock was set back since
        ([999.0], 200.0, False),
        ([201.0], None, False),
    ],
)
def test_files_that_are_newer_than_the_workers(
    changes: list[float], worker: float | None, older: bool
) -> None:
    assert is_older(changes, worker, now=500.0) is older


def test_a_directory_changes_with_what_nginx_includes_from_it(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("")
    (tmp_path / "notes").write_text("")
    assert len(changes_of([tmp_path, tmp_path / "a.conf", tmp_path / "none"])) == 3


def test_the_generation_is_that_of_the_content() -> None:
    text, generation = stamped("a @GENERATION@")
    assert text == f"a {generation}"
    assert stamped("b @GENERATION@")[1] != generation


# what is done


def test_a_file_gets_in_force_once(tmp_path: Path) -> None:
    host = Host(tmp_path, options={"keep_backup": True})
    assert host.put("new;") == ("the file differs",)
    assert host.put("new;") == ()
    assert (host.nginx.running, host.nginx.reloads) == ("new;", 1)
    (kept,) = [path for path in tmp_path.iterdir() if path.name.endswith("~")]
    assert kept.read_text() == "old;"


def test_a_file_edited_by_hand_that_nginx_runs_is_corrected_in_nginx_too(tmp_path: Path) -> None:
    host = Host(tmp_path, text="edited;", running="edited;")
    host.put("old;")
    assert (host.nginx.on_disk(), host.nginx.running) == ("old;", "old;")


def test_a_file_put_back_by_hand_does_not_hide_what_nginx_runs(tmp_path: Path) -> None:
    """The probe of the edited file may answer the same."""
    host = Host(tmp_path, running="old;")
    host.nginx.since = 1.0
    assert host.put("old;") == ("the file on the disk is newer than what nginx runs",)
    assert host.nginx.reloads == 1
    assert host.put("old;") == ()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.put(None)
    assert (host.nginx.on_disk(), host.nginx.running) == (None, None)
    assert host.put(None) == ()


@pytest.mark.parametrize("text", ["old;", None])
@pytest.mark.parametrize(
    ("wanted", "change", "kind", "words", "reloads"),
    [
        (BAD, {}, ConfigurationError, "nginx -t refuses the configuration: .emerg. unknown", 0),
        ("new;", {"keeps": True}, UnknownStateError, "it kept the old configuration", 2),
        ("new;", {"down": True}, UnknownStateError, "does not answer as", 2),
        (
            "new;",
            {"shutdown_timeout": "worker_shutdown_timeout 5s;"},
            UnsafeError,
            "a reload would cut the streams",
            0,
        ),
    ],
)
def test_what_fails_leaves_everything_as_it_was(
    tmp_path: Path,
    text: str | None,
    wanted: str,
    change: dict[str, t.Any],
    kind: type[DevshardError],
    words: str,
    reloads: int,
) -> None:
    host = Host(tmp_path, text=text, running=text)
    for name, value in change.items():
        setattr(host.nginx, name, value)
    with pytest.raises(kind, match=words) as caught:
        host.put(wanted)
    assert (host.nginx.on_disk(), host.nginx.running) == (text, text)
    assert caught.value.details["rolled_back"] is True
    # what was refused is not reloaded after all
    assert host.nginx.reloads == reloads


def test_a_cutting_reload_may_be_allowed(tmp_path: Path) -> None:
    host = Host(tmp_path, options={"allow_shutdown_timeout": True})
    host.nginx.shutdown_timeout = "worker_shutdown_timeout 5s;"
    host.put("new;")
    assert host.nginx.running == "new;"


def test_the_error_log_gives_the_reason(tmp_path: Path) -> None:
    host = Host(tmp_path)
    log = tmp_path / "error.log"
    log.write_text("[emerg] of yesterday\n")
    assert errors_of(log, 0) == ["[emerg] of yesterday"]
    size = log.stat().st_size
    log.write_text(
        "[emerg] of yesterday\n[emerg] bind() failed\n[notice] x\n[emerg] bind() failed\n"
    )
    assert errors_of(log, size) == ["[emerg] bind() failed"]
    assert errors_of(log, 9999) == ["[emerg] of yesterday", "[emerg] bind() failed"]
    assert errors_of(tmp_path / "none", 0) == []
    host.nginx.keeps = True
    reload = host.nginx.reload

    def logged() -> str | None:
        with log.open("a") as handle:
            handle.write("[emerg] still could not bind()\n")
        return reload()

    host.nginx.reload = logged  # type: ignore[method-assign]
    with pytest.raises(UnknownStateError, match=r"It says: \[emerg\] still could not bind"):
        host.put("new;")


# the distribution's example site

EXAMPLE = "server { listen 80 default_server; listen [::]:80 default_server; }"


@pytest.fixture
def sites(tmp_path: Path) -> tuple[Path, Path, str]:
    example, link = tmp_path / "available", tmp_path / "enabled"
    example.write_text(EXAMPLE)
    link.symlink_to(example)
    return link, example, hashlib.md5(EXAMPLE.encode()).hexdigest()


def test_only_the_distributions_own_link_is_ours_to_remove(sites: tuple[Path, Path, str]) -> None:
    link, example, md5 = sites
    assert judge_default_site(link, example, md5) is DefaultSite.PACKAGED
    assert judge_default_site(link, example, None) is DefaultSite.OWNERS
    example.write_text(EXAMPLE + " # mine")
    assert judge_default_site(link, example, md5) is DefaultSite.OWNERS
    link.unlink()
    assert judge_default_site(link, example, md5) is DefaultSite.ABSENT
    link.write_text(EXAMPLE)
    assert judge_default_site(link, example, md5) is DefaultSite.OWNERS
    link.unlink()
    other = link.with_name("other")
    other.write_text(EXAMPLE)
    link.symlink_to(other)
    assert judge_default_site(link, example, md5) is DefaultSite.OWNERS
    os.unlink(other)
    assert judge_default_site(link, example, md5) is DefaultSite.OWNERS


def test_the_packaged_link_goes_with_the_reload_and_comes_back_when_it_fails(
    tmp_path: Path, sites: tuple[Path, Path, str]
) -> None:
    link, example, md5 = sites
    host = Host(tmp_path)
    host.options = {
        "default_site": link,
        "example_site": example,
        "packaged_md5": md5,
        "remove_default": True,
    }
    with pytest.raises(ConfigurationError, match="nginx -t"):
        host.put(BAD)
    assert link.is_symlink()
    assert host.put("old;") == ("the distribution's example site is enabled",)
    assert not link.is_symlink()
    assert host.put("old;") == ()


OURS = "server { listen 80 default_server; }"


def test_an_owners_site_is_kept_and_refused_only_for_a_port_that_both_want(
    tmp_path: Path, sites: tuple[Path, Path, str]
) -> None:
    link, example, md5 = sites
    link.unlink()
    link.write_text(EXAMPLE)
    host = Host(tmp_path)
    host.options = {
        "default_site": link,
        "example_site": example,
        "packaged_md5": md5,
        "remove_default": True,
    }
    with pytest.raises(ConfigurationError, match="is a site of your own.* port 80"):
        host.put(OURS)
    assert (host.nginx.on_disk(), host.nginx.reloads) == ("old;", 0)
    host.put("server { listen 80; }")
    assert link.read_text() == EXAMPLE


@pytest.mark.parametrize(
    "site",
    [
        "server { listen 80; }",
        "server { listen 8080 default_server; }",
        "server { listen 127.0.0.2:80 default_server; }",
        "server { listen unix:/run/x default_server; }",
        "not nginx {",
    ],
)
def test_a_site_that_is_in_nobodys_way(site: str) -> None:
    refuse_two_defaults(OURS, site, "/x", owners=True)


def test_an_example_site_that_is_to_stay_is_named() -> None:
    with pytest.raises(ConfigurationError, match="Set edge_disable_default_site: true"):
        refuse_two_defaults(OURS, EXAMPLE, "/x", owners=False)
