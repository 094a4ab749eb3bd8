# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the escrow module did for each model, as lines for the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import gnk
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deadline_alarms import (
    time_left,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.table import table

COLUMNS: t.Final = ("escrow", "model", "deposit", "fee", "block", "settle before")

Result = Mapping[str, t.Any]


def _before(deadline: object) -> str | None:
    if not isinstance(deadline, Mapping):
        return None
    return f"block {deadline['height']} ({time_left(deadline)})"


def _row(entry: Result) -> dict[str, t.Any]:
    return {
        "escrow": entry.get("id", "new"),
        "model": entry["model"],
        "deposit": gnk(int(entry["amount"])),
        "fee": gnk(int(entry["fee"])),
        "block": entry.get("height"),
        "settle before": _before(entry.get("settle_before")),
    }


def _of_model(model: str, wanted: int, result: Result) -> list[str]:
    said = []
    if numbers := _numbers(result.get("reactivated")):
        said.append(f"escrow {numbers} was inactive, is paid for and serves again")
    if numbers := _numbers(result.get("adopted")):
        said.append(f"escrow {numbers}, paid for earlier, is registered now")
    surplus = [str(view["id"]) for view in result.get("surplus") or ()]
    if surplus:
        said.append(
            f"{len(result['escrows'])} usable, {wanted} wanted; settle with the playbook"
            f" gonka.devshard.settle -e settle_ids={','.join(surplus)}"
        )
    said += [
        f"escrow {view['id']} in this gateway belongs to {view['creator']} and is not counted"
        for view in result.get("foreign") or ()
    ]
    if result.get("failed"):
        said.append(f"FAILED: {result.get('msg')}")
    return [f"{model}: {text}" for text in said]


def _numbers(found: object) -> str:
    return ", ".join(str(number) for number in found) if isinstance(found, Sequence) else ""


def escrow_receipt(
    results: object, models: object, host: object, check: object = False
) -> list[str]:
    """Return the lines; none when there is nothing to report."""
    if not isinstance(results, Sequence) or not isinstance(models, Sequence):
        raise AnsibleFilterError("escrow_receipt: a list of results and one of models are needed")
    created, lines, balance = [], [], None
    for model, result in zip(models, results, strict=False):
        created += list(result.get("created") or ())
        balance = balance if result.get("balance") is None else result["balance"]
        lines += _of_model(str(model["id"]), int(model.get("count", 1)), result)
    if created:
        paid = table([_row(entry) for entry in created], COLUMNS)
        hashes = [
            f"escrow {entry['id']}: transaction {entry['tx_hash']}"
            for entry in created
            if entry.get("tx_hash")
        ]
        left = [] if balance is None else [f"balance after: {gnk(int(balance))}"]
        lines = [*paid, *hashes, *left, *lines]
    if not lines:
        return []
    return [
        f"{host}, {'what would be paid' if check else 'what was paid'}" if created else str(host),
        *lines,
    ]
