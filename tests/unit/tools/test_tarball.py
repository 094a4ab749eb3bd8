# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The order, the owner and the time of what was packed leave no trace in the tarball."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import tarfile
import typing as t
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
FILES = {"roles/b.yml": b"b", "roles/a.yml": b"a", "plugins/run.sh": b"#!/bin/sh\n"}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("tarball")


def packed(path: Path, names: t.Sequence[str], *, owner: int, time: int) -> Path:
    """An archive as ansible-galaxy writes it, with the files in this order."""
    listing = [{"name": ".", "ftype": "dir"}]
    listing += [{"name": name, "ftype": "file"} for name in names]
    heads = {
        "MANIFEST.json": json.dumps({"file_manifest_file": {"chksum_sha256": "old"}}).encode(),
        "FILES.json": json.dumps({"files": listing, "format": 1}).encode(),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**heads, **{name: FILES[name] for name in names}}.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mtime = len(content), owner, time
            member.mode = 0o700 if name.endswith(".sh") else 0o600
            member.uname = f"user{owner}"
            archive.addfile(member, io.BytesIO(content))
    return path


def test_two_archives_of_the_same_files_become_one(tool: t.Any, tmp_path: Path) -> None:
    one = packed(tmp_path / "one.tar.gz", sorted(FILES), owner=0, time=1)
    two = packed(tmp_path / "two.tar.gz", sorted(FILES, reverse=True), owner=1000, time=2)
    assert one.read_bytes() != two.read_bytes()
    assert tool.normalise(one, 12345) == tool.normalise(two, 12345)


def test_what_is_in_it(tool: t.Any, tmp_path: Path) -> None:
    made = packed(tmp_path / "one.tar.gz", list(FILES), owner=1000, time=1)
    with tarfile.open(fileobj=io.BytesIO(tool.normalise(made, 12345))) as archive:
        members = archive.getmembers()
        content = {
            one.name: t.cast("t.IO[bytes]", archive.extractfile(one)).read() for one in members
        }
    assert [one.name for one in members] == ["FILES.json", "MANIFEST.json", *sorted(FILES)]
    assert {one.mtime for one in members} == {12345}
    assert {(one.uid, one.gid, one.uname) for one in members} == {(0, 0, "")}
    assert {one.name: one.mode for one in members}["plugins/run.sh"] == 0o755
    assert {one.name: one.mode for one in members}["roles/a.yml"] == 0o644
    assert {name: content[name] for name in FILES} == FILES
    listed = [one["name"] for one in json.loads(content["FILES.json"])["files"]]
    assert listed == [".", *sorted(FILES)]
    checksum = json.loads(content["MANIFEST.json"])["file_manifest_file"]["chksum_sha256"]
    assert checksum == hashlib.sha256(content["FILES.json"]).hexdigest()


def test_the_time_is_that_of_the_environment_or_of_the_commit(
    tool: t.Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "77")
    assert tool.commit_time(tmp_path) == 77
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(tool.Failed, match="set SOURCE_DATE_EPOCH to seconds"):
        tool.commit_time(tmp_path)
