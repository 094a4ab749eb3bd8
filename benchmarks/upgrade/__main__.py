# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Moves a gateway to another generation on a test host under load, and accounts for the money.

``make bench-upgrade`` makes a host of its own with the chain of today, deploys it with the earlier
generation, moves it under 200 clients that stream, and writes ``results/upgrade.json`` and
``results/upgrade.png`` beside this folder. The host is removed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.benchmarks import hosts
from ansible_collections.gonka.devshard.benchmarks.hosts import RESULTS, say
from ansible_collections.gonka.devshard.benchmarks.swap import report
from ansible_collections.gonka.devshard.benchmarks.swap.__main__ import kinds, timed
from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.faults import look, prepare
from ansible_collections.gonka.devshard.tests.swap.lab import Lab
from ansible_collections.gonka.devshard.tests.swap.moves import PLAY, Move

PROJECT = "gonka-devshard-bench-upgrade"
HOST = "bench-1"
MONEY: t.Final = {
    "locked": r"locked in the new escrows: (\d+) ngonka",
    "spent": r"spent by their requests: (\d+) ngonka",
    "refunded": r"refunded from the earlier ones: (\d+) ngonka",
    "protocol_fees": r"fees of the protocol: (\d+) ngonka",
    "fees": r"fees of transactions: (\d+) ngonka",
    "ngonka_unaccounted": r"(-?\d+) ngonka are unaccounted for",
}


def labs(origin: str, target: str, log: Path | None) -> tuple[Lab, Lab]:
    found = []
    for generation in (origin, target):
        path = hosts.up(
            PROJECT,
            [HOST],
            "--net-arg=--chain=v0.2.16",
            f"--generation={HOST}={generation}",
            inventory=generation,
        )
        found.append(Lab(path, HOST))
        found[-1].log = log
    return found[0], found[1]


def money(text: str) -> dict[str, int | None]:
    """What the play said of it; None for what it did not know."""
    found = {name: re.search(words, text) for name, words in MONEY.items()}
    return {name: None if match is None else int(match[1]) for name, match in found.items()}


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/upgrade", description=__doc__)
    parser.add_argument("--from", dest="origin", default="v2")
    parser.add_argument("--to", dest="target", default="v4.1")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--longest", type=float, default=60, help="longest stream, in seconds")
    parser.add_argument("--before", type=float, default=30, help="seconds of load before")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    origin, target = labs(options.origin, options.target, options.log)
    hosts.deploy([origin])
    prepare(origin)
    move = Move(origin, target, look(origin))
    say(f"moving from {options.origin} to {options.target} under {options.clients} clients")
    with Clients(target, kinds(options.clients), stream_s=(5, options.longest)) as clients:
        time.sleep(options.before)
        moved, run = timed(target, clients, PLAY)
    account = money(run.text)
    move.done()
    hosts.down(PROJECT)
    title = f"{options.origin} to {options.target}"
    row = report.summarize(title, options.clients, clients.exchanges, [moved])
    numbers = ("clients", "requests", "streams_cut", "requests_failed")
    times = ("p50_ms", "p99_ms", "drain_s", "total_s")
    result = {
        "from": options.origin,
        "to": options.target,
        **{name: getattr(row, name) for name in (*numbers, *times)},
        **account,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "upgrade.json").write_text(json.dumps([result], indent=2) + "\n")
    report.draw(options.results / "upgrade.png", [(row, clients.exchanges, [moved])])
    print(json.dumps(result, indent=2))
    harmed = row.streams_cut or row.requests_failed or account["ngonka_unaccounted"] != 0
    return int(bool(harmed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
