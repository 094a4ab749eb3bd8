# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The hot swap as a state machine (guide §8, contract ``gateway.md`` §7): pure functions.

A swap is a fixed sequence of steps, each a desired state that may be run again. What was done is
in a journal that outlives the controller; what is, is observed. :func:`remaining` computes from
both which steps are still to be run, in order. Nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from dataclasses import dataclass

from .._gateway.key_rotation import pool_fault
from .._host.image import described, same_image
from .journal_model import Journal
from .steps import OF_A_MOVE, Mode, Step, SwapRefused, SwapSeen, TempEscrows, sequence

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .notes import Move


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
      which cuts no stream.
    """
    if journal.rolling_back or not journal.open:
        return journal
    if recreates(journal) and Step.REPLACE_MAIN in journal.started:
        raise SwapRefused(
            "the open swap changes the environment of the container and not its image, so there is"
            " no earlier image to go back to. Correct the variables in the inventory, and run the"
            " play again without hot_swap_rollback: it recreates the container once more"
        )
    if journal.only_forward:
        raise SwapRefused(
            "escrows of the earlier generation are being settled, so its gateway could not serve"
            " again, and the move only leads forward. Run the play again without hot_swap_rollback"
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
        # what is given up may not be able to settle; main can take over what it holds, except from
        # another generation
        temp_escrows="settle" if journal.moves else journal.temp_escrows if settling else "import",
        rolling_back=True,
        data=dataclasses.replace(journal.data, failed_target=journal.target, never_up=never_up),
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
        skipped += OF_A_MOVE
        if journal.moves and Step.SEED_TEMP not in journal.started:
            # it has no escrow, and perhaps never came up
            skipped.append(Step.SETTLE_TEMP)
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
    # CHECK_MAIN comes after each of the others, those of a move among them
    {Step.CHECK_TEMP, Step.SWITCH_TO_TEMP, Step.DRAIN_MAIN, Step.REPLACE_MAIN, Step.CHECK_MAIN}
)


def _temp_is_needed(journal: Journal, steps: Collection[Step]) -> bool:
    """Whether a temp that does not run has to be started again; never once its stop has begun.

    It is needed to serve until main has proved itself, and to settle. It is not needed to hand its
    escrows over, which lie on the disk, nor when main was never touched and is returned to.
    """
    if not journal.has_temp or Step.START_TEMP not in journal.started:
        return False
    if Step.STOP_TEMP in journal.started or Step.STOP_TEMP in journal.done:
        return False
    return Step.SETTLE_TEMP in steps or _temp_has_to_serve(journal, steps)


def _temp_has_to_serve(journal: Journal, steps: Collection[Step]) -> bool:
    """Clients are sent to it, or would be at the next step; to settle it need not serve any."""
    if journal.rolling_back and Step.REPLACE_MAIN not in steps:
        return False
    return not _WHILE_TEMP_SERVES.isdisjoint(steps)


def recreates(journal: Journal) -> bool:
    """Whether the swap leads to another container of the same image."""
    return not journal.rolling_back and same_image(journal.origin, journal.target)


def is_replaced(journal: Journal, seen: SwapSeen) -> bool:
    """Whether main is the container that the swap leads to, and no longer the previous one."""
    if not same_image(seen.main_image, journal.target):
        return False
    if not recreates(journal) and not journal.rolling_back:
        return True
    # the image may be the same, and on the way back nobody may have replaced it at all
    return seen.main_id is not None and seen.main_id != journal.data.replaced_container


def never_came_up(journal: Journal, seen: SwapSeen) -> bool:
    """Whether main is a new container that was never seen to listen.

    It cannot be asked what it serves, and no client was ever sent to it; waiting for its answer
    would hold up both ways out.
    """
    if seen.main_healthy or Step.REPLACE_MAIN in journal.done:
        return False
    if is_replaced(journal, seen):
        return Step.REPLACE_MAIN in journal.started
    failed = journal.data.failed_target
    return bool(journal.data.never_up) and same_image(seen.main_image, failed)


def is_asked_before_its_stop(journal: Journal, seen: SwapSeen) -> bool:
    """Whether main has to allow its stop. One that cannot answer is not asked."""
    return seen.main_running and not is_replaced(journal, seen) and not never_came_up(journal, seen)


def is_temp_asked_before_its_stop(journal: Journal, *, running: bool) -> bool:
    """One that never got an escrow has no sessions, and perhaps never answered."""
    return running and Step.SEED_TEMP in journal.started


def gives_rotation_back(journal: Journal) -> bool:
    """Whether a run that fails now restores the rotation at once, as the gateway itself serves."""
    serves = Step.REPLACE_MAIN not in journal.started or Step.CHECK_MAIN in journal.done
    if journal.moves and not journal.rolling_back and Step.CHECK_MAIN not in journal.done:
        # a gateway that is left behind must not create escrows of its generation any more
        serves = Step.SWITCH_TO_TEMP not in journal.started
    return (
        journal.data.rotation is not None and serves and Step.RESTORE_ROTATION not in journal.done
    )


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
    if journal.moves:
        # another generation could not open what lies in the storage now, so there is no way back
        return {key: value for key, value in now.items() if key not in ways}
    if recreates(journal):
        return now
    kept = {key: value for key, value in now.items() if key not in ways}
    if journal.rolling_back:
        return {**kept, "rolled_back_digest": journal.data.failed_target}
    return {**kept, "previous_digest": journal.origin, "previous_image": journal.origin_asked}


_ON_ORIGIN: t.Final = frozenset(
    {
        Step.PREFLIGHT,
        Step.FREEZE_ROTATION,
        Step.DRAIN_MAIN,
        Step.SETTLE_MAIN,
        Step.RETIRE_MAIN,
    }
)
_ON_MAIN: t.Final = frozenset({Step.CHECK_MAIN, Step.RESTORE_ROTATION})


def works_on_origin(journal: Journal, step: Step) -> bool:
    """Whether a step of a move works on the gateway of the earlier generation."""
    if step is Step.FREEZE_ROTATION and journal.main_is_target:
        # it was given back after a failure, and is frozen once more
        return False
    return step in _ON_ORIGIN or (journal.rolling_back and step in _ON_MAIN)


def record_of_move(move: Move, record: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the deploy record says once the gateway of the earlier generation is gone.

    Before the new one is started, so that whatever runs has the storage of the record.
    """
    left = ("protocol", "volume", "probes")
    now = {key: value for key, value in record.items() if key not in left}
    now |= {"profile": move.target.profile, "storage": move.storage}
    return now if move.target.protocol is None else {**now, "protocol": move.target.protocol}


def _before(journal: Journal, seen: SwapSeen, steps: Collection[Step]) -> Iterator[Step]:
    """What has to be so again before the first of the steps that are left."""
    if not journal.rolling_back and Step.SWITCH_TO_TEMP in steps and seen.flag == "main":
        yield Step.PREFLIGHT
    if _temp_is_needed(journal, steps) and not seen.temp_running and Step.START_TEMP not in steps:
        yield Step.START_TEMP
        if _temp_has_to_serve(journal, steps):
            yield Step.CHECK_TEMP
    yield from _before_main_goes(journal, seen, steps)
    if Step.REPLACE_MAIN in journal.done and seen.main_image is None:
        yield from (Step.REPLACE_MAIN, Step.CHECK_MAIN)
    unproved = Step.REPLACE_MAIN in journal.done and Step.CHECK_MAIN in steps
    if unproved and seen.drift and not journal.rolling_back:
        # the inventory was corrected since; no client was sent to it yet
        if seen.flag == "main":
            yield Step.SWITCH_TO_TEMP
        yield from (Step.DRAIN_MAIN, Step.REPLACE_MAIN)
    if _temp_drain(steps) in steps and Step.DRAIN_TEMP in journal.done and seen.temp_running:
        if seen.flag == "temp":
            yield Step.SWITCH_BACK
        yield Step.DRAIN_TEMP


def _before_main_goes(journal: Journal, seen: SwapSeen, steps: Collection[Step]) -> Iterator[Step]:
    """It is drained again, and no client is sent to one whose escrows are settled."""
    settles = Step.RETIRE_MAIN in steps and (seen.main_running or Step.SETTLE_MAIN in steps)
    if settles and Step.SWITCH_TO_TEMP in journal.done and seen.flag == "main":
        yield Step.SWITCH_TO_TEMP
    if _main_drain(journal) in steps and Step.DRAIN_MAIN in journal.done:
        if seen.flag == "main" and seen.main_running:
            yield Step.SWITCH_TO_TEMP
        yield Step.DRAIN_MAIN


def _main_drain(journal: Journal) -> Step:
    """The step that relies on the drain of main."""
    return Step.RETIRE_MAIN if journal.moves else Step.REPLACE_MAIN


def _temp_drain(steps: Collection[Step]) -> Step:
    """The one that relies on the drain of temp."""
    return Step.SETTLE_TEMP if Step.SETTLE_TEMP in steps else Step.STOP_TEMP


def remaining(journal: Journal, seen: SwapSeen) -> tuple[Step, ...]:
    """The steps still to run, in order, for an open swap.

    Being drained or checked is not a lasting state: the drain is run again directly before the
    step that relies on it, and only then. A temp that a reboot or a crash has stopped is started
    again as long as it is needed, and never once its stop has begun. Until
    traffic has moved, a swap that is continued needs an open window as much as a new one.
    """
    steps = [
        step
        for step in sequence(journal.mode, journal.temp_escrows)
        if step not in journal.done and not (step is Step.SWITCH_BACK and journal.data.standby)
    ]
    front = set(_before(journal, seen, steps))
    ordered = [step for step in Step if step in front or step in steps]
    # where nothing runs nothing can be cut, and a drain that no stop follows is idle
    temp_runs = seen.temp_running or Step.START_TEMP in ordered
    temp_holds = Step.SEED_TEMP in journal.started or Step.SEED_TEMP in ordered
    idle = {
        Step.DRAIN_MAIN: not seen.main_running
        or _main_drain(journal) not in ordered
        or never_came_up(journal, seen),
        # a temp that never got an escrow cannot have served anybody
        Step.DRAIN_TEMP: journal.has_temp
        and not (temp_runs and temp_holds and _temp_drain(steps) in ordered),
        # what was given back after a failure is not taken again once it is restored for good
        Step.FREEZE_ROTATION: Step.RESTORE_ROTATION not in ordered,
    }
    return tuple(step for step in ordered if not idle.get(step, False))


def plan(
    journal: Journal | None,
    seen: SwapSeen,
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
        if journal.moves != (mode == "generation"):
            raise SwapRefused(_other_play(journal))
        if rollback:
            again = not journal.rolling_back
            reason = (
                "finish the open swap first, then swap back"
                if again
                else f"roll back to {described(journal.asked, journal.target)}"
            )
            return SwapPlan(remaining(journal, seen), journal.target, reason, again)
        ways = (journal.target, journal.data.failed_target)
        if not any(same_image(target, way) for way in ways):
            raise SwapRefused(
                f"a swap to {described(journal.asked, journal.target)} is not finished (id"
                f" {journal.id}), and now {described(asked, target)} is wanted; run the play again "
                f"with hot_swap_image={journal.asked} to finish it{_or_back(journal)}"
            )
        if not journal.rolling_back and Step.REPLACE_MAIN not in journal.started:
            advice = f"Put the earlier ones back, and run this again{_or_back(journal)}"
            _refuse_other_keys(journal.mode, seen, advice)
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
    return _begin(seen, target, rollback=rollback, mode=mode, temp_escrows=temp_escrows)


def _or_back(journal: Journal) -> str:
    if journal.only_forward:
        return ""
    origin = described(journal.origin_asked, journal.origin)
    return f", or with hot_swap_rollback=true to go back to {origin}"


def _other_play(journal: Journal) -> str:
    if journal.moves:
        return (
            f"the move {journal.id} to another generation is not finished; run the playbook"
            f" gonka.devshard.generation_upgrade to finish it{_or_back(journal)}"
        )
    return (
        f"the swap {journal.id} is not finished; finish it with the playbook"
        " gonka.devshard.hot_swap, and move to another generation then"
    )


def begin_move(seen: SwapSeen, target: str, move: Move) -> SwapPlan:
    """A new move. Another protocol may be of the same image, another generation never is."""
    if same_image(seen.main_image, target) and move.origin.profile != move.target.profile:
        raise SwapRefused(
            f"the gateway runs the wanted image already, and it is of generation"
            f" {move.origin.profile}. Set gateway_image to an image of {move.target.profile}"
        )
    _refuse_to_begin(seen, "generation")
    name = move.target.protocol or move.target.profile
    return SwapPlan(sequence("generation", "import"), target, f"move to {name}")


def _begin(
    seen: SwapSeen, target: str, *, rollback: bool, mode: Mode, temp_escrows: TempEscrows
) -> SwapPlan:
    """A new swap, where one is needed and may begin."""
    if seen.main_image is not None and seen.moved:
        raise SwapRefused(
            f"{'; '.join(seen.moved)}. A swap changes neither the storage nor the port: set"
            " devshard_deploy_dir and devshard_gateway_url to what the container has"
        )
    recreated = same_image(seen.main_image, target)
    if recreated and not seen.drift:
        return SwapPlan((), target, "the gateway already runs this image")
    _refuse_to_begin(seen, mode)
    _refuse_other_keys(mode, seen)
    reason = "swap back to the recorded image" if rollback else "swap to the image asked for"
    if recreated:
        reason = (
            f"recreate the container with the same image: it differs in {', '.join(seen.drift)}"
        )
    standby = seen.flag == "temp"
    steps = [
        step for step in sequence(mode, temp_escrows) if not (standby and step is Step.SWITCH_BACK)
    ]
    return SwapPlan(tuple(steps), target, reason)


def _refuse_to_begin(seen: SwapSeen, mode: Mode) -> None:
    if seen.main_image is None:
        earlier = "put the earlier settings back and " if mode == "generation" else ""
        raise SwapRefused(
            f"there is no gateway container in slot main to swap; {earlier}deploy it with playbook"
            " gonka.devshard.site"
        )
    if not seen.main_running and mode == "generation":
        raise SwapRefused(
            "the gateway's container does not run, so it serves no client whom a move could keep."
            " Start it on the host with 'docker start' and its name"
        )
    if not seen.main_running:
        raise SwapRefused(
            "the gateway's container does not run, so it serves no client whom a swap could keep;"
            " start it with the playbook gonka.devshard.site, or replace it there with"
            " gateway_allow_recreate=true"
        )
    if mode != "pool" and seen.temp_exists:
        raise SwapRefused(
            "a container stands in slot temp, but no swap is open: it may serve escrows of its"
            " own. Settle or import what it holds and remove it before a swap. If it is the second"
            " gateway of this edge (hot_swap_mode=pool), leave it: such a pair is not moved by this"
        )
    if mode != "pool" and seen.flag == "temp":
        raise SwapRefused(
            "the edge has slot temp in service, but no swap is open; put main in service with"
            " module gonka.devshard.edge_slot before a swap"
        )


def _refuse_other_keys(mode: Mode, seen: SwapSeen, advice: str | None = None) -> None:
    if (fault := pool_fault(mode, seen.drift, advice)) is not None:
        raise SwapRefused(fault)


_GENERATION = re.compile(
    r"v0\.[0-9]+\.[0-9]+-v(?P<number>[1-9][0-9]*(?:[.][1-9][0-9]*)?)(?:[.-]|$)"
)


def generation_of_tag(image: str) -> str | None:
    """The gateway generation that a tag of the project names, as mainnet-v0.2.13-v3-latest does.

    A release has two numbers where they changed the protocol: v4.1.2 is of generation v4.1.

    None when it names none; the gateway itself is asked once it runs.
    """
    name = image.partition("@")[0].rpartition("/")[2]
    found = _GENERATION.search(name.partition(":")[2])
    return None if found is None else f"v{found['number']}"
