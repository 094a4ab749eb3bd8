# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The journal on a real disk, and plans from what containers show."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
import typing as t
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from docker.errors import DockerException, NotFound

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    ConfigurationError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker as _docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.handover import hand_over
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import (
    RecreateWish,
    begin,
    make_plan,
    observe,
    pinned,
    record_repaired,
    refuse_overtaken,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import (
    JournalFile,
    Notebook,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    Kind,
    SwapNotes,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step, sequence
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._swap.kept_journal import (
    MOVE,
)

OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def container(
    image: str = OLD, *, state: str = "running", digests: tuple[str, ...] = ()
) -> Container:
    return from_inspect(
        {
            "Name": "/devshardctl-multi",
            "Image": "sha256:1",
            "Config": {"Image": image},
            "State": {"Status": state},
            "HostConfig": {},
        },
        digests,
    )


def wish(**given: t.Any) -> RecreateWish:
    plain = RecreateWish(
        run="r1",
        asked="r:5000/gateway:new",
        resolve=lambda tag: tag if "@" in tag else NEW,
        previous=None,
        previous_asked=None,
        recorded=OLD,
        recorded_asked="r:5000/gateway:old",
        rollback=False,
        mode="temp",
        temp_escrows="import",
        kind=Kind(profile="v2", protocol=None),
        temp_container="devshardctl-temp",
    )
    return dataclasses.replace(plain, **given)


def no_registry(tag: str) -> str:
    raise TransportError(f"the registry does not describe {tag}")


def start(tmp_path: Path, *steps: Step, **given: t.Any) -> tuple[JournalFile, Journal]:
    """A swap that was begun and went through ``steps``."""
    file = JournalFile(tmp_path / "state" / "swap.json")
    found, _unused, seen = make_plan(None, container(), None, "main", wish(**given))
    journal = begin(found, seen, wish(**given), NOW)
    for step in steps:
        journal = journal.finish(step)
    file.write(journal)
    return file, journal


def test_a_swap_goes_on_only_with_the_container_of_its_temporary_gateway(tmp_path: Path) -> None:
    _file, journal = start(tmp_path, Step.PREFLIGHT, Step.START_TEMP)
    again = wish(temp_container="gateway-b")
    with pytest.raises(UnsafeError, match="Set hot_swap_temp_container: devshardctl-temp"):
        make_plan(journal, container(), None, "main", again)
    make_plan(journal, container(), None, "main", wish())
    # what an earlier version has begun has no such note
    older = dataclasses.replace(
        journal, data=dataclasses.replace(journal.data, temp_container=None)
    )
    make_plan(older, container(), None, "main", again)


# the journal


def test_the_journal_survives_and_is_private(tmp_path: Path) -> None:
    file, journal = start(tmp_path, Step.PREFLIGHT)
    assert file.read() == journal
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in file.path.parent.iterdir()] == ["swap.json"]


def test_no_journal_is_no_swap(tmp_path: Path) -> None:
    assert JournalFile(tmp_path / "swap.json").read() is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 9}', '{"schema": 1}'])
def test_a_journal_that_cannot_be_read_is_unknown(tmp_path: Path, text: str) -> None:
    file = JournalFile(tmp_path / "swap.json")
    file.path.write_text(text)
    with pytest.raises(UnknownStateError, match="Look at both containers"):
        file.read()


def test_a_step_of_another_version_is_unknown(tmp_path: Path) -> None:
    file, journal = start(tmp_path)
    file.path.write_text(json.dumps({**journal.to_dict(), "done": ["dance"]}))
    with pytest.raises(UnknownStateError, match="dance"):
        file.read()


def test_a_full_disk_stops_the_swap_by_name(tmp_path: Path) -> None:
    (tmp_path / "swap.json").mkdir()
    journal = start(tmp_path)[1]
    with pytest.raises(ConfigurationError, match="what serves now goes on serving"):
        JournalFile(tmp_path / "swap.json").write(journal)


def notebook(file: JournalFile, step: Step, **given: t.Any) -> Notebook:
    plain: dict[str, t.Any] = {"run": "r1", "finished": None, "check_mode": False}
    return Notebook(file=file, step=step, now=lambda: NOW, **{**plain, **given})


def test_one_write_finishes_a_step_and_begins_the_next(tmp_path: Path) -> None:
    file, _unused = start(tmp_path)
    book = notebook(file, Step.FREEZE_ROTATION, finished=Step.PREFLIGHT)
    journal = book.begin(SwapNotes(rotation={"enabled": True}))
    assert file.read() == journal
    assert (journal.done, journal.started[-1]) == ((Step.PREFLIGHT,), Step.FREEZE_ROTATION)
    assert journal.data.rotation == {"enabled": True}


def test_what_was_noted_before_a_step_acted_is_kept_and_its_result_is_not(tmp_path: Path) -> None:
    file, _unused = start(tmp_path)
    book = notebook(file, Step.FREEZE_ROTATION)
    for value in (True, False):
        book.begin(SwapNotes(rotation={"enabled": value}))
        book.result(SwapNotes(workers=(f"1:{value:d}",)))
    read = file.read()
    assert read is not None
    assert (read.data.rotation, read.data.workers) == ({"enabled": True}, ("1:0",))


def test_a_step_that_was_taken_back_is_forgotten(tmp_path: Path) -> None:
    file, _unused = start(tmp_path, Step.PREFLIGHT)
    book = notebook(file, Step.FREEZE_ROTATION)
    book.begin(SwapNotes(rotation={"enabled": True}))
    assert book.undo().data.rotation == {"enabled": True}
    journal = book.undo(forget=("rotation",))
    assert journal.started == journal.done == (Step.PREFLIGHT,)
    assert journal.data.rotation is None
    assert file.read() == journal


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    file, journal = start(tmp_path)
    book = notebook(file, Step.DONE, check_mode=True)
    assert Step.DONE in book.end(SwapNotes()).done
    book.begin(SwapNotes(workers=()))
    book.result(SwapNotes(workers=()))
    assert file.read() == journal


def test_the_last_step_closes_the_journal(tmp_path: Path) -> None:
    file, journal = start(tmp_path)
    notebook(file, Step.DONE).end(SwapNotes())
    assert file.read() is None
    assert [item.name for item in file.path.parent.iterdir()] == [f"swap-{journal.id}.json"]


def test_a_run_whose_swap_was_taken_over_stops(tmp_path: Path) -> None:
    file, journal = start(tmp_path, Step.PREFLIGHT, Step.FREEZE_ROTATION)
    found, taken, _seen = make_plan(
        journal, container(), None, "main", wish(run="r2", rollback=True)
    )
    assert taken is not None
    file.write(taken)
    with pytest.raises(BusyError, match="another run has taken over"):
        notebook(file, Step.START_TEMP).begin()
    assert file.read() == taken
    assert found.steps


def test_without_a_swap_no_step_is_noted(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no swap is open"):
        notebook(JournalFile(tmp_path / "swap.json"), Step.DONE).end(SwapNotes())


# what containers show


@pytest.mark.parametrize(
    ("image", "digests", "found"),
    [
        (OLD, (), OLD),
        ("r:5000/gateway:old", (), None),
        ("r:5000/gateway:old", ("mirror/other@sha256:2", OLD), OLD),
        ("r:5000/gateway:old", ("mirror/other@sha256:2",), "mirror/other@sha256:2"),
    ],
)
def test_pinned(image: str, digests: tuple[str, ...], found: str | None) -> None:
    assert pinned(container(image, digests=digests)) == found


def test_the_same_digest_from_a_mirror_is_the_target() -> None:
    mirrored = f"mirror/gateway@sha256:{'1' * 64}"
    assert observe(container(mirrored), None, "main", target=NEW).main_image == NEW
    assert observe(container(OLD), None, "main", target=NEW).main_image == OLD


def test_a_stopped_temp_exists_and_does_not_run() -> None:
    seen = observe(None, container(state="exited"), "temp", target=None)
    assert (seen.main_image, seen.main_running) == (None, False)
    assert (seen.temp_exists, seen.temp_running, seen.flag) == (True, False, "temp")


# plans


def test_a_new_swap() -> None:
    found, journal, seen = make_plan(None, container(), None, "main", wish())
    assert journal is None
    assert found.steps == sequence("temp", "import")
    begun = begin(found, seen, wish(), NOW)
    assert (begun.id, begun.target, begun.origin) == ("20260102T030405Z", NEW, OLD)
    assert (begun.asked, begun.origin_asked) == ("r:5000/gateway:new", "r:5000/gateway:old")


def test_the_current_image_needs_no_steps() -> None:
    assert make_plan(None, container(NEW), None, "main", wish())[0].steps == ()


def test_a_registry_that_is_down_fails_before_anything() -> None:
    with pytest.raises(TransportError, match="registry"):
        make_plan(None, container(), None, "main", wish(resolve=no_registry))


def test_an_open_swap_goes_on_without_the_registry(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path, *sequence("temp", "import")[:6])
    again = wish(run="r2", resolve=no_registry)
    found, taken, _seen = make_plan(journal, container(), container(NEW), "temp", again)
    assert found.target == NEW
    assert found.steps[0] is Step.DRAIN_MAIN
    assert taken is not None
    assert taken.data.run == "r2"


def test_another_image_while_a_swap_is_open_is_refused(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path, *sequence("temp", "import")[:3])
    third = wish(asked="r:5000/gateway:third", resolve=lambda _tag: f"{OLD[:-1]}7")
    with pytest.raises(UnsafeError, match="is not finished"):
        make_plan(journal, container(), container(NEW), "main", third)


def test_a_swap_that_only_checked_binds_nobody(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path)
    journal = journal.start(Step.PREFLIGHT)
    third = f"{OLD[:-1]}7"
    again = wish(asked="r:5000/gateway:third", resolve=lambda _tag: third)
    found, taken, _seen = make_plan(journal, container(), None, "main", again)
    assert (found.target, taken) == (third, None)
    # nothing was begun, so nothing is turned around: a rollback leads to the recorded image
    back = wish(rollback=True, previous=third, previous_asked="r:5000/gateway:third")
    found, taken, _seen = make_plan(journal, container(), None, "main", back)
    assert (found.target, taken) == (third, None)
    with pytest.raises(UnsafeError, match="nothing to roll back to"):
        make_plan(journal, container(), None, "main", wish(rollback=True))


def test_a_swap_that_another_run_began_meanwhile_is_left_alone(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path)
    refuse_overtaken(None)
    refuse_overtaken(journal.finish(Step.PREFLIGHT))
    with pytest.raises(BusyError, match="another run began the swap"):
        refuse_overtaken(journal.start(Step.FREEZE_ROTATION))


def test_an_open_swap_is_named_by_the_tags_that_its_operator_knows(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path, *sequence("temp", "import")[:3])
    third = wish(asked="r:5000/gateway:third", resolve=lambda _tag: f"{OLD[:-1]}7")
    with pytest.raises(UnsafeError, match="is not finished") as caught:
        make_plan(journal, container(), container(NEW), "main", third)
    assert "a swap to r:5000/gateway:new (sha256:111111111111)" in str(caught.value)
    assert "r:5000/gateway:third (sha256:000000000000) is wanted" in str(caught.value)
    assert "hot_swap_image=r:5000/gateway:new to finish it" in str(caught.value)
    assert "go back to r:5000/gateway:old (sha256:0" in str(caught.value)


def test_an_image_that_the_registry_does_not_have_is_refused_before_anything() -> None:
    """Also one by digest, and the one that a rollback leads to."""

    def absent(image: str) -> str:
        raise ConfigurationError(f"the registry has no image {image}")

    for given in ({"asked": NEW}, {"rollback": True, "previous": NEW}):
        with pytest.raises(ConfigurationError, match="has no image"):
            make_plan(None, container(), None, "main", wish(resolve=absent, **given))


def test_a_record_that_was_written_too_early_does_not_name_what_runs() -> None:
    """The run was refused after it had recorded the wanted image: what runs is the truth."""
    early = wish(recorded=NEW, recorded_asked="r:5000/gateway:new")
    found, _unused, seen = make_plan(None, container(), None, "main", early)
    begun = begin(found, seen, early, NOW)
    assert (begun.origin, begun.origin_asked) == (OLD, OLD)
    record = {"image": "r:5000/gateway:new", "digest": NEW, "storage": "/s"}
    stays = dataclasses.replace(early, asked="r:5000/gateway:old", resolve=lambda _tag: OLD)
    found, _unused, seen = make_plan(None, container(), None, "main", stays)
    assert found.steps == ()
    repaired = record_repaired(stays, seen, record)
    assert repaired == {"image": "r:5000/gateway:old", "digest": OLD, "storage": "/s"}
    truthful = dataclasses.replace(stays, recorded=OLD)
    assert record_repaired(truthful, seen, record) == record


@pytest.mark.parametrize(
    "asked",
    ["ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.13-v3-latest", f"r/g:v0.2.15-v4@{NEW[15:]}"],
)
def test_another_generation_is_refused_with_the_way_named(asked: str) -> None:
    with pytest.raises(UnsafeError, match="generation_upgrade"):
        make_plan(None, container(), None, "main", wish(asked=asked, resolve=no_registry))


KIND_OF_MOVE: dict[str, t.Any] = {"kind": MOVE.target, "move": MOVE}


def moving(**given: t.Any) -> RecreateWish:
    kind = {"mode": "generation", "kind": MOVE.target, "move": MOVE}
    return wish(**{**kind, **given})


def test_a_move_begins_with_its_steps_and_notes_where_it_leads() -> None:
    found, journal, seen = make_plan(None, container(), None, "main", moving())
    assert (journal, found.steps) == (None, sequence("generation", "import"))
    begun = begin(found, seen, moving(), NOW)
    assert (begun.moves, begun.data.move, begun.target) == (True, MOVE, NEW)


def test_a_gateway_of_the_wanted_generation_has_nothing_to_move() -> None:
    """Another run, when it is done: nothing is asked of the engine or of a registry."""
    there = moving(move=None, resolve=no_registry, asked="r:5000/gateway:other")
    found, journal, _seen = make_plan(None, None, None, "temp", there)
    assert (found.steps, journal) == ((), None)
    assert found.reason == "the gateway is of generation v4.1 already"
    with pytest.raises(UnsafeError, match="no way back to an earlier generation"):
        make_plan(None, None, None, "main", moving(move=None, rollback=True))
    # nor is a move begun that leads back
    with pytest.raises(UnsafeError, match="no move is open, so there is none to go back from"):
        make_plan(None, container(), None, "main", moving(rollback=True, previous=NEW))


def test_a_move_without_another_image_is_refused_and_not_called_done() -> None:
    """The inventory names the new generation, and still the image of the earlier one."""
    with pytest.raises(UnsafeError, match="gateway_image"):
        make_plan(None, container(), None, "main", moving(asked=OLD))


def test_another_protocol_may_be_of_the_same_image() -> None:
    other = dataclasses.replace(
        MOVE,
        origin=Kind(profile="v4.1", protocol="v4.1"),
        target=Kind(profile="v4.1", protocol="v5"),
    )
    found, _journal, _seen = make_plan(
        None, container(), None, "main", moving(asked=OLD, move=other)
    )
    assert found.steps == sequence("generation", "import")


def test_an_open_move_goes_on_whatever_the_record_says_meanwhile(tmp_path: Path) -> None:
    """Its record says the new generation once the earlier gateway is removed."""
    kind = {"mode": "generation", "kind": MOVE.target}
    retired = sequence("generation", "import")
    done = retired[: retired.index(Step.RETIRE_MAIN) + 1]
    journal = start(tmp_path, *done, move=MOVE, **kind)[1]
    found, held, _seen = make_plan(journal, None, None, "temp", wish(move=None, **kind))
    assert found.steps[:2] == (Step.START_TEMP, Step.CHECK_TEMP)
    assert Step.REPLACE_MAIN in found.steps
    assert held is not None
    assert held.data.move == MOVE
    with pytest.raises(UnsafeError, match="only leads forward"):
        make_plan(journal, None, None, "temp", wish(move=None, rollback=True, **kind))


def test_an_open_move_is_named_to_a_swap_with_the_ways_that_are_left(tmp_path: Path) -> None:
    _unused, journal = start(tmp_path, *sequence("generation", "import")[:3])
    moves = dataclasses.replace(journal, mode="generation")
    for open_move, back in ((moves, True), (moves.start(Step.SETTLE_MAIN), False)):
        with pytest.raises(
            UnsafeError, match="playbook gonka.devshard.generation_upgrade"
        ) as caught:
            make_plan(open_move, container(), container(NEW), "temp", wish())
        assert ("hot_swap_rollback=true" in str(caught.value)) is back
    with pytest.raises(UnsafeError, match=r"finish it with the playbook gonka.devshard.hot_swap"):
        make_plan(journal, container(), container(NEW), "temp", moving())


def test_an_image_without_a_digest_could_not_be_rolled_back_to() -> None:
    by_id = container("gateway:local", digests=("gateway:local",))
    with pytest.raises(UnsafeError, match="no digest"):
        make_plan(None, by_id, None, "main", wish())


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"asked": None}, ConfigurationError, "no image is wanted"),
        ({"asked": "https://r/g:1"}, ConfigurationError, "hot_swap_image.* begins with a scheme"),
        ({"asked": "r/g 1"}, ConfigurationError, "holds a blank"),
        ({"asked": "r:5000/g"}, ConfigurationError, "neither a tag nor a digest"),
        ({"asked": "r/G:1"}, ConfigurationError, "the name 'r/G'"),
        ({"asked": "r/g@sha256:12"}, ConfigurationError, "64 hexadecimal digits"),
        ({"asked": "r/g:a/b:c,d"}, ConfigurationError, "the tag 'c,d'"),
        ({"rollback": True}, UnsafeError, "nothing to roll back to"),
    ],
)
def test_a_wish_without_an_image(
    given: dict[str, t.Any], kind: type[DevshardError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        make_plan(None, container(), None, "main", wish(**given))


def test_a_rollback_of_a_finished_swap_cannot_be_turned_again(tmp_path: Path) -> None:
    back = wish(rollback=True, previous=OLD, previous_asked="r:5000/gateway:old")
    found, _unused, seen = make_plan(None, container(NEW), None, "main", back)
    journal = begin(found, seen, back, NOW)
    assert (journal.target, journal.asked, journal.origin) == (OLD, "r:5000/gateway:old", NEW)
    # killed in between and run again, with either command
    journal = journal.finish(Step.PREFLIGHT).finish(Step.FREEZE_ROTATION)
    for again in (back, wish(asked="r:5000/gateway:new")):
        plan, _taken, _seen = make_plan(journal, container(NEW), None, "main", again)
        assert plan.target == OLD
        assert not plan.then_again


# the handover


def temp_storage(root: Path, nonces: dict[int, int]) -> Path:
    storage = root / "temp-1"
    storage.mkdir()
    with sqlite3.connect(storage / "gateway.db") as db:
        db.execute("CREATE TABLE gateway_devshards (id TEXT, storage_path TEXT)")
        for number in nonces:
            db.execute("INSERT INTO gateway_devshards VALUES (?, '')", (str(number),))
    db.close()
    for number, nonce in nonces.items():
        folder = storage / f"escrow-{number}"
        folder.mkdir()
        (folder / "_meta.db").touch()
        with sqlite3.connect(folder / "epoch_5.db") as db:
            db.execute("CREATE TABLE sessions (escrow_id TEXT, latest_nonce INTEGER)")
            db.execute("CREATE TABLE diffs (escrow_id TEXT, nonce INTEGER)")
            db.execute("INSERT INTO sessions VALUES (?, ?)", (str(number), nonce))
        db.close()
    return storage


def test_a_handover_leaves_no_record_and_tells_the_sessions(tmp_path: Path) -> None:
    storage = temp_storage(tmp_path, {7: 23, 8: 0})
    for changed in (True, False):
        assert hand_over(storage, "/root/s/temp-1", check_mode=True)[0] is changed
        found, left = hand_over(storage, "/root/s/temp-1", check_mode=False)
        assert found is changed
        assert [item.to_result() for item in left] == [
            {"id": 7, "nonce": 23, "storage_path": "/root/s/temp-1/escrow-7"},
            {"id": 8, "nonce": 0, "storage_path": "/root/s/temp-1/escrow-8"},
        ]
    assert not (storage / "gateway.db").exists()
    assert (storage / "archive" / "gateway.db").exists()


def test_a_storage_that_somebody_has_open_is_not_handed_over(tmp_path: Path) -> None:
    storage = temp_storage(tmp_path, {7: 1})
    with (storage / "gateway.db").open("rb") as handle:
        holder = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=(handle.fileno(),),
        )
    try:
        with pytest.raises(UnsafeError, match="stop the gateway first"):
            hand_over(storage, "/s", check_mode=False)
    finally:
        holder.communicate()
    assert (storage / "gateway.db").exists()


def test_a_record_that_came_back_after_the_handover_is_refused(tmp_path: Path) -> None:
    storage = temp_storage(tmp_path, {7: 1})
    hand_over(storage, "/s", check_mode=False)
    (storage / "gateway.db").touch()
    with pytest.raises(UnsafeError, match="was started on this storage"):
        hand_over(storage, "/s", check_mode=False)


def test_a_missing_session_is_not_passed_over(tmp_path: Path) -> None:
    storage = temp_storage(tmp_path, {7: 1})
    for file in (storage / "escrow-7").iterdir():
        file.unlink()
    (storage / "escrow-7").rmdir()
    with pytest.raises(UnsafeError, match="holds no session"):
        hand_over(storage, "/s", check_mode=False)


def test_a_gateway_that_never_came_up_leaves_nothing(tmp_path: Path) -> None:
    assert hand_over(tmp_path, "/s", check_mode=False) == (False, [])


def test_sessions_without_a_record_are_not_guessed_at(tmp_path: Path) -> None:
    storage = temp_storage(tmp_path, {7: 1})
    (storage / "gateway.db").unlink()
    with pytest.raises(UnsafeError, match="not known which"):
        hand_over(storage, "/s", check_mode=False)


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("gateway", ("gateway", "latest")),
        ("r:5000/gateway", ("r:5000/gateway", "latest")),
        ("r:5000/gateway:1.0", ("r:5000/gateway", "1.0")),
    ],
)
def test_a_port_is_no_tag(image: str, parts: tuple[str, str]) -> None:
    assert _docker.split_tag(image) == parts


@pytest.mark.parametrize(
    "problem", [DockerException("gone"), requests.exceptions.ReadTimeout("slow")]
)
def test_a_registry_that_is_down_or_silent_is_told(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_image: str) -> t.NoReturn:
        raise problem

    client = SimpleNamespace(api=SimpleNamespace(inspect_distribution=asked), close=lambda: None)
    monkeypatch.setattr("docker.from_env", lambda **_given: client)
    with pytest.raises(TransportError, match="the registry does not describe r:5000/g:1"):
        _docker.resolve("r:5000/g:1")


@pytest.mark.parametrize("rollback", [False, True])
def test_a_finished_swap_that_was_not_put_away_binds_nobody(tmp_path: Path, rollback: bool) -> None:
    """The run was killed between its last note and the end."""
    _file, journal = start(tmp_path, *sequence("temp", "import"))
    assert not journal.open
    other = wish(asked="r:5000/gateway:next", rollback=rollback, previous=OLD)
    found, kept, _seen = make_plan(journal, container(NEW), None, "main", other)
    assert kept is None
    assert found.steps == (sequence("temp", "import") if rollback else ())


def test_a_rollback_sees_that_main_does_not_run_any_more(tmp_path: Path) -> None:
    steps = sequence("temp", "import")
    _file, journal = start(tmp_path, *steps[: steps.index(Step.IMPORT_ESCROWS)])
    back = wish(rollback=True)
    up = make_plan(journal, container(NEW), None, "main", back)[0]
    assert (up.then_again, Step.REPLACE_MAIN in up.steps) == (True, False)
    down = make_plan(journal, container(NEW, state="restarting"), None, "main", back)[0]
    assert (down.then_again, down.target, down.steps[0]) == (False, OLD, Step.REPLACE_MAIN)


class Engine:
    """The engine's API, with one image on the host and one in the registry."""

    def __init__(self, *, here: str = "", said: str = "") -> None:
        self.here, self.said = here, said
        self.asked: list[str] = []

    def inspect_image(self, image: str) -> dict[str, t.Any]:
        if image != self.here:
            raise NotFound("no such image")
        return {"RepoDigests": [image]}

    def inspect_distribution(self, image: str) -> dict[str, t.Any]:
        self.asked.append(image)
        if self.said:
            raise NotFound("404", explanation=self.said)
        return {"Descriptor": {"digest": f"sha256:{'1' * 64}"}}


def engine(monkeypatch: pytest.MonkeyPatch, **given: str) -> Engine:
    made = Engine(**given)
    client = SimpleNamespace(api=made, close=lambda: None)
    monkeypatch.setattr("docker.from_env", lambda **_given: client)
    return made


def test_a_digest_is_asked_of_the_registry_unless_the_host_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = engine(monkeypatch, here=OLD)
    assert _docker.resolve(OLD) == OLD
    assert made.asked == []
    assert _docker.resolve(NEW) == NEW
    assert _docker.resolve("r:5000/gateway:1") == NEW
    assert made.asked == [NEW, "r:5000/gateway:1"]


@pytest.mark.parametrize("image", [NEW, "r:5000/gateway:9.9"])
def test_an_image_that_does_not_exist_is_said_to(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, said="manifest unknown: manifest unknown")
    with pytest.raises(ConfigurationError, match=f"the registry has no image {image};"):
        _docker.resolve(image)


def raised(error: Exception, cause: BaseException | None = None) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            NotFound("x", explanation='Get "https://r.example.org/v2/": dial tcp:\n no such host'),
            "dial tcp: no such host",
        ),
        (
            DockerException("500 Server Error for http+docker://localhost/v1.44/info: it is full"),
            "it is full",
        ),
        (
            raised(
                DockerException("('Connection aborted.', X(13))"), PermissionError(13, "denied")
            ),
            "denied",
        ),
        (DockerException("plain"), "plain"),
    ],
)
def test_a_failure_of_the_engine_is_one_line_without_its_addresses(
    error: Exception, reason: str
) -> None:
    assert _docker.reason_of(error) == reason


@pytest.mark.parametrize(
    "other", [MOVE.origin, Kind(profile="v4.1", protocol="v5")], ids=["origin", "protocol"]
)
@pytest.mark.parametrize("last", [Step.PREFLIGHT, Step.SETTLE_MAIN, Step.REPLACE_MAIN])
def test_an_open_move_goes_on_only_with_the_generation_that_it_leads_to(
    tmp_path: Path, other: Kind, last: Step
) -> None:
    """The environment of each container comes from the inventory, the image from the journal."""
    steps = sequence("generation", "import")
    done = steps[: steps.index(last) + 1]
    journal = start(tmp_path, *done, Step.FREEZE_ROTATION, mode="generation", **KIND_OF_MOVE)[1]
    for asked in (None, journal.asked):
        with pytest.raises(UnsafeError, match="devshard_profile: v4.1 and devshard_protocol: v4.1"):
            make_plan(
                journal,
                container(),
                None,
                "main",
                wish(mode="generation", kind=other, move=None, asked=asked),
            )


def test_the_way_back_of_a_move_needs_no_generation_that_is_given_up(tmp_path: Path) -> None:
    done = sequence("generation", "import")[:4]
    journal = start(tmp_path, *done, mode="generation", **KIND_OF_MOVE)[1]
    for kind in (MOVE.origin, MOVE.target):
        back = wish(mode="generation", kind=kind, move=None, rollback=True)
        _found, turned, _seen = make_plan(journal, container(), container(), "main", back)
        assert turned is not None
        assert turned.rolling_back
        assert make_plan(
            turned,
            container(),
            container(),
            "main",
            dataclasses.replace(back, rollback=False, asked=None),
        )[0].steps
