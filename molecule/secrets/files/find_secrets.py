# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Says, as JSON, where on this host the gateway's secrets can be read."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

ENV_FILE = Path("/srv/gonka/devshard-gateway/config.devshard.env")
NAMES = ("DEVSHARD_PRIVATE_KEY", "DEVSHARD_API_KEYS", "DEVSHARD_ADMIN_API_KEY")
FOLDERS = ("/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/run", "/usr/local", "/var")
# Written by this test.
OWN = ("/root/.ansible",)
# The container engine keeps each container's environment, in files that its folders close.
ENGINE = ("/run/containerd/", "/var/lib/containerd/", "/var/lib/docker/")


def secrets() -> dict[str, list[bytes]]:
    found = {}
    for line in ENV_FILE.read_text().splitlines():
        name, _unused, value = line.removeprefix("export ").partition("=")
        if name in NAMES:
            found[name] = [part.encode() for part in value.strip("'\"").split(",")]
    return found


def files() -> t.Iterator[Path]:
    for folder in FOLDERS:
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if f"{parent}/{name}" not in OWN]
            for name in names:
                path = Path(parent, name)
                # An image's files are those of the registry.
                if path.is_file() and not path.is_symlink() and "/overlay2/" not in f"{path}/":
                    yield path


def reachable(path: Path) -> bool:
    """Whether anybody but root can read it, the folders above it included."""
    bits = stat.S_IROTH | (stat.S_IRGRP if path.stat().st_gid else 0)
    doors = [(folder.stat().st_mode & stat.S_IXOTH) for folder in path.parents]
    return bool(path.stat().st_mode & bits) and all(doors)


def exposed(path: Path) -> bool:
    if str(path).startswith(ENGINE):
        return reachable(path)
    return stat.S_IMODE(path.stat().st_mode) & 0o077 != 0


def names_in(content: bytes, wanted: dict[str, list[bytes]]) -> list[str]:
    return [name for name, values in wanted.items() if any(value in content for value in values)]


def main() -> None:
    wanted = secrets()
    readable: dict[str, list[str]] = {}
    private: dict[str, list[str]] = {}
    for path in files():
        try:
            found = names_in(path.read_bytes(), wanted)
        except OSError:
            # Below /run there are files that are none, such as network namespaces.
            continue
        if found:
            (readable if exposed(path) else private)[str(path)] = found
    journal = subprocess.run(
        ["journalctl", "--no-pager"], check=True, stdout=subprocess.PIPE
    ).stdout
    processes = Path("/run/watched-processes").read_bytes()
    answer = {
        "names": sorted(wanted),
        "readable": readable,
        "private": private,
        "journal": names_in(journal, wanted),
        "processes": names_in(processes, wanted),
        "watched": processes.count(b"inferenced"),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
