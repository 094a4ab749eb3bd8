# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Each playbook on a host in each state: it runs, or one sentence says what is here and what to do."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._presence.model import PLAYS, Presence
from ansible_collections.gonka.devshard.plugins.module_utils._presence.rules import notes, refuse
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import Kind
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost

MAIN = "devshardctl-multi"
POOL = "hot_swap_mode=pool hot_swap_slot=temp"
STEPS = (Step.PREFLIGHT, Step.FREEZE_ROTATION, Step.START_TEMP)
TO_RETIRE = (*STEPS, Step.SEED_TEMP, Step.DRAIN_MAIN, Step.SETTLE_MAIN, Step.RETIRE_MAIN)


def deployed(host: FakeHost, *, running: bool = True, **changes: t.Any) -> None:
    host.deployed(**changes)
    host.container(MAIN, host.storage, running=running)


def bare(host: FakeHost) -> None:
    host.docker = False


def running(host: FakeHost) -> None:
    deployed(host)


def stopped(host: FakeHost) -> None:
    deployed(host, running=False)


def removed(host: FakeHost) -> None:
    host.deployed()


def stopped_and_port_taken(host: FakeHost) -> None:
    deployed(host, running=False)
    host.container("plain-gateway", host.folder / "plain", number=2, port=18080)


def temp_port_taken(host: FakeHost) -> None:
    deployed(host)
    host.container("plain-gateway", host.folder / "plain", number=2, port=18081)


def temp_port_of_a_pool(host: FakeHost) -> None:
    deployed(host)
    second = host.folder / "second"
    host.write(second / ".gonka-devshard.json", {"profile": "v2"})
    host.container("second", second / ".devshardctl", number=2, port=18081)


def another_url(host: FakeHost) -> None:
    host.deployed()
    host.container(MAIN, host.storage, port=18095)


def another_storage(host: FakeHost) -> None:
    host.deployed()
    host.write(host.folder / "data/gateway.db")
    host.container(MAIN, host.folder / "data")


def no_record(host: FakeHost) -> None:
    deployed(host)
    (host.deploy / ".gonka-devshard.json").unlink()


def keys_only(host: FakeHost) -> None:
    host.docker = False
    host.keys()


def wrong_directory(host: FakeHost) -> None:
    """The play asks for another directory than the one that is deployed."""
    real = host.deploy
    deployed(host)
    host.deploy = host.folder / "srv/gatway"
    host.write(real / ".gonka-devshard.json", {"profile": "v2", "storage": str(real)})


def made_by_hand(host: FakeHost) -> None:
    host.write(host.folder / "plain/gateway.db")
    host.container("plain-gateway", host.folder / "plain", number=2, port=18090)


def damaged(host: FakeHost) -> None:
    deployed(host)
    host.write(host.deploy / ".gonka-devshard.json", "{")


def second_ledger(host: FakeHost) -> None:
    deployed(host, ledger=str(host.state / "ledger.db"))
    host.state = host.folder / "another"


def retired(host: FakeHost) -> None:
    host.deployed()
    host.retired()


def settled_and_not_archived(host: FakeHost) -> None:
    host.deployed()
    note = {"stage": "settled", "settled": [], "left_to_others": [], "gateway_records": []}
    host.write(host.deploy / ".retired.json", note)


def retired_and_emptied(host: FakeHost) -> None:
    retired(host)
    (host.storage / "gateway.db").unlink()


def swapping(host: FakeHost) -> None:
    deployed(host)
    host.journal(*STEPS)


def swapping_and_main_down(host: FakeHost) -> None:
    host.deployed()
    host.journal(*STEPS)


def swap_refused_in_its_preflight(host: FakeHost) -> None:
    deployed(host)
    host.journal(Step.PREFLIGHT)


def swap_not_readable(host: FakeHost) -> None:
    deployed(host)
    host.journal(*STEPS, schema=9)


def temp_of_a_move(host: FakeHost) -> None:
    inside = host.new_storage / "temp-20260731T101500Z"
    host.write(inside / "gateway.db")
    label = {"gonka.devshard.swap": "20260731T101500Z"}
    host.container("devshardctl-temp", inside, number=4, port=18081, labels=label)


def moving(host: FakeHost) -> None:
    deployed(host)
    host.move(*STEPS)
    temp_of_a_move(host)


def moving_without_main(host: FakeHost) -> None:
    """Killed in the middle of its retirement: the record still has the earlier generation."""
    host.deployed()
    host.move(*TO_RETIRE)
    temp_of_a_move(host)


def moving_to_the_new_main(host: FakeHost) -> None:
    host.deployed(profile="v4.1", protocol="v4.1", storage=str(host.new_storage))
    host.move(*TO_RETIRE, Step.REPLACE_MAIN)
    temp_of_a_move(host)
    host.write(host.new_storage / "gateway.db")
    host.container(MAIN, host.new_storage)


def redirected(host: FakeHost) -> None:
    deployed(host)
    host.redirected("https://other.example.org")


def redirected_in_a_swap(host: FakeHost) -> None:
    redirected(host)
    host.journal(*STEPS)


def engine_down(host: FakeHost) -> None:
    host.deployed()
    host.install()
    host.engine_fails("Cannot connect to the Docker daemon")


def nothing_but_engine_down(host: FakeHost) -> None:
    host.install()
    host.engine_fails("Cannot connect to the Docker daemon")


# it reports whatever there is, as long as the record can be read
EXPORT = "monitoring"
ALL = frozenset(PLAYS) - {EXPORT}
SWAPS = frozenset({"hot_swap", "rotate_keys", "generation_upgrade"})
START = frozenset({"site", "preflight"})
LOOK = frozenset({"status", "preflight", "backup"})
SWAPPING = frozenset({"status", "backup", "hot_swap", "rotate_keys", "redirect"})
MOVING = frozenset({"status", "backup", "generation_upgrade", "redirect"})
# Which playbooks may run, and what the others say.
CASES: list[tuple[t.Callable[[FakeHost], None], frozenset[str], str]] = [
    (bare, START, "nothing of one was found on this host. Deploy it with"),
    (running, ALL, ""),
    (stopped, ALL - {"escrow", "rotation", *SWAPS}, "does not run. Start it "),
    (removed, ALL - {"escrow", "rotation", *SWAPS}, "does not exist. "),
    (
        stopped_and_port_taken,
        LOOK | {"redirect"},
        "Port 18080 is taken by container plain-gateway",
    ),
    (
        temp_port_taken,
        ALL - SWAPS,
        "Port 18081 of the temporary gateway is taken by container",
    ),
    (temp_port_of_a_pool, ALL, ""),
    (another_url, ALL - {"escrow", "rotation", *SWAPS}, "published on 18095, and devshard_"),
    (another_storage, START | {"status", "redirect"}, "does not use the storage of the deploy"),
    (no_record, START, "There is no deploy record in"),
    (keys_only, START, "There is no deploy record in"),
    (wrong_directory, frozenset(), "Set devshard_deploy_dir: "),
    (made_by_hand, START, "container plain-gateway (running, storage"),
    (damaged, frozenset(), "the deploy record"),
    (second_ledger, frozenset(), "A second ledger does not know"),
    (retired, frozenset({"status", "retire", "backup"}), "with gateway_unretire=true"),
    (
        settled_and_not_archived,
        frozenset({"status", "retire", "backup"}),
        "is not finished: everything is settled, and its state is not archived yet",
    ),
    (retired_and_emptied, frozenset({"status", "retire"}), "with gateway_unretire=true"),
    (swapping, SWAPPING, "the swap to g:2 is open since 2026-07-31"),
    (swapping_and_main_down, SWAPPING, "is open since 2026-07-31"),
    (swap_refused_in_its_preflight, ALL, ""),
    (moving, MOVING, "the move to g:2 is open since 2026-07-31"),
    (moving_without_main, MOVING, "the move to g:2 is open since 2026-07-31"),
    (moving_to_the_new_main, MOVING, "the move to g:2 is open since 2026-07-31"),
    (swap_not_readable, LOOK - {"preflight"}, "whether a swap is under way is unknown"),
    (redirected, ALL - SWAPS, "Clients are redirected to https://other.example.org"),
    (redirected_in_a_swap, SWAPPING, "is open since 2026-07-31"),
    (
        engine_down,
        LOOK | {"site", "settle", "redirect"},
        "so it is unknown which containers run here. Start it",
    ),
    (nothing_but_engine_down, START, "so it is unknown which containers run here"),
]


def seen(folder: Path, monkeypatch: pytest.MonkeyPatch, state: t.Any) -> tuple[FakeHost, Presence]:
    monkeypatch.setattr(docker_cli, "PATH", (str(folder / "bin"),))
    host = FakeHost(folder)
    state(host)
    return host, host.look()


@pytest.mark.parametrize(("state", "allowed", "words"), CASES, ids=lambda case: "")
def test_each_playbook_in_each_state(
    state: t.Callable[[FakeHost], None],
    allowed: frozenset[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, state)
    answers = {play: refuse(play, presence) for play in PLAYS}
    may = {play for play, answer in answers.items() if answer is None}
    assert may - {EXPORT} == set(allowed)
    assert (EXPORT in may) is (state is not damaged)
    for play, answer in answers.items():
        if answer is not None:
            assert words in answer, f"{play}: {answer}"
            # one message, with something to do
            assert re.search(r"[Rr]un|Set|[Cc]orrect|[Dd]eploy|Start|Put|Let|Look|Stop", answer)
            assert "None" not in answer


@pytest.mark.parametrize("state", [case[0] for case in CASES], ids=lambda state: state.__name__)
def test_preflight_is_not_ready_where_site_refuses(
    state: t.Callable[[FakeHost], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, state)
    if refuse("site", presence) is None:
        return
    # a port that is not ours is a finding of its own
    taken = [port.name for port in presence.ports if port.state == "foreign"]
    assert refuse("preflight", presence) is not None or "gateway" in taken


def test_a_retired_gateway_comes_back_when_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, retired)
    back = {play for play in PLAYS if refuse(play, presence, unretire=True) is None}
    assert back == {"site", "preflight", "status", EXPORT, "retire", "backup"}


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        ({}, "hot_swap_image=g:2. To roll back, run it with hot_swap_rollback=true."),
        ({"rolling_back": True, "asked": "g:1"}, "hot_swap_image=g:1."),
        (
            {"mode": "pool", "slot": "temp"},
            f"hot_swap_image=g:2 {POOL}. To roll back, run it with hot_swap_rollback=true {POOL}.",
        ),
    ],
)
def test_the_way_on_is_the_one_that_the_swap_takes(
    changes: dict[str, t.Any], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(host: FakeHost) -> None:
        deployed(host)
        host.journal(*STEPS, **changes)

    _host, presence = seen(tmp_path, monkeypatch, state)
    assert (refuse("settle", presence) or "").endswith(way)
    assert notes("status", presence)[0].endswith(way)


@pytest.mark.parametrize(
    ("steps", "changes", "way"),
    [
        (STEPS, {}, "hot_swap_image=g:2. To roll back, run it with hot_swap_rollback=true."),
        (STEPS, {"rolling_back": True, "asked": "g:1"}, "hot_swap_image=g:1."),
        # there is no way back once a settle may have begun
        (TO_RETIRE, {}, "hot_swap_image=g:2."),
    ],
)
def test_the_way_on_of_a_move_is_its_own_playbook(
    steps: tuple[Step, ...],
    changes: dict[str, t.Any],
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def state(host: FakeHost) -> None:
        deployed(host)
        host.move(*steps, **changes)

    _host, presence = seen(tmp_path, monkeypatch, state)
    told = refuse("hot_swap", presence) or ""
    assert told.startswith("Another kind of swap is not finished: the ")
    for line in (told, refuse("settle", presence) or "", notes("status", presence)[0]):
        assert line.endswith(f"run the playbook gonka.devshard.generation_upgrade with {way}")
    assert notes("generation_upgrade", presence) == notes("hot_swap", presence) == []


V41 = Kind(profile="v4.1", protocol="v4.1")
MONEY = {"escrow", "rotation", "hot_swap", "rotate_keys", "settle", "retire", "restore"}


@pytest.mark.parametrize(
    ("record", "wanted", "differs"),
    [
        ({"profile": "v2"}, V41, True),
        ({"profile": "v4.1", "protocol": "v4.1"}, Kind(profile="v4.1", protocol="v5"), True),
        ({"profile": "v4.1", "protocol": "v4.1"}, V41, False),
        # early records name neither of them
        ({"profile": "v4.1"}, V41, False),
        ({"profile": None}, V41, False),
        ({"profile": "v2"}, None, False),
    ],
)
def test_no_playbook_takes_a_gateway_for_another_generation(
    record: dict[str, t.Any],
    wanted: Kind | None,
    differs: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the change of the inventory and the move, and in a fleet for days."""
    _host, presence = seen(tmp_path, monkeypatch, lambda host: deployed(host, **record))
    answers = {play: refuse(play, presence, wanted=wanted) for play in PLAYS}
    assert {play for play, text in answers.items() if text} == (MONEY if differs else set())
    for text in filter(None, answers.values()):
        assert (
            "run the playbook gonka.devshard.generation_upgrade. Until then run this with" in text
        )
    told = [notes(play, presence, wanted=wanted) != [] for play in ("status", "backup", "redirect")]
    assert told == [differs] * 3
    assert notes("generation_upgrade", presence, wanted=wanted) == []


def test_an_open_move_is_named_before_its_generations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, moving)
    answers = {play: refuse(play, presence, wanted=V41) for play in PLAYS}
    assert {play for play, text in answers.items() if text is None} == MOVING | {EXPORT}
    assert all("is not finished" in text for text in answers.values() if text)


def test_a_gateway_that_a_move_needs_is_started_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The playbook site would refuse the new generation."""
    _host, presence = seen(tmp_path, monkeypatch, stopped)
    told = refuse("generation_upgrade", presence, wanted=V41) or ""
    assert f"Start it on the host with 'docker start {MAIN}'" in told
    assert "gonka.devshard.site" not in told


def test_a_container_that_is_gone_is_made_with_the_earlier_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, removed)
    told = refuse("generation_upgrade", presence, wanted=V41) or ""
    assert "docker start" not in told
    assert "earlier settings" in told
    assert "run the playbook gonka.devshard.site" in told


def test_a_move_does_not_begin_while_a_swap_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, swapping)
    told = refuse("generation_upgrade", presence) or ""
    assert "Another kind of swap is not finished: the swap to g:2" in told
    assert "run the playbook gonka.devshard.hot_swap with hot_swap_image=g:2." in told


@pytest.mark.parametrize("state", [moving, moving_without_main, moving_to_the_new_main])
def test_the_temporary_gateway_of_a_move_is_ours(
    state: t.Callable[[FakeHost], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _host, presence = seen(tmp_path, monkeypatch, state)
    temp_port = presence.port("temp")
    assert temp_port is not None
    assert (presence.temp.ours, temp_port.state, presence.others) == (True, "ours", ())


def test_what_is_no_storage_of_the_move_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its journal nothing says that this container is of a move."""

    def state(host: FakeHost) -> None:
        deployed(host)
        temp_of_a_move(host)

    _host, presence = seen(tmp_path, monkeypatch, state)
    assert presence.temp.ours is False


def test_an_interrupted_restore_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another playbook would start the gateway with the rotation of the backup."""

    def interrupted(host: FakeHost) -> None:
        host.deployed()
        (host.deploy / ".restoring-20260731T120000Z").write_text("20260731T120000Z is in place\n")

    _host, presence = seen(tmp_path, monkeypatch, interrupted)
    assert presence.restoring == ("20260731T120000Z",)
    assert presence.to_result()["restoring"] == ["20260731T120000Z"]
    (line,) = notes("site", presence)
    assert "run the playbook gonka.devshard.restore with backup_name=20260731T120000Z" in line
    assert notes("restore", presence) == []


def test_a_redirect_is_named_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _host, presence = seen(tmp_path, monkeypatch, redirected)
    line = "clients are redirected to https://other.example.org by the playbook gonka.devshard.redirect"
    assert notes("site", presence) == notes("status", presence) == [line]


def test_the_state_directory_that_is_named_is_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, presence = seen(tmp_path, monkeypatch, second_ledger)
    told = refuse("site", presence) or ""
    named = told.partition("Set devshard_state_dir: ")[2]
    assert named == str(tmp_path / "state")
    host.state = Path(named)
    assert refuse("site", host.look()) is None


def test_the_directory_that_is_named_is_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, presence = seen(tmp_path, monkeypatch, wrong_directory)
    told = refuse("settle", presence) or ""
    named = told.partition("Set devshard_deploy_dir: ")[2].partition(". ")[0]
    assert (Path(named) / ".gonka-devshard.json").exists()
    assert named != str(host.deploy)


def test_site_starts_an_engine_that_is_down_although_the_port_cannot_be_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(host: FakeHost) -> None:
        engine_down(host)
        host.listens(18080, host.process(9, "docker-proxy"))

    _host, presence = seen(tmp_path, monkeypatch, state)
    assert refuse("site", presence) is None
    assert "It cannot be proved to be this gateway" in (refuse("settle", presence) or "")
