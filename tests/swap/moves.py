# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Moves of a real host's gateway to another generation, and everything that can go wrong in one.

``python -m …tests.swap.moves FROM TO HOST [NAME…]``: two inventories of the same host, which is
deployed by the first one. Clients stream all the while. A cell that ends the move leaves the host
with the generation of the second inventory, so it is the last one of a call.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step, sequence
from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.faults import (
    VARIABLES,
    Before,
    Broken,
    Runs,
    expect,
    killed_begun,
    killed_done,
    look,
    prepare,
    serves,
)
from ansible_collections.gonka.devshard.tests.swap.lab import (
    DEPLOY,
    MAIN,
    TEMP,
    Lab,
    Run,
)

# those that the simulated chain begins with
VERSIONS = ["v2", "v3", "v4", "v4.1", "v5"]
STEPS = [step.value for step in sequence("generation", "import")]
PLAY = "gonka.devshard.generation_upgrade"
BEFORE_THE_FIRST_SETTLE = STEPS[1 : STEPS.index(Step.SETTLE_MAIN.value)]


class Move(Runs):
    """One move of the lab's host to the generation of its inventory."""

    def __init__(self, origin: Lab, lab: Lab, before: Before, others: t.Sequence[Lab] = ()) -> None:
        self.origin = origin
        self.lab = lab
        self.before = before
        self.others = others
        self.old = self.open_escrows()
        self.record = self.read_record()

    def open_escrows(self) -> set[int]:
        """What the chain has open, without the escrows of other gateways of this network."""
        theirs = {int(key) for lab in self.others for key in lab.escrows()}
        found = self.lab.net("/chain/escrows")["escrows"]
        return {int(item["id"]) for item in found if not item["settled"]} - theirs

    def read_record(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads(
            self.lab.on_host("cat", f"{DEPLOY}/.gonka-devshard.json")
        )
        return found

    def run(self, **given: t.Any) -> Run:
        return self.lab.play(**{"name": PLAY, **VARIABLES, **given})

    def back(self) -> None:
        """Given up: the gateway is as it was, and what was paid for is settled."""
        self.again(hot_swap_rollback=True)
        lab = self.lab
        expect(self.read_record() == self.record, "the deploy record is another one")
        self._ended()
        left = self.open_escrows()
        expect(left == self.old, f"escrows {left - self.old} of the temporary gateway are open")
        active = {key for key, item in lab.escrows().items() if item["active"]}
        expect(active == self.before.active, "the gateway does not serve what it served")

    def done(self) -> None:
        """The host is an ordinary one of the new generation, and nothing of the old one is left."""
        lab, wanted = self.lab, self.lab.vars
        self._ended()
        record = self.read_record()
        expect(record["profile"] == wanted["devshard_profile"], f"the record says {record}")
        expect(record["storage"] != self.record["storage"], "the storage is the earlier one")
        expect("previous_digest" not in record, "it could be rolled back to another generation")
        open_ones = self.open_escrows()
        expect(not open_ones & self.old, f"escrows {open_ones & self.old} are not settled")
        records = lab.escrows()
        idle = [key for key, item in records.items() if not (item["active"] and "runtime" in item)]
        expect(not idle, f"escrows {idle} are not in use")
        expect(
            {str(number) for number in open_ones} == set(records),
            f"the chain has {open_ones} open, the gateway {set(records)}",
        )
        needed = sum(max(model.get("count", 1) - 1, 1) + 1 for model in wanted["devshard_models"])
        expect(len(records) == needed, f"{len(records)} escrows, not {needed}")
        gone = lab.on_host("sh", "-c", f"ls -d {self.record['storage']} || true")
        expect(not gone.strip(), "the earlier storage is still there")

    def _ended(self) -> None:
        lab = self.lab
        expect(lab.slot() == "main", "main is not in service")
        expect(lab.journal() is None, "a move is still open")
        expect(not lab.exists(TEMP), "the temporary gateway still exists")
        expect(lab.rotation() == self.before.rotation, "the rotation is not as it was")
        violations = lab.net("/violations")["violations"]
        expect(not violations, f"the hosts noticed: {violations}")


def straight(move: Move) -> None:
    """Nothing goes wrong; check mode shows it before, and afterwards nothing is left to do."""
    refused = move.lab.play("gonka.devshard.site")
    expect(refused.rc != 0 and PLAY in refused.text, "site does not name the playbook")
    plan = move.run(check=True)
    expect(plan.rc == 0 and all(step in plan.text for step in STEPS), "no plan in check mode")
    expect(move.lab.journal() is None, "check mode began a move")
    run = move.run()
    expect(run.rc == 0, run.message)
    expect(" 0 ngonka are unaccounted for" in run.text, "the money was not accounted for")
    move.done()
    second = move.run()
    expect((second.rc, second.changed) == (0, 0), "the second run changed something")
    # to open the accounting is a change of the edge, whose reload clients that reuse a connection feel
    site = move.lab.play("gonka.devshard.site", edge_accounting=False)
    expect(site.rc == 0, site.text[-2000:])
    expect(site.changed == 0, "site changed something after the move")
    move.done()


def refused(move: Move) -> None:
    """What could not end well is refused before anything is paid for."""
    lab, minted = move.lab, move.lab.minted()

    def refuses(*words: str) -> None:
        for check in (True, False):
            move.stops(move.run(check=check), "preflight", *words)
        expect(lab.journal() is None, "a refused preflight left a journal")
        expect(lab.minted() == minted, "an escrow was paid for")
        expect(not lab.exists(TEMP), "a temporary gateway was started")

    creator = lab.vars["creator_address"]
    rest = lab.vars["simnet_urls"]["chain_rest"]
    path = f"/cosmos/bank/v1beta1/balances/{creator}/by_denom?denom=ngonka"
    money = int(lab.get(rest + path)["balance"]["amount"])
    lab.net("/chain/accounts", {"address": creator, "balance": 5})
    try:
        refuses("ngonka are missing")
    finally:
        lab.net("/chain/accounts", {"address": creator, "balance": money})
    for name, words in (("to", "approves only"), ("from", "")):
        gone = (lab if name == "to" else move.origin).vars.get("devshard_protocol", "v2")
        left = [one for one in VERSIONS if one != gone]
        lab.net("/chain/versions", {"versions": left})
        try:
            refuses(words)
        finally:
            lab.net("/chain/versions", {"versions": VERSIONS})


def rolled_back(move: Move) -> None:
    """The controller is killed at each step until the first settle, and then it is given up."""
    for step in BEFORE_THE_FIRST_SETTLE:
        run = move.run(kill_in=f"Run step {step}")
        expect(run.rc < 0, f"the run ended before it came to {step}: {run.text[-1500:]}")
        serves(move.lab)
    move.back()


def broken_image(move: Move) -> None:
    """The new image does not start: nothing has moved, and it can be given up."""
    reference = str(move.lab.vars["gateway_image"]).rpartition(":")[0]
    for tag in ("broken-exit", "broken-unhealthy"):
        given = {"gateway_image": f"{reference}:{tag}", "hot_swap_wait_timeout": 20}
        run = move.run(**given)
        move.stops(run, "start_temp", "nothing has moved", "hot_swap_rollback=true")
        expect(move.lab.slot() == "main", "main is not in service")
        expect(move.lab.rotation() == move.before.rotation, "the rotation stays off")
        move.back()


def controller_killed(move: Move) -> None:
    killed_begun(move, STEPS[1:])


def controller_killed_late(move: Move) -> None:
    killed_done(move, STEPS[1:])


def host_reboots(move: Move) -> None:
    """The host reboots as each step begins, with the controller cut off."""
    for step in STEPS[1:]:
        run = move.run(kill_in=f"Run step {step}")
        expect(run.rc <= 0, f"{step}: {run.message}")
        if run.rc == 0:
            break
        move.lab.reboot()
    move.again()
    move.done()


def settle_fails(move: Move) -> None:
    """At the settle of the earlier escrows the chain is silent, the list has changed, no host signs, or
    the public API is down: the new gateway serves, there is no way back, and the move ends once it
    is healed. A settle needs no public API, so the last one stops at the next create."""
    lab = move.lab
    left = [one for one in VERSIONS if one != move.origin.vars.get("devshard_protocol", "v2")]
    faults: dict[str, tuple[str, t.Any]] = {
        "chain": ("/faults", {"action": "drop", "service": "chain"}),
        "list": ("/chain/versions", {"versions": left}),
        "quorum": ("/faults", {"action": "drop", "service": "hosts"}),
        "public API": ("/faults", {"action": "drop", "service": "public"}),
    }
    for name, (path, body) in faults.items():
        run = move.run(
            hooks={"Run step settle_main": lambda path=path, body=body: lab.net(path, body)},
            hot_swap_drain_timeout=20,
        )
        expect(run.rc != 0, f"{name}: the move went on")
        step = "seed_main" if name == "public API" else "settle_main"
        expect(f"the swap stopped at {step}" in run.message, f"{name}: {run.message}")
        expect(lab.slot() == "temp" and lab.runs(MAIN), f"{name}: not both gateways are there")
        serves(lab)
        lab.net("/chain/versions", {"versions": VERSIONS})
        lab.heal()
        back = move.run(hot_swap_rollback=True)
        expect(back.rc != 0 and "only leads forward" in back.text, f"{name}: {back.message}")
    move.again()
    move.done()


@dataclass(frozen=True)
class Cell:
    """``unharmed``: clients must not notice anything. A crash cuts, whoever moves."""

    run: t.Callable[[Move], None]
    ends: bool
    unharmed: bool = True

    @property
    def name(self) -> str:
        return self.run.__name__


CELLS = [
    Cell(refused, ends=False),
    Cell(broken_image, ends=False),
    Cell(rolled_back, ends=False),
    Cell(straight, ends=True),
    Cell(controller_killed, ends=True),
    Cell(controller_killed_late, ends=True),
    # without hosts no client gets an answer, whoever moves
    Cell(settle_fails, ends=True, unharmed=False),
    Cell(host_reboots, ends=True, unharmed=False),
]


def try_one(cell: Cell, origin: Lab, lab: Lab) -> None:
    prepare(origin)
    move = Move(origin, lab, look(origin))
    kinds: dict[t.Any, int] = {"reuse": 2, "close": 2, "slow": 1}
    with Clients(lab, kinds) as clients:
        cell.run(move)
    if cell.unharmed:
        expect(not clients.harmed(), f"clients were harmed: {clients.harmed()[:3]}")
    expect(clients.count("ok") > 0, "no client got an answer")


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("origin", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("host")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--log", type=Path, help="append what the plays print to this file")
    options = parser.parse_args(argv)
    known = {cell.name: cell for cell in CELLS}
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"no cell {', '.join(unknown)}; there are {', '.join(known)}")
    if any(known[name].ends for name in options.names[:-1]):
        parser.error("a cell that ends the move must be the last one")
    labs = [Lab(path, options.host) for path in (options.origin, options.target)]
    for lab in labs:
        lab.log = options.log
    try:
        for name in options.names:
            began = time.monotonic()
            try_one(known[name], *labs)
            print(f"{name}: ok ({time.monotonic() - began:.0f} s)", flush=True)
    except Broken as exc:
        print(f"BROKEN: {exc}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
