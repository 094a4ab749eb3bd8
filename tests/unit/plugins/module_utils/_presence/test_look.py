# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The first look: what is here, whose it is, and what could not be seen."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import ADMIN_API_KEY
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import Instance
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.key_rotation import KeyNotes
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._host.storage import same_place
from ansible_collections.gonka.devshard.plugins.module_utils._presence.model import (
    PLAYS,
    Port,
    Presence,
)
from ansible_collections.gonka.devshard.plugins.module_utils._presence.rules import (
    notes as notes_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._presence.rules import refuse
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import (
    IMAGE,
    SECRET,
    FakeHost,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import without_library


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    # this machine's own docker program is not meant
    monkeypatch.setattr(docker_cli, "PATH", (str(tmp_path / "bin"),))
    return FakeHost(tmp_path)


def port(presence: Presence, name: str) -> Port:
    found = presence.port(name)
    assert found is not None
    return found


def test_a_bare_host(host: FakeHost) -> None:
    host.docker = False
    seen = host.look()
    assert seen.engine.answers is False
    assert [file.exists for file in (seen.retired, seen.keyring, seen.ledger, seen.storage)] == [
        *[False] * 4
    ]
    assert (seen.record.exists, seen.record.error, seen.swaps.found) == (False, None, ())
    assert (seen.container.known, seen.container.container, seen.others) == (True, None, ())
    assert [port.state for port in seen.ports] == ["free"] * 3
    assert not seen.gateway_proved


def test_a_deployment_of_0_1_0(host: FakeHost) -> None:
    host.deployed()
    identifier = host.container("devshardctl-multi", host.storage)
    seen = host.look()
    assert seen.record.content is not None
    assert (seen.record.content.image, seen.record.content.digest) == ("g:1", IMAGE)
    found = seen.container.container
    assert found is not None
    assert (found.id, found.storage, found.project) == (identifier, str(host.storage), "gateway")
    assert (seen.container.ours, seen.gateway_proved) == (True, True)
    gateway = port(seen, "gateway")
    assert gateway.state == "ours"
    assert gateway.text == f"ours, container devshardctl-multi (storage {host.storage})"
    assert port(seen, "temp").state == "free"
    assert seen.others == ()
    assert seen.other_ledgers == ()


def running_with(host: FakeHost, **variables: str) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    host.containers[-1]["Config"]["Env"] = [f"{name}={value}" for name, value in variables.items()]


def test_a_key_that_waits_beside_the_environment_file_is_named(host: FakeHost) -> None:
    running_with(host, DEVSHARD_ADMIN_API_KEY=SECRET)
    assert host.look().waiting_keys.names == ()
    file = host.deploy / "config.devshard.env"
    new = "new-admin-key-of-a-rotation"
    made = {"admin": "2026-12"}
    notes = KeyNotes(
        done=made, staged={ADMIN_API_KEY: new}, waiting={ADMIN_API_KEY: "admin"}
    ).to_json()
    kept = host.write(host.deploy / "config.devshard.env.rotation.json", notes)
    found = host.look()
    assert found.waiting_keys.names == (ADMIN_API_KEY,)
    assert new not in json.dumps(found.to_result())
    (said,) = notes_of("site", found)
    assert said.startswith(f"a new value of {ADMIN_API_KEY} waits for a container")
    assert "playbook gonka.devshard.hot_swap" in said
    # a swap was interrupted after it had written the file: the container is all that shows it
    file.write_text(file.read_text().replace(SECRET, new))
    assert host.look().waiting_keys.names == (ADMIN_API_KEY,)
    kept.write_text("{")
    broken = host.look().waiting_keys
    assert (broken.names, broken.to_result()["known"]) == ((), False)
    kept.unlink()
    assert host.look().waiting_keys.names == (ADMIN_API_KEY,)
    host.containers.clear()
    assert host.look().waiting_keys.names == ()


def test_no_secret_is_in_the_result(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    host.container("plain-gateway", host.folder / "plain", number=2, port=18090)
    result = json.dumps(host.look().to_result())
    assert "plain-gateway" in result
    assert SECRET not in result


@pytest.mark.parametrize("how", ["symlink", "renamed"])
def test_the_storage_is_known_by_its_inode(host: FakeHost, how: str) -> None:
    """Not by a name: by a symlink it is the same, and after a rename the name is another's."""
    host.deployed()
    if how == "symlink":
        link = host.folder / "link"
        link.symlink_to(host.storage)
        host.container("devshardctl-multi", link)
    else:
        moved = host.folder / "moved"
        host.storage.rename(moved)
        host.write(host.storage / "gateway.db")
        host.container("devshardctl-multi", host.storage, seen=moved)
    assert host.look().container.ours is (how == "symlink")


def test_the_same_storage_is_not_a_matter_of_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").mkdir()
    (tmp_path / "e").symlink_to("missing")
    answers = {
        name: same_place(tmp_path / "a", tmp_path / name) for name in ("a", "b", "c", "missing")
    }
    assert answers == {"a": True, "b": True, "c": False, "missing": False}
    assert same_place(tmp_path / "e", tmp_path / "missing") is True
    assert same_place(tmp_path / "missing", tmp_path / "elsewhere") is False


def test_a_container_of_our_name_with_another_storage_is_not_ours(host: FakeHost) -> None:
    host.deployed()
    other = host.folder / "data"
    host.write(other / "gateway.db")
    host.container("devshardctl-multi", other)
    seen = host.look()
    assert (seen.container.ours, seen.gateway_proved) == (False, False)
    assert port(seen, "gateway").state == "foreign"


def test_a_record_is_no_proof_of_who_has_the_port(host: FakeHost) -> None:
    """It used to be: the admin key went to whatever listened there."""
    host.deployed()
    host.container("devshardctl-multi", host.storage, port=18080, running=False)
    plain = host.folder / "plain"
    host.write(plain / "gateway.db")
    host.container("plain-gateway", plain, number=2, port=18080)
    seen = host.look()
    assert not seen.gateway_proved
    assert port(seen, "gateway").text == f"taken by container plain-gateway (storage {plain})"
    assert seen.others is not None
    assert [one.name for one in seen.others] == ["plain-gateway"]


def test_a_process_on_a_port_is_named(host: FakeHost) -> None:
    host.deployed()
    host.listens(18080, host.process(4711, "python3"))
    # only this address counts for a gateway, which listens on the loopback
    host.listens(18081, host.process(4712, "sshd"), address="0500000A")
    seen = host.look()
    assert port(seen, "gateway").text == "taken by process python3 (process 4711)"
    assert port(seen, "temp").state == "free"


def test_a_container_in_the_network_of_the_host(host: FakeHost) -> None:
    host.container("edge-of-others", None, number=3, port=9, command=["nginx"], image="nginx")
    host.listens(80, 1003, address="00000000")
    owner = port(host.look(), "edge").owner
    assert owner is not None
    assert (owner.kind, owner.name) == ("container", "edge-of-others")


def test_a_process_that_may_not_be_seen(host: FakeHost) -> None:
    host.listens(18080, None)
    gateway = port(host.look(), "gateway")
    assert (gateway.state, gateway.owner is not None and gateway.owner.kind) == (
        "unknown",
        "unknown",
    )


@pytest.mark.parametrize(
    ("site", "kind", "state"),
    [
        ("collection", "collection", "ours"),
        ("link", "debian", "foreign"),
        ("file", "owner", "foreign"),
        ("more", "owner", "foreign"),
    ],
)
def test_whose_nginx_has_port_80(host: FakeHost, site: str, kind: str, state: str) -> None:
    host.write(host.nginx / "sites-available/default", "server { listen 80; }")
    enabled = host.nginx / "sites-enabled/default"
    enabled.parent.mkdir()
    if site in ("link", "more"):
        enabled.symlink_to("../sites-available/default")
    if site == "file":
        host.write(enabled, "server { listen 80; }")
    if site == "more":
        host.write(host.nginx / "conf.d/own.conf", "server { listen 80; }")
    if site == "collection":
        host.write(
            host.nginx / "conf.d/gonka-devshard.conf", "server {\n    listen 80 default_server;\n}"
        )
    host.listens(80, host.process(12, "nginx"), address="00000000")
    edge = port(host.look(), "edge")
    assert edge.owner is not None
    assert (edge.owner.nginx, edge.state) == (kind, state)


@pytest.mark.parametrize("how", ["no answer", "no program"])
def test_an_engine_that_cannot_be_asked_is_not_an_empty_one(host: FakeHost, how: str) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    if how == "no program":
        host.docker = False
        host.socket.touch()
    else:
        host.engine_fails("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    seen = host.look()
    assert (seen.engine.answers, seen.container.known, seen.others) == (None, False, None)
    assert "docker" in (seen.engine.error or "").lower()
    assert [found.state for found in seen.ports] == ["unknown"] * 3
    assert not seen.gateway_proved


def test_an_open_swap(host: FakeHost) -> None:
    host.deployed()
    steps = (Step.PREFLIGHT, Step.FREEZE_ROTATION, Step.START_TEMP)
    path = host.journal(*steps)
    inside = host.storage / "temp-20260731T101500Z"
    host.write(inside / "gateway.db")
    label = {"gonka.devshard.swap": "20260731T101500Z"}
    host.container("devshardctl-temp", inside, number=4, port=18081, labels=label)
    seen = host.look()
    swap = seen.swaps.binding
    assert swap is not None
    assert (swap.path, swap.slot, swap.step, swap.run) == (str(path), "main", "start_temp", "77")
    assert (swap.since, swap.temp_escrow_ids) == ("2026-07-31T10:15:00Z", ("9", "10"))
    assert swap.place == "the swap to g:2 is open since 2026-07-31T10:15:00Z, at step start_temp"
    assert (seen.temp.ours, port(seen, "temp").state) == (True, "ours")
    assert seen.others == ()
    result = seen.to_result()["swap"]
    assert (result["known"], result["open"], result["asked"]) == (True, True, "g:2")


def test_a_foreign_container_of_the_temporary_name(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-temp", host.folder / "elsewhere", number=4, port=18081)
    seen = host.look()
    assert (seen.temp.ours, port(seen, "temp").state) == (False, "foreign")


def test_a_swap_that_got_no_further_than_its_preflight_binds_nobody(host: FakeHost) -> None:
    host.journal(Step.PREFLIGHT, slot="temp")
    swaps = host.look().swaps
    assert (swaps.binding, len(swaps.found), swaps.found[0].slot) == (None, 1, "temp")
    assert swaps.to_result()["open"] is False


def test_a_journal_that_cannot_be_read_is_not_known(host: FakeHost) -> None:
    host.journal(Step.PREFLIGHT, schema=9)
    swaps = host.look().swaps
    assert "schema 9" in (swaps.error or "")
    assert swaps.to_result()["known"] is False


def test_where_clients_are_sent(host: FakeHost) -> None:
    assert host.look().redirect.edge is False
    host.redirected("https://other.example.org")
    host.write(host.state / "redirect.json", {})
    redirect = host.look().redirect
    assert (redirect.edge, redirect.base_url, redirect.noted) == (
        True,
        "https://other.example.org",
        True,
    )


def test_a_note_of_retirement_beside_a_running_container_is_left_over(host: FakeHost) -> None:
    host.deployed()
    host.retired()
    assert host.look().is_retired
    host.container("devshardctl-multi", host.storage)
    assert not host.look().is_retired


def _noted(host: FakeHost, content: str) -> None:
    digest = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
    host.write(host.deploy / ".retired.json", {"settled": [], "gateway_db": digest})


def test_a_retired_database_is_compared_with_the_archived_one(host: FakeHost) -> None:
    host.deployed()
    assert host.look().retired.unchanged is None
    database = host.write(host.storage / "gateway.db", "records")
    _noted(host, "records")
    assert host.look().retired.unchanged is True
    # a gateway that was killed has left its last writes beside the database
    pending = host.write(host.storage / "gateway.db-wal", "more")
    assert host.look().retired.unchanged is False
    pending.write_text("")
    assert host.look().retired.unchanged is True
    _noted(host, "earlier records")
    assert host.look().retired.unchanged is False
    host.write(host.deploy / ".retired.json", {"settled": []})
    assert host.look().retired.unchanged is False
    # removed with its storage
    database.unlink()
    assert host.look().retired.unchanged is True


def test_a_settled_gateway_is_compared_by_its_records(host: FakeHost) -> None:
    host.deployed()
    note: dict[str, t.Any] = {
        "stage": "settled",
        "settled": [],
        "left_to_others": [],
        "gateway_records": [11, 12],
    }
    host.write(host.deploy / ".retired.json", note)
    # an empty file is no database
    assert host.look().retired.unchanged is None
    (host.storage / "gateway.db").unlink()
    assert host.look().retired.unchanged is None
    with contextlib.closing(sqlite3.connect(host.storage / "gateway.db")) as db:
        db.execute("CREATE TABLE gateway_devshards (id TEXT, storage_path TEXT)")
        db.execute("INSERT INTO gateway_devshards VALUES ('12', '')")
        db.commit()
        found = host.look().retired
        assert (found.archived, found.unchanged) == (False, True)
        db.execute("INSERT INTO gateway_devshards VALUES ('13', '')")
        db.commit()
        assert host.look().retired.unchanged is False
    right = {**note, "gateway_records": [11, 12, 13]}
    host.write(host.deploy / ".retired.json", right)
    assert host.look().retired.unchanged is True
    for wrong in (
        {"settled": None},
        {"left_to_others": None},
        {"gateway_records": "11"},
        {"stage": "other"},
    ):
        host.write(host.deploy / ".retired.json", {**right, **wrong})
        assert host.look().retired.unchanged is None


def test_a_database_that_cannot_be_compared_is_not_known(host: FakeHost) -> None:
    host.deployed()
    host.write(host.deploy / ".retired.json", "{")
    assert host.look().retired.unchanged is None
    _noted(host, "records")
    (host.storage / "gateway.db").unlink()
    (host.storage / "gateway.db").mkdir()
    assert host.look().retired.unchanged is None


def test_what_a_serving_gateway_writes_is_not_compared(host: FakeHost) -> None:
    host.deployed()
    _noted(host, "earlier records")
    host.container("devshardctl-multi", host.storage)
    assert host.look().retired.unchanged is None


def test_paths_are_found_by_name(host: FakeHost) -> None:
    program = host.write(host.folder / "versions/1/inferenced")
    link = host.folder / "inferenced"
    link.symlink_to(program)
    hanging = host.folder / "hanging"
    hanging.symlink_to(host.folder / "nothing")
    asked = {"program": link, "hanging": hanging, "folder": host.nginx}
    host.deployed()
    seen = host.look(paths=asked)
    there = {name: (place.exists, place.directory) for name, place in seen.paths.items()}
    assert there == {
        "program": (True, False),
        "hanging": (False, False),
        "folder": (True, True),
        "compose": (False, False),
        "storage": (True, True),
        "edge": (False, False),
    }
    host.write(host.nginx / "devshard/server.d/redirect.conf")
    host.write(host.deploy / "docker-compose.yml")
    seen = host.look()
    assert (seen.paths["edge"].directory, seen.paths["compose"].exists) == (True, True)
    assert seen.paths["edge"].to_result() == {
        "path": str(host.nginx / "devshard/server.d"),
        "known": True,
        "exists": True,
        "directory": True,
    }


def test_a_path_that_may_not_be_looked_at_is_not_known(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = host.folder / "asked"
    real = Path.stat

    def stat(path: Path, **given: t.Any) -> os.stat_result:
        if path == asked:
            raise PermissionError
        return real(path, **given)

    monkeypatch.setattr(Path, "stat", stat)
    place = host.look(paths={"asked": asked}).paths["asked"]
    assert (place.exists, place.to_result()["known"]) == (None, False)


@pytest.mark.parametrize("missing", ["requests", "docker"])
def test_a_library_is_there_when_it_can_be_imported(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    assert host.look().libraries == {"requests": True, "docker": True}
    without_library(monkeypatch, missing)
    found = host.look().to_result()["libraries"]
    assert found == {"requests": missing != "requests", "docker": missing != "docker"}


@pytest.mark.parametrize("recorded", ["record", "environment file", "nothing"])
def test_the_ledger_of_earlier_runs(host: FakeHost, recorded: str) -> None:
    """0.1.0 has it in the environment file only; the usual place is the last resort."""
    host.deployed(**({"ledger": f"{host.state}/ledger.db"} if recorded == "record" else {}))
    first = host.state / "ledger.db"
    if recorded != "environment file":
        host.write(host.deploy / "config.devshard.env", "")
    if recorded == "nothing":
        first = host.write(host.usual / "ledger.db")
    other: dict[str, t.Any] = {"ledger": host.folder / "other/ledger.db"}
    assert host.look(**other).other_ledgers == (str(first),)
    assert host.look(ledger=first).other_ledgers == ()


def test_a_recorded_ledger_counts_before_the_first_coin_moves(host: FakeHost) -> None:
    """Found in use: another state directory was accepted until there was a ledger."""
    first = host.state / "ledger.db"
    host.deployed(ledger=str(first))
    first.unlink()
    assert host.look(ledger=host.folder / "other/ledger.db").other_ledgers == (str(first),)
    assert host.look(ledger=first).other_ledgers == ()


def test_a_damaged_record_is_neither_there_nor_absent(host: FakeHost) -> None:
    host.deployed()
    host.write(host.deploy / ".gonka-devshard.json", "{")
    host.container("devshardctl-multi", host.storage)
    seen = host.look()
    assert (seen.record.exists, seen.container.ours) == (True, None)
    assert seen.to_result()["record"]["known"] is False
    assert port(seen, "gateway").state == "unknown"


# several gateways on a host


EDGE = "server {{\n    listen {port} default_server;\n    listen [::]:{port} default_server;\n}}\n"


def second(host: FakeHost, name: str = "blue") -> Path:
    """Another gateway of the collection on the same host, with an edge on port 8080."""
    deploy = host.folder / "srv/other"
    record = {"schema": 2, "storage": str(deploy / ".devshardctl"), "instance": name}
    host.write(deploy / ".gonka-devshard.json", {k: v for k, v in record.items() if v})
    host.write(deploy / ".devshardctl/gateway.db")
    host.container("devshardctl-multi-blue", deploy / ".devshardctl", number=7, port=18090)
    host.write(host.nginx / "conf.d/gonka-devshard-blue.conf", EDGE.format(port=8080))
    host.listens(8080, host.process(5002, "nginx"))
    return deploy


def test_each_gateway_of_a_host_is_seen_with_its_own_notes(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    host.journal(Step.SWITCH_TO_TEMP)
    host.redirected("https://one.example.org")
    deploy = second(host)
    one = host.look()
    assert one.others is not None
    assert [(other.name, other.instance) for other in one.others] == [
        ("devshardctl-multi-blue", "blue")
    ]
    assert one.swaps.binding is not None
    assert one.redirect.edge
    blue = host.look(
        instance=Instance("blue"),
        deploy_dir=deploy,
        container="devshardctl-multi-blue",
        ports=(("gateway", 18090), ("temp", 18091), ("edge", 8080)),
    )
    assert blue.others is not None
    assert [(other.name, other.instance) for other in blue.others] == [("devshardctl-multi", "")]
    assert (blue.swaps.binding, blue.redirect.edge, blue.redirect.noted) == (None, False, False)
    assert [port.state for port in blue.ports] == ["ours", "free", "ours"]
    assert blue.gateway_proved
    assert blue.ledger == one.ledger
    assert all(refuse(play, blue) is None for play in PLAYS)


def test_the_port_of_another_edge_is_refused_before_anything_is_changed(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    second(host)
    seen = host.look(ports=(("gateway", 18080), ("temp", 18081), ("edge", 8080)))
    (port,) = [port for port in seen.ports if port.name == "edge"]
    assert (port.state, port.owner and port.owner.nginx) == ("foreign", "another")
    for play in ("site", "preflight"):
        told = refuse(play, seen) or ""
        assert "gonka-devshard-blue.conf, listens on port 8080. Set edge_http_port" in told
    # what runs is looked at and mended all the same
    assert refuse("status", seen) is None
    assert refuse("redirect", seen) is None
    assert refuse("site", host.look()) is None


def test_the_accounting_is_looked_for_on_the_gateways_own_container(host: FakeHost) -> None:
    host.deployed()
    host.container("devshardctl-multi", host.storage)
    second(host)
    for port, state in ((18080, "ours"), (18090, "foreign"), (9091, "free")):
        (found,) = host.look(ports=(("accounting", port),)).ports
        assert (found.name, found.state) == ("accounting", state)


@pytest.mark.parametrize(("recorded", "asked"), [("blue", ""), ("blue", "green"), ("", "blue")])
def test_a_gateway_keeps_its_name(host: FakeHost, recorded: str, asked: str) -> None:
    host.deployed(**({"instance": recorded} if recorded else {}))
    host.container("devshardctl-multi", host.storage)
    seen = host.look(instance=Instance(asked))
    for play in PLAYS:
        told = refuse(play, seen) or ""
        assert "A gateway keeps its name for life" in told
        assert f"Set devshard_instance: '{recorded}'" in told
    assert refuse("site", host.look(instance=Instance(recorded))) is None


def test_a_container_of_another_gateway_is_no_reason_to_take_its_directory(host: FakeHost) -> None:
    """A second gateway that got no name of its own finds the first one's container."""
    deploy = second(host)
    seen = host.look(container="devshardctl-multi-blue")
    told = refuse("site", seen) or ""
    assert f"is deployed in {deploy}" in told
    assert "set devshard_instance to a name of its own" in told


@pytest.mark.parametrize("adopt", [True, False])
def test_one_made_by_hand_is_ours_when_the_user_says_so(host: FakeHost, adopt: bool) -> None:
    host.container("devshardctl-multi", host.folder / "data")
    seen = host.look(adopt=adopt)
    assert seen.container.ours is adopt
    assert seen.gateway_proved is adopt


def test_a_container_that_is_no_gateway_is_never_ours(host: FakeHost) -> None:
    host.container("devshardctl-multi", host.folder / "data")
    host.containers[0]["Config"]["Env"] = ["PATH=/bin"]
    assert host.look(adopt=True).gateway_proved is False


def test_one_of_another_deployment_is_not_taken_over(host: FakeHost) -> None:
    other = host.folder / "other/data"
    host.write(other.parent / ".gonka-devshard.json", {"profile": "v2"})
    host.container("devshardctl-multi", other)
    assert host.look(adopt=True).gateway_proved is False
