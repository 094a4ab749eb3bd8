# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: deposits that are lost soon unless somebody settles them."""

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


def deadline_alarms(escrows: object, warn: object, elsewhere: object = ()) -> list[str]:
    """Returns a line for each unsettled escrow whose deadline is near, passed or not known."""
    if not isinstance(escrows, Sequence) or isinstance(escrows, str):
        raise AnsibleFilterError("deadline_alarms: the escrows of escrow_info are needed")
    if not isinstance(elsewhere, Collection) or isinstance(elsewhere, str):
        raise AnsibleFilterError("deadline_alarms: elsewhere must be a list of ids")
    try:
        limit = int(str(warn))
    except ValueError as exc:
        raise AnsibleFilterError(
            f"deadline_alarms: a number of blocks is needed, not {warn!r}"
        ) from exc
    lines = []
    for escrow in escrows:
        if not escrow["on_chain"] or escrow["settled"]:
            continue
        if not escrow["recorded"] and escrow["id"] in elsewhere:
            continue
        deadline = escrow["deadline"]
        what = f"escrow {escrow['id']} ({escrow['amount']} ngonka)"
        if deadline is None:
            lines.append(f"{what}: its deadline is not known")
        elif deadline["blocks_left"] < 0:
            lines.append(f"{what}: its deadline has passed")
        elif deadline["blocks_left"] < limit:
            lines.append(f"{what}: {time_left(deadline)} left")
    return lines


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"deadline_alarms": deadline_alarms}
