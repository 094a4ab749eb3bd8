# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the gates share: the tree as users get it, the collections we depend on, parallel steps."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("DEVSHARD_VENV", ROOT / ".venv"))
BUILD = ROOT / "build"
CACHE = ROOT / ".cache"
NAMESPACE, NAME = "gonka", "devshard"

# Ansible Galaxy is not reachable everywhere, PyPI is: this wheel carries the collections.
BUNDLE = "ansible==14.5.0"
BUNDLE_PYTHON = "3.13"
DEPENDENCIES = ("docker", "library_inventory_filtering_v1")


class Failed(Exception):
    """A step said no; its text is for the reader."""


def list_files() -> list[str]:
    """Every file that git does not ignore, whether or not it is committed yet."""
    BUILD.mkdir(exist_ok=True)
    index = BUILD / "listing.git"
    if not index.is_dir():
        subprocess.run(["git", "init", "-q", "--bare", str(index)], check=True)
    listing = subprocess.run(
        ["git", f"--git-dir={index}", "--work-tree=.", "ls-files", "-oz", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file())


def copy_tree(target: Path) -> Path:
    """A copy of the collection below `target`, at the path that ansible-test insists on."""
    place = target / "ansible_collections" / NAMESPACE / NAME
    wanted = set(list_files())
    if place.is_dir():
        for old in place.rglob("*"):
            name = old.relative_to(place).as_posix()
            if (
                old.is_file()
                and name not in wanted
                and not name.startswith((".git/", "tests/output/"))
            ):
                old.unlink()
    for name in sorted(wanted):
        copy = place / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
    if not (place / ".git").is_dir():
        subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    subprocess.run(["git", "add", "-A", "."], cwd=place, check=True, capture_output=True)
    return place


def link_tree() -> Path:
    """The checkout as a collection path: `.tree`, with the collections we depend on."""
    tree = ROOT / ".tree"
    own = tree / "ansible_collections" / NAMESPACE / NAME
    own.parent.mkdir(parents=True, exist_ok=True)
    if not own.is_symlink():
        own.symlink_to(Path("..", "..", ".."))
    community = tree / "ansible_collections" / "community"
    if not community.exists():
        found = unpack_dependencies()
        community.unlink(missing_ok=True)
        community.symlink_to(os.path.relpath(found / "community", community.parent))
    return tree


def unpack_dependencies() -> Path:
    """Fetches the collections we depend on, once."""
    place = CACHE / "collections" / "ansible_collections"
    if all((place / "community" / name / "MANIFEST.json").is_file() for name in DEPENDENCIES):
        return place
    wheels = CACHE / "wheels"
    subprocess.run(
        [
            *(str(VENV / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--python-version", BUNDLE_PYTHON, "--only-binary", ":all:"),
            *("--dest", str(wheels), BUNDLE),
        ],
        check=True,
    )
    wanted = tuple(f"ansible_collections/community/{name}/" for name in DEPENDENCIES)
    with zipfile.ZipFile(next(wheels.glob("ansible-*.whl"))) as wheel:
        for member in wheel.namelist():
            if member.startswith(wanted):
                wheel.extract(member, place.parent)
    shutil.rmtree(wheels)
    return place


@dataclass
class Step:
    """One gate. It runs programs through `call`, so that all can be stopped at once."""

    name: str
    work: t.Callable[[Step], None]
    output: list[str] = field(default_factory=list)
    running: subprocess.Popen[str] | None = None
    stopped: bool = False

    def call(
        self,
        *argv: str | Path,
        cwd: Path = ROOT,
        env: t.Mapping[str, str] | None = None,
    ) -> str:
        """Runs a program and returns what it printed; fails the step when the program fails."""
        if self.stopped:
            raise Failed("stopped")
        command = [str(word) for word in argv]
        self.running = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        printed, _nothing = self.running.communicate()
        self.output.append(printed)
        if self.running.returncode != 0:
            shown = " ".join(command)
            raise Failed(f"exit code {self.running.returncode}: {shown[:300]}")
        return printed

    def stop(self) -> None:
        self.stopped = True
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()


def environment(extra: t.Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with our tools first and nothing that changes their output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    return {
        **kept,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".tree"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **extra,
    }


def run_all(title: str, steps: t.Sequence[Step], *, keep_going: bool = False) -> int:
    """Runs the steps side by side, stops them all at the first failure, returns the exit code."""
    began = time.monotonic()
    lock = threading.Lock()
    failures = 0

    def run(step: Step) -> str | None:
        start = time.monotonic()
        try:
            step.work(step)
        except Failed as problem:
            return str(problem)
        with lock:
            print(f"ok    {step.name} ({time.monotonic() - start:.0f} s)", flush=True)
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        waiting = {pool.submit(run, step): step for step in steps}
        for done in concurrent.futures.as_completed(waiting):
            problem = done.result()
            if problem is None:
                continue
            failures += 1
            failed = waiting[done]
            with lock:
                sys.stdout.write("".join(failed.output))
                print(f"FAIL  {failed.name}: {problem}", flush=True)
            if not keep_going:
                for other in waiting:
                    other.cancel()
                for step in steps:
                    step.stop()
                return 1
    if failures:
        print(f"{title}: {failures} of {len(steps)} gates failed")
        return 1
    print(f"{title}: {len(steps)} gates passed in {time.monotonic() - began:.0f} s")
    return 0
