# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is done, and what is reported to the operator, when a step of a swap has failed."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from .plan import gives_rotation_back
from .steps import OF_A_MOVE, Step

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from .journal_model import Journal


@dataclass(frozen=True, kw_only=True, slots=True)
class Aftermath:
    """``gives_rotation_back``: the gateway itself serves, so its rotation must not stay off."""

    gives_rotation_back: bool
    advice: str

    def to_result(self) -> dict[str, t.Any]:
        return asdict(self)


def after_failure(
    journal: Journal | None,
    step: Step | None,
    *,
    run: str,
    container: str,
    other_container: str,
    down: Collection[str] = (),
) -> Aftermath:
    """``step`` is where the run failed, None before the first one; ``journal`` is the open one.

    ``down`` are the containers of the two that are known not to run. A crash may have ended what a
    step relies on, and then the advice must not say that it serves.
    """
    if journal is None or not journal.open or not journal.touched:
        return Aftermath(gives_rotation_back=False, advice=_NOTHING_BEGUN)
    if journal.data.run != run:
        return Aftermath(gives_rotation_back=False, advice=_still_open(journal))
    advice = _still_open(journal)
    if step is not None and step is not Step.PREFLIGHT:
        advice = _advice(journal, step, container, other_container, down)
    return Aftermath(gives_rotation_back=gives_rotation_back(journal), advice=advice)


def _give_up(journal: Journal) -> str:
    return "" if journal.only_forward else _GIVE_UP


def _still_open(journal: Journal) -> str:
    return _STILL_OPEN.format(id=journal.id, give_up=_give_up(journal))


def _advice(journal: Journal, step: Step, container: str, other: str, down: Collection[str]) -> str:
    """What the step leaves serving, as far as that runs."""
    names = {"main": container, "temp": other}
    lost = [slot for slot in _SERVES[step] if names[slot] in down]
    advice = _ADVICE
    if journal.rolling_back:
        advice = _ADVICE | _ADVICE_BACK
    elif journal.moves:
        advice = _ADVICE | _ADVICE_OF_MOVE
    give_up = _give_up(journal)
    main_down = _MAIN_DOWN if give_up else ""
    if not lost:
        more = main_down if step in _MAIN_ALONE else ""
        return (advice[step] + more).format(container=container, other=other)
    if lost == [_DRAINED.get(step)]:
        return _DRAINED_DOWN.format(name=names[lost[0]], give_up=give_up)
    if "temp" in lost and journal.has_temp:
        if Step.START_TEMP not in journal.started:
            return _still_open(journal)
        if Step.STOP_TEMP in journal.started:
            return _TEMP_GONE
    found = " ".join(_DOWN.format(name=names[slot]) for slot in lost)
    return f"{found} Run this again{give_up}." + (
        main_down.format(container=container) if "main" in lost else ""
    )


_NOTHING_BEGUN: t.Final = "The swap has changed nothing. Correct what is named and run this again."
_STILL_OPEN: t.Final = (
    "The swap {id} stays open as it was, and what serves goes on serving. Correct what is named and"
    " run this again{give_up}."
)
_GIVE_UP: t.Final = ", or give up with hot_swap_rollback=true"
_MAIN_DOWN: t.Final = (
    " If the gateway does not run any more, hot_swap_rollback=true puts the earlier image in its"
    " place; if it hangs, run 'docker stop {container}' first."
)
_DRAINED_DOWN: t.Final = (
    "The container {name} does not run, so it serves no request any more. Run this again{give_up}: the"
    " swap goes on without waiting for it."
)
_DOWN: t.Final = "The container {name} should serve at this step and does not run; 'docker logs {name}' shows why."
_TEMP_GONE: t.Final = (
    "The temporary gateway was removed before. The playbook gonka.devshard.status shows whether the"
    " gateway serves. Correct what is named and run this again."
)
_DRAINED: t.Final = {Step.DRAIN_MAIN: "main", Step.DRAIN_TEMP: "temp"}
# temp is gone, and a main that does not run has to be replaced
_MAIN_ALONE: t.Final = (Step.IMPORT_ESCROWS, Step.ACTIVATE, Step.RESTORE_ROTATION)
_TEMP_ONLY: t.Final = (*OF_A_MOVE, Step.REPLACE_MAIN, Step.CHECK_MAIN, Step.SWITCH_BACK)
# which slots the advice of a step calls serving
_SERVES: t.Final = {
    step: ("temp",) if step in _TEMP_ONLY else ("main", "temp") if step in _DRAINED else ("main",)
    for step in Step
}

_UNMOVED: t.Final = "Requests still go to the gateway, nothing has moved. "

# Both slots serve in all cases but the ones that say otherwise.
_ADVICE: t.Final = {
    Step.FREEZE_ROTATION: "What serves goes on serving. Run this again.",
    Step.START_TEMP: _UNMOVED + "'docker logs {other}' shows why the temporary gateway does not"
    " serve. Correct it and run this again, or give up with hot_swap_rollback=true.",
    Step.SEED_TEMP: _UNMOVED + "What was paid for is in the ledger; a new run continues from there "
    "and pays nothing twice. Or give up with hot_swap_rollback=true, which imports what was"
    " paid for.",
    Step.CHECK_TEMP: _UNMOVED + "The temporary gateway does not serve a client as it should."
    " Correct it and run this again, or give up with hot_swap_rollback=true.",
    Step.SWITCH_TO_TEMP: "Look at what the edge has in service with the playbook"
    " gonka.devshard.status. Run this again, or give up with hot_swap_rollback=true.",
    Step.DRAIN_MAIN: "The other gateway serves new requests, the gateway still serves the old ones."
    " If the gateway hangs for good, end what it still holds with 'docker stop {container}' and "
    "run this again.",
    Step.SETTLE_MAIN: "The new gateway serves in the temporary slot. The earlier one keeps its"
    " escrows until they are settled. Correct what is named and run this again before their"
    " deadline; the move only leads forward now.",
    Step.RETIRE_MAIN: "The new gateway serves in the temporary slot, and every escrow of the earlier"
    " one that can be settled is settled. Run this again.",
    Step.SEED_MAIN: "The new gateway serves in the temporary slot. What was paid for is in the"
    " ledger. Run this again: it continues from there and pays nothing twice.",
    Step.REPLACE_MAIN: "The temporary gateway serves. Run this again once the cause is gone, or"
    " go back to the earlier image with hot_swap_rollback=true.",
    Step.CHECK_MAIN: "The temporary gateway serves. The gateway with the new image does not serve"
    " what it should. Go back to the earlier image with hot_swap_rollback=true, or correct the"
    " cause and run this again.",
    Step.SWITCH_BACK: "The temporary gateway serves, and the gateway stands ready. Run this again.",
    Step.DRAIN_TEMP: "The gateway serves new requests, the temporary gateway still serves the old"
    " ones. If the temporary gateway hangs for good, end what it still holds with"
    " 'docker stop {other}' and run this again.",
    Step.SETTLE_TEMP: "The gateway serves. The temporary gateway keeps its escrows until they are"
    " settled. Run this again.",
    Step.STOP_TEMP: "The gateway serves. Run this again.",
    Step.IMPORT_ESCROWS: "The gateway serves. The escrows of the temporary gateway are safe on the"
    " disk and not served by any gateway. Run this again before their deadline.",
    Step.ACTIVATE: "The gateway serves. Escrows that were imported are not all in use yet. Run "
    "this again before their deadline.",
    Step.RESTORE_ROTATION: "The gateway serves, with its rotation off. Run this again before"
    " the next change of epoch.",
    Step.DONE: "The gateway serves. Run this again.",
}

# There is no way back once the first escrow of the earlier generation may be settled.
_ADVICE_OF_MOVE: t.Final = {
    Step.SEED_TEMP: _UNMOVED + "What was paid for is in the ledger; a new run continues from there "
    "and pays nothing twice. Or give up with hot_swap_rollback=true, which settles what was paid"
    " for.",
    Step.REPLACE_MAIN: "The new gateway serves in the temporary slot. Run this again once the cause"
    " is gone.",
    Step.CHECK_MAIN: "The new gateway serves in the temporary slot. The one in its final place does"
    " not serve what it should. Correct the cause and run this again.",
}

_ADVICE_BACK: t.Final = {
    Step.CHECK_MAIN: "What serves goes on serving. The gateway that is returned to does not serve what"
    " it should. Correct the cause and run this again.",
}
