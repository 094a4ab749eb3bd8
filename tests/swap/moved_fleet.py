# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A fleet of two moves to another generation, and to the next one.

``python -m …tests.swap.moved_fleet GROUPS CANARY SECOND INVENTORY INVENTORY INVENTORY``: the
inventories name the same two hosts, which share a creator and are deployed by the first one, with
a newer generation each. Clients of both hosts stream all the while.
"""

from __future__ import annotations

import argparse
import sys
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.faults import (
    VARIABLES,
    Broken,
    expect,
    look,
    prepare,
)
from ansible_collections.gonka.devshard.tests.swap.lab import TEMP, Lab, Run
from ansible_collections.gonka.devshard.tests.swap.moves import PLAY, Move


class Fleet:
    """Both hosts, the canary first."""

    def __init__(self, origins: t.Sequence[Lab], labs: t.Sequence[Lab], groups: Path) -> None:
        self.groups = groups
        self.labs = labs
        self.canary, self.second = (
            Move(origin, lab, look(origin), [other for other in labs if other is not lab])
            for origin, lab in zip(origins, labs, strict=True)
        )

    def play(self, name: str, **given: t.Any) -> Run:
        wish = {"devshard_hosts": "devshard_gateways", **VARIABLES, **given}
        return self.labs[0].play(name, inventories=[self.groups], **wish)

    def generation(self, move: Move) -> str:
        return str(move.read_record()["profile"])

    def done(self) -> None:
        for move in (self.canary, self.second):
            move.done()
        for name in (PLAY, "gonka.devshard.site"):
            # to open the accounting is a change of the edge, as in the cell "straight" of a move
            run = self.play(name, edge_accounting=False)
            expect((run.rc, run.changed) == (0, 0), f"{name} changed something: {run.message}")


def stopped_at_the_canary(fleet: Fleet) -> None:
    """The new image does not start: the second host is not touched, and the canary goes back."""
    canary, second = fleet.canary, fleet.second
    reference = str(canary.lab.vars["gateway_image"]).rpartition(":")[0]
    run = fleet.play(PLAY, gateway_image=f"{reference}:broken-exit", hot_swap_wait_timeout=20)
    canary.stops(run, "start_temp", "nothing has moved")
    expect(second.lab.host not in run.message, "the second host has stopped")
    expect(second.lab.journal() is None, "the second host was touched")
    expect(not second.lab.exists(TEMP), "the second host was touched")
    expect(second.read_record() == second.record, "the second host was touched")
    canary.back()


def stopped_at_the_second(fleet: Fleet) -> None:
    """The archive of the second host is full: the canary has moved, the second one serves."""
    canary, second = fleet.canary, fleet.second
    archives = "/var/backups/gonka-devshard"
    second.lab.on_host("mkdir", "-p", archives)
    second.lab.on_host("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", archives)
    try:
        run = fleet.play(PLAY)
    finally:
        second.lab.on_host("umount", archives)
    second.stops(run, "retire_main")
    expect(f"{second.lab.host}: the swap stopped" in run.text, run.message)
    expect(canary.lab.journal() is None, "the move of the canary is still open")
    wanted = canary.lab.vars["devshard_profile"]
    expect(fleet.generation(canary) == wanted, "the canary has not moved")
    expect(second.lab.slot() == "temp", "the second host does not serve from its new gateway")


def check(
    origins: t.Sequence[Lab], labs: t.Sequence[Lab], last: t.Sequence[Lab], groups: Path
) -> None:
    fleet = Fleet(origins, labs, groups)
    stopped_at_the_canary(fleet)
    stopped_at_the_second(fleet)
    run = fleet.play(PLAY)
    expect(run.rc == 0, f"the rerun failed: {run.message}")
    fleet.done()
    image = str(labs[0].vars["gateway_image"]).rpartition(":")[0] + ":1.1"
    run = fleet.play("gonka.devshard.hot_swap", hot_swap_image=image)
    expect(run.rc == 0, f"the swap after the move failed: {run.message}")
    expect([lab.image() for lab in labs] == ["1.1", "1.1"], "not both were swapped")
    following = Fleet(labs, last, groups)
    run = following.play(PLAY)
    expect(run.rc == 0, f"the next move failed: {run.message}")
    following.done()


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", type=Path)
    parser.add_argument("canary")
    parser.add_argument("second")
    parser.add_argument("inventories", type=Path, nargs=3, metavar="INVENTORY")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args(argv)
    hosts = [options.canary, options.second]
    stages = [[Lab(path, host) for host in hosts] for path in options.inventories]
    for lab in (lab for stage in stages for lab in stage):
        lab.log = options.log
    for lab in stages[0]:
        prepare(lab)
    kinds: dict[t.Any, int] = {"reuse": 1, "close": 1}
    try:
        with Clients(stages[0][0], kinds) as one, Clients(stages[0][1], kinds) as two:
            check(stages[0], stages[1], stages[2], options.groups)
        for clients in (one, two):
            expect(not clients.harmed(), f"clients were harmed: {clients.harmed()[:3]}")
            expect(clients.count("ok") > 0, "no client got an answer")
    except Broken as exc:
        print(f"BROKEN: {exc}", flush=True)
        return 1
    print("moved_fleet: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
