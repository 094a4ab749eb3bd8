# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the benchmarks have in common: test hosts of their own, and where results go."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.tests.swap.lab import DEPLOY, ROOT, Lab

RESULTS = ROOT / "benchmarks" / "results"
_HOSTS = str(ROOT / "tests/hosts/hosts")


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def up(project: str, names: t.Sequence[str], *options: str, inventory: str = "inventory") -> Path:
    """Starts the hosts that do not run yet, and writes an inventory of all of the project."""
    path = ROOT / ".cache" / "bench" / project / f"{inventory}.json"
    argv = [_HOSTS, "--project", project, "up", *names, *options, "--inventory", str(path)]
    subprocess.run(argv, check=True)
    return path


def down(project: str) -> None:
    subprocess.run([_HOSTS, "--project", project, "down"], check=True)


def is_deployed(lab: Lab) -> bool:
    return bool(lab.on_host("sh", "-c", f"ls -d {DEPLOY} 2>/dev/null || true").strip())


def deploy(labs: t.Sequence[Lab]) -> None:
    """Hosts that were never deployed get the whole site, side by side."""
    bare = [lab for lab in labs if not is_deployed(lab)]
    if not bare:
        return
    names = ",".join(lab.host for lab in bare)
    say(f"deploying {names}")
    deployed = bare[0].play("gonka.devshard.site", devshard_hosts=names)
    if deployed.rc != 0:
        sys.exit(f"{names} could not be deployed: {deployed.text[-2000:]}")
