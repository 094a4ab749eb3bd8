# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What version 0.1.0 wrote on a host is read, kept and carried on, and nothing is recreated."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sqlite3
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.gonka.devshard.plugins.module_utils._edge import nginx_conf
from ansible_collections.gonka.devshard.plugins.module_utils._edge.selectors import FlagFile
from ansible_collections.gonka.devshard.plugins.module_utils._edge.switch import refuse_unconfigured
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup.inspect import (
    read_backup,
    records_in,
    refuse_other_gateway,
    sessions_in,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup.make import (
    list_backups,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup.restore import (
    is_restored,
    restore,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settlement_files import (
    SettlementFiles,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import env, env_file
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import Instance
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan import make
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan_model import (
    GatewayPlan,
    GatewayWish,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.record import (
    SCHEMA,
    DeployRecord,
    parse,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._presence import gateway
from ansible_collections.gonka.devshard.plugins.module_utils._presence.model import PLAYS, Presence
from ansible_collections.gonka.devshard.plugins.module_utils._presence.retirement import (
    Seen,
    Wish,
)
from ansible_collections.gonka.devshard.plugins.module_utils._presence.retirement import (
    plan as retirement,
)
from ansible_collections.gonka.devshard.plugins.module_utils._presence.rules import notes, refuse
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import lasting, observe
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import JournalFile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    gives_rotation_back,
    plan,
    record_after,
    remaining,
    roll_back,
    way_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import (
    Step,
    SwapSeen,
    sequence,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.temporary import (
    temp_environment,
)
from ansible_collections.gonka.devshard.plugins.module_utils._wiring import gateway_settings
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_env import HEADER
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.earlier_host import (
    FIXTURES,
    EarlierHost,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import run_program
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import without_library

SIM = "registry.gonka.test:5000/gonka-devshard-gateway-sim"
OWN_NAMES = {"deploy": "/opt/gw/devshard"}
STATES = ("deployed", "own_names", "swap_open", "swapped", "redirected", "retired")
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)


def earlier(folder: Path, state: str) -> EarlierHost:
    return EarlierHost(folder, state, **(OWN_NAMES if state == "own_names" else {}))


@pytest.fixture(autouse=True)
def no_other_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own docker program and engine are not meant."""
    monkeypatch.setattr(docker_cli, "PATH", ("/nonexistent",))
    without_library(monkeypatch, "docker")


def container_of(state: str) -> str:
    return "my-gateway" if state == "own_names" else "devshardctl-multi"


def look(host: EarlierHost, state: str = "") -> Presence:
    return host.look(container=container_of(state), keyring=host.keyring)


# the inventory of then, with the roles of now


def trusted(value: t.Any) -> t.Any:
    """Roles' variables hold templates at any depth."""
    if isinstance(value, dict):
        return {name: trusted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


def evaluated(expression: str, variables: Data) -> t.Any:
    templar = Templar(DataLoader(), variables=trusted(variables))
    return templar.template(trust_as_template(expression))


def inventory(host: EarlierHost, state: str, **changes: t.Any) -> Data:
    chain = "http://net.gonka.test"
    given: Data = {
        "devshard_profile": "v2",
        "devshard_instance": "",
        "__devshard_names": Instance().to_result(str(host.state)),
        "devshard_deploy_dir": str(host.deploy),
        "devshard_env_file": str(host.deploy / "config.devshard.env"),
        "devshard_state_dir": str(host.state),
        "devshard_ledger_path": str(host.state / "ledger.db"),
        "devshard_inferenced_home": str(host.state / "inferenced"),
        "devshard_keyring_dir": str(host.state / "inferenced/keyring-devshard"),
        "devshard_gateway_url": "http://127.0.0.1:18080",
        "devshard_chain_id": "gonka-sim",
        "devshard_chain_rest": f"{chain}:1317",
        "devshard_chain_rpc": f"{chain}:26657",
        "devshard_public_api": f"{chain}:9000",
        "devshard_models": [{"id": "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"}],
        "gateway_container_name": container_of(state),
        "gateway_env_extra": {"GATEWAY_EXTRA_NOTE": "a b$c"} if state == "own_names" else {},
        "ansible_managed": "Ansible managed",
        **changes,
    }
    roles = read_yaml(ROOT / "roles/gateway/defaults/main.yml")
    # the filters of a collection are not there for a bare template
    given["__gateway_profile"] = profile("v2").to_result()
    given["__gateway_host_port"] = "18080"
    given["gateway_image"] = f"{SIM}:1.0"
    return {**roles, **read_yaml(ROOT / "roles/gateway/vars/main.yml"), **given}


def judged(
    host: EarlierHost, state: str, image: str, **changes: t.Any
) -> tuple[GatewayPlan, env_file.EnvPlan]:
    """As the module gateway_plan_info does it."""
    variables = inventory(host, state, **changes)
    params = {
        "variables": evaluated("{{ __gateway_variables }}", variables),
        "defaults": evaluated("{{ __gateway_env_defaults }}", variables),
        "private_key": None,
        "api_keys": None,
        "admin_api_key": None,
    }
    file = host.deploy / "config.devshard.env"
    wanted = env.wish(params, {}, lambda _values: None)
    _text, there = env.present(file, wanted, lambda _values: None)
    host.install()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(host.bin))
        subject = gateway.Subject(
            asked=host.asked(container=container_of(state), temp_container=""),
            image=image,
            image_update=False,
            storage_dir=None,
            in_file=there or {},
        )
        seen, running = gateway.see(subject, host.host)
    planned = env.plan(wanted, there, running, str(file), adopting=seen.record is None)
    wish = GatewayWish(
        deploy_dir=str(host.deploy),
        container=container_of(state),
        image=image,
        port=18080,
        environment=planned.variables,
    )
    return make(wish, seen, profile("v2")), planned


RUNNING = ("deployed", "own_names", "swapped", "redirected")


@pytest.mark.parametrize("state", RUNNING)
def test_nothing_is_to_be_recreated(tmp_path: Path, state: str) -> None:
    host = earlier(tmp_path, state)
    found, planned = judged(host, state, host.record["image"])
    assert found.refused == ()
    assert found.unknown is None
    assert found.drift.reasons == ()
    assert found.drift.bootstrap == ()
    assert found.pinned == host.record["digest"] == host.containers[0]["Config"]["Image"]
    assert found.storage.path == host.record["storage"]
    assert not found.adopting
    # the file itself is not written either
    text = host.text(host.deploy / "config.devshard.env")
    assert env_file.render(planned.variables, HEADER) == text


def test_what_differs_is_still_seen(tmp_path: Path) -> None:
    host = earlier(tmp_path, "deployed")
    found, _env = judged(host, "deployed", host.record["image"], gateway_poc_request_mode="strict")
    (told,) = found.refused
    assert "DEVSHARD_POC_REQUEST_MODE" in told
    found, _env = judged(host, "deployed", f"{SIM}:1.1")
    (told,) = found.refused
    assert "gonka.devshard.hot_swap" in told


@pytest.mark.parametrize("state", RUNNING)
def test_the_compose_file_says_the_same(tmp_path: Path, state: str) -> None:
    """Compose recreates a container whose service has changed."""
    host = earlier(tmp_path, state)
    found, _env = judged(host, state, host.record["image"])
    variables = {
        **inventory(host, state),
        "__gateway_plan": {**found.to_result(), "recorded": True},
        "__gateway_record": host.record,
        "__gateway_pinned": found.pinned,
    }
    template = (ROOT / "roles/gateway/templates/docker-compose.yml.j2").read_text()
    text = evaluated(template, variables)
    there = yaml.safe_load(host.text(host.deploy / "docker-compose.yml"))
    assert yaml.safe_load(text) == there
    labels = host.containers[0]["Config"]["Labels"]
    assert there["name"] == labels["com.docker.compose.project"] == found.project
    assert list(there["services"]) == [labels["com.docker.compose.service"]] == [found.service]


@pytest.mark.parametrize("state", RUNNING)
def test_the_record_is_carried_over(tmp_path: Path, state: str) -> None:
    host = earlier(tmp_path, state)
    found, _env = judged(host, state, host.record["image"])
    before = parse(json.dumps(host.record).encode(), "record")
    assert before.schema == 1
    variables = {
        **inventory(host, state),
        "__gateway_plan": {**found.to_result(), "recorded": True},
        "__gateway_record": host.record,
    }
    after = evaluated("{{ __gateway_record | combine(__gateway_identity) }}", variables)
    record = parse(json.dumps(after).encode(), "record")
    assert record == dataclasses.replace(
        before,
        schema=SCHEMA,
        container=container_of(state),
        port=18080,
        project=host.deploy.name,
        service="devshardctl",
        state_dir=str(host.state),
        ledger=str(host.state / "ledger.db"),
    )
    assert way_back(after) == way_back(host.record)


def test_every_record_says_what_it_said(tmp_path: Path) -> None:
    records = {
        state: parse(json.dumps(earlier(tmp_path / state, state).record).encode(), state)
        for state in STATES
    }
    assert {record.profile for record in records.values()} == {"v2"}
    assert records["deployed"].previous_image is None
    swapped = records["swapped"]
    assert (swapped.image, swapped.previous_image) == (f"{SIM}:1.1", f"{SIM}:1.0")
    assert way_back(swapped.to_result())[0] == records["deployed"].digest
    assert isinstance(records["own_names"], DeployRecord)


# which playbook may run


REFUSED: dict[str, set[str]] = {
    "deployed": set(),
    "own_names": set(),
    "swapped": set(),
    "redirected": {"hot_swap", "rotate_keys", "generation_upgrade"},
    "swap_open": {
        *("site", "preflight", "escrow", "rotation", "settle", "retire", "restore"),
        "generation_upgrade",
    },
    "retired": {
        *("site", "preflight", "escrow", "rotation", "hot_swap", "rotate_keys"),
        *("generation_upgrade", "settle", "redirect", "restore"),
    },
}


@pytest.mark.parametrize("state", STATES)
def test_which_playbook_may_run(tmp_path: Path, state: str) -> None:
    seen = look(earlier(tmp_path, state), state)
    told = {play: refuse(play, seen) for play in PLAYS}
    assert {play for play, text in told.items() if text is not None} == REFUSED[state], told
    assert (seen.record.error, seen.swaps.error) == (None, None)
    assert (seen.keyring.exists, seen.ledger.exists, seen.env_file.exists) == (True, True, True)
    assert seen.other_ledgers == ()
    assert seen.gateway_proved is (state != "retired")


def test_an_open_swap_is_told_with_the_ways_on(tmp_path: Path) -> None:
    seen = look(earlier(tmp_path, "swap_open"))
    told = refuse("site", seen) or ""
    assert f"hot_swap_image={SIM}:1.1" in told
    assert "hot_swap_rollback=true" in told
    assert (seen.temp.ours, seen.temp.container is not None) == (True, True)
    assert told.partition(". ")[2] or notes("status", seen)
    assert seen.swaps.binding is not None
    assert seen.swaps.binding.temp_escrow_ids != ()


def test_a_redirect_is_seen_and_what_was_before_can_come_back(tmp_path: Path) -> None:
    host = earlier(tmp_path, "redirected")
    seen = look(host)
    assert (seen.redirect.edge, seen.redirect.noted) == (True, True)
    assert seen.redirect.base_url == "https://other-gateway.example.org"
    # the path is the role's, and the note is what its module takes
    variables = read_yaml(ROOT / "roles/redirect/vars/main.yml")
    names = {"__devshard_names": Instance().to_result(str(host.state))}
    saved = evaluated(variables["__redirect_saved"], names)
    note = json.loads(Path(saved).read_text())
    assert note == {"enabled": False, "new_url": "", "text": "please use ... base url"}
    assert set(note) == set(gateway_settings.SPEC.options["disabled"]["options"])
    assert Path(seen.redirect.path) == host.at(evaluated(variables["__redirect_conf"], names))


def test_a_retirement_is_seen_and_its_note_is_believed(tmp_path: Path) -> None:
    host = earlier(tmp_path, "retired")
    seen = look(host)
    assert seen.is_retired
    assert refuse("site", seen, unretire=True) is None
    assert refuse("retire", seen) is None
    # the fixture makes the database from its statements, so it is another file
    assert seen.retired.unchanged is False
    database = Path(host.record["storage"]) / "gateway.db"
    path = host.deploy / ".retired.json"
    digest = hashlib.sha1(database.read_bytes(), usedforsecurity=False).hexdigest()
    path.write_text(json.dumps(json.loads(host.text(path)) | {"gateway_db": digest}))
    seen = look(host)
    assert seen.retired.unchanged is True
    left, emptied = (
        retirement(Seen.of(seen.to_result()), Wish(remove=remove), seen.deploy_dir)
        for remove in (False, True)
    )
    assert (left.state, emptied.state, emptied.refusal) == ("retired", "retired", "")
    assert emptied.steps[-1] == "remove"
    # each refund can still be told, and each settlement is at hand
    kept = SettlementFiles(host.state, "gonka-sim")
    settled = [item["id"] for item in retired(host)]
    assert settled == kept.kept() != []
    for number in settled:
        document = kept.read(number)
        assert document is not None
        assert document.escrow_id == number


def retired(host: EarlierHost) -> list[dict[str, t.Any]]:
    note = json.loads(host.text(host.deploy / ".retired.json"))
    return t.cast("list[dict[str, t.Any]]", note["settled"])


# the ledger


@pytest.mark.parametrize("state", STATES)
def test_the_ledger_has_the_same_rows(tmp_path: Path, state: str) -> None:
    host = earlier(tmp_path, state)
    path = host.state / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        raw = [dict(row) for row in database.execute("SELECT * FROM intents ORDER BY id")]
        history = database.execute("SELECT COUNT(*) FROM history").fetchone()[0]
        marks = database.execute("SELECT COUNT(*) FROM sessions").fetchone()[0]
        dump = list(database.iterdump())
    assert raw
    reading = Ledger.read(str(path))
    assert reading is not None
    with reading:
        found = reading.intents()
        assert [one.id for one in found] == [row["id"] for row in raw]
        for one, row in zip(found, raw, strict=True):
            shown = dataclasses.asdict(one)
            shown |= {"kind": one.kind.value, "via": one.via.value, "state": one.state.value}
            row["result"] = None if row["result"] is None else json.loads(row["result"])
            assert shown == row
        assert sum(len(reading.history(one.id)) for one in found) == history
        escrows = {one.escrow_id for one in found if one.escrow_id is not None}
        assert sum(len(reading.session_marks(number)) for number in escrows) == marks
        assert not [one for one in found if one.open]
    # it is also the ledger that the next run writes to
    with Ledger.open(str(path), "next") as writing:
        assert len(writing.intents()) == len(raw)
        planned = writing.plan(
            Kind.CREATE, Via.SIGNED, Subject(gateway="g", chain_id="c", creator="x")
        )
        assert (planned.id, planned.state) == (raw[-1]["id"] + 1, State.PLANNED)
    with contextlib.closing(sqlite3.connect(path)) as database:
        after = list(database.iterdump())
    assert set(dump) <= {*after, *(line for line in dump if "sqlite_sequence" in line)}


# open swaps


JOURNALS: list[dict[str, t.Any]] = json.loads((FIXTURES / "journals.json").read_text())
OPEN = [raw for raw in JOURNALS if "done" not in raw["done"]]


def at(raw: dict[str, t.Any]) -> str:
    begun = raw["started"][-1] if raw["started"] else "nothing"
    return f"{begun}-{'done' if begun in raw['done'] else 'begun'}-{len(raw['data'])}"


def as_left(journal: Journal) -> SwapSeen:
    """The host that a controller leaves which is killed at this note."""
    done = journal.done
    replaced = Step.REPLACE_MAIN in done
    temp = Step.START_TEMP in done and Step.STOP_TEMP not in done
    switched = Step.SWITCH_TO_TEMP in done and Step.SWITCH_BACK not in done
    return SwapSeen(
        main_image=journal.target if replaced else journal.origin,
        main_running=True,
        temp_exists=temp,
        temp_running=temp,
        flag="temp" if switched else "main",
        main_id="1",
    )


def test_a_whole_swap_was_noted() -> None:
    steps = {name for raw in JOURNALS for name in raw["done"]}
    assert steps == {step.value for step in sequence("temp", "import")}
    assert len(OPEN) > len(steps)


@pytest.mark.parametrize("raw", OPEN, ids=at)
def test_an_open_swap_goes_on_where_it_stopped(tmp_path: Path, raw: dict[str, t.Any]) -> None:
    path = tmp_path / "swap.json"
    path.write_text(json.dumps(raw))
    file = JournalFile(path)
    journal = file.read()
    assert journal is not None
    # carried over with every note; from schema 2 on it tells when each step began
    assert journal.to_dict() == {**raw, "schema": 3, "began": {}}
    seen = as_left(journal)
    found = plan(
        lasting(journal),
        seen,
        target=journal.target,
        previous=None,
        rollback=False,
        mode="temp",
        temp_escrows="import",
        asked=journal.asked,
    )
    left = [step for step in sequence("temp", "import") if step not in journal.done]
    again = set(found.steps) - set(left)
    # a drain that a stop relies on, and the window as long as nothing has moved
    assert again <= {Step.PREFLIGHT, Step.DRAIN_MAIN, Step.DRAIN_TEMP}
    assert set(left) - set(found.steps) <= {Step.DRAIN_TEMP}
    assert list(found.steps) == sorted(found.steps, key=list(Step).index)
    assert found.target == journal.target
    # taken over by another run, it keeps all that it knew
    file.write(journal.remember(SwapNotes(run="new")))
    taken = file.read()
    assert taken is not None
    assert dataclasses.replace(taken.data, run=journal.data.run) == journal.data
    assert gives_rotation_back(taken) is gives_rotation_back(journal)


@pytest.mark.parametrize("raw", OPEN, ids=at)
def test_an_open_swap_leads_back(raw: dict[str, t.Any]) -> None:
    journal = Journal.from_dict(raw)
    turned = roll_back(journal)
    if Step.STOP_TEMP in journal.started:
        # finished first, and then swapped back
        assert turned == journal
        return
    steps = remaining(turned, as_left(journal))
    assert turned.target == journal.origin
    assert turned.asked == journal.origin_asked
    assert Step.SEED_TEMP not in steps
    assert steps[-1] is Step.DONE
    assert (Step.REPLACE_MAIN in steps) is (Step.REPLACE_MAIN in journal.started)
    assert (Step.IMPORT_ESCROWS in steps) is (Step.START_TEMP in journal.started)
    assert Step.RESTORE_ROTATION in steps


def test_the_containers_of_an_open_swap_are_what_its_journal_says(tmp_path: Path) -> None:
    host = earlier(tmp_path, "swap_open")
    journal = JournalFile(host.state / "swap.json").read()
    assert journal is not None
    host.install()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(host.bin))
        program = docker_cli.find(run_program)
        assert program is not None
        listed = {one.container.name: one.container for one in docker_cli.containers(program)}
    flag = FlagFile(host.nginx / "devshard/temp-in-service")
    seen = observe(
        listed["devshardctl-multi"],
        listed["devshardctl-temp"],
        flag.read(),
        target=journal.target,
    )
    assert (seen.main_image, seen.main_running) == (journal.origin, True)
    assert (seen.temp_running, seen.flag) == (True, "temp")
    steps = remaining(journal, seen)
    assert steps[:2] == (Step.DRAIN_MAIN, Step.REPLACE_MAIN)
    assert Step.SEED_TEMP not in steps
    # the temporary gateway was started with the one environment file that there was
    env_file = Path("/e")
    assert temp_environment(journal.data.temp_env, env_file, started=True) == env_file
    variables = read_yaml(ROOT / "roles/hot_swap/vars/main.yml")
    temp = evaluated(variables["__hot_swap_temp_name"], {"__hot_swap": {"id": journal.id}})
    assert (host.deploy / ".devshardctl" / temp / "gateway.db").exists()
    after = record_after(journal, host.record)
    assert (after["image"], after["previous_image"]) == (f"{SIM}:1.1", f"{SIM}:1.0")


def test_a_finished_swap_binds_no_run(tmp_path: Path) -> None:
    host = earlier(tmp_path, "swapped")
    assert JournalFile(host.state / "swap.json").read() is None
    (kept,) = host.state.glob("swap-*.json")
    journal = JournalFile(kept).read()
    assert journal is not None
    assert not journal.open
    assert lasting(journal) is None


# the edge


@pytest.mark.parametrize("state", STATES)
def test_the_edge_follows_the_flag_that_it_followed(tmp_path: Path, state: str) -> None:
    host = earlier(tmp_path, state)
    variables = read_yaml(ROOT / "roles/edge/vars/main.yml")
    names = {"__devshard_names": Instance().to_result(str(host.state))}
    directory, flag, vhost = (
        evaluated(variables[name], names) for name in ("__edge_dir", "__edge_flag", "__edge_vhost")
    )
    text = host.text(host.at(vhost))
    refuse_unconfigured(text, f"{tmp_path}{flag}")
    swap = read_yaml(ROOT / "roles/hot_swap/defaults/main.yml")["hot_swap_flag_path"]
    assert evaluated(swap, names) == flag
    assert FlagFile(host.at(flag)).read() == ("temp" if state == "swap_open" else "main")
    tree = nginx_conf.parse(text)
    for slot, address in (("main", "127.0.0.1:18080"), ("temp", "127.0.0.1:18081")):
        servers = nginx_conf.upstream(tree, f"devshard_{slot}")
        assert servers is not None
        assert servers[0].args[0] == address
        # a swap that is continued asks it whether it still has requests
        busy = [item for item in nginx_conf.walk(tree) if item.args == ("=", f"/-/busy/{slot}")]
        assert busy
    included = [item.args[0] for item in nginx_conf.walk(tree) if item.name == "include"]
    assert included == [f"{tmp_path}{directory}/server.d/*.conf"]


def test_the_timer_is_the_one_of_today(tmp_path: Path) -> None:
    """Under another name there would be two, and two swaps at once."""
    host = earlier(tmp_path, "retired")
    role = ROOT / "roles/schedule"
    variables = {**read_yaml(role / "defaults/main.yml"), **read_yaml(role / "vars/main.yml")}
    variables["ansible_playbook_python"] = "/usr/bin/python3"
    for name in ("__schedule_vars", "__schedule_service", "__schedule_timer"):
        path = host.at(evaluated("{{ " + name + " }}", variables))
        assert path.exists(), path
    assert len(list(host.at("/etc/systemd/system").iterdir())) == 2


# backups


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    host = earlier(tmp_path, "swapped")
    storage = Path(host.record["storage"])
    places = (host.at("/var/backups/gonka-devshard"), host.state / "backups")
    found = [list_backups(place, storage) for place in places]
    # by the playbook, and before the gateway was replaced
    assert [len(items) for items in found] == [1, 1]
    newest = read_backup(found[0][0])
    refuse_other_gateway(newest, storage, None)
    sessions = sessions_in(storage)
    assert set(records_in(newest.storage / "gateway.db")) == {one.escrow_id for one in sessions}
    (storage / "gateway.db").unlink()
    assert not is_restored(newest, storage)
    restore(newest, storage, NOW)
    assert is_restored(newest, storage)
    # the backup was made without sessions, so those that are there stay in use
    assert (newest.sessions, sessions_in(storage)) == ((), sessions)
    copied = Ledger.read(str(newest.path / "ledger.sqlite"))
    assert copied is not None
    with copied:
        assert [one.state for one in copied.intents()] == [State.DONE] * 3


def test_an_archive_holds_the_sessions(tmp_path: Path) -> None:
    host = earlier(tmp_path, "retired")
    storage = Path(host.record["storage"])
    (archive,) = list_backups(host.at("/var/backups/gonka-devshard"), storage)
    kept = read_backup(archive)
    assert [one.escrow_id for one in kept.sessions] == [one["id"] for one in retired(host)]
    assert kept.sessions == sessions_in(storage)
