# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs make targets, stops at the first failure, and counts what passed.

    stages lint units site+sanity,money

An argument is done when all of it has passed, and the next one begins then. ``+`` stands between
lanes that run side by side, ``,`` between the targets that a lane runs one after the other. The
first lane goes before the others where both want the processor.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
INTERRUPTED = "interrupted"
# seconds that a target has for putting its things away before it is killed
_GRACE = 30


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


def reasons(text: str) -> list[str]:
    """The last lines of an output that say why something failed, shortened."""
    lines = [_COLOUR.sub("", line) for line in text.splitlines()]
    return [line[:_LONGEST] for line in lines if _REASON.search(line)][-_MOST:]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def summary(found: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))


Step = list[list[str]]


def parse(words: Sequence[str]) -> list[Step]:
    """For each step its lanes, and for each lane its targets."""
    return [[lane.split(",") for lane in word.split("+")] for word in words]


@dataclass
class Run:
    """What is known of all targets so far; lanes share it."""

    targets: int
    command: Sequence[str] = ("make",)
    began: float = field(default_factory=time.monotonic)
    total: Counter[str] = field(default_factory=Counter)
    times: list[str] = field(default_factory=list)
    failed: str | None = None
    _started: int = 0
    _running: list[subprocess.Popen[str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def banner(self, text: str) -> None:
        print(f" {text} ".center(80, "="), flush=True)

    def step(self, lanes: Step) -> None:
        with ThreadPoolExecutor(len(lanes)) as pool:
            done = [
                pool.submit(self._lane, targets, aside=len(lanes) > 1, waits=number > 0)
                for number, targets in enumerate(lanes)
            ]
            try:
                for lane in done:
                    lane.result()
            except KeyboardInterrupt:
                # before the pool waits for its lanes
                with self._lock:
                    self.failed = self.failed or INTERRUPTED
                    self._stop()
                raise

    def _lane(self, targets: list[str], *, aside: bool, waits: bool) -> None:
        for target in targets:
            process = self._start(target, waits=waits)
            if process is None:
                return
            self._follow(process, target, f"{target} | " if aside else "")

    def _start(self, target: str, *, waits: bool) -> subprocess.Popen[str] | None:
        """Nothing begins after a failure."""
        with self._lock:
            if self.failed:
                return None
            self._started += 1
            after = clock(time.monotonic() - self.began)
            self.banner(f"{self._started} of {self.targets}: {target} (after {after})")
            process = subprocess.Popen(
                [*(("nice", "-n", "10") if waits else ()), *self.command, target],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                # a group of its own: whatever it started is stopped with it
                process_group=0,
            )
            self._running.append(process)
            return process

    def _follow(self, process: subprocess.Popen[str], target: str, prefix: str) -> None:
        """Shows the output as it comes, and keeps it."""
        start = time.monotonic()
        found: Counter[str] = Counter()
        with process, (LOGS / f"{target}.log").open("w", encoding="utf-8") as log:
            for line in process.stdout or ():
                with self._lock:
                    sys.stdout.write(f"{prefix}{line}")
                    sys.stdout.flush()
                log.write(line)
                found += count(line)
        with self._lock:
            self._running.remove(process)
            seconds = clock(time.monotonic() - start)
            if process.returncode == 0:
                self.times.append(f"{target} {seconds}")
                # a target that says nothing that we understand still counts
                self.total += found or Counter(passed=1)
            elif self.failed:
                self.times.append(f"{target} {seconds}, stopped")
            else:
                self.times.append(f"{target} {seconds}, failed")
                self.total += found + Counter(failed=1)
                self.failed = target
                self._stop()

    def _stop(self) -> None:
        for process in self._running:
            signal_group(process, signal.SIGTERM)
            kill = threading.Timer(_GRACE, signal_group, (process, signal.SIGKILL))
            kill.daemon = True
            kill.start()


def signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """It also reaches what outlived the process, which may hold its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def main(words: list[str], command: Sequence[str] = ("make",)) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    steps = parse(words)
    run = Run(sum(len(lane) for lanes in steps for lane in lanes), command)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        for lanes in steps:
            run.step(lanes)
            if run.failed:
                break
    except KeyboardInterrupt:
        print(INTERRUPTED)
        return 130
    print(f"times: {'; '.join(run.times)}")
    if run.failed:
        log = LOGS / f"{run.failed}.log"
        print(f"{run.failed} failed; its output is in {log.relative_to(ROOT)}")
        # what is seen of a long output is often its end alone
        print("\n".join(["", "why:", *reasons(log.read_text("utf-8", "replace"))]))
    run.banner(f"{summary(run.total)} in {time.monotonic() - run.began:.2f}s")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
