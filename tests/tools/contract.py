# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the contract suite for each pair of gateway and chain, two at a time.

``contract.py [ARGS]`` gives its arguments to each run of pytest. With a variable ``DEVSHARD_TEST_*``
there is one run only, for what the variables name. What is about the chain and its CLI alone is run
once for each release. Logs are in build/logs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.gonka.devshard.tests.contract._profile import (
    CHAIN_VARIABLE,
    CHAINS,
    PROFILES,
    VARIABLE,
)

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "logs"
SUITE = "tests/contract"
PREFIX = "DEVSHARD_TEST_"
OF_THE_CHAIN = (
    "test_00_comparing.py",
    "test_01_chain.py",
    "test_02_inferenced.py",
    "test_03_refused_transactions.py",
)
AT_A_TIME = 2


@dataclass(frozen=True)
class Pair:
    gateway: str
    chain: str

    @property
    def name(self) -> str:
        return f"{self.gateway} on {self.chain}"

    @property
    def whole(self) -> bool:
        """The first gateway of each chain is asked everything."""
        return self.gateway == next(iter(PROFILES))

    @property
    def variables(self) -> dict[str, str]:
        return {VARIABLE: self.gateway, CHAIN_VARIABLE: self.chain}


# a face is one generation as single releases of it may be, and is compared on the chain of today
PAIRS = tuple(
    Pair(name, chain)
    for name, profile in PROFILES.items()
    for chain in (CHAINS[-1:] if profile.face else CHAINS)
)


def command(pair: Pair | None, more: list[str]) -> list[str]:
    """As a caller would type it; a story needs its files in their order, so none runs beside another."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SUITE]
    if pair is not None and not pair.whole:
        argv += [f"--ignore={SUITE}/{name}" for name in OF_THE_CHAIN]
    return [*argv, *more]


def told(environment: Mapping[str, str]) -> bool:
    """Whether the caller names a target."""
    return any(name.startswith(PREFIX) and value for name, value in environment.items())


def run(pair: Pair, more: list[str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        command(pair, more),
        cwd=ROOT,
        env={**os.environ, **pair.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    LOGS.mkdir(parents=True, exist_ok=True)
    name = pair.name.replace(" ", "-").replace(":", "-")
    (LOGS / f"contract-{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    # the last line is what tests/tools/stages counts
    shown = done.stdout + done.stderr if done.returncode else done.stdout.splitlines()[-1]
    print(f"{pair.name} ({time.monotonic() - began:.0f} s)\n{shown}", flush=True)
    return done.returncode == 0


def main(more: list[str]) -> int:
    if told(os.environ):
        return subprocess.run(command(None, more), cwd=ROOT, check=False).returncode
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        fine = list(pool.map(lambda pair: run(pair, more), PAIRS))
    for pair, passed in zip(PAIRS, fine, strict=True):
        if not passed:
            print(f"FAIL  {pair.name}: make contract with {pair.variables}", flush=True)
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
