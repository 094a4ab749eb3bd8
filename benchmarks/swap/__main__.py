# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Swaps gateways on a test host under load, and compares with the ways that others do it.

``make bench-swap ARGS='--swaps 10 --clients 200'`` makes a host of its own, deploys it, and writes
``results/swap.json`` and ``results/swap.png`` beside this folder; with ``--profile v4.1`` its rows
are added, and the picture is ``swap-v4.1.png``. With ``--inventory`` and ``--host`` it uses a host
that is deployed already.

A gateway admits only so many requests at once as the weight of its hosts allows, and answers 429 to
the others. So for the time of the measurement ``max_concurrent_requests_per_10000_weight`` is 1000.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.benchmarks import hosts
from ansible_collections.gonka.devshard.benchmarks.hosts import RESULTS, say
from ansible_collections.gonka.devshard.benchmarks.swap import report
from ansible_collections.gonka.devshard.benchmarks.swap.others import OTHERS
from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.faults import VARIABLES, prepare
from ansible_collections.gonka.devshard.tests.swap.lab import Lab, Run
from ansible_collections.gonka.devshard.tests.swap.load import Kind
from ansible_collections.gonka.devshard.tests.swap.second import Partner

PROJECT = "gonka-devshard-bench"
FLAG = "/etc/nginx/devshard/temp-in-service"


def kinds(clients: int) -> dict[Kind, int]:
    """Most clients reuse their connection, as SDKs do; a few upload slowly."""
    slow = max(1, clients // 20)
    close = clients * 3 // 10
    return {"reuse": clients - slow - close, "close": close, "slow": slow}


def host(options: argparse.Namespace) -> Lab:
    if options.inventory is not None:
        return Lab(options.inventory, options.host)
    profile = options.profile
    network = [] if profile == report.DEFAULT_GENERATION else ["--net-arg=--chain=v0.2.16"]
    path = hosts.up(PROJECT, ["bench-1"], *network, f"--generation=bench-1={profile}")
    lab = Lab(path, "bench-1")
    lab.log = options.log
    hosts.deploy([lab])
    return lab


def done_at(run: Run, task: str) -> float | None:
    """When a task of the play had its result."""
    seen = False
    for moment, line in run.lines:
        if f": {task}]" in line:
            seen = True
        elif seen and line.startswith(("ok:", "changed:")):
            return moment
    return None


def timed(lab: Lab, clients: Clients, play: str, **given: t.Any) -> tuple[report.Swap, Run]:
    """One run of the role, with the moments of its phases on the clock of the clients."""
    switched: list[float] = []

    def note_switch() -> None:
        # the file itself tells when, to the millisecond
        written = float(lab.on_host("stat", "--format", "%.Y", FLAG))
        switched.append(clients.now() - (time.time() - written))

    begin = clients.now()
    run = lab.play(
        play,
        clock=clients.now,
        hooks={"Run step drain_main": note_switch},
        **{**VARIABLES, "hot_swap_drain_timeout": 600, **given},
    )
    if run.rc != 0:
        sys.exit(f"{play} failed: {run.message}")
    phases = report.Swap(
        begin=begin,
        switched=switched[0],
        drained=done_at(run, "Wait until the gateway serves no request"),
        end=clients.now(),
        back=done_at(run, "Switch the edge to the gateway's own slot"),
        imported=done_at(run, "Import the escrows of the temporary gateway, out of use"),
    )
    return phases, run


def swap_once(lab: Lab, clients: Clients) -> report.Swap:
    """One swap to the other image."""
    other = "1.0" if lab.image() == "1.1" else "1.1"
    reference = str(lab.vars["gateway_image"]).rpartition(":")[0] + f":{other}"
    return timed(lab, clients, "gonka.devshard.hot_swap", hot_swap_image=reference)[0]


def measure_ours(lab: Lab, options: argparse.Namespace) -> report.Lane:
    swaps = []
    with Clients(lab, kinds(options.clients), stream_s=(5, options.longest)) as clients:
        time.sleep(options.before)
        for number in range(options.swaps):
            swaps.append(swap_once(lab, clients))
            say(
                f"swap {number + 1} of {options.swaps}: {clients.count('ok')} requests,"
                f" {clients.count('cut')} streams cut, {clients.count('failed')} failed"
            )
    row = report.summarize("flag file (hot_swap)", options.clients, clients.exchanges, swaps)
    return row, clients.exchanges, swaps


def measure_other(lab: Lab, name: str, options: argparse.Namespace) -> report.Lane:
    say(f"for comparison: {name}")
    with contextlib.ExitStack() as stack:
        change = stack.enter_context(OTHERS[name](lab))
        clients = stack.enter_context(
            Clients(lab, kinds(options.compare_clients), stream_s=(5, 15))
        )
        time.sleep(options.before)
        swap = change(clients.now)
        time.sleep(5)
    row = report.summarize(name, options.compare_clients, clients.exchanges, [swap])
    return row, clients.exchanges, [swap]


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/swap", description=__doc__)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--longest", type=float, default=60, help="longest stream, in seconds")
    parser.add_argument("--before", type=float, default=30, help="seconds of load before")
    parser.add_argument("--compare-clients", type=int, default=100)
    parser.add_argument("--only", choices=["ours", "others"], help="leave the other part out")
    parser.add_argument("--profile", default=report.DEFAULT_GENERATION, help="the generation")
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--host", default="bench-1")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    lab = host(options)
    lab.log = options.log
    prepare(lab)
    lanes: list[report.Lane] = []
    if options.only != "others":
        lanes.append(measure_ours(lab, options))
    if options.only != "ours":
        with Partner(lab):
            lanes += [measure_other(lab, name, options) for name in OTHERS]
    options.results.mkdir(parents=True, exist_ok=True)
    rows = [lane[0] for lane in lanes]
    path = options.results / "swap.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps(report.results(kept, rows, options.profile), indent=2) + "\n")
    other = "" if options.profile == report.DEFAULT_GENERATION else f"-{options.profile}"
    report.draw(options.results / f"swap{other}.png", lanes)
    print(report.table(rows))
    violations = lab.net("/violations")["violations"]
    if violations:
        print(f"the hosts noticed: {violations}")
    ours = [row for row in rows if row.mode.startswith("flag file (")]
    return int(bool(violations) or any(r.streams_cut or r.requests_failed for r in ours))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
