# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Plays one cell of the fault matrix: hurt, heal, run again, and look at the chain."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.gonka.devshard.tests.money.host import KILLED, Host, Run

if t.TYPE_CHECKING:
    from ansible_collections.gonka.devshard.tests.money.cells import Cell
    from ansible_collections.gonka.devshard.tests.money.network import Network

RERUNS = 4
LATER = ("timeout", "unknown", "chain_rejected")
"""Causes after which the operator is told to run the same again later."""


@dataclass
class Outcome:
    cell: str
    double: int = 0
    lost: int = 0
    unresolved: int = 0
    wrong: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, t.Any]:
        return asdict(self)


def play(cell: Cell, network: Network, host: Host) -> Outcome:
    outcome = Outcome(cell.name)
    operation = cell.operation(host)
    operation.prepare()
    try:
        if cell.fault is not None:
            cell.fault.arm(network)
        first = operation.run(cell.kill)
        outcome.runs.append(str(first))
        if (first.code == KILLED) is not (cell.kill is not None):
            outcome.wrong.append("the kill did not strike")
        if cell.fault is not None:
            if not cell.fault.struck(network):
                outcome.wrong.append("the fault did not strike")
            if cell.fault.late:
                network.expire()
        network.heal()
        finish(operation.run, network, outcome)
        again = operation.run()
        if not again.ok or again.changed:
            outcome.wrong.append(f"one run more changed something: {again}")
        verdict = operation.judge()
        outcome.double, outcome.lost = verdict.double, verdict.lost
        outcome.wrong += verdict.wrong
    finally:
        network.heal()
        operation.clean()
    return outcome


def finish(run: t.Callable[[], Run], network: Network, outcome: Outcome) -> None:
    """Run the same again as an operator would, until it says that all is done."""
    for attempt in range(RERUNS):
        again = run()
        outcome.runs.append(str(again))
        if again.ok:
            return
        if again.kind in LATER and attempt == 0:
            # What is not decided yet is decided when the lifetime is over on the chain's clock.
            network.expire()
            outcome.runs.append(str(run()))
            network.on_time()
    outcome.unresolved = 1
    outcome.wrong.append("it is still not done")
