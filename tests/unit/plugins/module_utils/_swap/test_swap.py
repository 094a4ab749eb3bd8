# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The swap's state machine, driven through a model of a host that is killed, crashes, reboots."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import typing as t
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._host.image import digest_of
from ansible_collections.gonka.devshard.plugins.module_utils._swap.aftermath import after_failure
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import Notebook
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    generation_of_tag,
    gives_rotation_back,
    is_asked_before_its_stop,
    plan,
    record_after,
    remaining,
    roll_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    give_rotation_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
    is_past,
    session_losses,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import (
    Step,
    SwapRefused,
    SwapSeen,
    sequence,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.window_rules import (
    Window,
    window_refusals,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._swap.kept_journal import (
    NEW,
    NOW,
    OLD,
    Killed,
    Memory,
)

ROTATION = {"settlement_enabled": False, "pre_poc_blocks": 300, "models": []}


class Rotating:
    """The gateway of a world, as far as its rotation goes."""

    def __init__(self, world: World) -> None:
        self.world = world

    def settings(self) -> dict[str, t.Any]:
        return {"escrow_rotation": {**ROTATION, "enabled": self.world.rotation}}

    def post_settings(self, patch: dict[str, t.Any]) -> None:
        self.world.rotation = patch["escrow_rotation"]["enabled"]


@dataclass
class World:
    """One host: two slots, the flag, and who serves which escrow."""

    main_image: str | None = OLD
    main_running: bool = True
    temp_exists: bool = False
    temp_running: bool = False
    flag: str = "main"
    main_drained: bool = False
    temp_drained: bool = False
    main_escrows: set[str] = field(default_factory=lambda: {"m1"})
    temp_escrows: set[str] = field(default_factory=set)
    minted: int = 0
    rotation: bool = True
    main_healthy: bool = True
    main_id: int = 1
    drift: tuple[str, ...] = ()
    violations: list[str] = field(default_factory=list)

    def seen(self) -> SwapSeen:
        return SwapSeen(
            main_image=self.main_image,
            main_running=self.main_running,
            temp_exists=self.temp_exists,
            temp_running=self.temp_running,
            flag="temp" if self.flag == "temp" else "main",
            main_healthy=self.main_healthy,
            main_id=str(self.main_id),
            drift=self.drift,
        )

    def traffic(self) -> None:
        """A slot that serves is not drained any more."""
        if self.flag == "main" and self.main_running:
            self.main_drained = False
        else:
            self.temp_drained = False

    def run(self, step: Step, journal: Journal) -> None:
        if step is Step.FREEZE_ROTATION:
            self.rotation = False
        elif step is Step.START_TEMP:
            self.temp_exists = self.temp_running = True
        elif step is Step.SEED_TEMP:
            if not self.temp_running:
                self.violations.append("seeded a temp that does not run")
            if not self.temp_escrows:
                self.minted += 1
                self.temp_escrows = {"t1"}
        elif step is Step.CHECK_TEMP:
            if not self.temp_running:
                self.violations.append("checked a temp that does not run")
        elif step is Step.SWITCH_TO_TEMP:
            if not self.temp_running:
                self.violations.append("switched to a dead temp")
            self.flag = "temp"
        elif step is Step.DRAIN_MAIN:
            if self.flag != "temp":
                self.violations.append("drained main while it is in service")
            self.main_drained = True
        elif step is Step.REPLACE_MAIN:
            if self.rotation:
                self.violations.append("replaced a main that may rotate escrows")
            asked = is_asked_before_its_stop(journal, self.seen())
            if asked and not self.main_drained:
                self.violations.append("replaced a main that was not drained")
            if self.main_image != journal.target or self.drift:
                self.main_id += 1
            self.main_image, self.drift = journal.target, ()
            self.main_running = True
        elif step is Step.CHECK_MAIN:
            if not self.main_running:
                self.violations.append("checked a main that does not run")
        elif step is Step.SWITCH_BACK:
            if not self.main_running:
                self.violations.append("switched to a dead main")
            self.flag = "main"
        elif step is Step.DRAIN_TEMP:
            if self.flag != "main":
                self.violations.append("drained temp while it is in service")
            self.temp_drained = True
        elif step is Step.SETTLE_TEMP:
            if self.temp_running and not self.temp_drained:
                self.violations.append("settled on a temp that was not drained")
            self.temp_escrows = set()
        elif step is Step.STOP_TEMP:
            if self.temp_running and self.temp_escrows and not self.temp_drained:
                self.violations.append("stopped a temp that was not drained")
            self.temp_exists = self.temp_running = False
        elif step is Step.IMPORT_ESCROWS:
            if self.temp_running and self.temp_escrows:
                self.violations.append("imported while temp may serve the escrow")
            self.main_escrows |= self.temp_escrows
        elif step is Step.RESTORE_ROTATION:
            self.rotation = True

    def fail(self, journal: Journal, *, writes: int | None = None) -> Journal:
        """What the role does when a step fails; it may be killed after so many writes."""
        if not journal.open:
            return journal
        found = after_failure(journal, None, run="r1", container="m", other_container="t")
        memory = Memory(journal, writes=writes)
        if found.gives_rotation_back:
            with contextlib.suppress(Killed):
                give_rotation_back(
                    memory.notebook(Step.FREEZE_ROTATION), lambda: Rotating(self), check_mode=False
                )
        return memory.journal

    def disturb(self, what: str, journal: Journal) -> None:
        if what == "reboot":
            # main has a restart policy, temp has none
            self.main_running = self.main_image is not None
            self.temp_running = False
        elif what == "temp crash":
            self.temp_running = False
        elif (
            what == "half replaced"
            and Step.REPLACE_MAIN in journal.started
            and Step.REPLACE_MAIN not in journal.done
        ):
            self.main_running = False


def fresh(mode: str = "temp", temp_escrows: str = "import", *, target: str = NEW) -> Journal:
    return Journal(
        id="s1",
        mode="pool" if mode == "pool" else "temp",
        temp_escrows="settle" if temp_escrows == "settle" else "import",
        target=target,
        origin=OLD,
        asked="gateway:new",
        origin_asked="gateway:old",
        data=SwapNotes(replaced_container="1"),
    )


def note_rotation(notebook: Notebook, was: dict[str, t.Any]) -> None:
    notebook.begin(SwapNotes(rotation=was))


def drive(world: World, journal: Journal, stop_after: int, *, half: bool) -> Journal:
    """Runs the steps until done or until the controller is killed after ``stop_after`` steps.

    Each step notes in the journal what its modules note, by the functions that they use.
    """
    memory = Memory(journal)
    before: Step | None = None
    for count, step in enumerate(remaining(journal, world.seen())):
        notebook = memory.notebook(step, finished=before)
        if step is Step.DONE:
            world.run(step, memory.journal)
            if count == stop_after:
                return memory.journal
            notebook.end(SwapNotes())
            break
        if step is not Step.FREEZE_ROTATION:
            notebook.begin()
        else:
            # with what it was, in the same write
            freeze_rotation(
                Rotating(world),
                intend=functools.partial(note_rotation, notebook),
                check_mode=count == stop_after and not half,
            )
        if count == stop_after:
            if half:
                world.run(step, memory.journal)
            return memory.journal
        world.run(step, memory.journal)
        world.traffic()
        before = step
    return memory.journal


@settings(max_examples=600, deadline=None)
@given(
    kills=st.lists(
        st.tuples(
            st.integers(0, 16),
            st.booleans(),
            st.sampled_from(
                ["nothing", "failure", "given back", "reboot", "temp crash", "half replaced"]
            ),
        ),
        max_size=5,
    ),
    temp_escrows=st.sampled_from(["import", "settle"]),
    rollback_at=st.one_of(st.none(), st.integers(0, 5)),
    recreate=st.booleans(),
)
def test_killed_anywhere_ends_right(
    kills: list[tuple[int, bool, str]], temp_escrows: str, rollback_at: int | None, recreate: bool
) -> None:
    # with the same image it is the environment of the container that is wrong
    world = World(drift=("A",) if recreate else ())
    journal = fresh(temp_escrows=temp_escrows, target=OLD if recreate else NEW)
    for number, (stop_after, half, what) in enumerate(kills):
        if not journal.open:
            break
        if rollback_at == number:
            with contextlib.suppress(SwapRefused):
                journal = roll_back(journal)
        journal = drive(world, journal, stop_after, half=half)
        if what == "failure" and journal.open:
            journal = world.fail(journal)
        if what == "given back" and journal.open:
            journal = world.fail(journal, writes=1)
        world.disturb(what, journal)
        world.traffic()
    journal = drive(world, journal, 99, half=False)
    assert world.violations == []
    assert not journal.open
    assert world.main_image == journal.target
    assert world.drift == () or journal.rolling_back
    assert world.main_running
    assert world.flag == "main"
    assert not world.temp_exists
    assert world.rotation
    assert world.minted <= 1
    if world.minted and temp_escrows == "import":
        assert "t1" in world.main_escrows


def test_straight_swap_runs_every_step_once() -> None:
    world = World()
    journal = drive(world, fresh(), 99, half=False)
    assert journal.done == sequence("temp", "import")
    assert world.main_image == NEW
    assert world.main_escrows == {"m1", "t1"}


def test_pool_swap_mints_nothing() -> None:
    world = World(temp_exists=True, temp_running=True)
    journal = drive(world, fresh(mode="pool"), 99, half=False)
    assert world.violations == []
    assert (world.minted, world.main_image, world.flag) == (0, NEW, "main")
    assert world.temp_running
    assert not journal.open


def test_the_gateway_that_stands_by_is_replaced_and_goes_on_standing_by() -> None:
    """In pool mode the other slot may be the one in service."""
    world = World(temp_exists=True, temp_running=True, flag="temp", rotation=False)
    steps = ask(world, mode="pool")
    assert Step.SWITCH_BACK not in steps
    journal = drive(world, fresh(mode="pool").remember(SwapNotes(standby=True)), 99, half=False)
    assert tuple(journal.done) == steps
    assert (world.violations, world.main_image, world.flag) == ([], NEW, "temp")


KEYS = ("DEVSHARD_ADMIN_API_KEY", "DEVSHARD_API_KEYS")


@pytest.mark.parametrize("target", [OLD, NEW])
@pytest.mark.parametrize("name", KEYS)
def test_a_pair_of_gateways_is_not_swapped_to_other_keys(name: str, target: str) -> None:
    """The other gateway has the earlier ones, and no file is left that has those of this one."""
    pair = World(temp_exists=True, temp_running=True, drift=("A", name))
    told = rf"^{name} would be changed.*hot_swap_mode=pool.*gateway_allow_recreate=true"
    with pytest.raises(SwapRefused, match=told):
        ask(pair, mode="pool", target=target)
    # any other variable, and the keys of a gateway with a temporary one
    assert ask(dataclasses.replace(pair, drift=("A",)), mode="pool", target=target)
    assert ask(World(drift=("A", name)), target=target)


def test_an_open_swap_of_a_pair_does_not_take_other_keys_either() -> None:
    world = World(temp_exists=True, temp_running=True)
    reached = sequence("pool", "import").index(Step.SWITCH_TO_TEMP)
    journal = drive(world, fresh("pool"), reached, half=False)
    world.drift = KEYS
    told = r"Put the earlier ones back, and run this again, or with hot_swap_rollback=true"
    with pytest.raises(SwapRefused, match=told):
        ask(world, journal, mode="pool")
    assert ask(world, roll_back(journal), mode="pool", rollback=True)
    # once main is being replaced there is only the way on
    assert ask(world, journal.start(Step.REPLACE_MAIN), mode="pool")


@pytest.mark.parametrize("reached", range(len(sequence("temp", "import"))))
def test_rollback_from_every_step_returns_to_the_origin(reached: int) -> None:
    world = World()
    journal = drive(world, fresh(), reached, half=True)
    turned = roll_back(journal)
    journal = drive(world, turned, 99, half=False)
    assert world.violations == []
    assert not journal.open
    if turned.rolling_back:
        assert world.main_image == OLD
    else:
        # past the point where temp could serve again: a second swap leads back
        assert reached >= sequence("temp", "import").index(Step.STOP_TEMP)
        assert world.main_image == NEW


LATE = range(sequence("temp", "import").index(Step.STOP_TEMP) + 1, len(sequence("temp", "import")))


@pytest.mark.parametrize("reached", LATE)
@pytest.mark.parametrize("given_back", [False, True])
def test_a_main_that_dies_after_temp_was_stopped_is_led_back_in_place(
    reached: int, given_back: bool
) -> None:
    """The swap could not be finished first: its last steps need a gateway that answers."""
    world = World()
    journal = drive(world, fresh(), reached, half=False)
    if given_back:
        journal = world.fail(journal)
    world.main_running = False
    assert roll_back(journal) == journal
    turned = roll_back(journal, main_down=True)
    steps = remaining(turned, world.seen())
    assert steps[:2] == (Step.REPLACE_MAIN, Step.CHECK_MAIN)
    assert Step.DRAIN_MAIN not in steps
    assert Step.START_TEMP not in steps
    journal = drive(world, turned, 99, half=False)
    assert not journal.open
    assert (world.main_image, world.flag, world.minted) == (OLD, "main", 1)
    assert "t1" in world.main_escrows
    assert world.rotation


def test_a_pool_whose_main_dies_at_the_end_is_led_back_in_place() -> None:
    world = World(temp_exists=True, temp_running=True)
    steps = sequence("pool", "import")
    journal = drive(world, fresh("pool"), steps.index(Step.SWITCH_BACK) + 1, half=False)
    assert roll_back(journal) == journal
    world.main_running = False
    journal = drive(world, roll_back(journal, main_down=True), 99, half=False)
    assert (world.violations, world.main_image, journal.open) == ([], OLD, False)


def test_roll_back_twice_is_the_same() -> None:
    journal = drive(World(), fresh(), 6, half=False)
    assert roll_back(roll_back(journal)) == roll_back(journal)


def test_temp_is_never_started_after_its_stop_began() -> None:
    world = World()
    stop = sequence("temp", "import").index(Step.STOP_TEMP)
    journal = drive(world, fresh(), stop, half=True)
    world.disturb("reboot", journal)
    assert Step.START_TEMP not in remaining(journal, world.seen())


def test_a_temp_that_broke_is_not_needed_to_go_back_to_an_untouched_main() -> None:
    world = World()
    drain_main = sequence("temp", "settle").index(Step.DRAIN_MAIN)
    journal = drive(world, fresh(temp_escrows="settle"), drain_main, half=False)
    world.disturb("temp crash", journal)
    steps = remaining(roll_back(journal), world.seen())
    assert Step.START_TEMP not in steps
    assert Step.SETTLE_TEMP not in steps
    assert steps[0] is Step.CHECK_MAIN
    assert Step.IMPORT_ESCROWS in steps


def test_a_temp_that_broke_while_main_is_not_proved_is_started_again() -> None:
    world = World()
    check_main = sequence("temp", "import").index(Step.CHECK_MAIN)
    journal = drive(world, fresh(), check_main, half=False)
    world.disturb("temp crash", journal)
    assert remaining(journal, world.seen())[0] is Step.START_TEMP
    journal = journal.finish(Step.CHECK_MAIN).finish(Step.SWITCH_BACK)
    assert Step.START_TEMP not in remaining(journal, world.seen())


def half_replaced() -> tuple[World, Journal]:
    """Main has the new image and runs, but never came to listen."""
    world = World()
    journal = drive(world, fresh(), sequence("temp", "import").index(Step.REPLACE_MAIN), half=True)
    world.main_healthy = False
    return world, journal


def test_a_new_main_that_never_came_up_holds_up_neither_way_out() -> None:
    """It does not answer, so a drain would find out nothing; and nobody was ever sent to it."""
    world, journal = half_replaced()
    assert remaining(journal, world.seen())[:2] == (Step.REPLACE_MAIN, Step.CHECK_MAIN)
    steps = remaining(roll_back(journal), world.seen())
    assert steps[:2] == (Step.SWITCH_TO_TEMP, Step.REPLACE_MAIN)
    # nor when the way back was cut off in its turn
    turned = roll_back(journal).finish(Step.SWITCH_TO_TEMP).start(Step.REPLACE_MAIN)
    assert remaining(turned, world.seen())[0] is Step.REPLACE_MAIN


def test_a_main_that_once_listened_is_drained_though_it_looks_ill() -> None:
    world, journal = half_replaced()
    up = journal.finish(Step.REPLACE_MAIN)
    assert Step.DRAIN_MAIN in remaining(roll_back(up), world.seen())
    world.main_healthy = True
    assert Step.DRAIN_MAIN in remaining(roll_back(journal), world.seen())
    # the old image, whose replacement failed before it was stopped
    world.main_image, world.main_healthy = OLD, False
    assert Step.DRAIN_MAIN in remaining(journal, world.seen())
    assert Step.DRAIN_MAIN in remaining(roll_back(journal), world.seen())


def test_a_temp_without_escrows_need_not_be_drained() -> None:
    world = World()
    seed = sequence("temp", "import").index(Step.SEED_TEMP)
    journal = roll_back(drive(world, fresh(), seed, half=False).undo(Step.SEED_TEMP, ()))
    steps = remaining(journal, world.seen())
    assert Step.DRAIN_TEMP not in steps
    assert Step.STOP_TEMP in steps


def test_journal_round_trip() -> None:
    journal = (
        fresh()
        .start(Step.PREFLIGHT)
        .finish(Step.FREEZE_ROTATION)
        .remember(SwapNotes(workers=("1:2",)))
    )
    assert Journal.from_dict(journal.to_dict()) == journal


def test_journal_of_another_schema_is_refused() -> None:
    raw = {**fresh().to_dict(), "schema": 99}
    with pytest.raises(SwapRefused, match="schema 99"):
        Journal.from_dict(raw)


def ask(world: World, journal: Journal | None = None, **wish: object) -> tuple[Step, ...]:
    arguments: dict[str, object] = {
        "target": NEW,
        "previous": None,
        "rollback": False,
        "mode": "temp",
        "temp_escrows": "import",
    }
    arguments.update(wish)
    return plan(journal, world.seen(), **arguments).steps  # type: ignore[arg-type]


def test_nothing_to_do_when_the_image_is_current() -> None:
    assert ask(World(main_image=NEW)) == ()


def test_rollback_without_a_recorded_image_is_refused() -> None:
    with pytest.raises(SwapRefused, match="nothing to roll back to"):
        ask(World(), rollback=True)


def test_rollback_after_a_finished_swap_is_a_swap_to_the_previous_image() -> None:
    assert ask(World(main_image=NEW), rollback=True, previous=OLD) == sequence("temp", "import")


def test_another_image_while_a_swap_is_open_is_refused() -> None:
    journal = drive(World(), fresh(), 4, half=False)
    with pytest.raises(SwapRefused, match="is not finished"):
        ask(World(), journal, target="registry/gateway@sha256:third")


def test_a_rolled_back_swap_is_not_turned_again_by_the_image_that_failed() -> None:
    world = World()
    journal = roll_back(drive(world, fresh(), 8, half=False))
    found = plan(
        journal,
        world.seen(),
        target=NEW,
        previous=None,
        rollback=False,
        mode="temp",
        temp_escrows="import",
    )
    assert found.target == OLD


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (World(main_image=None), "no gateway container"),
        (World(temp_exists=True), "slot temp, but no swap is open"),
        (World(flag="temp"), "slot temp in service"),
        (World(main_running=False), "does not run, so it serves no client"),
    ],
)
def test_an_unexplained_host_is_refused(world: World, message: str) -> None:
    with pytest.raises(SwapRefused, match=message):
        ask(world)


OPEN_WINDOW = Window(
    phase="Inference",
    confirmation_poc_phase="",
    blocks_to_epoch_switch=1000,
    blocks_until_next_rotation=700,
    rotation_enabled=True,
)


def test_an_open_window_has_no_refusal() -> None:
    assert window_refusals(OPEN_WINDOW, min_blocks=700) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phase": None}, "phase is unknown"),
        ({"phase": ""}, "phase is unknown"),
        ({"phase": "PoCGenerate"}, "phase PoCGenerate"),
        ({"confirmation_poc_phase": None}, "unknown whether a confirmation"),
        ({"confirmation_poc_phase": "CONFIRMATION_POC_GENERATION"}, "confirmation PoC is under"),
        ({"blocks_to_epoch_switch": None}, "distance to the epoch switch is unknown"),
        ({"blocks_to_epoch_switch": 699}, "699 blocks are left to the epoch switch"),
        ({"rotation_enabled": None}, "whether rotation is enabled"),
        ({"blocks_until_next_rotation": None}, "distance to the next rotation is unknown"),
        ({"blocks_until_next_rotation": 699}, "699 blocks are left to the next rotation"),
        ({"phases": {"7": "finalizing"}}, "escrow 7 is in phase finalizing"),
        ({"active_without_runtime": ("8",)}, "escrow 8 is recorded as active but not loaded"),
    ],
)
def test_every_reason_closes_the_window(change: dict[str, object], words: str) -> None:
    window = dataclasses.replace(OPEN_WINDOW, **change)  # type: ignore[arg-type]
    reasons = window_refusals(window, min_blocks=700)
    assert len(reasons) == 1
    assert words in reasons[0]


def test_rotation_distance_does_not_matter_with_rotation_off() -> None:
    window = dataclasses.replace(OPEN_WINDOW, rotation_enabled=False, blocks_until_next_rotation=0)
    assert window_refusals(window, min_blocks=700) == []


def test_session_losses() -> None:
    before = {str(number): ServedSession(nonce=10, balance=100) for number in range(1, 7)}
    after = {
        "1": ServedSession(nonce=10, balance=100),
        "2": ServedSession(nonce=12, balance=90),
        "3": ServedSession(nonce=0, balance=5000),
        "4": ServedSession(nonce=10, balance=99),
        "5": None,
        "6": ServedSession(nonce=10, balance=100, active=False),
    }
    losses = session_losses(before, after)
    assert [loss.split()[1] for loss in losses] == ["3", "4", "5", "6"]


def test_a_balance_that_nobody_knew_is_not_compared() -> None:
    before = {"1": ServedSession(nonce=10, balance=None)}
    assert session_losses(before, {"1": ServedSession(nonce=10, balance=100)}) == []
    assert session_losses(before, {"1": ServedSession(nonce=9, balance=100)}) != []


def test_a_session_that_was_inactive_may_stay_so() -> None:
    mark = ServedSession(nonce=10, balance=100, active=False)
    assert session_losses({"1": mark}, {"1": mark}) == []


@pytest.mark.parametrize(
    ("image", "generation"),
    [
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.13-latest", None),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.13-v3-latest", "v3"),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1", "v4.1"),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4-latest", "v4"),
        ("registry.test:5000/gateway:v3", None),
        ("registry.test:5000/v3/gateway:1.0", None),
        (f"registry.test:5000/gateway:v0.2.13-v3@sha256:{'0' * 64}", "v3"),
        (f"registry.test:5000/gateway@sha256:{'0' * 64}", None),
        ("libermans/gonka-devshard-proxy:latest", None),
    ],
)
def test_generation_of_tag(image: str, generation: str | None) -> None:
    assert generation_of_tag(image) == generation


def test_digest_of() -> None:
    assert digest_of("r:5000/g@sha256:ab") == "sha256:ab"
    assert digest_of("r:5000/g:1") is None


def test_a_swap_continued_before_its_switch_looks_at_the_window_again() -> None:
    world = World()
    journal = drive(world, fresh(), 4, half=False)
    assert remaining(journal, world.seen())[:2] == (Step.PREFLIGHT, Step.CHECK_TEMP)
    journal = drive(world, fresh(), 6, half=False)
    assert Step.PREFLIGHT not in remaining(journal, world.seen())
    assert Step.PREFLIGHT not in remaining(roll_back(journal), world.seen())


# the journal


def test_the_journal_of_an_earlier_version_is_carried_over() -> None:
    """0.1.0 and 0.2.0 wrote schema 1: the same names, and no times."""
    noted = {
        "run": "r0",
        "rotation": {**ROTATION, "enabled": True},
        "temp_image": NEW,
        "temp_escrow_ids": [7],
        "workers": ["1:2"],
        "main_sessions": {"3": {"nonce": 4, "balance": 5, "active": True}},
        "temp_sessions": {"7": {"nonce": 2, "balance": 9, "active": True}},
        "left": [{"id": 7, "nonce": 2, "storage_path": "/root/temp/escrow-7"}],
        "failed_target": NEW,
        "never_up": False,
    }
    now = fresh().start(Step.PREFLIGHT).to_dict()
    raw = {key: value for key, value in now.items() if key != "began"}
    journal = Journal.from_dict({**raw, "schema": 1, "data": noted})
    assert journal.data.main_sessions == {"3": ServedSession(nonce=4, balance=5)}
    assert (journal.data.left or ())[0].storage_path == "/root/temp/escrow-7"
    assert journal.data.temp_env is None
    written = journal.to_dict()
    assert (written["schema"], written["data"]) == (3, noted)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"rotation": True}, "its note rotation is not"),
        ({"left": [{"id": 1}]}, "its note left is not"),
        ({"main_sessions": {"1": 2}}, "its note main_sessions is not"),
        ({"workers": "1:2"}, "its note workers is not"),
        ({"surprise": 1}, "unknown note surprise"),
    ],
)
def test_a_note_that_no_step_writes_is_refused(data: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Journal.from_dict({**fresh().to_dict(), "data": data})


def test_how_long_the_steps_took_follows_from_when_they_began() -> None:
    later = NOW + timedelta(seconds=4)
    journal = fresh().begun_at(Step.DRAIN_MAIN, later).begun_at(Step.CHECK_TEMP, NOW)
    # the file keeps the names in order of the alphabet
    journal = Journal.from_dict(journal.to_dict())
    assert journal.durations(later + timedelta(seconds=1)) == [
        (Step.CHECK_TEMP, 4.0),
        (Step.DRAIN_MAIN, 1.0),
    ]


# after a failure


@pytest.mark.parametrize("step", list(Step))
def test_each_step_has_its_advice_and_only_an_untouched_swap_says_that_nothing_was_changed(
    step: Step,
) -> None:
    names = {"run": "r1", "container": "gw-main", "other_container": "gw-temp"}
    journal = fresh().remember(SwapNotes(run="r1"))
    for untouched in (None, journal, journal.finish(Step.PREFLIGHT)):
        found = after_failure(untouched, step, **names)
        assert (found.gives_rotation_back, "The swap has changed nothing" in found.advice) == (
            False,
            True,
        )
    open_one = journal.finish(Step.FREEZE_ROTATION)
    for at in (step, None):
        advice = after_failure(open_one, at, **names).advice
        assert "The swap has changed nothing" not in advice
        assert "un this again" in advice or "hot_swap_rollback=true" in advice
        assert "{" not in advice


NAMES = {"run": "r1", "container": "gw-main", "other_container": "gw-temp"}
SERVES = re.compile(r"(?:The|the) (?:other|temporary) gateway (?:still )?serves")


def broken_at(step: Step) -> Journal:
    """A swap that has done all steps before this one, and has begun it."""
    journal = fresh().remember(SwapNotes(run="r1"))
    for before in sequence("temp", "import"):
        if before is step:
            break
        journal = journal.finish(before)
    return journal.start(step)


@pytest.mark.parametrize("step", [*sequence("temp", "import")][1:])
def test_once_temp_is_gone_the_advice_names_the_way_out_of_a_gateway_that_hangs(step: Step) -> None:
    advice = after_failure(broken_at(step), step, **NAMES).advice
    alone = (Step.IMPORT_ESCROWS, Step.ACTIVATE, Step.RESTORE_ROTATION)
    assert ("puts the earlier image in its place" in advice) is (step in alone)


@pytest.mark.parametrize("step", [*sequence("temp", "import")][1:])
def test_the_advice_does_not_call_a_gateway_serving_that_does_not_run(step: Step) -> None:
    journal = broken_at(step)
    for down in ((), ("gw-main",), ("gw-temp",), ("gw-main", "gw-temp")):
        advice = after_failure(journal, step, **NAMES, down=down).advice
        assert "gw-temp" not in down or not SERVES.search(advice)
        assert "gw-main" not in down or not re.search(r"[Tt]he gateway (still )?serves", advice)
        assert "un this again" in advice or "a new run continues" in advice
        assert "{" not in advice


@pytest.mark.parametrize(
    ("step", "name"), [(Step.DRAIN_MAIN, "gw-main"), (Step.DRAIN_TEMP, "gw-temp")]
)
def test_what_is_to_be_drained_and_does_not_run_is_not_waited_for(step: Step, name: str) -> None:
    advice = after_failure(broken_at(step), step, **NAMES, down=[name]).advice
    assert f"{name} does not run" in advice
    assert "without waiting" in advice
    assert "docker stop" not in advice
    flag: t.Literal["main", "temp"] = "temp" if step is Step.DRAIN_MAIN else "main"
    host = SwapSeen(
        main_image=OLD if step is Step.DRAIN_MAIN else NEW,
        main_running=name != "gw-main",
        temp_exists=True,
        temp_running=name != "gw-temp",
        flag=flag,
    )
    assert step not in remaining(broken_at(step), host)


def test_a_temporary_gateway_that_is_not_due_is_not_missed() -> None:
    early = fresh().remember(SwapNotes(run="r1")).finish(Step.FREEZE_ROTATION)
    turned = dataclasses.replace(early, rolling_back=True)
    assert "stays open" in after_failure(turned, Step.SWITCH_BACK, **NAMES, down=["gw-temp"]).advice
    late = broken_at(Step.IMPORT_ESCROWS)
    advice = after_failure(late, Step.CHECK_MAIN, **NAMES, down=["gw-temp"]).advice
    assert "was removed before" in advice


def test_a_run_whose_swap_another_one_has_taken_over_gives_nothing_back() -> None:
    journal = fresh().remember(SwapNotes(run="r2", rotation={"enabled": True}))
    journal = journal.finish(Step.FREEZE_ROTATION)
    names = {"container": "m", "other_container": "t"}
    found = after_failure(journal, Step.START_TEMP, run="r1", **names)
    assert (found.gives_rotation_back, "stays open" in found.advice) == (False, True)
    assert after_failure(journal, Step.START_TEMP, run="r2", **names).gives_rotation_back


# what the role asks the state machine


def test_a_rotation_is_given_back_only_where_the_gateway_itself_serves() -> None:
    done = fresh().finish(Step.FREEZE_ROTATION)
    assert not gives_rotation_back(done)
    noted = done.remember(SwapNotes(rotation={"enabled": True}))
    assert gives_rotation_back(noted)
    replacing = noted.start(Step.REPLACE_MAIN)
    assert not gives_rotation_back(replacing)
    assert gives_rotation_back(replacing.finish(Step.CHECK_MAIN))
    assert not gives_rotation_back(replacing.finish(Step.CHECK_MAIN).finish(Step.RESTORE_ROTATION))


MIRRORED = "mirror/gateway@sha256:new"


@pytest.mark.parametrize(
    ("seen", "data", "asked"),
    [
        ({}, {}, True),
        ({"main_healthy": False}, {}, True),
        ({"main_healthy": False}, {"never_up": False, "failed_target": OLD}, True),
        ({}, {"never_up": True, "failed_target": OLD}, True),
        ({"main_healthy": False}, {"never_up": True, "failed_target": "other"}, True),
        # these cannot answer whether they may be stopped
        ({"main_healthy": False}, {"never_up": True, "failed_target": OLD}, False),
        ({"main_running": False}, {}, False),
        ({"main_image": None, "main_running": False}, {}, False),
        ({"main_image": NEW}, {}, False),
        # the same image from a mirror
        ({"main_image": MIRRORED}, {}, False),
    ],
)
def test_a_main_that_cannot_answer_is_not_asked_before_it_is_replaced(
    seen: dict[str, object], data: dict[str, object], asked: bool
) -> None:
    journal = fresh().start(Step.REPLACE_MAIN).remember(SwapNotes.from_dict(data))
    found = dataclasses.replace(World().seen(), **seen)  # type: ignore[arg-type]
    assert is_asked_before_its_stop(journal, found) is asked


@pytest.mark.parametrize(
    ("settled", "on_chain", "phase", "past"),
    [
        (False, True, "active", False),
        (True, True, None, True),
        (None, False, None, True),
        (False, True, "settlement", True),
        (False, True, "finalizing", True),
        # a chain that does not answer proves nothing
        (None, None, None, False),
        (None, None, "settlement", True),
    ],
)
def test_which_escrows_no_gateway_can_serve_any_more(
    settled: bool | None, on_chain: bool | None, phase: str | None, past: bool
) -> None:
    assert is_past(settled=settled, on_chain=on_chain, phase=phase) is past


RECORD = {"profile": "v2", "storage": "/s", "image": "gateway:old", "digest": OLD}


def test_the_record_after_a_swap_leads_back_and_after_a_rollback_no_further() -> None:
    after = record_after(fresh(), {**RECORD, "rolled_back_digest": "x"})
    assert after == {
        **RECORD,
        "image": "gateway:new",
        "digest": NEW,
        "previous_digest": OLD,
        "previous_image": "gateway:old",
    }
    back = dataclasses.replace(
        fresh(), target=OLD, asked="gateway:old", rolling_back=True
    ).remember(SwapNotes(failed_target=NEW))
    assert record_after(back, after) == {**RECORD, "rolled_back_digest": NEW}


def test_the_record_after_a_recreation_keeps_its_way_back() -> None:
    record = {**RECORD, "previous_digest": "older", "previous_image": "gateway:older"}
    again = dataclasses.replace(fresh(target=OLD), asked="gateway:old")
    assert record_after(again, record) == record


# the same image with another environment


def test_another_environment_is_a_swap_to_the_same_image() -> None:
    world = World(drift=("DEVSHARD_CHAIN_ID",))
    found = plan(
        None,
        world.seen(),
        target=OLD,
        previous=None,
        rollback=False,
        mode="temp",
        temp_escrows="import",
    )
    assert found.steps == sequence("temp", "import")
    assert "DEVSHARD_CHAIN_ID" in found.reason
    journal = drive(world, fresh(target=OLD), 99, half=False)
    assert (world.violations, world.drift, world.main_id, journal.open) == ([], (), 2, False)


def test_a_rollback_to_what_runs_changes_nothing() -> None:
    assert ask(World(drift=("A",)), rollback=True, previous=OLD) == ()


@pytest.mark.parametrize("target", [OLD, NEW])
def test_a_swap_moves_neither_the_storage_nor_the_port(target: str) -> None:
    seen = dataclasses.replace(World().seen(), moved=("it is published on 1, wanted is 2",))
    with pytest.raises(SwapRefused, match="published on 1.*devshard_gateway_url"):
        plan(
            None,
            seen,
            target=target,
            previous=None,
            rollback=False,
            mode="temp",
            temp_escrows="import",
        )


def test_a_recreation_is_finished_with_a_corrected_environment_and_not_turned_around() -> None:
    world = World(drift=("A",))
    check = sequence("temp", "import").index(Step.CHECK_MAIN)
    journal = drive(world, fresh(target=OLD), check, half=False)
    with pytest.raises(SwapRefused, match="no earlier image to go back to"):
        roll_back(journal)
    world.drift = ("A",)
    steps = remaining(journal, world.seen())
    assert steps[:3] == (Step.DRAIN_MAIN, Step.REPLACE_MAIN, Step.CHECK_MAIN)
    journal = drive(world, journal, 99, half=False)
    assert (world.violations, world.main_id, journal.open) == ([], 3, False)


@pytest.mark.parametrize("healthy", [True, False])
def test_a_container_that_was_never_stopped_is_asked_on_the_way_back_too(*, healthy: bool) -> None:
    """It has the image of the origin, and with another environment it is recreated all the same."""
    world = World(drift=("A",))
    replace = sequence("temp", "import").index(Step.REPLACE_MAIN)
    journal = drive(world, fresh(), replace, half=False).start(Step.REPLACE_MAIN)
    world.main_healthy = healthy
    back = roll_back(journal)
    assert Step.DRAIN_MAIN in remaining(back, world.seen())
    back = back.start(Step.REPLACE_MAIN)
    assert Step.DRAIN_MAIN in remaining(back.finish(Step.DRAIN_MAIN), world.seen())
    assert is_asked_before_its_stop(back, world.seen())
    world.main_id += 1
    assert not is_asked_before_its_stop(back, world.seen())


def test_an_old_container_of_the_same_image_is_drained_though_it_looks_ill() -> None:
    """Its replacement was cut off before it was stopped, and it may serve."""
    world = World(drift=("A",))
    replace = sequence("temp", "import").index(Step.REPLACE_MAIN)
    journal = drive(world, fresh(target=OLD), replace, half=False).start(Step.REPLACE_MAIN)
    world.main_healthy = False
    assert Step.DRAIN_MAIN in remaining(journal, world.seen())
