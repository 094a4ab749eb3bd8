# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Deposits, deadlines, the wallet and what is still on its way. Pure."""

from __future__ import annotations

import typing as t

from .._chain.releases import ApprovedVersions
from .._escrows.funding import deposits_needed
from .._escrows.settle_rules import LAST_EPOCH
from .rotation_rules import rotates
from .scene import (
    AT_RISK,
    ESCROW,
    SITE,
    Data,
    Finding,
    Scene,
    Severity,
    coins,
    danger,
    listed,
    settle_run,
    unknown,
    warning,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .scene import StatusWish


def escrow_findings(scene: Scene) -> Iterator[Finding]:
    """Deposits in danger, one finding for all that are so for the same reason."""
    near = [row for row in scene.rows if any(d["kind"] == "deadline" for d in row["dangers"])]
    for row in near:
        (found,) = [danger for danger in row["dangers"] if danger["kind"] == "deadline"]
        text = f"escrow {row['id']} ({coins(row['amount'])}): {time_left(row['deadline'])} left"
        if row["recorded"] is None:
            yield danger("escrows", f"{text}, and its gateway does not answer", SITE)
        elif row["may_settle"] is False:
            yield danger("escrows", f"{text}. {found['advice']}")
        else:
            yield danger("escrows", f"{text} to settle it", settle_run(row["id"]))
    grouped: dict[tuple[str, str, str], list[Data]] = {}
    for row in scene.rows:
        for found in row["dangers"]:
            if found["kind"] != "deadline":
                key = (found["kind"], found["reason"], found["advice"])
                grouped.setdefault(key, []).append(row)
    for (kind, reason, advice), rows in grouped.items():
        total = coins(sum(row["amount"] or 0 for row in rows))
        left = _nearest(rows)
        yield danger(
            "escrows",
            f"escrow {listed(r['id'] for r in rows)} ({total}{left}): {reason}. {advice}",
            _mends(kind, rows),
        )
    for row in scene.unsettled():
        if row["recorded"] is False and scene.deployed and not scene.retired:
            yield warning(
                "escrows",
                f"escrow {row['id']} ({coins(row['amount'])}) is paid for, and the gateway has no"
                " record of it: another gateway of this creator has it, or the playbook escrow "
                "registers it",
                ESCROW,
            )


def absent_findings(scene: Scene) -> Iterator[Finding]:
    """Records of escrows that the chain does not have, where nothing proves their outcome."""
    gone = [row for row in scene.rows if row["absence"] is not None]
    if hidden := [row["id"] for row in gone if row["absence"] == "not_shown"]:
        yield unknown(
            "escrows",
            f"escrow {listed(hidden)} is not shown by the chain, which cannot have pruned it yet by"
            " what the ledger noted: the node is behind, or it is another chain. Use another"
            " devshard_chain_rest",
        )
    if lacking := [row["id"] for row in gone if row["absence"] == "unknown" and row["recorded"]]:
        yield warning(
            "escrows",
            f"the gateway has a record of escrow {listed(lacking)}, which the chain does not have, and"
            " nothing that was seen in this look proves that it was settled: neither the ledger nor a"
            " settle event of the chain. A devshard_chain_rest whose index of transactions has its epoch"
            " can prove it",
        )


SETTLES: t.Final = ("deadline", "last_epoch")
"""Dangers that a settle ends."""


def last_epoch_findings(scene: Scene) -> Iterator[Finding]:
    """From the first block of the last epoch on; what is in danger has a finding of its own."""
    for row in _last_epoch(scene):
        left = time_left(row["deadline"])
        text = f"escrow {row['id']} ({coins(row['amount'])}): {LAST_EPOCH}, {left} left"
        yield warning("escrows", text, run_for(row))


def _last_epoch(scene: Scene) -> Iterator[Data]:
    """Those that are not in danger yet, and will be unless they are settled in this epoch."""
    for row in scene.unsettled():
        named = any(found["kind"] in SETTLES for found in row["dangers"])
        if not named and _still_open(row) and row["deadline"]["last_epoch"]:
            yield row


def _mends(kind: str, rows: Sequence[Data]) -> str:
    if kind in SETTLES and all(row["may_settle"] is not False for row in rows):
        return settle_run(*(row["id"] for row in rows))
    return AT_RISK if all(_ours(row) for row in rows) else ""


def run_for(row: Data) -> str:
    return "" if row["may_settle"] is False else settle_run(row["id"])


def _nearest(rows: Sequence[Data]) -> str:
    """How long the first of them can still be settled."""
    open_ones = [row["deadline"] for row in rows if _still_open(row)]
    if not open_ones:
        return ""
    return f", {time_left(min(open_ones, key=lambda found: int(found['blocks_left'])))} left"


def _still_open(row: Data) -> bool:
    return row["deadline"] is not None and row["deadline"]["blocks_left"] >= 0


def _ours(row: Data) -> bool:
    """Whether settling can help, now or after a vote."""
    hopeless = {"foreign", "too_late"}
    return not any(found["kind"] in hopeless for found in row["dangers"])


def alarms(scene: Scene) -> Iterator[dict[str, t.Any]]:
    """Each danger of each open escrow, with its deadline and what to run. What is due in this epoch
    is a warning among them."""
    for row in _last_epoch(scene):
        yield {
            "id": row["id"],
            "kind": "last_epoch",
            "severity": Severity.WARNING.value,
            "amount": row["amount"],
            "deadline": row["deadline"],
            "reason": LAST_EPOCH,
            "advice": "Settle it before the end of the epoch. Create another one first where it serves",
            "run": run_for(row),
        }
    for row in scene.rows:
        for found in row["dangers"]:
            yield {
                "id": row["id"],
                "kind": found["kind"],
                "severity": Severity.DANGER.value,
                "amount": row["amount"],
                "deadline": row["deadline"],
                "reason": found["reason"],
                "advice": found["advice"],
                "run": _mends(found["kind"], [row]),
            }


def time_left(deadline: Data) -> str:
    """Blocks, and roughly how long they take where the chain's pace is known."""
    blocks, seconds = deadline["blocks_left"], deadline.get("seconds_left")
    if seconds is None:
        return f"{blocks} blocks"
    minutes = int(seconds) // 60
    return f"{blocks} blocks, {minutes // 60} h {minutes % 60:02d} min"


def danger_findings(scene: Scene) -> Iterator[Finding]:
    """Why the chain would refuse the next escrow; what is open is named one by one."""
    params = (scene.seen or {}).get("params")
    if params is None or scene.seen is None or scene.deployed is False or scene.retired:
        return
    if scene.seen["creator"]["membership"] == "not_listed":
        yield danger(
            "creator",
            f"{scene.creator} is not on the chain's list of creators, so it can create no escrow;"
            " only a governance vote changes that",
        )
    tag, approved = scene.wish.settlement_tag, ApprovedVersions.of_result(params)
    takes = approved.takes(tag)
    if tag and takes is None:
        yield unknown(
            "creator",
            f'whether the chain takes settlements of version "{tag}" is not known: it names no'
            " approved version (devshard_chain_rest)",
        )
    elif tag and not takes:
        yield danger(
            "creator",
            f'version "{tag}" of this gateway\'s settlements is not approved on the chain'
            f" ({approved}): a new escrow could not be settled",
        )


def money_findings(scene: Scene) -> Iterator[Finding]:
    if scene.seen is None:
        return
    for intent in scene.seen["transactions"]:
        yield warning("transactions", _transaction(intent), _finish(intent))
    balance = scene.seen["creator"]["balance"]
    unsettled, settling = scene.unsettled(), _settle_fee(scene)
    if balance is not None and unsettled and balance < settling:
        yield danger(
            "wallet",
            f"the wallet {scene.creator} has {coins(balance)}, and to settle escrow(s)"
            f" {listed(row['id'] for row in unsettled)} it pays a fee of {coins(settling)}"
            f" (settlement_fee_amount). Send {coins(settling - balance)} to it",
        )
    needed = next_escrow_needs(scene.wish)
    if balance is None or needed is None or scene.deployed is False or scene.retired:
        return
    if balance < needed:
        make = danger if rotates(scene) else warning
        yield make(
            "wallet",
            f"the wallet {scene.creator} has {coins(balance)}, another escrow needs"
            f" {coins(needed)}",
        )


def next_escrow_needs(wish: StatusWish) -> int | None:
    """What the wallet must have, as the next create will be judged: it is refused where the
    settle could not be paid too. None where no model is wanted."""
    needs = [deposits_needed([model.amount], wish.fee) for model in wish.models if model.count > 0]
    return max(needs, default=None)


def _settle_fee(scene: Scene) -> int:
    """What a settle costs at most. On a chain that exempts it, the wallet may be empty."""
    params = (scene.seen or {}).get("params")
    exempt = params is not None and params["settle_exempt"]
    return 0 if exempt else scene.wish.settle_fee


def _transaction(intent: Data) -> str:
    amount = f" of {coins(intent['amount'])}" if intent["amount"] else ""
    model = f" for {intent['model']}" if intent["model"] else ""
    escrow = f" of escrow {intent['escrow_id']}" if intent["escrow_id"] else ""
    until = f", decided by {intent['timeout_at']} at the latest" if intent["timeout_at"] else ""
    return (
        f"{intent['kind']}{escrow}{amount}{model} is not finished ({intent['state']} since"
        f" {intent['updated_at']}{until})"
    )


def _finish(intent: Data) -> str:
    if intent["kind"] == "settle" and intent["escrow_id"]:
        return settle_run(intent["escrow_id"])
    return ESCROW if intent["kind"] == "create" else ""


def network_findings(scene: Scene) -> Iterator[Finding]:
    clock = None if scene.seen is None else scene.seen["clock_fault"]
    if clock is not None and (scene.unsettled() or scene.deployed):
        yield danger("host", clock)
    upgrade = None if scene.seen is None else scene.seen["upgrade"]
    if upgrade is not None and (scene.unsettled() or scene.deployed):
        yield warning("network", upgrade)
    phase = (scene.seen or {}).get("phase")
    if phase is None or scene.deployed is False or scene.retired:
        return
    if phase != "Inference" or (scene.seen or {}).get("confirmation_poc"):
        what = phase if phase != "Inference" else "confirmation of proofs of compute"
        yield warning("network", f"the network is in phase {what}: few hosts serve now")
