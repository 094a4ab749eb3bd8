# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The rules for gateways 4.1.x, by their numbers in the contract (``gateway-v4.1.md`` §10)."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import Epoch
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    DevshardError,
    NotFoundError,
    ProtocolError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.commitments import (
    CommitmentWatch,
    read_commitments,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.create_window import (
    refuse_window,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.gateway_replies import (
    read_create_failure,
    read_settle_failure,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    read_clock,
    view_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import (
    Limits,
    is_idle,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.rotation import (
    RotationOptions,
    SetRotation,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import chat
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain import look
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain_rules import (
    DrainVerdict,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.image_plan import (
    release_of,
    rotation_fault,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import GatewayState
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.probes import Probes, probe
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.settings import (
    SettingsWish,
    plan,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.startup import dropped
from ansible_collections.gonka.devshard.plugins.module_utils._status.rotation_rules import (
    _rotation_failures,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import freeze_rotation
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
    session_losses,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import refuse_stop
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import chain_faults
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_hot_swap_role import evaluated
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.rotating import (
    Gateway,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    GATEWAY,
    only,
    settle,
    settles_on_chain,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    BLOCK,
    CREATOR,
    EPOCH_BLOCKS,
    options,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.newer_gateway import (
    NewerWorld,
    refused,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    ScriptedTransport,
    as_response,
    body,
)

V4_1 = profile("v4.1", "v4.1")
BASE = "http://127.0.0.1:18080"
VARS = read_yaml(ROOT / "roles/gateway/vars/main.yml")
TX: dict[str, t.Any] = {
    "private_key_env": "DEVSHARD_PRIVATE_KEY",
    "chain_id": "gonka-mainnet",
    "fee_amount": 1_000_000,
    "gas_limit": 500_000,
}


def api(table: dict[str, t.Any]) -> tuple[GatewayApi, ScriptedTransport]:
    transport = ScriptedTransport(BASE, table)
    return GatewayApi(transport, url=BASE, admin_key="sk-admin-0123", profile=V4_1), transport


def environment(**inventory: t.Any) -> dict[str, t.Any]:
    """What the role gives a gateway 4.1 of the chain."""
    names = ("__gateway_chain_rest", "__gateway_chain_rpc", "__gateway_public_api")
    known = {
        **{name: VARS[name] for name in names},
        "__gateway_profile": V4_1.to_result(),
        "devshard_chain_rest": "https://rest.example.org/",
        "devshard_chain_rpc": "https://rpc.example.org/chain-rpc",
        "devshard_chain_grpc": "none",
        "devshard_chain_grpc_tls": False,
        "devshard_chain_id": "gonka-mainnet",
        "gateway_public_api": "https://api.example.org",
        **inventory,
    }
    return dict(evaluated(VARS["__gateway_chain_env"], known))


@pytest.fixture
def world(tmp_path: Path) -> NewerWorld:
    made = NewerWorld(tmp_path)
    made.newer.confirms = made.newer.keeps_busy = True
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=1)).run()
    return made


def test_rule_01_every_birth_names_its_route_which_is_that_of_the_environment(
    tmp_path: Path,
) -> None:
    made = {"escrow_id": 7, "tx_hash": "AB", "creator": "gonka1x", "registered": True}
    gateway, http = api({"POST /v1/admin/escrows": made, "POST /": {}})
    gateway.create_escrow(model_id="m", amount=5, **TX)
    gateway.add("7", private_key_env="K", model="m")
    folder = "/root/.devshardctl/x/escrow-7"
    gateway.import_session("7", storage_path=folder, private_key_env="K", model="m")
    route = environment()["DEVSHARD_ROUTE_PREFIX"]
    assert route == "/devshard/v4.1"
    assert [request.json["route_prefix"] for request in http.asked] == [route] * 3
    assert "DEVSHARD_ROUTE_PREFIX" in V4_1.locked_variables, "see test_plan.py"
    # and the name is in the live list before anything is paid
    other = NewerWorld(tmp_path)
    other.chain.approved = ("v4",)
    with (
        other.open() as ledger,
        pytest.raises(UnsafeError, match='name version "v4.1", and the chain approves only v4'),
    ):
        EnsureEscrows(other.ports(ledger), options(count=1)).run()


def test_rule_02_an_escrow_is_known_by_its_session_and_not_by_the_number_in_its_record(
    world: NewerWorld,
) -> None:
    state = body("admin_state_two")
    state["devshards"][0].update(protocol_version="4")
    state["devshards"][0]["runtime"]["session_version"] = "v4.1"
    found = GatewayState.from_api(Reader(state, "state")).devshards[0]
    assert found.runtime is not None
    assert found.runtime.protocol == "v4.1"
    assert "4" not in [getattr(found, name) for name in found.__slots__ if name != "id"]
    # its own version is what has to be approved, whatever the gateway makes now
    world.chain.approved = ("v4",)
    with pytest.raises(UnsafeError, match='settlement version "v4.1" is not approved'):
        settle(world)


def test_rule_03_the_rpc_ends_with_a_slash_and_is_all_that_is_left_without_grpc() -> None:
    assert environment()["DEVSHARD_CHAIN_RPC"] == "https://rpc.example.org/chain-rpc/"
    assert environment()["DEVSHARD_CHAIN_GRPC"] == "none"
    assert chain_faults({"devshard_chain_grpc": "none"}, V4_1) == []
    (fault,) = chain_faults({"devshard_chain_grpc": "none"}, profile("v4", "v4"))
    assert "must not be none" in fault
    spec = read_yaml(ROOT / "roles/devshard/meta/argument_specs.yml")["argument_specs"]["main"]
    assert spec["options"]["devshard_chain_rpc"]["required"] is True


def test_rule_04_a_public_api_comes_back_by_the_settings_and_not_by_the_environment() -> None:
    def posted(api_url: str) -> dict[str, t.Any]:
        known = {
            "gateway_public_api": api_url,
            "__gateway_public_api": VARS["__gateway_public_api"],
            "__gateway_profile": V4_1.to_result(),
            "devshard_models": [{"id": "m"}],
        }
        return dict(evaluated(VARS["__gateway_settings"], known))

    assert posted("https://api.example.org/")["public_api"] == "https://api.example.org"
    assert "public_api" not in posted("none"), "the environment says that, at every start"
    wish = SettingsWish(settings={"public_api": "https://api.example.org"})
    assert plan({"public_api": "none"}, wish).patch == {"public_api": "https://api.example.org"}


def test_rule_05_the_accounting_is_closed_or_on_the_loopback() -> None:
    assert environment()["DEVSHARD_STATS_ENABLED"] == "false"
    assert environment(gateway_accounting_port=9091)["DEVSHARD_STATS_ENABLED"] == "true"
    compose = (ROOT / "roles/gateway/templates/docker-compose.yml.j2").read_text()
    (line,) = [line for line in compose.splitlines() if "gateway_accounting_port }}" in line]
    assert line.strip().startswith('- "127.0.0.1:{{ gateway_accounting_port }}:')


def one_escrow(**runtime: t.Any) -> GatewayState:
    entry = {"active": True, "active_requests": 0, "requests_blocked": False, **runtime}
    record = {"id": "7", "active": True, "created_at": "", "private_key_env": "K"}
    rest = {"limiter": {"in_flight_requests": 0}, "settings": {}, "capacity": {}}
    return GatewayState.from_api(Reader({"devshards": [{**record, "runtime": entry}], **rest}, "s"))


def test_rule_06_a_gateway_is_stopped_only_when_nothing_works_any_more() -> None:
    def verdict(state: GatewayState) -> DrainVerdict:
        return look(lambda: state, lambda: 0, lambda: False, unloads=True).verdict

    assert verdict(one_escrow(pending_race_cleanup=1)) is DrainVerdict.BUSY
    assert verdict(one_escrow(active_requests=1)) is DrainVerdict.BUSY
    assert verdict(one_escrow()) is DrainVerdict.DRAINED
    absent = dataclasses.replace(one_escrow().devshards[0], runtime=None)
    assert verdict(dataclasses.replace(one_escrow(), devshards=(absent,))) is DrainVerdict.DRAINED


def test_rule_07_no_escrow_is_dropped_by_a_start_that_could_be_foreseen(world: NewerWorld) -> None:
    def stop(state: GatewayState, **more: t.Any) -> None:
        with world.open() as ledger:
            refuse_stop(world.ports(ledger), "http://127.0.0.1:18080", state, **more)

    off = {"enabled": False, "settlement_enabled": False, "pre_poc_blocks": 300, "models": []}
    settings = {"escrow_rotation": off}
    state = dataclasses.replace(one_escrow(), settings=settings)
    with pytest.raises(UnsafeError, match="has no K, the key of escrow 7"):
        stop(state, known_env={"DEVSHARD_PRIVATE_KEY"})
    with pytest.raises(UnsafeError, match="the chain does not have escrow 7"):
        stop(state, known_env={"K"})


def test_rule_08_an_escrow_that_a_start_dropped_is_an_alarm() -> None:
    log = "devshard 7 local state unrecoverable, marking inactive and skipping runtime: gap"
    assert [one.id for one in dropped(log)] == [7]
    before = {"7": ServedSession(nonce=5, balance=1)}
    assert session_losses(before, {"7": None}) == ["escrow 7 is not loaded any more"]
    tasks = (ROOT / "roles/gateway/tasks/service.yml").read_text()
    assert "__gateway_up.dropped | length == 0" in tasks


def test_rule_09_a_settle_is_never_a_test(world: NewerWorld) -> None:
    world.newer.records["1"].runtime.active_requests = 1
    with pytest.raises(BusyError):
        settle(world, seconds=20, **GATEWAY)
    order = [call for call in world.newer.calls if call not in ("state", "session")]
    assert order[-1] == "deactivate"
    assert "settle" not in order
    world.newer.records["1"].runtime.active_requests = 0
    assert only(settle(world, **GATEWAY)).settled
    assert world.newer.calls.count("settle") == 1


def test_rule_10_what_a_restart_forgot_is_settled_by_our_own_wish(world: NewerWorld) -> None:
    world.newer.deactivate("1")
    world.newer.queued.add("1")
    result = settle(world, ids=(), select="inactive_unsettled")
    assert (only(result).settled, settles_on_chain(world)) == (True, 1)


def test_rule_11_a_settle_is_sent_once_and_the_chain_answers_for_it(world: NewerWorld) -> None:
    reply = {"escrow_id": 7, "tx_hash": "AB", "settler": "gonka1x"}
    gateway, http = api({"POST /v1/admin/devshards/7/settle": reply})
    gateway.settle("7", **TX)
    (request,) = http.asked
    assert (request.timeout or 0) >= 600
    # its answer is lost, and its transaction is not
    world.newer.lose["settle"] = "after"
    assert only(settle(world, **GATEWAY)).settled
    assert world.newer.calls.count("settle") == 1


def test_rule_12_already_settled_is_a_success_when_the_chain_says_so(world: NewerWorld) -> None:
    original = world.newer.finalize

    def overtaken(number: str) -> dict[str, t.Any]:
        document = original(number)
        world.newer.settle(number, **TX)
        world.newer.records[number].runtime = world.newer.on_disk.pop(number)
        world.newer.in_memory[number] = 16
        return document

    world.newer.finalize = overtaken  # type: ignore[method-assign]
    assert only(settle(world, **GATEWAY)).settled
    assert settles_on_chain(world) == 1
    late = refused(502, "escrow settled on chain")
    assert not read_settle_failure(late).nothing_sent, "unknown: the chain is asked"


HASH = "A1" * 32


@pytest.mark.parametrize(
    ("status", "text", "error", "found"),
    [
        (502, f"wait for tx {HASH}: not found", None, (False, HASH, None)),
        (502, f"tx {HASH} failed code=5", None, (False, HASH, None)),
        (502, "broadcast tx failed code=13 codespace=sdk raw_log=fee", None, (True, None, None)),
        (502, "broadcast tx: connection reset", None, (False, None, None)),
        (502, f"tx hash mismatch: precomputed {HASH}, node returned B", None, (False, None, None)),
        (500, "boom", {"escrow_id": "7", "tx_hash": HASH.lower()}, (False, HASH, 7)),
        (500, "boom", {"escrow_id": 7, "tx_hash": HASH}, (False, HASH, 7)),
    ],
)
def test_rule_13_a_create_that_failed_may_have_paid(
    status: int, text: str, error: t.Any, found: tuple[bool, str | None, int | None]
) -> None:
    failure = ProtocolError(text, http_status=status, server_message=text, server_error=error)
    assert tuple(read_create_failure(failure)) == found


def test_rule_13_the_intent_comes_first_and_a_paid_escrow_is_adopted(world: NewerWorld) -> None:
    original = world.newer.create_escrow

    def unregistered(**asked: t.Any) -> t.Any:
        made = original(**asked)
        del world.newer.records[str(made.escrow_id)]
        text = "unsupported devshard route prefix"
        error = {"message": text, "escrow_id": str(made.escrow_id), "tx_hash": made.tx_hash}
        raise ProtocolError(text, http_status=500, server_message=text, server_error=error)

    world.newer.create_escrow = unregistered  # type: ignore[method-assign]
    with world.open() as ledger:
        result = EnsureEscrows(
            world.ports(ledger), options(count=2, create_via=Via.GATEWAY, creator=CREATOR)
        ).run()
        (first, second) = ledger.intents(kind=Kind.CREATE)
    assert result.actions == ["created escrow 2"]
    assert (first.state, second.state) == (State.DONE, State.DONE)
    assert (len(world.chain.escrows), world.newer.records["2"].active) == (2, True)


def pool(world: NewerWorld, *, count: int, seconds: float = 300, **changes: t.Any) -> list[int]:
    """As the module ``escrow`` runs it for this generation; the blocks of all creates."""
    wish = options(count=count, **changes).of_generation(V4_1)
    with world.open() as ledger:
        try:
            EnsureEscrows(world.ports(ledger, seconds=seconds), wish).run()
        except PartialFailure as exc:
            raise exc.problems[0] from exc
        return [(intent.result or {})["height"] for intent in ledger.intents(kind=Kind.CREATE)]


def test_rule_14_creates_are_eight_seconds_apart(world: NewerWorld) -> None:
    """Also from the one of an earlier run, and each is in a block and registered first."""
    world.chain.step(-world.chain.height % EPOCH_BLOCKS + 1)
    (first,) = pool(world, count=1, min_blocks_to_poc=0)
    heights = pool(world, count=3, min_blocks_to_poc=0)
    pause = math.ceil(8 / BLOCK.total_seconds())
    assert heights[0] == first
    assert all(later - one >= pause + 1 for one, later in itertools.pairwise(heights))
    # an earlier generation has no such guide
    assert profile("v2").create_pause == profile("v3", "v3").create_pause == 0
    assert options(create_pause=12).of_generation(V4_1).create_pause == 12
    assert options().of_generation(V4_1).min_blocks_to_poc == 1500


def test_rule_14_a_pause_that_takes_too_long_pays_for_nothing(world: NewerWorld) -> None:
    before = list(world.chain.escrows)
    with pytest.raises(WaitTimeoutError, match="creates are 900 s apart"):
        pool(world, count=2, seconds=20, create_pause=900)
    assert list(world.chain.escrows) == before


@pytest.mark.parametrize(
    ("blocks", "phase", "wanted", "words"),
    [
        (1_500, "Inference", 1_500, None),
        (1_499, "Inference", 1_500, "1499 blocks are left .* needs 1500"),
        (-3, "Inference", 1_500, "0 blocks are left"),
        (9_000, "PoCValidate", 1_500, "in phase PoCValidate"),
        (100, "Inference", 100, None),
    ],
)
def test_rule_14_the_window_of_an_epoch(
    blocks: int, phase: str, wanted: int, words: str | None
) -> None:
    start = 30_000
    height = start - blocks
    epoch = Epoch(
        index=6,
        height=height,
        phase=phase,
        confirmation_poc=False,
        stages={"set_new_validators": start - 15_391 + 21, "next_poc_start": start},
        next_stages={"set_new_validators": start + 21},
    )
    found = refuse_window(epoch, height, wanted)
    assert (found is None) is (words is None)
    assert words is None or re.search(words, found or "")
    # in a short epoch, a tenth of it
    stages = {"set_new_validators": 29_900, "next_poc_start": start}
    short = dataclasses.replace(epoch, height=29_950, phase="Inference", stages=stages)
    assert refuse_window(short, start - 12, 1_500) is None
    assert refuse_window(short, start - 11, 1_500) is not None


@pytest.mark.parametrize("check_mode", [True, False])
def test_rule_14_nothing_is_paid_for_shortly_before_a_proof_of_compute(
    world: NewerWorld, *, check_mode: bool
) -> None:
    world.chain.step(EPOCH_BLOCKS - 41 - world.chain.height)
    before = list(world.chain.escrows)
    with world.open() as ledger:
        ports = world.ports(ledger, check=check_mode)
        with pytest.raises(UnsafeError, match="1 blocks are left to the next proof of compute"):
            EnsureEscrows(ports, options(count=2).of_generation(V4_1)).run()
        # what is there already is no create
        assert EnsureEscrows(ports, options(count=1).of_generation(V4_1)).run().actions == []
    assert list(world.chain.escrows) == before
    assert world.signer.signed == 1


def test_rule_15_settings_are_sent_whole_and_only_when_they_differ() -> None:
    limits = [
        {"model_id": name, "access_mode": "api_key", "max_concurrent_requests": 0}
        for name in ("a", "b")
    ]
    held = {"tx_gas_limit": 700_000, "chain_grpc": "none", "model_limits": limits}
    same = SettingsWish(
        settings={"tx_gas_limit": 700_000},
        model_limits=[{"model_id": "a", "access_mode": "api_key"}],
    )
    assert plan(held, same).patch == {}
    other = dataclasses.replace(same, model_limits=[{"model_id": "a", "access_mode": "open"}])
    patch = plan(held, other).patch
    assert [entry["model_id"] for entry in patch["model_limits"]] == ["a", "b"]
    assert sorted(patch) == ["model_limits"]


def test_rule_16_ready_is_what_serves_and_not_an_answer_of_200(world: NewerWorld) -> None:
    with world.open() as ledger:
        ports = world.ports(ledger)
        assert EnsureEscrows(ports, options(count=1)).run().actions == []
        world.newer.held["1"] = "2026-11-29T10:00:00Z"
        with pytest.raises(DevshardError, match="0 of 1 escrows are usable"):
            EnsureEscrows(ports, options(count=1)).run()


def test_rule_16_a_session_of_another_protocol_is_not_of_the_pool(world: NewerWorld) -> None:
    world.newer.bound["1"] = "v4"
    with world.open() as ledger:
        result = EnsureEscrows(world.ports(ledger), options(count=1)).run()
    assert [entry["id"] for entry in result.created] == [2]
    assert [view.id for view in result.escrows] == [2]
    # nor is it taken into service again, when its record names the route
    (record,) = (one for one in world.newer.state().devshards if one.id == "1")
    idle = dataclasses.replace(record, active=False, runtime=None, route="/devshard/v4")
    seen = view_of(
        1, idle, world.chain.escrow(1), read_clock(world.chain), world.ports(None).limits
    )
    assert seen.protocol == "v4"
    assert "its session is bound to protocol v4, not to v4.1" in seen.why_not
    assert not is_idle(seen)


def test_rule_16_generations_that_do_not_show_the_protocol_are_as_they_were() -> None:
    """v2 and v3: their runtime has no ``session_version``."""
    state = GatewayState.from_api(Reader(body("admin_state_two"), "state"))
    limits = Limits(min_balance=0, max_nonce=19_800, protocol="v3")
    for record in state.devshards:
        seen = view_of(int(record.id), record, None, None, limits)
        assert (seen.protocol, [why for why in seen.why_not if "bound" in why]) == (None, [])


def test_rule_17_one_that_is_held_back_is_neither_settled_nor_replaced(world: NewerWorld) -> None:
    world.newer.held["1"] = "2026-11-29T10:00:00Z"
    with pytest.raises(UnsafeError, match="holds it back since"):
        settle(world)
    with world.open() as ledger, pytest.raises((DevshardError, PartialFailure)):
        EnsureEscrows(world.ports(ledger), options(count=1)).run()
    assert list(world.chain.escrows) == [1]


@pytest.mark.parametrize("text", ["no live host capacity", 'model "m" is temporarily unavailable'])
def test_rule_18_a_503_means_later_and_not_broken(text: str) -> None:
    request = Request(method="POST", url=f"{BASE}/v1/chat/completions")
    answer = as_response({"error": {"message": text}}, 503)
    found = chat._failure(request, answer)
    assert "try again later" in str(found).lower()
    assert "neither a restart nor a swap helps" in str(found)


def test_rule_19_an_escrow_that_rotation_paid_for_and_lost_is_found_on_the_chain(
    world: NewerWorld,
) -> None:
    """An open commitment is orphaned when rotation is switched off; its deposit is not."""
    world.newer.create_escrow(model_id=options().model_id, amount=options().amount, **TX)
    del world.newer.records["2"]
    with (
        world.open() as ledger,
        pytest.raises(DevshardError, match="escrow.* 2"),
    ):
        EnsureEscrows(world.ports(ledger), options(count=2)).run()
    assert len(world.chain.escrows) == 2


ROTATING: dict[str, t.Any] = {
    "enabled": True,
    "settlement_enabled": True,
    "pre_poc_blocks": 300,
    "models": [],
}


@pytest.mark.parametrize("how", ["module", "swap"])
@pytest.mark.parametrize("resolved", [True, False])
def test_rule_19_rotation_goes_off_only_without_an_open_commitment(
    world: NewerWorld, tmp_path: Path, how: str, *, resolved: bool
) -> None:
    """Rotation looks for it at each pass, and for one that is switched off there are none."""
    gateway = Gateway(**ROTATING)
    database = tmp_path / "gateway.db"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE escrow_rotation_commitments (tx_hash TEXT PRIMARY KEY)")
        db.execute("INSERT INTO escrow_rotation_commitments VALUES ('AB')")

    def passes(_seconds: float) -> None:
        world.chain.step()
        if resolved:
            with sqlite3.connect(database) as db:
                db.execute("DELETE FROM escrow_rotation_commitments")

    deadline = WaitBudget(60, clock=lambda: float(world.chain.height * 5), sleep=passes)
    watch = CommitmentWatch(
        read=lambda: read_commitments(database),
        deadline=deadline,
        interval=5,
        warn=world.warnings.append,
        check_mode=False,
    )
    off = RotationOptions(
        enabled=False,
        settlement_enabled=None,
        pre_poc_blocks=None,
        models=(),
        purge_models=False,
        other_gateways_need=0,
        fee_amount=1_000_000,
        creator=None,
    )
    intended: list[t.Any] = []

    def switch_off() -> object:
        if how == "module":
            ports = dataclasses.replace(world.ports(None), gateway=t.cast("t.Any", gateway))
            return SetRotation(ports, off, watch).run()
        return freeze_rotation(gateway, intend=intended.append, commitments=watch, check_mode=False)

    if resolved:
        switch_off()
    else:
        with pytest.raises(WaitTimeoutError, match="transaction AB"):
            switch_off()
        assert intended == [], "a swap that is refused here has begun nothing"
    assert gateway.held["enabled"] is not resolved


def test_rule_19_the_roles_look_where_the_gateway_keeps_its_state() -> None:
    for path in (
        "roles/rotation/tasks/configure.yml",
        "roles/hot_swap/tasks/steps/freeze_rotation.yml",
        "roles/retire/tasks/traffic.yml",
    ):
        assert "storage_dir:" in (ROOT / path).read_text(), path


def rotated(failed: int, *queued: bool) -> list[str]:
    entry = {"model_id": "m", "stage": "prepare_temp", "epoch": 5, "settle_failed_count": failed}
    gateway = {
        "rotation": {"settings": {"enabled": True}, "latest": [entry]},
        "devshards": [{"model": "m", "settle_queued": one} for one in queued],
    }
    return list(_rotation_failures(gateway))


def test_rule_20_a_busy_regular_that_is_settled_later_is_no_failed_settle() -> None:
    assert rotated(1, True) == []
    assert rotated(2, True, False) == ["prepare_temp of m: 1 escrow(s) could not be settled"]
    assert rotated(1, False) == ["prepare_temp of m: 1 escrow(s) could not be settled"]


def test_rule_21_settling_by_rotation_is_never_a_default() -> None:
    assert "rotation_settlement_enabled" not in read_yaml(ROOT / "roles/rotation/defaults/main.yml")
    tasks = read_yaml(ROOT / "roles/rotation/tasks/preflight.yml")
    assert "rotation_settlement_enabled is defined" in str(tasks)


def probed(
    paths: t.Collection[str], batch: Response, *, hold: bool | None = None, grpc: bool = True
) -> Probes:
    missing = as_response({"error": {"message": "404 page not found"}}, 404)
    state = one_escrow() if hold is None else one_escrow(on_hold=hold)
    gateway, _unused = api(
        {
            **{f"GET {path}": {} for path in paths},
            "GET /": missing,
            "GET /v1/admin/settings": {"chain_grpc": "none"} if grpc else {},
            "POST /v1/admin/devshards/settle": batch,
        }
    )
    return probe(gateway, state, None)


def test_rule_22_what_a_gateway_has_is_asked_and_unknown_stays_unknown() -> None:
    both = ("/v1/debug/memstats", "/debug/pprof/")
    not_there = as_response({"error": {"message": "devshard settle is not active"}}, 404)
    wanted = as_response({"error": {"message": "escrow_ids is required"}}, 400)
    busy = as_response({"error": {"message": "boom"}}, 503)
    assert probed(both, not_there).to_result() == {
        "memory_statistics": True,
        "profiler": True,
        "chain_by_grpc": True,
        "holds": False,
        "settles_batches": False,
        "accounting_schema": None,
    }
    late = probed(both, wanted, hold=False)
    assert (late.holds, late.settles_batches) == (True, True)
    assert probed(both, busy).settles_batches is None
    older = probed(("/v1/debug/memstats",), not_there, grpc=False)
    assert (older.profiler, older.chain_by_grpc) == (False, False)
    nothing = dataclasses.replace(one_escrow(), devshards=())
    gateway, _unused = api({"GET /": {}, "POST /": not_there})
    assert probe(gateway, nothing, None).holds is None
    # kept with its time and the image that it was found for
    tasks = (ROOT / "roles/gateway/tasks/probes.yml").read_text()
    assert 'digest: "{{ __gateway_digest }}"' in tasks
    assert "strftime('%Y-%m-%dT%H:%M:%SZ')" in tasks


@pytest.mark.parametrize(
    ("record", "ask"),
    [
        ({}, False),
        ({"digest": "g@sha256:1"}, True),
        ({"digest": "g@sha256:1", "probes": None}, True),
        ({"digest": "g@sha256:1", "probes": {"digest": "g@sha256:0"}}, True),
        ({"digest": "g@sha256:1", "probes": {"digest": "g@sha256:1"}}, False),
    ],
)
def test_rule_22_another_image_is_asked_again_by_the_next_site(
    record: dict[str, t.Any], ask: bool
) -> None:
    def unprobed(profile_: t.Any) -> object:
        known = {"__gateway_profile": profile_.to_result(), "__gateway_record": record}
        return evaluated(VARS["__gateway_unprobed"], known)

    assert unprobed(V4_1) is ask
    # of the others nothing has to be found out
    assert unprobed(profile("v4", "v4")) is False


@pytest.mark.parametrize(
    ("image", "release", "refused_"),
    [
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1", (4, 1, 1), True),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.2", (4, 1, 2), False),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.10", (4, 1, 10), False),
        ("ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4-latest", (4,), False),
        (f"ghcr.io/gonka-ai/devshard-gateway@sha256:{'0' * 64}", None, False),
    ],
)
def test_rule_23_a_release_that_empties_the_wallet_does_not_rotate(
    image: str, release: tuple[int, ...] | None, refused_: bool
) -> None:
    assert release_of(image) == release
    assert (rotation_fault(image, V4_1) is not None) is refused_
    assert rotation_fault(image, profile("v2")) is None


def test_rule_24_a_smoke_test_is_unique_and_wants_an_orderly_end() -> None:
    assert chat.unique_prompt("x") != chat.unique_prompt("x")
    whole = '{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}'
    cut = '{"choices": [{"delta": {"content": "a"}}]}'
    assert chat.read_stream(iter([whole, "[DONE]"]), "POST /x")[2] == "stop"
    for events in ([cut, "[DONE]"], [whole]):
        with pytest.raises(ProtocolError):
            chat.read_stream(iter(events), "POST /x")


def test_a_deactivate_of_what_is_out_of_service_is_no_failure_of_a_drain() -> None:
    """§4.4: the second one answers 404."""
    gone = as_response({"error": {"message": "devshard 1 is not active"}}, 404)
    state = body("admin_state_two")
    state["devshards"][0].update(id="1", active=False)
    table = {"POST /v1/admin/devshards/1/deactivate": gone, "GET /v1/admin/state": state}
    gateway, _unused = api(table)
    assert gateway.deactivate("1")["active"] is False
    with pytest.raises(NotFoundError):
        api({**table, "GET /v1/admin/state": {**state, "devshards": []}})[0].deactivate("1")
