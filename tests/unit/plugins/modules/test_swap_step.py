# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The whole module swap_step beside containers that a test gives: what it writes, and when."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import sequence
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    failed,
    run_module,
    succeeded,
)

OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"
MAIN = "devshardctl-multi"


def container(image: str, *, number: str = "a", environment: dict[str, str]) -> Container:
    return from_inspect(
        {
            "Id": number,
            "Name": f"/{MAIN}",
            "Image": "sha256:1",
            "Config": {"Image": image, "Env": [f"{k}={v}" for k, v in environment.items()]},
            "State": {"Status": "running", "Running": True},
            "HostConfig": {
                "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]}
            },
            "Mounts": [{"Destination": "/root/.devshardctl", "Source": "/s"}],
        },
        (),
    )


class Host:
    """A host whose engine has the containers that the test puts there."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "state" / "swap.json"
        self.env_file = folder / "env"
        self.env_file.write_text("GATEWAY_EXTRA=1\n")
        self.containers = {MAIN: container(OLD, environment={"GATEWAY_EXTRA": "1"})}
        self.deploy = folder / "deploy"
        self.deploy.mkdir()
        self.set_record(image="r:5000/gateway:old", digest=OLD, storage="/s", profile="v2", more=1)

    @property
    def record(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads((self.deploy / ".gonka-devshard.json").read_text())
        return found

    def set_record(self, **record: t.Any) -> None:
        (self.deploy / ".gonka-devshard.json").write_text(json.dumps(record))

    def params(self, state: str = "planned", **given: t.Any) -> dict[str, t.Any]:
        plain = {"journal": str(self.journal), "run": "r1", "image": "r:5000/gateway:new"}
        known = {"deploy_dir": str(self.deploy), "env_file": str(self.env_file), "port": 18080}
        return {**plain, **known, "state": state, **given}

    def swap(self, state: str = "planned", *, check: bool = False, **given: t.Any) -> t.Any:
        return succeeded("swap_step", self.params(state, **given), check=check)["swap"]

    def note(self, step: str, **given: t.Any) -> None:
        succeeded("swap_step", self.params("started", step=step, **given))
        succeeded("swap_step", self.params("ended", step=step, **given))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(docker, "inspect", made.containers.get)
    monkeypatch.setattr(docker, "resolve", lambda image: image if "@" in image else NEW)
    return made


def test_a_swap_that_is_only_planned_leaves_no_journal(host: Host) -> None:
    """A preflight that refuses it comes between, and a later rollback has nothing to turn around."""
    found = host.swap()
    assert (found["open"], found["id"], found["steps"][0]) == (False, None, "preflight")
    assert not host.journal.exists()
    found = host.swap("begun", check=True)
    assert not host.journal.exists()
    found = host.swap("begun")
    assert (found["open"], found["started"], found["done"]) == (True, ["preflight"], ["preflight"])
    assert found["steps"][0] == "freeze_rotation"
    assert json.loads(host.journal.read_text())["origin"] == OLD


def test_the_journal_of_a_refused_preflight_of_an_earlier_version_is_put_away(host: Host) -> None:
    host.swap("begun")
    body = json.loads(host.journal.read_text())
    host.journal.write_text(json.dumps({**body, "done": []}))
    found = run_module("swap_step", host.params(rollback=True))
    assert "nothing to roll back to" in found.msg
    assert host.swap()["open"] is False
    assert not host.journal.exists()


def test_an_image_that_does_not_exist_is_refused_in_check_mode_too(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(image: str) -> str:
        raise ConfigurationError(f"the registry has no image {image}")

    monkeypatch.setattr(docker, "resolve", absent)
    for check in (True, False):
        found = run_module("swap_step", host.params(image=NEW), check=check)
        assert "has no image" in found.msg


def test_a_swap_that_another_run_began_while_this_one_waited_is_left_alone(host: Host) -> None:
    host.swap()
    host.swap("begun", run="r2")
    host.note("freeze_rotation", run="r2")
    found = run_module("swap_step", host.params("begun"))
    assert (found.kind, "another run began" in found.msg) == ("busy", True)


def test_another_environment_is_planned_and_only_its_names_are_shown(host: Host) -> None:
    host.env_file.write_text("GATEWAY_EXTRA=secretly\n")
    run = run_module("swap_step", host.params(image=OLD))
    assert "GATEWAY_EXTRA" in run.result["swap"]["reason"]
    assert run.result["swap"]["steps"][0] == "preflight"
    assert "secretly" not in run.output
    assert host.swap(image=OLD, env_file=None)["steps"] == []


def test_a_step_is_noted_with_the_one_before_it(host: Host) -> None:
    host.swap("begun")
    host.swap("started", step="freeze_rotation")
    found = succeeded(
        "swap_step", host.params("started", step="start_temp", finished="freeze_rotation")
    )
    assert found["changed"] is True
    assert found["swap"]["done"] == ["preflight", "freeze_rotation"]
    assert found["diff"]["before"] == {
        "started": ["preflight", "freeze_rotation"],
        "done": ["preflight"],
    }
    assert host.swap("ended", step="seed_temp", temp_escrow_ids=[7])["data"]["temp_escrow_ids"] == [
        7
    ]
    assert json.loads(host.journal.read_text())["data"]["temp_escrow_ids"] == [7]
    wrong = failed("swap_step", host.params("started", step="start_temp", finished="nowhere"))
    assert "there is no step nowhere" in wrong.msg
    assert "step is required" in failed("swap_step", host.params("started")).msg


def test_the_record_is_written_once_the_container_is_what_the_swap_leads_to(host: Host) -> None:
    host.swap("begun")
    before = host.record
    host.note("freeze_rotation")
    recorded = host.params("recorded", step="replace_main")
    found = failed("swap_step", recorded)
    assert "should have the image r:5000/gateway:new (sha256:111111111111)" in found.msg
    host.containers[MAIN] = container(NEW, number="b", environment={"GATEWAY_EXTRA": "2"})
    found = failed("swap_step", recorded)
    assert "it differs from the wanted one" in found.msg
    assert host.record == before
    host.containers[MAIN] = container(NEW, number="b", environment={"GATEWAY_EXTRA": "1"})
    checked = succeeded("swap_step", recorded, check=True)
    assert host.record == before
    done = succeeded("swap_step", recorded)
    assert (checked["changed"], checked["diff"]) == (done["changed"], done["diff"])
    assert host.record == {
        **before,
        "image": "r:5000/gateway:new",
        "digest": NEW,
        "previous_digest": OLD,
        "previous_image": "r:5000/gateway:old",
    }
    assert succeeded("swap_step", recorded)["changed"] is False


def test_a_mirror_of_the_target_is_the_target(host: Host) -> None:
    host.swap("begun")
    mirrored = NEW.replace("r:5000/gateway", "mirror/other")
    host.containers[MAIN] = container(mirrored, number="b", environment={"GATEWAY_EXTRA": "1"})
    host.swap("recorded", step="replace_main")
    assert host.record["digest"] == NEW


def test_a_swap_ends_on_the_image_of_its_journal_or_not_at_all(host: Host) -> None:
    host.swap("begun")
    host.note("freeze_rotation")
    done = host.params("ended", step="done")
    found = run_module("swap_step", done)
    assert "should have the image r:5000/gateway:new (sha256:111111111111)" in found.msg
    assert host.journal.exists()
    host.containers[MAIN] = container(NEW, environment={})
    ended = succeeded("swap_step", done)["swap"]
    assert [item["step"] for item in ended["took"]] == ["freeze_rotation", "done"]
    assert not host.journal.exists()


def test_a_record_that_lies_is_corrected_where_no_step_is_to_be_run(host: Host) -> None:
    host.set_record(image="r:5000/gateway:new", digest=NEW, storage="/s", more=1)
    right = {"image": OLD, "digest": OLD, "storage": "/s", "more": 1}
    params = host.params(image=OLD)
    checked = succeeded("swap_step", params, check=True)
    assert (checked["swap"]["steps"], checked["swap"]["record"]) == ([], right)
    assert host.record["digest"] == NEW
    done = succeeded("swap_step", params)
    assert checked == done
    assert (done["changed"], host.record) == (True, right)
    assert succeeded("swap_step", params)["changed"] is False


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"profile": "v3", "digest": OLD}, "belongs to a gateway of generation v3"),
        ({"profile": "v2"}, "was never started"),
    ],
)
def test_a_directory_without_a_gateway_to_swap_is_refused(
    host: Host, record: dict[str, t.Any], why: str
) -> None:
    host.set_record(**record)
    for check in (True, False):
        assert why in run_module("swap_step", host.params(), check=check).msg


def test_where_nothing_is_deployed_only_check_mode_goes_on(host: Host) -> None:
    (host.deploy / ".gonka-devshard.json").unlink()
    found = host.swap(check=True)
    assert (found["deployed"], found["steps"]) == (False, [])
    assert "no gateway is deployed" in failed("swap_step", host.params()).msg


def test_what_a_failure_asks_for(host: Host) -> None:
    found = host.swap("aftermath", step="freeze_rotation")
    assert found == {
        "gives_rotation_back": False,
        "advice": "The swap has changed nothing. Correct what is named and run this again.",
        "generation": {},
        "main_env": str(host.env_file),
    }
    host.swap("begun")
    host.note("freeze_rotation")
    host.note("start_temp")
    running = container(NEW, environment={})
    host.containers["devshardctl-temp"] = running
    found = host.swap("aftermath", step="drain_main")
    assert f"docker stop {MAIN}" in found["advice"]
    host.containers["devshardctl-temp"] = dataclasses.replace(running, state="exited")
    found = host.swap("aftermath", step="drain_main")
    assert "devshardctl-temp should serve at this step and does not run" in found["advice"]


def test_an_engine_that_does_not_answer_leaves_the_advice_of_the_step(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.swap("begun")
    host.note("freeze_rotation")

    def silent(_name: str) -> t.NoReturn:
        raise TransportError("the Docker Engine of this host does not answer: silent")

    monkeypatch.setattr(docker, "inspect", silent)
    assert "docker stop" in host.swap("aftermath", step="drain_main")["advice"]


def test_the_temporary_gateway_keeps_its_image_and_its_environment(host: Host) -> None:
    found = host.swap("begun")
    assert (found["temp_image"], found["temp_env"]) == (NEW, f"{host.env_file}.temp")
    assert (found["seed_needed"], found["storage"]) == (True, "/s")
    # a journal of a version that started both with the same file
    body = json.loads(host.journal.read_text())
    started = ["preflight", "freeze_rotation", "start_temp", "seed_temp"]
    old = {**body, "schema": 1, "started": started, "data": {"run": "r1", "temp_image": OLD}}
    del old["began"]
    host.journal.write_text(json.dumps(old))
    found = host.swap(rollback=True)
    assert (found["temp_image"], found["temp_env"]) == (OLD, str(host.env_file))
    assert found["seed_needed"] is False


def admin_key(value: str) -> dict[str, str]:
    return {"GATEWAY_EXTRA": "1", "DEVSHARD_ADMIN_API_KEY": f"sk-admin-{value * 24}"}


def write_keys(path: Path, value: str) -> None:
    path.write_text("".join(f"{name}={held}\n" for name, held in admin_key(value).items()))


def interrupted(host: Host, **given: t.Any) -> Path:
    """In replace_main behind the write of a new admin key; main is the earlier container."""
    copy = Path(f"{host.env_file}.temp")
    write_keys(host.env_file, "o")
    write_keys(copy, "o")
    host.containers[MAIN] = container(OLD, environment=admin_key("o"))
    host.swap("begun", **given)
    host.containers["devshardctl-temp"] = container(OLD, number="t", environment=admin_key("o"))
    # as the module swap_temp notes it
    body = json.loads(host.journal.read_text())
    body["data"]["temp_env"] = str(copy)
    host.journal.write_text(json.dumps(body))
    steps = [step.value for step in sequence("temp", "import")]
    for step in steps[1 : steps.index("replace_main")]:
        host.note(step)
    found = host.swap(**given, slot_in_service="temp")
    assert (found["main_env"], found["temp_env"]) == (str(host.env_file), str(copy))
    host.swap("started", step="replace_main")
    write_keys(host.env_file, "n")
    return copy


def test_main_is_asked_with_its_key_while_the_file_has_the_next_one(host: Host) -> None:
    """Every rerun asked it with the new key, took the refusal for unknown, and failed."""
    copy = interrupted(host, image=OLD, drift=["DEVSHARD_ADMIN_API_KEY"])
    found = host.swap(image=OLD, slot_in_service="temp")
    assert found["steps"][:2] == ["drain_main", "replace_main"]
    assert found["main_env"] == found["temp_env"] == str(copy)
    assert host.swap("aftermath", step="drain_main")["main_env"] == str(copy)
    assert "sk-admin" not in json.dumps(found)
    # the new container, which an environment that was corrected since replaces once more
    host.containers[MAIN] = container(OLD, number="b", environment=admin_key("n"))
    host.note("replace_main")
    found = host.swap(image=OLD, slot_in_service="temp", drift=["GATEWAY_EXTRA"])
    assert found["steps"][:2] == ["drain_main", "replace_main"]
    assert found["main_env"] == str(host.env_file)


def test_on_the_way_back_main_is_asked_with_its_key_too(host: Host) -> None:
    """A rollback forgets that main was to be replaced, and its container has the earlier key."""
    copy = interrupted(host)
    found = host.swap(rollback=True, slot_in_service="temp")
    assert "drain_main" in found["steps"]
    assert found["main_env"] == str(copy)
    assert host.swap("aftermath", step="drain_main")["main_env"] == str(copy)


# to another generation

STEPS = [step.value for step in sequence("generation", "import")]
V2 = {"gateway_profile": "v2", "gateway_protocol": None}
V41 = {"gateway_profile": "v4.1", "gateway_protocol": "v4.1"}
KIND = {"mode": "generation", **V41}


class Moving(Host):
    """Its inventory names another generation than its deploy record."""

    def params(self, state: str = "planned", **given: t.Any) -> dict[str, t.Any]:
        return super().params(state, **{**KIND, **given})

    def through(self, last: str) -> None:
        self.swap("begun")
        self.swap("started", step=STEPS[1], balance=900, origin_escrow_ids=[3, 4])
        for step in STEPS[1 : STEPS.index(last) + 1]:
            self.note(step)

    @property
    def old(self) -> str:
        return str(self.deploy / ".devshardctl")

    @property
    def new(self) -> str:
        return str(self.deploy / ".devshardctl-v4.1")


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moving:
    made = Moving(tmp_path)
    made.set_record(image="r:5000/gateway:old", digest=OLD, storage=made.old, profile="v2")
    monkeypatch.setattr(docker, "inspect", made.containers.get)
    monkeypatch.setattr(docker, "resolve", lambda image: image if "@" in image else NEW)
    return made


def test_a_move_is_planned_with_the_storage_that_it_leads_to(move: Moving) -> None:
    found = move.swap()
    assert (found["steps"], found["open"]) == (STEPS, False)
    assert (found["storage"], found["origin_storage"]) == (move.new, move.old)
    assert found["temp_generation"] == V41
    assert found["generations"]["settle_main"] == V2
    assert found["generations"]["seed_main"] == V41
    assert move.swap("begun")["data"]["move"]["storage"] == move.new


def test_the_account_of_a_move_begins_where_it_was_first_noted(move: Moving) -> None:
    """A run that goes on finds what this one has paid, and escrows that it has settled are gone."""
    move.swap("begun")
    first: dict[str, t.Any] = {
        "step": "freeze_rotation",
        "balance": 900,
        "origin_escrow_ids": [3, 4],
    }
    for given in (first, {**first, "balance": 5, "origin_escrow_ids": [4]}):
        data = move.swap("started", **given)["data"]
        assert (data["balance"], data["origin_escrow_ids"]) == (900, [3, 4])


def test_a_swap_works_on_one_generation(host: Host) -> None:
    found = host.swap()
    assert set(map(str, found["generations"].values())) == {str(V2)}
    assert (found["origin_storage"], found["emptied"]) == (None, [])


def test_the_record_is_moved_when_the_earlier_gateway_is_gone(move: Moving) -> None:
    move.through("settle_main")
    moved = move.params("moved", step="retire_main", archive="/a/1")
    found = failed("swap_step", moved)
    assert f"the container {MAIN} of the earlier generation still exists" in found.msg
    assert move.record["profile"] == "v2"
    main = move.containers.pop(MAIN)
    checked = succeeded("swap_step", moved, check=True)
    assert move.record["profile"] == "v2"
    done = succeeded("swap_step", moved)
    assert (checked["changed"], checked["diff"]) == (done["changed"], done["diff"])
    record = move.record
    assert (record["profile"], record["protocol"], record["storage"]) == ("v4.1", "v4.1", move.new)
    assert json.loads(move.journal.read_text())["data"]["archive"] == "/a/1"
    assert succeeded("swap_step", moved)["changed"] is False
    # the next run is of the generation of the record, and goes on
    again = move.swap(slot_in_service="temp")
    assert (again["open"], "seed_main" in again["steps"]) == (True, True)
    assert (again["storage"], again["emptied"]) == (move.new, [move.old])
    move.containers[MAIN] = main
    assert failed("swap_step", moved).kind == "unsafe"


def test_only_a_move_moves_the_record(host: Host) -> None:
    host.swap("begun")
    del host.containers[MAIN]
    found = failed("swap_step", host.params("moved", step="retire_main"))
    assert "moves to no other generation" in found.msg
    assert host.record["profile"] == "v2"


@pytest.mark.parametrize("last", STEPS[1 : STEPS.index("settle_main")])
def test_a_rollback_removes_the_new_storage_and_never_the_one_in_use(
    move: Moving, last: str
) -> None:
    move.through(last)
    assert move.swap()["emptied"] == [move.old]
    back = move.swap(rollback=True)
    assert (back["rolling_back"], back["emptied"]) == (True, [move.new])
    assert move.record["storage"] == move.old
    assert back["generations"]["check_main"] == V2
    assert back["temp_generation"] == V41


def test_a_storage_that_its_owner_made_is_left(move: Moving) -> None:
    move.set_record(**{**move.record, "adopted": True, "storage": "/data/own"})
    move.through("settle_main")
    assert move.swap()["emptied"] == []
    assert move.swap()["origin_storage"] == "/data/own"


def test_a_move_needs_a_storage_of_its_own(move: Moving) -> None:
    """The new gateway would open what the earlier one has, and in the end it would be removed."""
    record = move.record
    move.set_record(**{**record, "storage": f"{move.deploy}/./.devshardctl-v4.1"})
    for check in (True, False):
        assert f"the storage {move.new}" in run_module("swap_step", move.params(), check=check).msg
    move.set_record(**record)
    new = Path(move.new)
    new.mkdir()
    assert move.swap()["steps"] == STEPS
    (new / "gateway.db").write_text("")
    found = failed("swap_step", move.params())
    assert (found.kind, "holds the database of a gateway" in found.msg) == ("unsafe", True)
    assert not move.journal.exists()


def test_what_was_given_up_is_kept_for_the_run_that_goes_on(move: Moving) -> None:
    assert move.swap("begun", given_up=[4])["given_up"] == [4]
    move.note("freeze_rotation")
    assert move.swap()["given_up"] == [4]


def test_what_a_later_run_gives_up_is_kept_too(move: Moving) -> None:
    """A third run was not told, and asked for the settlement of what its owner had given up."""
    move.swap("begun", given_up=[4])
    move.through("drain_main")
    assert move.swap("started", step="settle_main", given_up=[4, 9])["given_up"] == [4, 9]
    move.swap("started", step="settle_main", given_up=[])
    assert move.swap()["given_up"] == [4, 9]


def test_a_move_asks_the_earlier_gateway_with_its_key(move: Moving) -> None:
    """The file is written when that is gone; the temporary gateway has the next key before."""
    write_keys(move.env_file, "o")
    move.containers[MAIN] = container(OLD, environment=admin_key("o"))
    write_keys(Path(f"{move.env_file}.temp"), "n")
    move.through("freeze_rotation")
    for step in STEPS[2 : STEPS.index("retire_main")]:
        assert move.swap()["main_env"] == str(move.env_file), step
        move.note(step)
    move.swap("started", step="retire_main")
    del move.containers[MAIN]
    assert move.swap(slot_in_service="temp")["main_env"] == str(move.env_file)


def test_once_escrows_are_settled_a_rollback_is_refused(move: Moving) -> None:
    move.through("drain_main")
    move.swap("started", step="settle_main")
    for check in (True, False):
        found = run_module("swap_step", move.params(rollback=True), check=check)
        assert "only leads forward" in found.msg
    assert "settle_main" in move.swap()["steps"]


def test_where_the_generation_is_the_wanted_one_nothing_is_to_be_done(move: Moving) -> None:
    move.set_record(**{**move.record, "profile": "v4.1", "protocol": "v4.1"})
    found = run_module("swap_step", move.params())
    assert found.result["changed"] is False
    assert found.result["swap"]["steps"] == []
    assert found.result["swap"]["reason"] == "the gateway is of generation v4.1 already"
    assert "no way back" in failed("swap_step", move.params(rollback=True)).msg


def test_after_a_failure_the_gateway_in_slot_main_is_named_by_its_generation(move: Moving) -> None:
    move.through("check_temp")
    assert move.swap("aftermath", step="check_temp")["generation"] == V2
    for step in ("switch_to_temp", "drain_main", "settle_main", "retire_main"):
        move.note(step)
    assert move.swap("aftermath", step="restore_rotation")["generation"] == V41


def test_the_archive_and_the_escrows_of_a_move_are_noted(move: Moving) -> None:
    move.through("replace_main")
    found = move.swap("ended", step="seed_main", main_escrow_ids=[8, 9])
    assert found["data"]["main_escrow_ids"] == [8, 9]
    assert found["data"]["origin_escrow_ids"] == [3, 4]
