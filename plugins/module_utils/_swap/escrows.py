# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Brings the escrows that the journal holds for a step back into service, all in one run."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from .._core.errors import DevshardError, UnsafeError
from .._core.outcomes import PartialFailure
from .._escrows.record_options import DevshardOptions
from .._escrows.records import SetDevshard
from .sessions import compare_sessions, over_on_chain, past_escrows

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .._core.timer import WaitBudget
    from .._escrows.ports import Ports
    from .session_rules import NotedSession, ServedSession

Reached = t.Literal["imported", "active"]


@dataclass(kw_only=True, slots=True)
class BroughtBack:
    """What was done, also when it failed for some of the escrows."""

    escrows: list[NotedSession] = field(default_factory=list)
    past: list[int] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    before: list[dict[str, t.Any]] = field(default_factory=list)
    after: list[dict[str, t.Any]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    def to_result(self) -> dict[str, t.Any]:
        return {
            "escrows": [item.to_result() for item in self.escrows],
            "past": self.past,
            "actions": self.actions,
        }


def wish_for(item: NotedSession, reached: Reached, perf_path: str | None) -> DevshardOptions:
    """What the module devshard would be asked for one escrow.

    One that was handed over stands still until it is in use, so its session is at exactly that
    nonce. One that the gateway had itself may have gone on until the gateway was stopped.
    """
    handed_over = item.storage_path is not None
    importing = reached == "imported"
    return DevshardOptions(
        id=item.id,
        state=reached,
        model_id=None,
        private_key_env="DEVSHARD_PRIVATE_KEY",
        storage_path=item.storage_path if importing else None,
        perf_path=perf_path if importing else None,
        expected_nonce=item.nonce if handed_over else None,
        expected_balance=item.balance if importing else None,
        force=None,
    )


def bring_back(
    ports: Ports,
    noted: Iterable[NotedSession],
    reached: Reached,
    *,
    perf_path: str | None,
    expected: Mapping[str, ServedSession],
    deadline: Callable[[], WaitBudget],
) -> BroughtBack:
    """Import or activate each of ``noted``; one that fails does not keep the others back.

    Each may wait until a ``deadline`` of its own. What was reached before is left as it is. Once
    they are active, the gateway must serve what is ``expected``.
    """
    noted = list(noted)
    seen = ports.gateway.state()
    past = past_escrows(ports, seen, [item.id for item in noted])
    if past:
        ports.warn(
            f"escrow(s) {', '.join(map(str, past))} cannot be served any more: settled, pruned or"
            " finalized. They are left out of the swap. What is not settled yet is shown by the"
            " playbook gonka.devshard.status, and gonka.devshard.settle settles it"
        )
    result = BroughtBack(escrows=[item for item in noted if item.id not in past], past=past)
    recorded = {item.id for item in seen.devshards}
    problems: list[DevshardError] = []
    for item in result.escrows:
        try:
            if reached == "active" and str(item.id) not in recorded:
                raise _without_record(item)
            wish = wish_for(item, reached, perf_path)
            done = SetDevshard(replace(ports, deadline=deadline()), wish).run()
        except DevshardError as exc:
            problems.append(exc)
        else:
            result.actions += done["actions"]
            result.before.append(done["before"])
            result.after.append(done["after"])
    if problems:
        raise PartialFailure(result, [_told(problems, result.actions)])
    # what is only predicted is not loaded
    if reached == "active" and not (ports.check_mode and result.changed):
        _verify(ports, result, expected, deadline())
    return result


def _verify(
    ports: Ports,
    result: BroughtBack,
    expected: Mapping[str, ServedSession],
    until: WaitBudget,
) -> None:
    try:
        compare_sessions(
            ports.gateway,
            expected,
            until=until,
            interval=ports.interval,
            is_over=over_on_chain(ports),
        )
    except DevshardError as exc:
        raise PartialFailure(result, [exc]) from exc


def _without_record(item: NotedSession) -> UnsafeError:
    """Activating it would register it, which begins a session at nonce 0."""
    return UnsafeError(
        f"escrow {item.id} is not activated: the gateway has no record of it any more, and a new"
        f" session would lose its deposit. Its session was at nonce {item.nonce}"
        + (f" in {item.storage_path}" if item.storage_path is not None else "")
        + ". Import it with gonka.devshard.devshard, then run this again",
        escrow_id=item.id,
        nonce=item.nonce,
    )


def _told(problems: list[DevshardError], actions: list[str]) -> DevshardError:
    """All of them in one, of the kind of the first."""
    text = "; ".join(dict.fromkeys(str(problem).rstrip(".") for problem in problems))
    if actions:
        text += f". Done for the others: {', '.join(actions)}"
    return type(problems[0])(text, **problems[0].details)
