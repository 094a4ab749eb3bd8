# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the result for each chosen escrow, as lines for the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.table import table

COLUMNS: t.Final = ["escrow", "result", "deposit", "spent", "fees", "refund", "fee paid"]


def _result(escrow: Mapping[str, t.Any]) -> str:
    if escrow["problem"]:
        return "NOT settled"
    if escrow["settled"]:
        return "settled"
    return "would be settled"


def _row(escrow: Mapping[str, t.Any]) -> dict[str, t.Any]:
    refund = escrow["refund"]
    # without a settlement this is what the session holds now
    about = escrow["predicted"] and escrow["spent"] is None and refund is not None
    return {
        "escrow": escrow["id"],
        "result": _result(escrow),
        "deposit": escrow["deposit"],
        "spent": escrow["spent"],
        "fees": escrow["fees"],
        "refund": f"about {refund}" if about else refund,
        "fee paid": escrow["tx_fee"],
    }


def settle_table(result: object, host: object, check_mode: object = False) -> list[str]:
    """Return the lines: whose they are, a row for each escrow, and those of other accounts."""
    if not isinstance(result, Mapping) or "escrows" not in result:
        raise AnsibleFilterError("settle_table: the result of escrow_settle is needed")
    lines = []
    if result["escrows"]:
        what = "a prediction, nothing was done" if check_mode else "what was done"
        rows = table([_row(escrow) for escrow in result["escrows"]], COLUMNS)
        lines += [f"{host}: {what}. Amounts in ngonka.", *rows]
    shown = {escrow["id"] for escrow in result["escrows"]}
    lines += [
        f"{host}: escrow {other['id']} ({other['amount']} ngonka) belongs to {other['creator']} and"
        " cannot be settled with this key."
        for other in result["foreign"]
        if other["id"] not in shown
    ]
    return lines


def settle_problems(result: object) -> list[str]:
    """Return why each remaining escrow could not be settled; a shared reason is named once."""
    if not isinstance(result, Mapping) or "escrows" not in result:
        raise AnsibleFilterError("settle_problems: the result of escrow_settle is needed")
    told = [escrow["problem"]["message"] for escrow in result["escrows"] if escrow["problem"]]
    return list(dict.fromkeys(str(message) for message in told))
