# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs on a test host: one call of the admin API, with the key that never leaves the host."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path


def main() -> None:
    wish = json.load(sys.stdin)
    env = {}
    for line in Path(wish["env_file"]).read_text(encoding="utf-8").splitlines():
        name, _unused, value = line.strip().removeprefix("export ").partition("=")
        env[name] = value.strip("'")
    request = urllib.request.Request(
        wish["url"],
        method=wish["method"],
        data=None if wish["body"] is None else json.dumps(wish["body"]).encode(),
        headers={
            "Authorization": "Bearer " + env["DEVSHARD_ADMIN_API_KEY"],
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        sys.stdout.write(response.read().decode())


if __name__ == "__main__":
    main()
