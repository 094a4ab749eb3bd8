# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Whatever differs from what a role wants is a reason, and what is not known is one too."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._site.model import (
    PARTS,
    FileSeen,
    FileWish,
    ServiceSeen,
    answer_reasons,
    completed,
    differing,
    file_reasons,
    joined,
    package_reasons,
    program_reasons,
    service_reasons,
)

FILE = FileWish(path="/f", sha256="a", mode="0600", owner="root")
THERE = FileSeen(kind="file", sha256="a", mode="0600", owner="root", group="root")


def test_a_file_as_it_is_wanted_gives_no_reason() -> None:
    assert file_reasons(FILE, THERE) == []


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"kind": "absent"}, "/f is not there"),
        ({"kind": "directory"}, "/f is a directory, wanted is a file"),
        ({"sha256": "b"}, "/f has other content"),
        ({"sha256": None}, "/f has other content"),
        ({"mode": "0644"}, "/f has mode 0644, wanted is 0600"),
        ({"owner": "bob"}, "/f belongs to bob:root, wanted is root:root"),
        ({"group": "bob"}, "/f belongs to root:bob, wanted is root:root"),
        ({"error": "Permission denied"}, "/f could not be checked: Permission denied"),
    ],
)
def test_each_property_of_a_file_counts(seen: dict[str, t.Any], reason: str) -> None:
    assert file_reasons(FILE, dataclasses.replace(THERE, **seen)) == [reason]


def test_all_that_differs_is_told_at_once() -> None:
    seen = dataclasses.replace(THERE, sha256="b", mode="0644")
    assert len(file_reasons(FILE, seen)) == 2


@pytest.mark.parametrize(
    ("wish", "seen", "reason"),
    [
        ({"entry_of": "/z"}, {"is_entry": False}, "/f is not the program that /z holds"),
        ({"entry_of": "/z"}, {"is_entry": None}, "/f is not the program that /z holds"),
        ({"fields": {"A": "1"}}, {"fields": {"A": "1", "B": "2"}}, "/f has other content"),
        ({"fields": {"A": "1"}}, {"fields": None}, "/f has other content"),
        ({"options": {"a": 1}}, {"options": {"a": 2}}, "/f differs in a"),
        ({"options": {"a": 1}}, {"options": None}, "/f differs in a"),
        ({"state": "absent"}, {}, "/f is there"),
    ],
)
def test_other_kinds_of_content(
    wish: dict[str, t.Any], seen: dict[str, t.Any], reason: str
) -> None:
    asked = FileWish(path="/f", **wish)
    assert file_reasons(asked, dataclasses.replace(THERE, **seen)) == [reason]


def test_a_link_leads_where_it_is_wanted() -> None:
    link = FileWish(path="/l", state="link", target="/a")
    assert file_reasons(link, FileSeen(kind="link", target="/a")) == []
    assert file_reasons(link, FileSeen(kind="link", target="/b")) == [
        "/l leads to /b, wanted is /a"
    ]
    assert file_reasons(link, FileSeen(kind="file")) == ["/l is a file, wanted is a link"]


def test_of_nested_options_only_what_is_wanted_counts() -> None:
    found = {"log-opts": {"max-size": "1m", "labels": "x"}, "debug": True}
    assert differing({"log-opts": {"max-size": "1m"}}, found) == []
    assert differing({"log-opts": {"max-size": "2m"}, "debug": True}, found) == ["log-opts"]
    assert differing({"ipv6": None}, found) == ["ipv6"]


def test_packages_that_are_missing_are_named() -> None:
    assert package_reasons(["a", "b"], {"a", "b", "c"}) == []
    assert package_reasons(["a", "b"], {"a"}) == ["the package is not installed: b"]
    assert package_reasons(["a", "b"], set()) == ["the packages are not installed: a, b"]


@pytest.mark.parametrize(
    ("seen", "reasons"),
    [
        (("loaded", "active", "enabled"), []),
        (("loaded", "reloading", "static"), []),
        (("loaded", "inactive", "enabled"), ["the service s does not run (inactive)"]),
        (("loaded", "failed", "enabled"), ["the service s does not run (failed)"]),
        (("loaded", "active", "disabled"), ["the service s does not start at boot (disabled)"]),
        (("loaded", "active", "unknown"), ["the service s does not start at boot (unknown)"]),
        (("not-found", "inactive", "unknown"), ["there is no service s (not-found)"]),
        (("masked", "inactive", "masked"), ["there is no service s (masked)"]),
    ],
)
def test_a_service_runs_and_starts_at_boot(seen: tuple[str, str, str], reasons: list[str]) -> None:
    load, active, enabled = seen
    assert service_reasons("s", ServiceSeen(load=load, active=active, enabled=enabled)) == reasons


def test_a_program_says_what_is_wanted() -> None:
    argv = ["p", "version"]
    assert program_reasons(argv, "^v?2", (0, "2.1")) == []
    assert program_reasons(argv, "^v?2", (0, "1.9")) == ["'p version' says '1.9'"]
    assert program_reasons(argv, "^v?2", (1, "2.1")) == ["'p version' says '2.1'"]
    assert program_reasons(argv, "^v?2", None) == ["there is no program p"]


def test_an_answer_has_a_status_that_is_right() -> None:
    assert answer_reasons("u", [404, 410], 404) == []
    assert answer_reasons("u", [404, 410], 200) == ["u answers HTTP 200, wanted is 404 or 410"]
    assert answer_reasons("u", [404], "refused") == ["u could not be checked: refused"]


def test_a_plan_has_each_part_once_and_only_with_reasons() -> None:
    found = [("edge", ["a"]), ("gateway", []), ("edge", ["a", "b"])]
    assert joined(found) == {"edge": ["a", "b"]}


def test_nothing_follows_from_nothing() -> None:
    assert completed({}) == {}


def test_new_escrows_are_paid_for_only_after_the_creator_was_checked() -> None:
    plan = completed({"rotation": ["r"], "escrow": ["one is missing"]})
    assert list(plan) == ["creator", "escrow", "rotation"]
    assert plan["escrow"] == ["one is missing"]


def test_the_gateway_is_looked_after_when_what_it_stands_on_is_worked_on() -> None:
    assert list(completed({"docker_engine": ["x"]})) == ["docker_engine", "gateway"]
    assert list(completed({"environment": ["x"]})) == ["environment", "gateway"]


def test_a_part_that_is_not_known_is_kept() -> None:
    assert list(completed({"other": ["x"], **{part: ["x"] for part in reversed(PARTS)}})) == [
        *PARTS,
        "other",
    ]
