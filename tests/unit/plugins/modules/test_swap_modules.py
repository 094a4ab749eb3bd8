# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The modules that are steps of a swap, each as a whole module with a journal on the disk."""

from __future__ import annotations

import contextlib
import http.server
import json
import sqlite3
import threading
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import JournalFile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    LeftSession,
    ServedSession,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    failed,
    run_module,
    succeeded,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.equality import prove
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

Params = dict[str, t.Any]
OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"


class Swap:
    """An open swap whose journal is a file."""

    def __init__(self, folder: Path) -> None:
        self.file = JournalFile(folder / "swap.json")
        self.write()

    def write(self, *done: Step, **notes: t.Any) -> None:
        journal = Journal(
            id="20260102T030405Z",
            mode="temp",
            temp_escrows="import",
            target=NEW,
            origin=OLD,
            asked="r:5000/gateway:new",
            origin_asked="r:5000/gateway:old",
            data=SwapNotes(run="r1", **notes),
        )
        for step in (Step.PREFLIGHT, *done):
            journal = journal.finish(step)
        self.file.write(journal)

    def step(self, step: Step, finished: Step | None = None) -> Params:
        return {
            "journal": str(self.file.path),
            "run": "r1",
            "step": step.value,
            "finished": "" if finished is None else finished.value,
        }

    @property
    def journal(self) -> Journal:
        found = self.file.read()
        assert found is not None
        return found


@pytest.fixture
def swap(tmp_path: Path) -> Swap:
    folder = tmp_path / "state"
    folder.mkdir()
    return Swap(folder)


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Container]:
    there: dict[str, Container] = {}
    monkeypatch.setattr(docker, "inspect", there.get)
    return there


def container(image: str, state: str = "running") -> Container:
    return from_inspect(
        {
            "Id": "a",
            "Name": "/x",
            "Image": "sha256:1",
            "Config": {"Image": image},
            "State": {"Status": state, "Running": state == "running"},
            "HostConfig": {},
        },
        (),
    )


def test_another_run_is_refused_by_every_module_before_it_does_anything(
    swap: Swap, tmp_path: Path
) -> None:
    swap.write(Step.FREEZE_ROTATION)
    before = swap.file.path.read_bytes()
    taken = {**swap.step(Step.STOP_TEMP), "run": "r0"}
    temp = {"state": "withdrawn", "compose_file": str(tmp_path / "c.yml")}
    for module, params in (
        ("swap_step", {"state": "started"}),
        ("swap_temp", temp),
        ("swap_sessions", {"state": "listed", **NOWHERE}),
        ("swap_rotation", {"state": "restored"}),
        ("swap_settings", {"source_url": "http://127.0.0.1:1", "container_name": "t"}),
        ("gateway_drain", {}),
    ):
        found = failed(module, {**params, **taken})
        assert (found.kind, "another run has taken over" in found.msg) == ("busy", True), module
    assert swap.file.path.read_bytes() == before
    assert (
        "no swap is open"
        in failed("swap_temp", {**temp, **taken, "journal": str(tmp_path / "no.json")}).msg
    )


NOWHERE = {
    "chain_rest": "http://127.0.0.1:1",
    "public_api": "http://127.0.0.1:1",
    "chain_id": "c",
}


# rotation


def rotating(site: Site) -> Params:
    model = {"model_id": site.model, "amount": site.net.ready["amount"]}
    site.net.admin.post("/v1/admin/escrows", model)
    site.import_key()
    wish = {"enabled": True, "settlement_enabled": True, "pre_poc_blocks": 5, "models": [model]}
    found = succeeded("escrow_rotation", {**site.money(), **wish})
    rotation: Params = found["rotation"]
    return {key: value for key, value in rotation.items() if key != "funding_needed"}


def test_the_rotation_is_noted_frozen_and_restored(site: Site, swap: Swap) -> None:
    was = rotating(site)
    frozen = {**site.admin(), **swap.step(Step.FREEZE_ROTATION, Step.PREFLIGHT), "state": "frozen"}
    done = prove("swap_rotation", frozen, swap.file.path.parent, writes=site.writes)
    assert done["rotation"]["before"] == was
    assert swap.journal.data.rotation == was
    assert swap.journal.started[-1] is Step.FREEZE_ROTATION
    restored = {**site.admin(), **swap.step(Step.RESTORE_ROTATION), "state": "restored"}
    done = prove("swap_rotation", restored, swap.file.path.parent, writes=site.writes)
    assert done["rotation"]["after"] == was


def test_a_rotation_is_given_back_where_the_gateway_serves(site: Site, swap: Swap) -> None:
    was = rotating(site)
    succeeded(
        "swap_rotation",
        {**site.admin(), **swap.step(Step.FREEZE_ROTATION), "state": "frozen"},
    )
    back = {**site.admin(), **swap.step(Step.FREEZE_ROTATION), "state": "given_back"}
    journal = swap.journal
    swap.file.write(journal.start(Step.REPLACE_MAIN))
    assert succeeded("swap_rotation", back)["changed"] is False
    swap.file.write(journal)
    done = prove(
        "swap_rotation",
        back,
        swap.file.path.parent,
        writes=site.writes,
        moving=("rotation", "diff"),
    )
    assert done["rotation"]["after"] == was
    assert swap.journal.data.rotation is None
    assert Step.FREEZE_ROTATION not in swap.journal.started


def test_a_rotation_that_was_switched_on_during_a_swap_is_frozen_again_by_the_next_run(
    site: Site, swap: Swap, containers: dict[str, Container]
) -> None:
    """The playbook that switches it off is refused while the swap is open."""
    was = rotating(site)
    containers["devshardctl-multi"] = container(OLD)
    freeze = {**site.admin(), **swap.step(Step.FREEZE_ROTATION), "state": "frozen"}
    succeeded("swap_rotation", freeze)
    since = {**was, "pre_poc_blocks": 9}
    site.net.admin.post("/v1/admin/settings", {"escrow_rotation": since})
    stop = {
        **site.admin(),
        **site.chain(),
        **site.ledger(),
        **swap.step(Step.REPLACE_MAIN, Step.DRAIN_MAIN),
        "state": "stoppable",
    }
    before = swap.journal
    assert "Run this again: the swap freezes it" in failed("swap_sessions", stop, check=True).msg
    assert swap.journal == before
    assert "Run this again: the swap freezes it" in failed("swap_sessions", stop).msg
    after = swap.journal
    assert (Step.FREEZE_ROTATION in after.done, after.data.rotation) == (False, None)
    again = succeeded("swap_rotation", freeze)
    assert again["rotation"]["before"] == swap.journal.data.rotation == since
    assert succeeded("swap_sessions", stop)["asked"] is True


# settings


class Other:
    """The gateway whose settings are copied: it answers one path."""

    def __init__(self, settings: Params) -> None:
        body = json.dumps(settings).encode()
        self.keys: list[str] = []
        keys = self.keys

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.append(self.headers["Authorization"])
                self.send_response(200 if self.path == "/v1/admin/settings" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_args: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_the_settings_of_the_gateway_are_copied_once_the_temporary_gateway_is_up(
    site: Site, swap: Swap, containers: dict[str, Container]
) -> None:
    limits = [{"model_id": "a/b", "access_mode": "api_key", "access_message": ""}]
    settings = {**site.net.defaults, "request_max_tokens_cap": 8192, "model_limits": limits}
    with Other(settings) as other:
        step = swap.step(Step.START_TEMP, Step.FREEZE_ROTATION)
        params = {**site.admin(), "source_url": other.url, "container_name": "t", **step}
        params |= {"wait_timeout": 1, "timeout_variable": "hot_swap_wait_timeout"}
        held = site.net.admin.get("/v1/admin/settings")
        down = failed("swap_settings", params)
        assert "there is no container t" in down.msg
        assert site.net.admin.get("/v1/admin/settings") == held
        containers["t"] = container(OLD)
        done = prove("swap_settings", params, swap.file.path.parent, writes=site.writes)
        assert {"model_limits", "request_max_tokens_cap"} <= set(done["set"])
        site.net.admin.post("/v1/admin/settings", {"request_max_tokens_cap": 8191})
        # one that is started again may serve already, and the other one may be down
        swap.write(Step.SEED_TEMP)
        gone = {**params, "source_url": "http://127.0.0.1:1"}
        assert succeeded("swap_settings", gone)["changed"] is False
        same = {**params, "source_url": params["gateway_url"]}
        swap.write()
        assert "lead to the same gateway" in failed("swap_settings", same).msg


def test_each_of_the_two_gateways_is_asked_with_its_own_key(
    site: Site, swap: Swap, containers: dict[str, Container], tmp_path: Path
) -> None:
    """A move gives one of them a new admin key before the other."""
    containers["t"] = container(OLD)
    file = tmp_path / "other.env"
    with Other(dict(site.net.defaults)) as other:
        step = swap.step(Step.START_TEMP, Step.FREEZE_ROTATION)
        params = {**site.admin(), "source_url": other.url, "container_name": "t", **step}
        params |= {"timeout_variable": "hot_swap_wait_timeout", "source_env_file": str(file)}
        assert f"there is no {file}" in failed("swap_settings", params).msg
        file.write_text("GATEWAY_EXTRA=1\n")
        assert f"{file} does not set DEVSHARD_ADMIN_API_KEY" in failed("swap_settings", params).msg
        file.write_text(f"DEVSHARD_ADMIN_API_KEY=sk-admin-{'s' * 24}\n")
        succeeded("swap_settings", params)
        assert set(other.keys) == {f"Bearer sk-admin-{'s' * 24}"}


# the temporary gateway


def test_the_files_of_the_temporary_gateway(swap: Swap, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    env_file = host / "env"
    env_file.write_text("A=1\n")
    params = {
        "storage_dir": str(host / "storage/temp-1"),
        "env_file": str(env_file),
        "env_copy": str(host / "env.temp"),
        "compose_file": str(host / "compose.yml"),
        "compose": "services: {}\n",
        "image": NEW,
        **swap.step(Step.START_TEMP, Step.FREEZE_ROTATION),
    }
    done = prove("swap_temp", params, tmp_path)
    assert done["files"] == [params["storage_dir"], params["env_copy"], params["compose_file"]]
    assert (host / "env.temp").read_text() == "A=1\n"
    modes = [Path(name).stat().st_mode & 0o777 for name in done["files"]]
    assert modes == [0o700, 0o600, 0o644]
    assert (swap.journal.data.temp_image, swap.journal.data.temp_env) == (NEW, params["env_copy"])
    # before it serves it gets the newest environment, and none that it was not started with after
    env_file.write_text("A=2\n")
    assert succeeded("swap_temp", params)["files"] == [params["env_copy"]]
    swap.write(Step.SEED_TEMP)
    env_file.write_text("A=3\n")
    assert succeeded("swap_temp", {**params, "image": OLD})["changed"] is False
    assert (host / "env.temp").read_text() == "A=2\n"


def test_the_temporary_gateway_is_offered_and_withdrawn(swap: Swap, tmp_path: Path) -> None:
    flag = tmp_path / "temp-runs"
    offered = {"state": "offered", "flag_path": str(flag), **swap.step(Step.CHECK_TEMP)}
    assert prove("swap_temp", offered, tmp_path)["files"] == [str(flag)]
    assert flag.stat().st_mode & 0o777 == 0o644
    compose = tmp_path / "compose.yml"
    gone = {"state": "withdrawn", "flag_path": str(flag), "compose_file": str(compose)}
    done = prove("swap_temp", {**gone, **swap.step(Step.STOP_TEMP)}, tmp_path)
    assert (done["composed"], flag.exists()) == (False, False)
    compose.write_text("")
    assert succeeded("swap_temp", {**gone, **swap.step(Step.STOP_TEMP)})["composed"] is True
    # an edge that is not on this host has no flag
    none = {"state": "offered", **swap.step(Step.CHECK_TEMP)}
    assert succeeded("swap_temp", none)["changed"] is False


def storage_with(root: Path, number: int, nonce: int) -> Path:
    """What a gateway leaves: its records, and one session."""
    storage = root / "storage"
    folder = storage / f"escrow-{number}"
    folder.mkdir(parents=True)
    (folder / "_meta.db").touch()
    for file, statements in (
        (storage / "gateway.db", ["CREATE TABLE gateway_devshards (id TEXT, storage_path TEXT)"]),
        (
            folder / "epoch_5.db",
            [
                "CREATE TABLE sessions (escrow_id TEXT, latest_nonce INTEGER)",
                "CREATE TABLE diffs (escrow_id TEXT, nonce INTEGER)",
                f"INSERT INTO sessions VALUES ('{number}', {nonce})",
            ],
        ),
    ):
        with contextlib.closing(sqlite3.connect(file)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()
    with contextlib.closing(sqlite3.connect(storage / "gateway.db")) as database:
        database.execute("INSERT INTO gateway_devshards VALUES (?, '')", (str(number),))
        database.commit()
    return storage


def test_sessions_are_handed_over_noted_and_their_files_removed(
    swap: Swap, tmp_path: Path, containers: dict[str, Container]
) -> None:
    storage = storage_with(tmp_path, 7, 23)
    compose = tmp_path / "compose.yml"
    compose.write_text("")
    params = {
        "storage_dir": str(storage),
        "seen_as": "/root/temp-1",
        "remove": [str(compose), str(tmp_path / "none")],
        **swap.step(Step.STOP_TEMP, Step.DRAIN_TEMP),
    }
    containers["devshardctl-temp"] = container(NEW, "exited")
    assert "still exists" in failed("swap_handover", params).msg
    containers.clear()
    done = prove("swap_handover", params, tmp_path, moving=("removed",))
    left = LeftSession(id=7, nonce=23, storage_path="/root/temp-1/escrow-7")
    assert done["sessions"] == [left.to_result()]
    assert done["removed"] == [str(compose)]
    assert swap.journal.data.left == (left,)


def test_a_backup_is_noted_and_restored(swap: Swap, site: Site, tmp_path: Path) -> None:
    storage = storage_with(tmp_path, 7, 23)
    params = {
        **site.chain(),
        **site.ledger(),
        "storage_dir": str(storage),
        "dest": str(tmp_path / "backups"),
        "sessions": True,
    }
    step = swap.step(Step.REPLACE_MAIN)
    made = prove(
        "gateway_backup", {**params, **step}, tmp_path, assigned=("backup",), idempotent=False
    )
    name = made["backup"]["name"]
    assert swap.journal.data.backup == name
    assert made["holds_keys"] is False
    (storage / "gateway.db").write_bytes(b"")
    # the chain has never heard of its escrow, so nothing is at risk
    back = {**params, "state": "restored", "name": name}
    done = prove("gateway_backup", back, tmp_path, assigned=("replaced",), moving=("sessions",))
    assert done["actions"] == [f"restored backup {name}"]


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_check_mode_removes_the_backups_that_the_run_removes(
    keep: int, site: Site, tmp_path: Path
) -> None:
    params = {
        **site.chain(),
        **site.ledger(),
        "storage_dir": str(storage_with(tmp_path, 7, 23)),
        "dest": str(tmp_path / "backups"),
        "keep": keep,
    }
    name = succeeded("gateway_backup", params)["backup"]["name"]
    predicted = succeeded("gateway_backup", params, check=True)["removed"]
    assert predicted == ([name] if keep == 1 else [])


# the edge


FLAG_CONFIGURATION = """server {{
  set $slot main;
  if (-f {flag}) {{ set $slot temp; }}
}}
"""


class Edge:
    """A route that answers from the slot that the flag file names; slots and counts answer too."""

    def __init__(self, folder: Path) -> None:
        self.flag = folder / "temp-in-service"
        self.busy = 204
        self.deaf = False
        edge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                slot = "temp" if edge.flag.exists() and not edge.deaf else "main"
                status = edge.busy if self.path.startswith("/-/busy/") else 200
                self.send_response(status)
                self.send_header("X-Devshard-Slot", slot)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.program = folder / "nginx"
        text = FLAG_CONFIGURATION.format(flag=self.flag)
        head = "# configuration file /etc/nginx/nginx.conf:\n"
        self.program.write_text(f"#!/bin/sh\ncat <<'END'\n{head}{text}END\n")
        self.program.chmod(0o755)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def params(self, **more: t.Any) -> Params:
        urls = dict.fromkeys(("main_url", "temp_url", "public_url"), self.url)
        plain = {"flag_path": str(self.flag), "nginx_path": str(self.program), "wait_timeout": 2}
        return {**urls, **plain, "wait_interval": 0.1, **more}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    folder = tmp_path / "edge"
    folder.mkdir()
    made = Edge(folder)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_edge_is_switched_and_its_workers_are_noted(swap: Swap, edge: Edge) -> None:
    step = swap.step(Step.SWITCH_TO_TEMP, Step.CHECK_TEMP)
    params = edge.params(slot="temp", edge_busy_url=f"{edge.url}/-/busy/main", **step)
    folder = edge.flag.parent.parent
    done = prove("edge_slot", params, folder, assigned=("edge.proved",), moving=("edge.proved",))
    assert (done["edge"]["slot"], done["edge"]["previous"], done["edge"]["proved"]) == (
        "temp",
        "main",
        5,
    )
    assert swap.journal.data.workers == ()
    assert swap.journal.done[-1] is Step.CHECK_TEMP
    assert succeeded("edge_slot", edge.params())["edge"]["slot"] == "temp"


def test_an_edge_that_does_not_count_or_follow_is_left_as_it_was(swap: Swap, edge: Edge) -> None:
    step = swap.step(Step.SWITCH_TO_TEMP)
    edge.busy = 404
    counted = edge.params(slot="temp", edge_busy_url=f"{edge.url}/-/busy/main", **step)
    for check in (True, False):
        assert "does not report requests" in run_module("edge_slot", counted, check=check).msg
    assert not edge.flag.exists()
    edge.deaf = True
    found = failed("edge_slot", edge.params(slot="temp", **step))
    assert found.result["failure"]["rolled_back"] is True
    assert not edge.flag.exists()
    assert swap.journal.data.workers is None


# draining


def test_a_gateway_is_drained_once_neither_it_nor_the_edge_holds_a_request(
    site: Site, swap: Swap, edge: Edge
) -> None:
    step = swap.step(Step.DRAIN_MAIN, Step.SWITCH_TO_TEMP)
    params = {**site.admin(), "wait_interval": 0.1, "wait_timeout": 1, "polls": 3, **step}
    busy = {**params, "edge_busy_url": f"{edge.url}/-/busy/main"}
    assert succeeded("gateway_drain", busy)["drain"]["polls"] == 3
    assert swap.journal.begun_last is Step.DRAIN_MAIN
    edge.busy = 503
    found = failed("gateway_drain", busy)
    assert (found.kind, found.result["failure"]["last"]["edge"]) == ("timeout", True)
    assert succeeded("gateway_drain", busy, check=True)["drain"]["drained"] is False
    edge.busy = 404
    # what waiting does not heal is not waited for
    assert "does not report requests" in failed("gateway_drain", busy).msg
    # workers of before a reload come from the journal
    swap.write(workers=["nonsense"])
    assert "was not given by edge_slot" in failed("gateway_drain", params).msg


# sessions


def test_sessions_are_noted_before_a_stop_and_compared_after_it(
    site: Site, swap: Swap, containers: dict[str, Container]
) -> None:
    money = {**site.admin(), **site.chain(), **site.ledger(), "wait_timeout": 1}
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    number = str(site.net.admin.post("/v1/admin/escrows", body)["escrow_id"])
    containers["devshardctl-multi"] = container(OLD)
    asked = {**money, **swap.step(Step.REPLACE_MAIN, Step.DRAIN_MAIN), "state": "stoppable"}
    found = succeeded("swap_sessions", asked, check=True)
    assert "main_sessions" not in swap.journal.data.to_dict()
    found = succeeded("swap_sessions", asked)
    assert (found["asked"], number in found["sessions"]) == (True, True)
    noted_then = swap.journal.data.to_dict()["main_sessions"]
    assert noted_then[number]["active"] is True
    intact = {**money, **swap.step(Step.CHECK_MAIN), "state": "intact"}
    assert number in succeeded("swap_sessions", intact)["sessions"]
    # a rollback activates what the image that is given up has taken out of service
    site.net.admin.post(f"/v1/admin/devshards/{number}/deactivate")
    back = {**money, **swap.step(Step.CHECK_MAIN), "state": "active"}
    assert succeeded("swap_escrows", back, check=True)["actions"] == [f"activated escrow {number}"]
    found = succeeded("swap_escrows", back)
    assert found["actions"] == [f"activated escrow {number}"]
    assert int(number) in [item["id"] for item in found["escrows"]]
    assert found["diff"]["before"] != found["diff"]["after"]
    assert succeeded("swap_escrows", back)["changed"] is False
    swap.write(main_sessions={number: ServedSession(99, 1)})
    assert "it was at 99" in failed("swap_sessions", intact).msg


def test_a_gateway_that_cannot_answer_is_not_asked(
    swap: Swap, containers: dict[str, Container], tmp_path: Path
) -> None:
    """No admin API is named that could answer."""
    unasked = {**NOWHERE, "env_file": str(tmp_path / "none"), "ledger_path": str(tmp_path / "no")}
    cases: list[tuple[Step, str, Container | None]] = [
        (Step.REPLACE_MAIN, "stoppable", None),
        (Step.REPLACE_MAIN, "stoppable", container(OLD, "exited")),
        (Step.REPLACE_MAIN, "stoppable", container(NEW)),
        (Step.STOP_TEMP, "listed", None),
        # it never got an escrow
        (Step.STOP_TEMP, "listed", container(NEW)),
    ]
    for step, state, there in cases:
        containers.clear()
        if there is not None:
            containers["devshardctl-multi"] = there
        params = {**unasked, **swap.step(step), "state": state}
        found = succeeded("swap_sessions", params)
        assert (found["asked"], found["sessions"]) == (False, {})
    for step in (Step.CHECK_MAIN, Step.IMPORT_ESCROWS, Step.ACTIVATE):
        state = "imported" if step is Step.IMPORT_ESCROWS else "active"
        found = succeeded("swap_escrows", {**unasked, **swap.step(step), "state": state})
        assert (found["changed"], found["escrows"]) == (False, [])


def chain_escrow(site: Site) -> int:
    """An escrow that the gateway has no record of."""
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    number = int(site.net.admin.post("/v1/admin/escrows", body)["escrow_id"])
    site.net.admin.post(f"/v1/admin/devshards/{number}/deactivate")
    site.net.admin.delete(f"/v1/admin/devshards/{number}")
    return number


def test_what_the_temporary_gateway_left_is_imported_with_the_balance_where_it_is_known(
    site: Site, swap: Swap
) -> None:
    one, two = (chain_escrow(site) for _each in range(2))
    swap.write(
        Step.STOP_TEMP,
        left=(
            LeftSession(id=one, nonce=0, storage_path="/t/1"),
            LeftSession(id=two, nonce=4, storage_path="/t/2"),
            LeftSession(id=987654, nonce=1, storage_path="/t/3"),
        ),
        temp_sessions={str(one): ServedSession(0, 50), str(two): ServedSession(3, 60)},
    )
    params = {**site.admin(), **site.chain(), **site.ledger(), "state": "imported"}
    params |= {**swap.step(Step.IMPORT_ESCROWS), "perf_path": "/t/perf.db"}
    found = succeeded("swap_escrows", params, check=True)
    assert found["escrows"] == [
        {"id": one, "nonce": 0, "balance": 50, "storage_path": "/t/1"},
        {"id": two, "nonce": 4, "balance": None, "storage_path": "/t/2"},
    ]
    assert found["actions"] == [f"imported escrow {one}", f"imported escrow {two}"]
    # the chain has never heard of the third
    assert found["past"] == [987654]
    assert "987654 cannot be served any more" in str(found["warnings"])
    # both folders hold no session: neither is what was handed over
    wrong = failed("swap_escrows", params)
    assert "has a balance of" in wrong.msg
    assert f"escrow {two} is at nonce 0, its source was at 4" in wrong.msg
    assert (wrong.kind, wrong.result["changed"]) == ("unsafe", False)
