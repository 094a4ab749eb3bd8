# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A move to another generation, driven through a model of a host that is killed and rebooted."""

from __future__ import annotations

import contextlib
import functools
import itertools
import typing as t
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._swap.aftermath import after_failure
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import Notebook
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    Kind,
    Move,
    SwapNotes,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    gives_rotation_back,
    plan,
    record_after,
    record_of_move,
    remaining,
    roll_back,
    works_on_origin,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    give_rotation_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import (
    expected_sessions,
    noted_sessions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import (
    OF_A_MOVE,
    Slot,
    Step,
    SwapRefused,
    SwapSeen,
    sequence,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._swap.kept_journal import (
    MOVE,
    NEW,
    OLD,
    Killed,
    Memory,
)

RECORD = {
    "profile": "v2",
    "storage": "/d/.devshardctl",
    "image": "gateway:old",
    "digest": OLD,
}
STEPS = sequence("generation", "import")
BACK = sequence("generation", "settle")
GATEWAY = {"v2": OLD, "v4.1": NEW}


def fresh() -> Journal:
    return Journal(
        id="s1",
        mode="generation",
        temp_escrows="import",
        target=NEW,
        origin=OLD,
        asked="gateway:new",
        origin_asked="gateway:old",
        data=SwapNotes(replaced_container="1", move=MOVE, run="r1"),
    )


def through(last: Step) -> Journal:
    """Every step up to this one is done."""
    journal = fresh()
    for step in STEPS[: STEPS.index(last) + 1]:
        journal = journal.finish(step)
    return journal


# how much of a step was done when its run was killed
NOTED, HALF, WHOLE = range(3)


@dataclass
class Scene:
    """One host with gateways of two generations: who runs, who serves, and what is not settled."""

    main: str | None = "v2"
    main_running: bool = True
    main_healthy: bool = True
    main_id: int = 1
    temp_exists: bool = False
    temp_running: bool = False
    flag: Slot = "main"
    drained: set[str] = field(default_factory=set)
    unsettled: dict[str, set[str]] = field(
        default_factory=lambda: {"v2": {"o1", "o2"}, "temp": set(), "v4.1": set()}
    )
    rotation: dict[str, bool] = field(default_factory=lambda: {"v2": True, "v4.1": False})
    record: dict[str, t.Any] = field(default_factory=lambda: dict(RECORD))
    paid: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def seen(self) -> SwapSeen:
        return SwapSeen(
            main_image=None if self.main is None else GATEWAY[self.main],
            main_running=self.main_running,
            temp_exists=self.temp_exists,
            temp_running=self.temp_running,
            flag=self.flag,
            main_healthy=self.main_healthy,
            main_id=None if self.main is None else str(self.main_id),
        )

    def serves(self, slot: str) -> bool:
        if slot == "temp":
            return self.temp_running and bool(self.unsettled["temp"])
        return self.main is not None and self.main_running and bool(self.unsettled[self.main])

    def need(self, what: str, fact: object) -> None:
        if not fact:
            self.wrong.append(what)

    def traffic(self) -> None:
        """Where clients are sent is not drained any more, nor where a slot that is down has a heir."""
        other = "temp" if self.flag == "main" else "main"
        self.drained.discard(self.flag if self.serves(self.flag) else other)

    def run(self, step: Step, journal: Journal, how_much: int = WHOLE) -> None:
        """What the tasks of the step do, and what they rely on."""
        kind = "v2" if works_on_origin(journal, step) else "v4.1"
        on_main = {
            *(Step.FREEZE_ROTATION, Step.DRAIN_MAIN, Step.SETTLE_MAIN, Step.RETIRE_MAIN),
            *(Step.SEED_MAIN, Step.CHECK_MAIN, Step.IMPORT_ESCROWS, Step.ACTIVATE),
            Step.RESTORE_ROTATION,
        }
        if step in on_main and self.main is not None:
            self.need(f"{step.value} takes main for {kind}", self.main == kind)
        if how_much != NOTED and (act := getattr(self, f"_{step.value}", None)) is not None:
            act(journal, whole=how_much == WHOLE)

    def _freeze_rotation(self, _journal: Journal, *, whole: bool) -> None:
        self.need("asks a main that does not run", self.main_running)

    def _start_temp(self, journal: Journal, *, whole: bool) -> None:
        if Step.SEED_TEMP not in journal.started:
            self.need("copies the settings of a main that does not run", self.main_running)
        self.temp_exists, self.temp_running = True, whole

    def _seed_temp(self, _journal: Journal, *, whole: bool) -> None:
        self.need("seeds a temp that does not run", self.temp_running)
        if not self.unsettled["temp"]:
            self.paid.append("temp")
            self.unsettled["temp"] = {"t1"}

    def _check_temp(self, _journal: Journal, *, whole: bool) -> None:
        self.need("checks a temp that does not serve", self.serves("temp"))

    def _switch_to_temp(self, _journal: Journal, *, whole: bool) -> None:
        self.need("switches to a temp that does not serve", self.serves("temp"))
        self.flag = "temp"

    def _drain_main(self, _journal: Journal, *, whole: bool) -> None:
        self.need("drains a main that is in service", self.flag == "temp")
        self.need("drains a main that does not run", self.main_running)
        self.drained.add("main")

    def _settle_main(self, journal: Journal, *, whole: bool) -> None:
        self.need("settles on the way back", not journal.rolling_back)
        self.need("settles what clients are sent to", self.flag == "temp")
        self.need("settles while nothing else serves", self.serves("temp"))
        self.need("settles beside a rotation", not self.rotation["v2"])
        self.need("settles what is not drained", not self.main_running or "main" in self.drained)
        self.main_running = True
        self.drained.add("main")
        self.unsettled["v2"] = set() if whole else {"o2"} & self.unsettled["v2"]

    def _retire_main(self, _journal: Journal, *, whole: bool) -> None:
        self.need("removes a gateway with a deposit", not self.unsettled["v2"])
        self.need("cuts streams", not self.main_running or "main" in self.drained)
        self.need("removes the only gateway", self.flag == "temp" and self.serves("temp"))
        self.main, self.main_running = None, False
        if whole:
            self.record = record_of_move(MOVE, self.record)

    def _replace_main(self, journal: Journal, *, whole: bool) -> None:
        self.need("replaces on the way back", not journal.rolling_back)
        self.need("starts beside the storage of the record", self.record["storage"] == MOVE.storage)
        self.need("replaces the only gateway", self.flag == "temp" and self.serves("temp"))
        self.need("replaces what another generation left", self.main in (None, "v4.1"))
        if self.main is None:
            self.main_id += 1
        self.main, self.main_running, self.main_healthy = "v4.1", True, whole
        if whole:
            self.record = record_after(journal, self.record)

    def _seed_main(self, _journal: Journal, *, whole: bool) -> None:
        self.need("seeds a main that does not run", self.main_running)
        self.need("copies the settings of a temp that does not run", self.temp_running)
        if "n1" not in self.unsettled["v4.1"]:
            self.paid.append("v4.1")
            self.unsettled["v4.1"].add("n1")

    def _check_main(self, _journal: Journal, *, whole: bool) -> None:
        self.need("checks a main that does not serve", self.serves("main"))

    def _switch_back(self, _journal: Journal, *, whole: bool) -> None:
        self.need("switches to a main that does not serve", self.serves("main"))
        self.flag = "main"

    def _drain_temp(self, _journal: Journal, *, whole: bool) -> None:
        self.need("drains a temp that is in service", self.flag == "main")
        self.need("drains a temp that does not run", self.temp_running)
        self.drained.add("temp")

    def _settle_temp(self, journal: Journal, *, whole: bool) -> None:
        self.need("settles temp on the way forward", journal.rolling_back)
        self.need("settles on a temp that does not run", self.temp_running)
        self.need("settles what is not drained", "temp" in self.drained)
        self.unsettled["temp"] = set()

    def _stop_temp(self, journal: Journal, *, whole: bool) -> None:
        cut = self.serves("temp") and "temp" not in self.drained
        self.need("cuts the streams of temp", not cut)
        self.need("drops a deposit", not (journal.rolling_back and self.unsettled["temp"]))
        self.temp_exists = self.temp_running = False

    def _import_escrows(self, journal: Journal, *, whole: bool) -> None:
        self.need("imports into another generation", not journal.rolling_back)
        self.need("imports while temp may serve", not self.temp_exists)
        self.unsettled["v4.1"] |= self.unsettled["temp"]

    def _restore_rotation(self, journal: Journal, *, whole: bool) -> None:
        self.need("restores on a main that does not run", self.main_running)
        self.rotation["v2" if works_on_origin(journal, Step.RESTORE_ROTATION) else "v4.1"] = True

    def fail(self, journal: Journal, step: Step | None) -> Journal:
        """What the role does where a step has failed."""
        found = after_failure(journal, step, run="r1", container="m", other_container="t")
        memory = Memory(journal)
        if found.gives_rotation_back and self.main_running and self.main is not None:
            at = Step.RESTORE_ROTATION if journal.main_is_target else Step.PREFLIGHT
            kind = "v2" if works_on_origin(journal, at) else "v4.1"
            self.need(f"gives the rotation back to {kind}", self.main == kind)
            with contextlib.suppress(Killed):
                give_rotation_back(
                    memory.notebook(Step.FREEZE_ROTATION),
                    lambda: Rotating(self, kind),
                    check_mode=False,
                )
        return memory.journal

    def disturb(self, what: str, journal: Journal) -> None:
        if what == "reboot":
            # main has a restart policy, temp has none
            self.main_running = self.main is not None
            self.main_healthy = True
            self.temp_running = False
        elif what == "temp crash":
            self.temp_running = False
        elif what == "docker stop" and Step.DRAIN_MAIN in journal.started:
            # as the drain advises where a gateway hangs
            self.main_running &= self.main != "v2" or journal.rolling_back
        elif what == "flag by hand" and Step.RETIRE_MAIN not in journal.started:
            self.flag = "main" if self.serves("main") else self.flag


class Rotating:
    """The gateway in slot main, as far as its rotation goes."""

    def __init__(self, scene: Scene, kind: str) -> None:
        self.scene, self.kind = scene, kind

    def settings(self) -> dict[str, t.Any]:
        on = self.scene.rotation[self.kind]
        kept = {"settlement_enabled": False, "pre_poc_blocks": 300, "models": []}
        return {"escrow_rotation": {**kept, "enabled": on}}

    def post_settings(self, patch: dict[str, t.Any]) -> None:
        self.scene.rotation[self.kind] = patch["escrow_rotation"]["enabled"]


def note_rotation(notebook: Notebook, was: dict[str, t.Any]) -> None:
    notebook.begin(SwapNotes(rotation=was))


def drive(
    scene: Scene, journal: Journal, stop_after: int = 99, how_much: int = WHOLE
) -> tuple[Journal, Step | None]:
    """Run the steps until done, or until the run is killed in the one after ``stop_after``."""
    memory = Memory(journal)
    before: Step | None = None
    for count, step in enumerate(remaining(journal, scene.seen())):
        notebook = memory.notebook(step, finished=before)
        killed = count == stop_after
        if step is Step.FREEZE_ROTATION:
            kind = "v2" if works_on_origin(memory.journal, step) else "v4.1"
            freeze_rotation(
                Rotating(scene, kind),
                intend=functools.partial(note_rotation, notebook),
                check_mode=killed and how_much == NOTED,
            )
        elif step is not Step.DONE:
            notebook.begin()
        scene.run(step, memory.journal, how_much if killed else WHOLE)
        if killed:
            return memory.journal, step
        scene.traffic()
        if step is Step.DONE:
            notebook.end(SwapNotes())
        before = step
    return memory.journal, before


def assert_ended(scene: Scene, journal: Journal) -> None:
    assert scene.wrong == []
    assert not journal.open
    assert (scene.flag, scene.temp_exists, scene.main_running) == ("main", False, True)
    assert (scene.paid.count("temp") <= 1, scene.paid.count("v4.1") <= 1) == (True, True)
    if journal.rolling_back:
        assert (scene.main, scene.record) == ("v2", RECORD)
        assert scene.unsettled == {"v2": {"o1", "o2"}, "temp": set(), "v4.1": set()}
        assert scene.rotation == {"v2": True, "v4.1": False}
    else:
        assert scene.main == "v4.1"
        assert scene.unsettled["v2"] == set()
        assert scene.unsettled["v4.1"] == {"n1", "t1"}
        assert scene.rotation["v4.1"]
        assert scene.record == {
            "profile": "v4.1",
            "protocol": "v4.1",
            "storage": MOVE.storage,
            "image": "gateway:new",
            "digest": NEW,
        }


DISTURBANCES = ("nothing", "failure", "reboot", "temp crash", "docker stop", "flag by hand")


@settings(max_examples=800, deadline=None)
@given(
    kills=st.lists(
        st.tuples(
            st.integers(0, len(STEPS) - 1),
            st.sampled_from((NOTED, HALF, WHOLE)),
            st.lists(st.sampled_from(DISTURBANCES), min_size=1, max_size=2),
        ),
        max_size=5,
    ),
    rollback_at=st.one_of(st.none(), st.integers(0, 4)),
)
def test_a_move_that_is_killed_anywhere_ends_right(
    kills: list[tuple[int, int, list[str]]], rollback_at: int | None
) -> None:
    scene, journal = Scene(), fresh()
    for number, (stop_after, how_much, disturbances) in enumerate(kills):
        if not journal.open:
            break
        if rollback_at == number and scene.main_running:
            with contextlib.suppress(SwapRefused):
                journal = roll_back(journal)
        journal, step = drive(scene, journal, stop_after, how_much)
        for what in disturbances:
            if what == "failure" and journal.open:
                journal = scene.fail(journal, step)
            scene.disturb(what, journal)
            scene.traffic()
    if journal.rolling_back:
        # the advice names a main that does not run, and its owner starts it
        scene.main_running = True
    journal, _step = drive(scene, journal)
    assert_ended(scene, journal)


def test_a_move_that_nothing_disturbs_runs_every_step_once() -> None:
    scene = Scene()
    journal, _step = drive(scene, fresh())
    assert journal.done == STEPS
    assert Step.SETTLE_TEMP not in STEPS
    assert_ended(scene, journal)


@pytest.mark.parametrize("reached", STEPS, ids=lambda step: step.value)
def test_from_every_prefix_the_remaining_steps_lead_to_the_end(reached: Step) -> None:
    """Whatever runs: each prefix that is done, with the next step begun or not."""
    at = STEPS.index(reached)
    stoppable = Step.DRAIN_MAIN in STEPS[:at] and Step.RETIRE_MAIN not in STEPS[:at]
    for begun, temp_down, main_down in itertools.product(
        (None, NOTED, HALF, WHOLE), (False, True), {False, stoppable}
    ):
        scene, journal = Scene(), fresh()
        if begun is None and at > 0:
            journal, _step = drive(scene, journal, at - 1, WHOLE)
            journal = journal.finish(STEPS[at - 1])
        elif begun is not None:
            journal, _step = drive(scene, journal, at, begun)
        if temp_down:
            scene.disturb("temp crash", journal)
        if main_down:
            scene.disturb("docker stop", journal)
        scene.traffic()
        steps = remaining(journal, scene.seen())
        if Step.RETIRE_MAIN in steps and scene.main_running:
            assert Step.DRAIN_MAIN in steps[: steps.index(Step.RETIRE_MAIN)]
        if Step.RETIRE_MAIN in journal.done:
            assert [step for step in steps if works_on_origin(journal, step)] == []
        journal, _step = drive(scene, journal)
        assert_ended(scene, journal)


SETTLES = STEPS.index(Step.SETTLE_MAIN)


@pytest.mark.parametrize("reached", STEPS[:SETTLES], ids=lambda step: step.value)
@pytest.mark.parametrize("how_much", [NOTED, HALF, WHOLE])
def test_until_the_first_settle_a_rollback_leads_back_and_settles_what_temp_got(
    reached: Step, how_much: int
) -> None:
    scene = Scene()
    journal, _step = drive(scene, fresh(), STEPS.index(reached), how_much)
    turned = roll_back(journal)
    steps = remaining(turned, scene.seen())
    never = {Step.IMPORT_ESCROWS, Step.ACTIVATE, Step.REPLACE_MAIN} | OF_A_MOVE
    assert never.isdisjoint(steps)
    assert (Step.SETTLE_TEMP in steps) is (Step.SEED_TEMP in journal.started)
    assert (turned.target, turned.data.failed_target) == (OLD, NEW)
    assert not turned.main_is_target
    journal, _step = drive(scene, turned)
    assert_ended(scene, journal)
    assert roll_back(turned) == turned


@pytest.mark.parametrize("reached", STEPS[SETTLES:-1], ids=lambda step: step.value)
def test_once_a_settle_may_have_begun_the_move_only_leads_forward(reached: Step) -> None:
    scene = Scene()
    journal, _step = drive(scene, fresh(), STEPS.index(reached), NOTED)
    assert journal.only_forward
    for main_down in (False, True):
        with pytest.raises(SwapRefused, match="only leads forward.*without hot_swap_rollback"):
            roll_back(journal, main_down=main_down)


def test_a_temp_that_is_only_to_be_settled_need_not_serve() -> None:
    """A rollback, after a reboot: nothing may have been paid yet, and then no chat succeeds."""
    scene = Scene()
    journal, _step = drive(scene, fresh(), STEPS.index(Step.SEED_TEMP), NOTED)
    scene.disturb("reboot", journal)
    steps = remaining(roll_back(journal), scene.seen())
    assert Step.START_TEMP in steps
    assert Step.CHECK_TEMP not in steps
    assert steps.index(Step.START_TEMP) < steps.index(Step.SETTLE_TEMP)


@pytest.mark.parametrize(
    ("step", "origin"),
    [
        (Step.PREFLIGHT, True),
        (Step.FREEZE_ROTATION, True),
        (Step.START_TEMP, False),
        (Step.SEED_TEMP, False),
        (Step.CHECK_TEMP, False),
        (Step.DRAIN_MAIN, True),
        (Step.SETTLE_MAIN, True),
        (Step.RETIRE_MAIN, True),
        (Step.REPLACE_MAIN, False),
        (Step.SEED_MAIN, False),
        (Step.CHECK_MAIN, False),
        (Step.DRAIN_TEMP, False),
        (Step.STOP_TEMP, False),
        (Step.IMPORT_ESCROWS, False),
        (Step.ACTIVATE, False),
        (Step.RESTORE_ROTATION, False),
    ],
)
def test_of_which_generation_the_gateway_of_a_step_is(step: Step, origin: bool) -> None:
    assert works_on_origin(fresh(), step) is origin


def test_on_the_way_back_main_is_the_earlier_one_and_temp_the_new_one() -> None:
    turned = roll_back(through(Step.SEED_TEMP))
    on_main = {Step.CHECK_MAIN, Step.RESTORE_ROTATION}
    assert {step for step in BACK if works_on_origin(turned, step)} >= on_main
    on_temp = {Step.START_TEMP, Step.DRAIN_TEMP, Step.SETTLE_TEMP, Step.STOP_TEMP}
    assert {step for step in on_temp if works_on_origin(turned, step)} == set()


def test_a_rotation_that_was_given_back_to_the_new_gateway_is_frozen_there() -> None:
    """It failed after its last check, so the new gateway serves, and rotates meanwhile."""
    again = through(Step.CHECK_MAIN).remember(SwapNotes(rotation={"enabled": True}))
    assert gives_rotation_back(again)
    given = again.undo(Step.FREEZE_ROTATION, ("rotation",))
    scene = Scene(main="v4.1", temp_exists=True, temp_running=True, flag="temp")
    assert Step.FREEZE_ROTATION in remaining(given, scene.seen())
    assert not works_on_origin(given, Step.FREEZE_ROTATION)
    early = through(Step.CHECK_TEMP).undo(Step.FREEZE_ROTATION, ())
    assert works_on_origin(early, Step.FREEZE_ROTATION)


def test_a_gateway_that_is_left_behind_gets_its_rotation_back_only_while_it_serves() -> None:
    noted = fresh().remember(SwapNotes(rotation={"enabled": True}))
    given = {
        step
        for step in STEPS[:-1]
        if gives_rotation_back(
            functools.reduce(Journal.finish, STEPS[: STEPS.index(step)], noted).start(step)
        )
    }
    before, after = Step.SWITCH_TO_TEMP, Step.CHECK_MAIN
    served = {*STEPS[: STEPS.index(before)], *STEPS[STEPS.index(after) + 1 : -1]}
    assert given == served
    turned = roll_back(
        functools.reduce(Journal.finish, STEPS[: STEPS.index(Step.DRAIN_MAIN)], noted)
    )
    assert gives_rotation_back(turned)


@pytest.mark.parametrize("paid", [False, True])
def test_the_account_begins_again_after_the_rotation_was_on_unless_the_move_has_paid(
    *, paid: bool
) -> None:
    """Meanwhile the rotation may create an escrow and pay for it."""
    scene, memory = Scene(), Memory(fresh())
    was = Rotating(scene, "v2").settings()["escrow_rotation"]
    before = SwapNotes(rotation=was, balance=900, origin_escrow_ids=(3, 4))
    memory.notebook(Step.FREEZE_ROTATION).begin(before)
    memory.notebook(Step.START_TEMP, finished=Step.FREEZE_ROTATION).begin()
    if paid:
        memory.notebook(Step.SEED_TEMP, finished=Step.START_TEMP).begin()
    journal = scene.fail(memory.journal, None)
    assert Step.FREEZE_ROTATION not in journal.started
    again = Memory(journal)
    again.notebook(Step.FREEZE_ROTATION).begin(SwapNotes(balance=800, origin_escrow_ids=(3, 4, 5)))
    found = (again.journal.data.balance, again.journal.data.origin_escrow_ids)
    assert found == ((900, (3, 4)) if paid else (800, (3, 4, 5)))


def test_the_new_gateway_need_not_serve_what_the_earlier_one_did() -> None:
    """Its sessions were settled. A rollback finds them as they were."""
    marks = {"1": ServedSession(nonce=4, balance=5)}
    journal = through(Step.SEED_MAIN).remember(SwapNotes(main_sessions=marks))
    assert expected_sessions(journal, Step.CHECK_MAIN) == {}
    assert noted_sessions(journal, Step.CHECK_MAIN) == []
    turned = roll_back(through(Step.DRAIN_MAIN).remember(SwapNotes(main_sessions=marks)))
    assert expected_sessions(turned, Step.CHECK_MAIN) == marks


# what the record says


def test_the_record_of_a_move_has_the_generation_and_the_storage_and_no_way_back() -> None:
    kept = {**RECORD, "ledger": "/l", "project": "own", "service": "gw", "adopted": True}
    more = {"volume": "named", "probes": {"x": 1}, "previous_digest": "p", "previous_image": "q"}
    moved = record_of_move(MOVE, {**kept, **more})
    assert moved == {
        **kept,
        "profile": "v4.1",
        "protocol": "v4.1",
        "storage": MOVE.storage,
        "previous_digest": "p",
        "previous_image": "q",
    }
    # what runs then is written with it, and no image of another generation is a way back
    assert record_after(through(Step.RETIRE_MAIN), moved) == {
        **kept,
        "profile": "v4.1",
        "protocol": "v4.1",
        "storage": MOVE.storage,
        "image": "gateway:new",
        "digest": NEW,
    }
    implied = Move(
        origin=Kind(profile="v4", protocol="v4"),
        target=Kind(profile="v5", protocol=None),
        origin_storage="/d/a",
        storage="/d/b",
        ours=True,
    )
    assert "protocol" not in record_of_move(implied, {**RECORD, "protocol": "v4"})


# what is refused


def asked(journal: Journal | None, mode: str, **given: t.Any) -> tuple[Step, ...]:
    plain = {"target": NEW, "previous": None, "rollback": False, "temp_escrows": "import"}
    wish: dict[str, t.Any] = {**plain, "mode": mode, **given}
    return plan(journal, Scene().seen(), **wish).steps


def test_a_move_is_finished_by_its_own_playbook_and_a_swap_by_its_own() -> None:
    move = through(Step.SEED_TEMP)
    for rollback in (False, True):
        with pytest.raises(SwapRefused, match=r"move s1 .* gonka.devshard.generation_upgrade"):
            asked(move, "temp", rollback=rollback)
    swap = Journal(
        id="s2",
        mode="temp",
        temp_escrows="import",
        target=NEW,
        origin=OLD,
        asked="gateway:new",
        origin_asked="gateway:old",
        started=(Step.FREEZE_ROTATION,),
    )
    with pytest.raises(SwapRefused, match=r"swap s2 .*with the playbook gonka.devshard.hot_swap"):
        asked(swap, "generation")
    assert asked(move, "generation") != ()
    assert asked(None, "generation") == STEPS


# after a failure

NAMES = {"run": "r1", "container": "gw-main", "other_container": "gw-temp"}


def broken_at(step: Step) -> Journal:
    journal = fresh()
    for before in STEPS[: STEPS.index(step)]:
        journal = journal.finish(before)
    return journal.start(step)


@pytest.mark.parametrize("step", STEPS[1:], ids=lambda step: step.value)
def test_the_advice_offers_a_rollback_only_while_there_is_one(step: Step) -> None:
    journal = broken_at(step)
    for down in ((), ("gw-main",), ("gw-temp",), ("gw-main", "gw-temp")):
        advice = after_failure(journal, step, **NAMES, down=down).advice
        if journal.only_forward:
            assert "hot_swap_rollback" not in advice
            assert "earlier image" not in advice
        assert "un this again" in advice or "a new run continues" in advice
        assert "{" not in advice
        assert "imports what was paid" not in advice


@pytest.mark.parametrize("step", STEPS[SETTLES:], ids=lambda step: step.value)
def test_another_run_is_told_of_no_rollback_either(step: Step) -> None:
    journal = broken_at(step)
    other = {**NAMES, "run": "r2"}
    assert "hot_swap_rollback" not in after_failure(journal, step, **other).advice
    assert "hot_swap_rollback" not in after_failure(journal, None, **NAMES).advice


@pytest.mark.parametrize("step", [Step.SETTLE_MAIN, Step.RETIRE_MAIN, Step.SEED_MAIN])
def test_the_advice_of_a_move_names_what_serves(step: Step) -> None:
    advice = after_failure(broken_at(step), step, **NAMES).advice
    assert advice.startswith("The new gateway serves in the temporary slot")
    down = after_failure(broken_at(step), step, **NAMES, down=["gw-temp"]).advice
    assert "gw-temp should serve at this step and does not run" in down


def test_on_the_way_back_the_advice_is_not_that_of_a_move_forward() -> None:
    turned = roll_back(broken_at(Step.DRAIN_MAIN))
    advice = after_failure(turned, Step.CHECK_MAIN, **NAMES).advice
    assert "new gateway serves in the temporary slot" not in advice
    advice = after_failure(turned, Step.SETTLE_TEMP, **NAMES).advice
    assert "keeps its escrows until they are settled" in advice


# the journal


def test_the_journal_of_a_move_is_read_as_it_was_written() -> None:
    notes = SwapNotes(
        balance=10**18,
        origin_escrow_ids=(1, 2),
        main_escrow_ids=(9,),
        archive="/a/20260101T000000Z",
    )
    journal = through(Step.SETTLE_MAIN).remember(notes)
    raw = journal.to_dict()
    assert raw["schema"] == 3
    assert raw["data"]["move"]["target"] == {"profile": "v4.1", "protocol": "v4.1"}
    assert Journal.from_dict(raw) == journal
    assert Journal.from_dict(raw).moves


def test_a_journal_from_before_moves_is_a_swap_of_one_generation() -> None:
    raw = {**fresh().to_dict(), "schema": 2, "mode": "temp", "data": {"run": "r1"}}
    journal = Journal.from_dict(raw)
    assert (journal.moves, journal.has_temp, journal.data.move) == (False, True, None)
    assert OF_A_MOVE.isdisjoint(sequence(journal.mode, journal.temp_escrows))
    assert not any(works_on_origin(journal, step) for step in (Step.CHECK_MAIN, Step.SEED_MAIN))


@pytest.mark.parametrize(
    "move",
    [
        "v4.1",
        {},
        {"origin": {"profile": "v2"}, "target": {"profile": "v4.1", "protocol": None}},
        {"origin": {"profile": "v2", "protocol": None}, "target": None},
    ],
)
def test_a_move_that_no_step_writes_is_refused(move: object) -> None:
    raw = fresh().to_dict()
    with pytest.raises(ValueError, match="its note move is not"):
        Journal.from_dict({**raw, "data": {**raw["data"], "move": move}})
