# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: deposits that are lost unless an operator acts."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def time_left(deadline: Mapping[str, t.Any]) -> str:
    """Blocks, and roughly how long they take where the chain's pace is known."""
    blocks, seconds = deadline["blocks_left"], deadline.get("seconds_left")
    if seconds is None:
        return f"{blocks} blocks"
    minutes = int(seconds) // 60
    return f"{blocks} blocks, {minutes // 60} h {minutes % 60:02d} min"


def _line(escrow: Mapping[str, t.Any]) -> str:
    """One escrow with every reason; settling several is advised once, for all of them."""
    deadline = escrow["deadline"]
    said = []
    for danger in escrow["dangers"]:
        near = danger["kind"] == "deadline"
        if not near:
            said.append(f"{danger['reason']}. {danger['advice']}.")
        elif escrow["may_settle"] is False:
            said.append(f"{danger['advice']}.")
    left = (
        "" if deadline is None or deadline["blocks_left"] < 0 else f", {time_left(deadline)} left"
    )
    what = f"Escrow {escrow['id']} ({escrow['amount']} ngonka{left})"
    return f"{what}: {' '.join(said)}" if said else f"{what}."


def deadline_alarms(found: object, elsewhere: object = (), host: object = None) -> list[str]:
    """Return a line for each deposit in danger, for each part not known, and what to run."""
    if not isinstance(found, Mapping) or not isinstance(found.get("escrows"), Sequence):
        raise AnsibleFilterError("deadline_alarms: the result of escrow_info is needed")
    if not isinstance(elsewhere, Collection) or isinstance(elsewhere, str):
        raise AnsibleFilterError("deadline_alarms: elsewhere must be a list of ids")
    lines, settle = [], []
    for escrow in found["escrows"]:
        if not escrow["dangers"] or (not escrow["recorded"] and escrow["id"] in elsewhere):
            continue
        only_near = {danger["kind"] for danger in escrow["dangers"]} == {"deadline"}
        if only_near and escrow["may_settle"] is not False:
            settle.append(str(escrow["id"]))
        lines.append(_line(escrow))
    lines += [f"Not known: {part}." for part in found["not_known"]]
    if settle:
        where = "" if host is None else f" -e devshard_hosts={host}"
        lines.append(
            "Settle what is near its deadline with the playbook gonka.devshard.settle"
            f"{where} -e settle_ids={','.join(settle)}."
        )
    return lines
