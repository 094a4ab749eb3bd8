# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A fleet: the canary first, a stop at the first failure, and a rerun that continues.

``python -m …tests.swap.fleet INVENTORY GROUPS CANARY SECOND THIRD``; the hosts share a creator.
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
    Keep,
    expect,
    prepare,
)
from ansible_collections.gonka.devshard.tests.swap.lab import STATE, TEMP, Lab


def check(labs: list[Lab], groups: Path) -> None:
    canary, second, third = labs
    images = [lab.image() for lab in labs]
    expect(len(set(images)) == 1, f"the hosts run different images: {images}")
    old = images[0]
    new = "1.0" if old == "1.1" else "1.1"
    minted = canary.minted()
    wish: dict[str, t.Any] = {
        **VARIABLES,
        "hot_swap_image": str(canary.vars["gateway_image"]).rpartition(":")[0] + f":{new}",
        "devshard_hosts": "devshard_gateways",
    }
    backups = f"{STATE}/backups"
    second.on_host("mkdir", "-p", backups)
    second.on_host("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", backups)
    try:
        run = canary.play(inventories=[groups], **wish)
    finally:
        second.on_host("umount", backups)
    expect(run.rc != 0, "the second host should have failed")
    expect(f"{second.host}: the swap stopped at replace_main" in run.text, run.message)
    expect(canary.image() == new and canary.journal() is None, "the canary was not swapped")
    expect(second.image() == old and second.slot() == "temp", "the second is not as it stopped")
    expect(third.image() == old and third.journal() is None, "the third was touched")
    expect(not third.exists(TEMP), "the third was touched")

    run = canary.play(inventories=[groups], **wish)
    expect(run.rc == 0, f"the rerun failed: {run.message}")
    for lab in labs:
        expect(lab.image() == new and lab.slot() == "main", f"{lab.host} was not swapped")
        expect(lab.journal() is None and not lab.exists(TEMP), f"{lab.host}: a swap is open")
    expect(canary.minted() - minted == len(labs), "not one escrow for each host was paid for")
    violations = canary.net("/violations")["violations"]
    expect(not violations, f"the hosts noticed: {violations}")

    again = canary.play(inventories=[groups], **wish)
    expect((again.rc, again.changed) == (0, 0), "another run changed something")


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("groups", type=Path)
    parser.add_argument("hosts", nargs=3, metavar="HOST")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args(argv)
    labs = [Lab(options.inventory, host) for host in options.hosts]
    kinds: dict[t.Any, int] = {"reuse": 1, "close": 1}
    for lab in labs:
        lab.log = options.log
    with Keep(labs):
        for lab in labs:
            prepare(lab)
        with Clients(labs[0], kinds) as one, Clients(labs[1], kinds) as two:
            check(labs, options.groups)
    for clients in (one, two):
        if clients.harmed():
            raise Broken(f"clients were harmed: {clients.harmed()[:3]}")
    print("fleet: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
