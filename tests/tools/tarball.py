# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Builds the tarball of the collection: the same bytes from the same commit in every folder.

    tests/tools/tarball            to the folder build
    tests/tools/tarball FOLDER     to that one

`ansible-galaxy` decides what is in it. Its own archive has the entries as the file system lists
them and the time of the build, so it is written once more: sorted, with the time of the commit or
of SOURCE_DATE_EPOCH. What is left that differs between machines is the version of zlib.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import typing as t
from pathlib import Path

from _gates import BUILD, ROOT, Failed, Step, link_tree, run_all

MANIFEST, FILES = "MANIFEST.json", "FILES.json"
PROGRAM, DATA = 0o755, 0o644


def commit_time(folder: Path = ROOT) -> int:
    """The time that the entries get, in seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        asked = subprocess.run(
            ["git", "log", "-1", "--format=%ct"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        given = asked.stdout.strip()
    if not given.isdigit():
        raise Failed(
            f"the time of the commit is unknown in {folder}: set SOURCE_DATE_EPOCH to seconds"
        )
    return int(given)


def has_changes(folder: Path = ROOT) -> bool:
    asked = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    return bool(asked.stdout.strip())


def build(step: Step, source: Path, target: Path, seconds: int) -> Path:
    """Writes the tarball of the collection in `source` to the folder `target`."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as work:
        step.call("ansible-galaxy", "collection", "build", "--output-path", work, source)
        made = next(Path(work).glob("*.tar.gz"))
        written = normalise(made, seconds)
    path = target / made.name
    path.write_bytes(written)
    return path


def normalise(made: Path, seconds: int) -> bytes:
    """The archive with its entries sorted and nothing in it of the machine and of now."""
    with tarfile.open(made) as old:
        # in the order of the archive: to go back in it means to unpack it from the beginning
        entries = [(member, content(old, member)) for member in old]
    by_name = {member.name: data for member, data in entries}
    listing = sorted_listing(json.loads(by_name[FILES]))
    replaced = {FILES: listing, MANIFEST: manifest(json.loads(by_name[MANIFEST]), listing)}
    # ansible-galaxy reads these two first
    entries.sort(key=lambda one: (one[0].name not in replaced, one[0].name))
    packed = io.BytesIO()
    with (
        # neither a name nor a time in the header
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=9) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member, data in entries:
            written = replaced.get(member.name, data)
            new.addfile(entry(member, seconds, len(written)), io.BytesIO(written))
    return packed.getvalue()


def content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member) if member.isfile() else None
    return stream.read() if stream else b""


def sorted_listing(listing: dict[str, t.Any]) -> bytes:
    ordered = sorted(listing["files"], key=lambda one: str(one["name"]))
    return encode({**listing, "files": ordered})


def manifest(known: dict[str, t.Any], listing: bytes) -> bytes:
    """The manifest, which holds the checksum of the listing."""
    checksum = hashlib.sha256(listing).hexdigest()
    return encode(
        {**known, "file_manifest_file": {**known["file_manifest_file"], "chksum_sha256": checksum}}
    )


def encode(value: dict[str, t.Any]) -> bytes:
    return json.dumps(value, indent=1).encode()


def entry(member: tarfile.TarInfo, seconds: int, size: int) -> tarfile.TarInfo:
    clean = tarfile.TarInfo(member.name)
    clean.type, clean.linkname = member.type, member.linkname
    clean.size, clean.mtime = size, seconds
    clean.mode = PROGRAM if member.isdir() or member.mode & 0o100 else DATA
    return clean


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(words: list[str]) -> int:
    link_tree()
    target = Path(words[0]) if words else BUILD
    made: list[Path] = []

    def work(step: Step) -> None:
        made.append(build(step, ROOT, target, commit_time()))

    code = run_all("tarball", [Step("tarball", work)])
    for path in made:
        print(f"{checksum(path)}  {path}")
        if has_changes():
            print("This is not what the commit holds: the work tree has changes.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
