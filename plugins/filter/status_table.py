# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the state of one gateway as lines for the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.filter.deadline_alarms import time_left
from ansible_collections.gonka.devshard.plugins.filter.table import table

GNK: t.Final = 1_000_000_000


def _coins(amount: object) -> str:
    """An amount in ngonka, readable in GNK without a float."""
    if amount is None:
        return "-"
    whole, part = divmod(int(str(amount)), GNK)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".") + " GNK"


def _left(deadline: object) -> str:
    if not isinstance(deadline, Mapping):
        return "-"
    return time_left(deadline)


def _state(escrow: Mapping[str, t.Any]) -> str:
    if escrow.get("settled"):
        return "settled"
    if escrow.get("usable"):
        return "usable"
    return "; ".join(str(reason) for reason in escrow.get("why_not") or ()) or "not usable"


def status_table(status: object) -> list[str]:
    """Returns the lines: the host, its gateway, its creator and a table of its escrows."""
    if not isinstance(status, Mapping):
        raise AnsibleFilterError("status_table: a dict is needed")
    gateway, creator = status["gateway"], status["creator"]
    container = gateway.get("container") or {}
    facts = [
        {"": "host", " ": status["host"]},
        {"": "slot in service", " ": status["slot"]},
        {"": "container", " ": f"{container.get('state')}, {container.get('health')}"},
        {"": "image", " ": container.get("image")},
        {"": "requests now", " ": gateway.get("active_requests")},
        {
            "": "chain",
            " ": "not known"
            if status["epoch"] is None
            else f"epoch {status['epoch']['effective']}, block {status['epoch']['height']}",
        },
        {"": "creator", " ": creator.get("address")},
        {"": "balance", " ": _coins(creator.get("balance"))},
        {"": "all escrows shown", " ": "yes" if status["complete"] else "not known"},
        {"": "open intents", " ": len(status["open_intents"])},
    ]
    rows = [
        {
            "escrow": escrow["id"],
            "model": escrow["model"],
            "state": _state(escrow),
            "deposit": _coins(escrow.get("amount")),
            "left": _coins(escrow.get("balance")),
            "nonce": escrow.get("nonce"),
            "settle within": _left(escrow.get("deadline")),
        }
        for escrow in status["escrows"]
    ]
    columns = ["escrow", "model", "state", "deposit", "left", "nonce", "settle within"]
    return [*table(facts, ["", " "])[2:], "", *table(rows, columns)]


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"status_table": status_table}
