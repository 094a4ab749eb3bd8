# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Writes every command line that appears in the process list to a file, until it is stopped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def command_lines() -> set[bytes]:
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                found.add(Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" "))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def main(target: str) -> None:
    seen: set[bytes] = set()
    with Path(target).open("wb", buffering=0) as output:
        while True:
            for line in command_lines() - seen:
                seen.add(line)
                output.write(line.replace(b"\n", b" ") + b"\n")
            time.sleep(0.005)


if __name__ == "__main__":
    main(sys.argv[1])
