# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the contract suite on a machine that is slow, fast or busy: it must not notice.

``steady.py [ROUNDS]`` runs every condition so often (default 2: ten runs) and ends with 1 when a run
failed. Logs are in build/logs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "logs"
SIMULATED = "DEVSHARD_TEST_SIMULATED_GATEWAY"


@dataclass(frozen=True)
class Condition:
    name: str
    prefix: tuple[str, ...] = ()
    simulated: str = ""
    busy: bool = False


CONDITIONS = (
    Condition("as it is"),
    Condition("nice", prefix=("nice", "-n", "19")),
    Condition("all cores busy", prefix=("nice", "-n", "5"), busy=True),
    Condition("each request tells its host", simulated="SIMNET_SYNC_SECONDS=0"),
    Condition("requests tell their hosts in batches", simulated="SIMNET_SYNC_SECONDS=3600"),
)


@contextlib.contextmanager
def load(*, wanted: bool) -> Iterator[None]:
    """One process per core that does nothing but turn."""
    count = os.cpu_count() or 1 if wanted else 0
    turning = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _unused in range(count)
    ]
    try:
        yield
    finally:
        for process in turning:
            process.kill()
            process.wait()


def run(condition: Condition, number: int) -> bool:
    environment = {**os.environ, SIMULATED: condition.simulated}
    argv = [*condition.prefix, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    began = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"steady-{number}.log"
    with log.open("w", encoding="utf-8") as handle, load(wanted=condition.busy):
        done = subprocess.run(
            [*argv, "tests/contract"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=False,
        )
    last = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
    took = time.monotonic() - began
    outcome = "ok" if done.returncode == 0 else "FAIL"
    print(f"{outcome:5} {number:2} {condition.name} ({took:.0f} s): {last}", flush=True)
    return done.returncode == 0


def main(rounds: int) -> int:
    results = [
        run(condition, number) for number, condition in enumerate(CONDITIONS * rounds, start=1)
    ]
    print(f"{sum(results)} of {len(results)} runs passed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2))
