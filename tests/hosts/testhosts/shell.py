# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Running programs, and saying what goes on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class HostsError(Exception):
    """Something a user can understand went wrong."""


def cache_dir() -> Path:
    """Where the engine, its images and the state of the projects are kept between runs."""
    named = os.environ.get("GONKA_DEVSHARD_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "gonka-devshard"


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> t.Iterator[None]:
    say(f"{text} ...")
    began = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - began:.0f} s")


@contextlib.contextmanager
def exclusive(name: str) -> t.Iterator[None]:
    """Only one process at a time; the others wait."""
    path = cache_dir() / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {path}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(
    argv: t.Sequence[str],
    *,
    stdin: str | None = None,
    env: t.Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Run to success and return the output; with a log file, all output goes there."""
    pipe = subprocess.PIPE
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        target = pipe if log is None else stack.enter_context(log.open("a", encoding="utf-8"))
        try:
            done = subprocess.run(
                argv,
                input="" if stdin is None else stdin,
                stdout=target,
                stderr=pipe if log is None else target,
                encoding="utf-8",
                errors="replace",
                env=None if env is None else {**os.environ, **env},
                check=False,
            )
        except FileNotFoundError as error:
            raise HostsError(f"{argv[0]} is not installed") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout) if log is None else tail(log)
        raise HostsError(f"{' '.join(argv)[:200]} failed ({done.returncode}):\n{said.strip()}")
    return done.stdout or ""


def tail(path: Path, lines: int = 15) -> str:
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([*text[-lines:], f"(the whole output: {path})"])
