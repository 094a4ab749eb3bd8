# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Files, packages and services are seen as they are; breaking one is seen at the next look."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import zipfile
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._site import observe
from ansible_collections.gonka.devshard.plugins.module_utils._site.model import (
    FileWish,
    file_reasons,
)

OWNER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name


def reasons(wish: FileWish) -> list[str]:
    return file_reasons(wish, observe.see_file(wish))


def test_a_file_that_is_broken_by_hand_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "f"
    wish = FileWish(path=str(file), sha256=hashlib.sha256(b"one").hexdigest(), mode="0600")
    assert reasons(wish) == [f"{file} is not there"]
    file.write_bytes(b"one")
    file.chmod(0o600)
    assert reasons(wish) == []
    file.chmod(0o640)
    assert reasons(wish) == [f"{file} has mode 0640, wanted is 0600"]
    file.chmod(0o600)
    file.write_bytes(b"two")
    assert reasons(wish) == [f"{file} has other content"]
    file.unlink()
    file.mkdir()
    assert reasons(wish) == [f"{file} is a directory, wanted is a file"]


@pytest.mark.skipif(OWNER != GROUP, reason="user and group have different names here")
def test_the_owner_is_seen_by_name(tmp_path: Path) -> None:
    assert reasons(FileWish(path=str(tmp_path), state="directory", owner=OWNER)) == []
    found = reasons(FileWish(path=str(tmp_path), state="directory", owner="nobody-else"))
    assert found == [f"{tmp_path} belongs to {OWNER}:{GROUP}, wanted is nobody-else:nobody-else"]


def test_a_directory_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d")
    assert reasons(FileWish(path=str(tmp_path / "l"), state="directory")) == []
    assert reasons(FileWish(path=str(tmp_path / "l"), state="link", target="d")) == []
    assert reasons(FileWish(path=str(tmp_path / "l"), state="absent")) == [
        f"{tmp_path / 'l'} is there"
    ]


def test_a_program_that_was_replaced_is_not_the_one_in_the_zip(tmp_path: Path) -> None:
    archive, program = tmp_path / "a.zip", tmp_path / "program"
    wish = FileWish(path=str(program), entry_of=str(archive))
    program.write_bytes(b"one")
    assert reasons(wish) == [f"{program} is not the program that {archive} holds"]
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("program", b"one")
    assert reasons(wish) == []
    for other in (b"two", b"longer"):
        program.write_bytes(other)
        assert reasons(wish) == [f"{program} is not the program that {archive} holds"]


def test_fields_and_options_are_read() -> None:
    text = "# a comment\nTypes: deb\nURIs: http://a/b\n\nodd\n"
    assert observe.fields_of(text) == {"Types": "deb", "URIs": "http://a/b", "odd": ""}
    assert observe.options_of("") == {}
    assert observe.options_of("[1]") == {}
    assert observe.options_of("{") == {}
    assert observe.options_of('{"a": {"b": 1}}') == {"a": {"b": 1}}


def test_packages_are_asked_for_once() -> None:
    asked = []

    def run(argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv)
        return 1, "a installed\nb config-files\nc installed\n", "no packages found matching d"

    assert observe.see_packages(["a", "b", "a", "d"], run) == {"a", "c"}
    assert asked[0][4:] == ["a", "b", "d"]
    assert len(asked) == 1
    assert observe.see_packages([], run) == set()


def test_services_are_asked_for_once_and_an_alias_keeps_its_name() -> None:
    text = (
        "Id=nginx.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n"
        "Id=other.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
    )
    seen = observe.see_services(["nginx", "docker", "nginx"], lambda _argv: (0, text, ""))
    assert (seen["nginx"].active, seen["nginx"].enabled) == ("active", "enabled")
    assert (seen["docker"].load, seen["docker"].enabled) == ("not-found", "unknown")


def test_services_that_cannot_be_asked_are_not_fine() -> None:
    with pytest.raises(OSError, match="no bus"):
        observe.see_services(["nginx"], lambda _argv: (1, "", "no bus\n"))


def test_a_host_is_named_as_ansible_names_it() -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        assert argv == ["/usr/sbin/nginx", "-v"]
        return 0, "", "nginx version: nginx/1.26.3 (Debian)\n"

    seen = observe.see_host(run)
    assert seen["nginx_version"] == "1.26.3"
    assert set(seen["ansible_facts"]) == {
        *("architecture", "distribution", "distribution_version", "distribution_major_version"),
        *("distribution_release", "os_family", "service_mgr"),
    }


def test_a_host_without_nginx() -> None:
    def run(_argv: list[str]) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file")

    assert observe.see_host(run)["nginx_version"] == ""


def test_stats_and_texts(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert (
        observe.see_stat(str(tmp_path / "f"))["checksum"]
        == hashlib.sha1(b"x", usedforsecurity=False).hexdigest()
    )
    assert observe.see_stat(str(tmp_path / "none")) == {"exists": False}
    assert observe.see_text(str(tmp_path / "f")) == "x"
    assert observe.see_text(str(tmp_path / "none")) is None
