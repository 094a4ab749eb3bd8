# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""The hot swap as a state machine (guide §8, contract ``gateway.md`` §7): pure functions.

A swap is a fixed sequence of steps, each a desired state that may be run again. What was done is
in a journal that outlives the controller; what is, is observed. :func:`remaining` computes from
both which steps are still to be run, in order. Nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import typing as t
from dataclasses import dataclass, field

from ._image import described, same_image

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SCHEMA = 1


class Step(str, enum.Enum):
    """The steps, named as operators know them."""

    PREFLIGHT = "preflight"
    FREEZE_ROTATION = "freeze_rotation"
    START_TEMP = "start_temp"
    SEED_TEMP = "seed_temp"
    CHECK_TEMP = "check_temp"
    SWITCH_TO_TEMP = "switch_to_temp"
    DRAIN_MAIN = "drain_main"
    REPLACE_MAIN = "replace_main"
    CHECK_MAIN = "check_main"
    SWITCH_BACK = "switch_back"
    DRAIN_TEMP = "drain_temp"
    SETTLE_TEMP = "settle_temp"
    STOP_TEMP = "stop_temp"
    IMPORT_ESCROWS = "import_escrows"
    ACTIVATE = "activate"
    RESTORE_ROTATION = "restore_rotation"
    DONE = "done"


_TEMP_IMPORT = tuple(step for step in Step if step is not Step.SETTLE_TEMP)
_TEMP_SETTLE = tuple(step for step in Step if step not in (Step.IMPORT_ESCROWS, Step.ACTIVATE))
_POOL = (
    Step.PREFLIGHT,
    Step.FREEZE_ROTATION,
    Step.CHECK_TEMP,
    Step.SWITCH_TO_TEMP,
    Step.DRAIN_MAIN,
    Step.REPLACE_MAIN,
    Step.CHECK_MAIN,
    Step.SWITCH_BACK,
    Step.RESTORE_ROTATION,
    Step.DONE,
)

Mode = t.Literal["temp", "pool"]
TempEscrows = t.Literal["import", "settle"]
Slot = t.Literal["main", "temp"]

STANDBY: t.Final = "standby"
"""Key in the journal's data: the other slot was in service from the start, and stays."""
REPLACED: t.Final = "replaced_container"
"""Key in the journal's data: the id of the container that the swap replaces."""
ROTATION: t.Final = "rotation"
"""Key in the journal's data: the rotation as it was before the swap froze it."""


def sequence(mode: Mode, temp_escrows: TempEscrows) -> tuple[Step, ...]:
    """All steps of a swap of this kind, in order."""
    if mode == "pool":
        return _POOL
    return _TEMP_IMPORT if temp_escrows == "import" else _TEMP_SETTLE


class SwapRefused(ValueError):
    """The wish cannot be planned from what is seen; the message says what to do."""


@dataclass(frozen=True)
class Journal:
    """What one swap has done so far.

    ``target`` and ``origin`` are image references by digest. ``data`` holds what later steps and
    a rollback need: rotation settings, sessions before, temp's escrows. No secrets.
    """

    id: str
    mode: Mode
    temp_escrows: TempEscrows
    target: str
    origin: str
    asked: str
    origin_asked: str
    started: tuple[Step, ...] = ()
    done: tuple[Step, ...] = ()
    rolling_back: bool = False
    data: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return Step.DONE not in self.done

    @property
    def touched(self) -> bool:
        """Whether anything was begun that a later run would have to finish or undo."""
        return any(step is not Step.PREFLIGHT for step in self.started)

    def undo(self, step: Step, forget: Collection[str]) -> Journal:
        """As if the step had not been run: its effect was taken back."""
        return dataclasses.replace(
            self,
            started=tuple(item for item in self.started if item is not step),
            done=tuple(item for item in self.done if item is not step),
            data={key: value for key, value in self.data.items() if key not in forget},
        )

    def start(self, step: Step) -> Journal:
        if step in self.started:
            return self
        return dataclasses.replace(self, started=(*self.started, step))

    def finish(self, step: Step) -> Journal:
        journal = self.start(step)
        if step in journal.done:
            return journal
        return dataclasses.replace(journal, done=(*journal.done, step))

    def remember(self, data: Mapping[str, t.Any]) -> Journal:
        return dataclasses.replace(self, data={**self.data, **data})

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "mode": self.mode,
            "temp_escrows": self.temp_escrows,
            "target": self.target,
            "origin": self.origin,
            "asked": self.asked,
            "origin_asked": self.origin_asked,
            "started": [step.value for step in self.started],
            "done": [step.value for step in self.done],
            "rolling_back": self.rolling_back,
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, t.Any]) -> Journal:
        if raw.get("schema") != SCHEMA:
            raise SwapRefused(
                f"the swap journal has schema {raw.get('schema')}, this version reads {SCHEMA};"
                " finish the swap with the version of the collection that began it"
            )
        try:
            return cls(
                id=str(raw["id"]),
                mode=raw["mode"],
                temp_escrows=raw["temp_escrows"],
                target=str(raw["target"]),
                origin=str(raw["origin"]),
                asked=str(raw["asked"]),
                origin_asked=str(raw["origin_asked"]),
                started=tuple(Step(name) for name in raw["started"]),
                done=tuple(Step(name) for name in raw["done"]),
                rolling_back=bool(raw["rolling_back"]),
                data=dict(raw["data"]),
            )
        except KeyError as exc:
            raise SwapRefused(f"the swap journal lacks the field '{exc.args[0]}'") from exc


@dataclass(frozen=True)
class Seen:
    """What is observed on the host before the steps are computed.

    ``main_image`` is the image reference by digest of the container in slot main, None when there
    is no such container. ``flag`` is the slot that the edge has in service. ``drift`` names what
    only another container changes, ``moved`` says what a swap cannot change.
    """

    main_image: str | None
    main_running: bool
    temp_exists: bool
    temp_running: bool
    flag: Slot
    main_healthy: bool = True
    """False while its health check has not succeeded."""
    main_id: str | None = None
    drift: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class SwapPlan:
    """The steps to run now; ``then_again`` asks for another plan after them (see rollback)."""

    steps: tuple[Step, ...]
    target: str
    reason: str
    then_again: bool = False


def roll_back(journal: Journal, *, main_down: bool = False) -> Journal:
    """Turns an open swap around, so that :func:`remaining` leads back to the origin image.

    * main not yet touched: skip its replacement, return to it, and take temp down in order;
    * main replaced or being replaced while temp still exists: temp takes over (again), main is
      replaced by the origin image, and the swap ends as usual;
    * temp already stopped: unchanged; the swap is finished first, a new one leads back. Where main
      does not run any more, it could not be finished: the origin image takes its place at once,
      which cuts nobody.
    """
    if journal.rolling_back or not journal.open:
        return journal
    if recreates(journal) and Step.REPLACE_MAIN in journal.started:
        raise SwapRefused(
            "the open swap changes the environment of the container and not its image, so there is"
            " no earlier image to go back to. Correct the variables in the inventory, and run the"
            " play again without hot_swap_rollback: it recreates the container once more"
        )
    late = Step.STOP_TEMP in journal.started or (
        journal.mode == "pool" and Step.SWITCH_BACK in journal.done
    )
    if late and not main_down:
        return journal
    settling = Step.SETTLE_TEMP in journal.started
    never_up = Step.REPLACE_MAIN in journal.started and Step.REPLACE_MAIN not in journal.done
    turned = dataclasses.replace(
        journal,
        target=journal.origin,
        asked=journal.origin_asked,
        # what is given up may not be able to settle; main can take over what it holds
        temp_escrows=journal.temp_escrows if settling else "import",
        rolling_back=True,
        data={**journal.data, "failed_target": journal.target, "never_up": never_up},
    )
    if late:
        afresh = (Step.REPLACE_MAIN, Step.CHECK_MAIN)
        # a gateway that does not run cannot be asked to freeze its rotation
        return dataclasses.replace(
            turned,
            started=tuple(step for step in journal.started if step not in afresh),
            done=tuple(step for step in journal.done if step not in afresh),
        ).finish(Step.FREEZE_ROTATION)
    if Step.REPLACE_MAIN not in journal.started:
        skipped = [Step.PREFLIGHT, Step.FREEZE_ROTATION, Step.START_TEMP, Step.SEED_TEMP]
        skipped += [Step.CHECK_TEMP, Step.SWITCH_TO_TEMP, Step.DRAIN_MAIN, Step.REPLACE_MAIN]
        if Step.START_TEMP not in journal.started:
            skipped += [Step.DRAIN_TEMP, Step.SETTLE_TEMP, Step.STOP_TEMP]
            skipped += [Step.IMPORT_ESCROWS, Step.ACTIVATE]
        kept = [step for step in journal.done if step not in skipped]
        return dataclasses.replace(turned, done=(*kept, *skipped))
    again = {Step.SWITCH_TO_TEMP, Step.DRAIN_MAIN, Step.REPLACE_MAIN, Step.CHECK_MAIN}
    again |= {Step.SWITCH_BACK, Step.DRAIN_TEMP, Step.SETTLE_TEMP}
    return dataclasses.replace(
        turned,
        started=tuple(step for step in journal.started if step not in again),
        done=tuple(step for step in journal.done if step not in again),
    )


_WHILE_TEMP_SERVES = frozenset(
    {Step.CHECK_TEMP, Step.SWITCH_TO_TEMP, Step.DRAIN_MAIN, Step.REPLACE_MAIN, Step.CHECK_MAIN}
)


def _temp_is_needed(journal: Journal, steps: Collection[Step]) -> bool:
    """Whether a temp that does not run has to be started again; never once its stop has begun.

    It is needed to serve until main has proved itself, and to settle. It is not needed to hand its
    escrows over, which lie on the disk, nor when main was never touched and is returned to.
    """
    if journal.mode != "temp" or Step.START_TEMP not in journal.started:
        return False
    if Step.STOP_TEMP in journal.started or Step.STOP_TEMP in journal.done:
        return False
    if Step.SETTLE_TEMP in steps:
        return True
    if journal.rolling_back and Step.REPLACE_MAIN not in steps:
        return False
    return not _WHILE_TEMP_SERVES.isdisjoint(steps)


def recreates(journal: Journal) -> bool:
    """Whether the swap leads to another container of the same image."""
    return not journal.rolling_back and same_image(journal.origin, journal.target)


def is_replaced(journal: Journal, seen: Seen) -> bool:
    """Whether main is the container that the swap leads to, and no longer the one of before."""
    if not same_image(seen.main_image, journal.target):
        return False
    if not recreates(journal):
        return True
    return seen.main_id is not None and seen.main_id != journal.data.get(REPLACED)


def never_came_up(journal: Journal, seen: Seen) -> bool:
    """Whether main is a new container that was never seen to listen.

    It cannot be asked what it serves, and no client was ever sent to it; waiting for its answer
    would hold up both ways out.
    """
    if seen.main_healthy or Step.REPLACE_MAIN in journal.done:
        return False
    if is_replaced(journal, seen):
        return Step.REPLACE_MAIN in journal.started
    failed = journal.data.get("failed_target")
    return bool(journal.data.get("never_up")) and same_image(seen.main_image, failed)


def is_asked_before_its_stop(journal: Journal, seen: Seen) -> bool:
    """Whether main has to allow its stop. One that cannot answer is not asked."""
    return seen.main_running and not is_replaced(journal, seen) and not never_came_up(journal, seen)


def gives_rotation_back(journal: Journal) -> bool:
    """Whether a run that fails now restores the rotation at once, as the gateway itself serves."""
    serves = Step.REPLACE_MAIN not in journal.started or Step.CHECK_MAIN in journal.done
    return ROTATION in journal.data and serves and Step.RESTORE_ROTATION not in journal.done


def way_back(record: Mapping[str, t.Any]) -> tuple[str | None, str | None]:
    """The image that a rollback leads to when no swap is open, and how it was asked for."""
    previous = record.get("previous_digest")
    if previous is None and "rolled_back_digest" in record:
        # after a rollback there is nothing further back
        previous = record.get("digest")
    return previous, record.get("previous_image") or record.get("image")


def record_after(journal: Journal, record: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the deploy record says once main is replaced, with the way back."""
    ways = ("previous_digest", "previous_image", "rolled_back_digest")
    now = {**record, "image": journal.asked, "digest": journal.target}
    if recreates(journal):
        return now
    kept = {key: value for key, value in now.items() if key not in ways}
    if journal.rolling_back:
        return {**kept, "rolled_back_digest": journal.data["failed_target"]}
    return {**kept, "previous_digest": journal.origin, "previous_image": journal.origin_asked}


def remaining(journal: Journal, seen: Seen) -> tuple[Step, ...]:
    """The steps still to run, in order, for an open swap.

    Being drained or checked is not a lasting state: the drain is run again directly before the
    step that relies on it, and only then. A temp that a reboot or a crash has stopped is started
    again as long as it is needed, and never once its stop has begun. Until
    traffic has moved, a swap that is continued needs an open window as much as a new one.
    """
    steps = [
        step
        for step in sequence(journal.mode, journal.temp_escrows)
        if step not in journal.done and not (step is Step.SWITCH_BACK and journal.data.get(STANDBY))
    ]
    front: list[Step] = []
    if not journal.rolling_back and Step.SWITCH_TO_TEMP in steps and seen.flag == "main":
        front.append(Step.PREFLIGHT)
    needed = _temp_is_needed(journal, steps)
    if needed and not seen.temp_running and Step.START_TEMP not in steps:
        front += [Step.START_TEMP, Step.CHECK_TEMP]
    if Step.REPLACE_MAIN in steps and Step.DRAIN_MAIN in journal.done:
        if seen.flag == "main" and seen.main_running:
            front.append(Step.SWITCH_TO_TEMP)
        front.append(Step.DRAIN_MAIN)
    if Step.REPLACE_MAIN in journal.done and seen.main_image is None:
        front += [Step.REPLACE_MAIN, Step.CHECK_MAIN]
    unproved = Step.REPLACE_MAIN in journal.done and Step.CHECK_MAIN in steps
    if unproved and seen.drift and not journal.rolling_back:
        # the inventory was corrected since; no client was sent to it yet
        if seen.flag == "main":
            front.append(Step.SWITCH_TO_TEMP)
        front += [Step.DRAIN_MAIN, Step.REPLACE_MAIN]
    relies_on_temp_drain = Step.SETTLE_TEMP if Step.SETTLE_TEMP in steps else Step.STOP_TEMP
    if relies_on_temp_drain in steps and Step.DRAIN_TEMP in journal.done and seen.temp_running:
        if seen.flag == "temp":
            front.append(Step.SWITCH_BACK)
        front.append(Step.DRAIN_TEMP)
    ordered = [step for step in Step if step in front or step in steps]
    # where nothing runs nothing can be cut, and a drain that no stop follows is idle
    temp_runs = seen.temp_running or Step.START_TEMP in ordered
    temp_holds = Step.SEED_TEMP in journal.started or Step.SEED_TEMP in ordered
    idle = {
        Step.DRAIN_MAIN: not seen.main_running
        or Step.REPLACE_MAIN not in ordered
        or never_came_up(journal, seen),
        # a temp that never got an escrow cannot have served anybody
        Step.DRAIN_TEMP: journal.mode == "temp"
        and not (temp_runs and temp_holds and relies_on_temp_drain in ordered),
        # what was given back after a failure is not taken again once it is restored for good
        Step.FREEZE_ROTATION: Step.RESTORE_ROTATION not in ordered,
    }
    return tuple(step for step in ordered if not idle.get(step, False))


def plan(
    journal: Journal | None,
    seen: Seen,
    *,
    target: str,
    previous: str | None,
    rollback: bool,
    mode: Mode,
    temp_escrows: TempEscrows,
    asked: str | None = None,
) -> SwapPlan:
    """What to do now; ``journal`` is the open one or None.

    With ``rollback`` the journal must already have been turned by :func:`roll_back`; ``previous``
    is the digest recorded by the last finished swap. ``asked`` is how the target was asked for.
    """
    if journal is not None and journal.open:
        if rollback:
            again = not journal.rolling_back
            reason = (
                "finish the open swap first, then swap back"
                if again
                else f"roll back to {described(journal.asked, journal.target)}"
            )
            return SwapPlan(remaining(journal, seen), journal.target, reason, again)
        ways = (journal.target, journal.data.get("failed_target"))
        if not any(same_image(target, way) for way in ways):
            raise SwapRefused(
                f"a swap to {described(journal.asked, journal.target)} is not finished (id"
                f" {journal.id}), and now {described(asked, target)} is asked for; run the play"
                f" again with hot_swap_image={journal.asked} to finish it, or with"
                " hot_swap_rollback=true to go back to"
                f" {described(journal.origin_asked, journal.origin)}"
            )
        reason = "continue the rollback" if journal.rolling_back else "continue the open swap"
        return SwapPlan(remaining(journal, seen), journal.target, reason)
    if rollback:
        if previous is None:
            raise SwapRefused(
                "there is nothing to roll back to: no earlier image is recorded in the deploy"
                " directory"
            )
        target = previous
        if same_image(seen.main_image, target):
            reason = "the gateway already runs the image that a rollback leads to"
            return SwapPlan((), target, reason)
    if seen.main_image is not None and seen.moved:
        raise SwapRefused(
            f"{'; '.join(seen.moved)}. A swap changes neither the storage nor the port: set"
            " devshard_deploy_dir and devshard_gateway_url to what the container has"
        )
    recreated = same_image(seen.main_image, target)
    if recreated and not seen.drift:
        return SwapPlan((), target, "the gateway already runs this image")
    if seen.main_image is None:
        raise SwapRefused(
            "there is no gateway container in slot main to swap; deploy it with playbook"
            " gonka.devshard.site"
        )
    if not seen.main_running:
        raise SwapRefused(
            "the gateway's container does not run, so it serves no client whom a swap could keep;"
            " start it with the playbook gonka.devshard.site, or replace it there with"
            " gateway_allow_recreate=true"
        )
    if mode == "temp" and seen.temp_exists:
        raise SwapRefused(
            "a container stands in slot temp, but no swap is open: it may serve escrows of its"
            " own. Settle or import what it holds and remove it before a swap"
        )
    standby = seen.flag == "temp"
    if standby and mode == "temp":
        raise SwapRefused(
            "the edge has slot temp in service, but no swap is open; put main in service with"
            " module gonka.devshard.edge_slot before a swap"
        )
    reason = "swap back to the recorded image" if rollback else "swap to the image asked for"
    if recreated:
        reason = (
            f"recreate the container with the same image: it differs in {', '.join(seen.drift)}"
        )
    steps = [
        step for step in sequence(mode, temp_escrows) if not (standby and step is Step.SWITCH_BACK)
    ]
    return SwapPlan(tuple(steps), target, reason)


@dataclass(frozen=True)
class Window:
    """What decides whether a swap may begin now. None means unknown, which refuses."""

    phase: str | None
    confirmation_poc_phase: str | None
    blocks_to_epoch_switch: int | None
    blocks_until_next_rotation: int | None
    rotation_enabled: bool | None
    phases: Mapping[str, str] = field(default_factory=dict)
    active_without_runtime: tuple[str, ...] = ()


def window_refusals(window: Window, *, min_blocks: int) -> list[str]:
    """Reasons why a swap must not begin now, empty when it may; they pass with time."""
    reasons: list[str] = []
    if not window.phase:
        reasons.append("the chain's phase is unknown to the gateway")
    elif window.phase != "Inference":
        reasons.append(f"the chain is in phase {window.phase}, a swap needs Inference")
    if window.confirmation_poc_phase is None:
        reasons.append("it is unknown whether a confirmation PoC runs")
    elif window.confirmation_poc_phase not in ("", "CONFIRMATION_POC_INACTIVE"):
        reasons.append(f"a confirmation PoC is under way ({window.confirmation_poc_phase})")
    if window.blocks_to_epoch_switch is None:
        reasons.append("the distance to the epoch switch is unknown")
    elif window.blocks_to_epoch_switch < min_blocks:
        reasons.append(
            f"{window.blocks_to_epoch_switch} blocks are left to the epoch switch, a swap needs"
            f" {min_blocks} (hot_swap_min_blocks)"
        )
    if window.rotation_enabled is None:
        reasons.append("it is unknown whether rotation is enabled")
    elif window.rotation_enabled:
        if window.blocks_until_next_rotation is None:
            reasons.append("the distance to the next rotation is unknown")
        elif window.blocks_until_next_rotation < min_blocks:
            reasons.append(
                f"{window.blocks_until_next_rotation} blocks are left to the next rotation, a"
                f" swap needs {min_blocks} (hot_swap_min_blocks)"
            )
    reasons += [
        f"escrow {escrow} is in phase {phase}: a finalize is under way or was cut off"
        for escrow, phase in sorted(window.phases.items())
        if phase == "finalizing"
    ]
    reasons += [
        f"escrow {escrow} is recorded as active but not loaded"
        for escrow in window.active_without_runtime
    ]
    return reasons


_GENERATION = re.compile(r"v0\.[0-9]+\.[0-9]+-v(?P<number>[1-9][0-9]*)(?:[.-]|$)")


def generation_of_tag(image: str) -> str | None:
    """The gateway generation that a tag of the project names, as mainnet-v0.2.13-v3-latest does.

    None when it names none; the gateway itself is asked once it runs.
    """
    name = image.partition("@")[0].rpartition("/")[2]
    found = _GENERATION.search(name.partition(":")[2])
    return None if found is None else f"v{found['number']}"


@dataclass(frozen=True)
class SessionMark:
    """Where a session stood: compared before and after it was moved or restarted.

    ``balance`` is None where only the nonce is known, from the session's own files.
    """

    nonce: int
    balance: int | None
    active: bool = True


_PAST_PHASES = ("finalizing", "settlement")


def is_past(*, settled: bool | None, on_chain: bool | None, phase: str | None) -> bool:
    """Whether no gateway can serve an escrow any more. Unknown (None) proves nothing."""
    return settled is True or on_chain is False or phase in _PAST_PHASES


def session_losses(
    before: Mapping[str, SessionMark], after: Mapping[str, SessionMark | None]
) -> list[str]:
    """What a restart or an import lost, in words; empty when nothing.

    After a restart the nonce may only have grown: background work of the old process may have
    appended diffs until its end. A smaller nonce, or a session that is not there, means the wrong
    storage.
    """
    losses: list[str] = []
    for escrow, mark in sorted(before.items()):
        now = after.get(escrow)
        if now is None:
            losses.append(f"escrow {escrow} is not loaded any more")
        elif mark.active and not now.active:
            losses.append(f"escrow {escrow} was deactivated")
        elif now.nonce < mark.nonce:
            losses.append(f"escrow {escrow} is at nonce {now.nonce}, it was at {mark.nonce}")
        elif mark.balance is not None and now.nonce == mark.nonce and now.balance != mark.balance:
            losses.append(
                f"escrow {escrow} has balance {now.balance} ngonka at nonce {now.nonce}, it had"
                f" {mark.balance}"
            )
    return losses
