# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs make targets one after the other, stops at the first failure, and counts what passed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "logs"

# pytest's closing line, with or without its frame
_PYTEST = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s")
_COUNT = re.compile(r"(\d+) (passed|skipped|xfailed)")
# a gate of tests/tools/lint and tests/tools/sanity
_GATE = re.compile(r"^(ok|skip) {2,}\S")
# a scenario in molecule's report at the end
_SCENARIO = re.compile(r"^\S+\s*: actions=\d+ +successful=(\d+) .* failed=\d+$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REASON = re.compile(r"^(fatal: |\[ERROR\]|E   |FAILED |FAIL |ERROR )|error: ")
_LONGEST = 600
_MOST = 12


def count(line: str) -> Counter[str]:
    line = _COLOUR.sub("", line)
    found: Counter[str] = Counter()
    if _PYTEST.match(line):
        for number, outcome in _COUNT.findall(line):
            found[outcome] += int(number)
    elif gate := _GATE.match(line):
        found["passed" if gate[1] == "ok" else "skipped"] += 1
    elif scenario := _SCENARIO.match(line.rstrip()):
        found["passed"] += int(scenario[1])
    return found


def run(stage: str) -> tuple[int, Counter[str]]:
    """Shows the stage's output as it comes and keeps it."""
    LOGS.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    with (
        (LOGS / f"{stage}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            ["make", stage],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            log.write(line)
            found += count(line)
    return process.returncode, found


def reasons(text: str) -> list[str]:
    """The last lines of an output that say why something failed, shortened."""
    lines = [_COLOUR.sub("", line) for line in text.splitlines()]
    return [line[:_LONGEST] for line in lines if _REASON.search(line)][-_MOST:]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def summary(found: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))


def banner(text: str) -> None:
    print(f" {text} ".center(80, "="), flush=True)


def main(stages: list[str]) -> int:
    began = time.monotonic()
    total: Counter[str] = Counter()
    times: list[str] = []
    for number, stage in enumerate(stages, 1):
        banner(f"{number} of {len(stages)}: {stage} (after {clock(time.monotonic() - began)})")
        start = time.monotonic()
        code, found = run(stage)
        times.append(f"{stage} {clock(time.monotonic() - start)}")
        total += found
        if code != 0:
            log = LOGS / f"{stage}.log"
            print(f"times: {', '.join(times)}; the output is in {log.relative_to(ROOT)}")
            # what is seen of a long output is often its end alone
            print("\n".join(["", "why:", *reasons(log.read_text("utf-8", "replace"))]))
            total["failed"] += 1
            break
        if not found:
            # a stage that says nothing that we understand still counts
            total["passed"] += 1
    else:
        print(f"times: {', '.join(times)}")
    banner(f"{summary(total)} in {time.monotonic() - began:.2f}s")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
