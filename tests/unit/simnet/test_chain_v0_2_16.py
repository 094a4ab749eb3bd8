# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""chain-v0.2.16.md §10, its checklist: each test quotes the line that it is about."""

from __future__ import annotations

import io
import json
import subprocess
import typing as t
import zipfile
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from simnet import crypto, release, txs
from simnet.bank import DENOM, ESCROW_MODULE, FEE_COLLECTOR, GOVERNANCE
from simnet.chain import Chain, ReleaseError
from simnet.chainrelease import RELEASES, V0_2_13, V0_2_16
from simnet.gateway.testing import network_in
from simnet.net import Network
from simnet.network import NetworkConfig
from simnet.store import Store
from simnet.testing import AMOUNT, FEE, Session, World

OTHER = crypto.PrivateKey.from_seed("other").address
GNK = 1_000_000_000
INFERENCE = "/productscience/inference/inference"


@pytest.fixture
def world() -> World:
    return World(NetworkConfig(release=V0_2_16))


def enable(world: World, *groups: str, price: int = 1) -> None:
    params = world.chain.params()["fee_params"]
    changed = [
        {**group, "min_gas_price": str(price) if group["name"] in groups else "1"}
        for group in params["groups"]
    ]
    world.chain.merge_params(
        {"fee_params": {"enabled_fee_groups": list(groups), "groups": changed}}
    )


def send(world: World, amount: int = 10, denom: str = DENOM) -> txs.MsgSend:
    return txs.MsgSend(world.creator.address, OTHER, (txs.Coin(denom, amount),))


def balance(world: World) -> int:
    return world.chain.bank.balance(world.creator.address)


async def ask(network: Network, service: str, path: str) -> tuple[int, t.Any]:
    url = URL(network.urls[service] + path, encoded=True)
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        raw = await response.read()
        return response.status, json.loads(raw) if raw[:1] in (b"{", b"[") else raw


def running(
    tmp_path: Path,
    scenario: t.Callable[[Network], t.Awaitable[None]],
    name: str = "v0.2.16",
) -> None:
    import asyncio

    async def whole() -> None:
        async with network_in(tmp_path, RELEASES[name]) as network:
            await scenario(network)

    asyncio.run(whole())


# --- approved versions -----------------------------------------------------------


def test_query_of_approved_versions(tmp_path: Path) -> None:
    """`devshard_approved_versions` returns names sorted, `sha256`, optional `pass_count`;
    params list empty"""

    async def scenario(network: Network) -> None:
        network.chain.approve(["v5", {"name": "v4.1", "sha256": "a" * 64, "pass_count": "X"}])
        status, body = await ask(network, "chain_rest", f"{INFERENCE}/devshard_approved_versions")
        assert status == 200
        assert body == {
            "versions": [
                {"name": "v4.1", "binary": "", "sha256": "a" * 64, "pass_count": "X"},
                {"name": "v5", "binary": "", "sha256": ""},
            ]
        }
        _unused, params = await ask(network, "chain_rest", f"{INFERENCE}/params")
        assert params["params"]["devshard_escrow_params"]["approved_versions"] == []

    running(tmp_path, scenario)


def test_old_face(tmp_path: Path) -> None:
    """old chain face: endpoint 501, list in params"""

    async def scenario(network: Network) -> None:
        network.chain.approve(["v2"])
        status, body = await ask(network, "chain_rest", f"{INFERENCE}/devshard_approved_versions")
        assert (status, body["code"]) == (501, 12)
        _unused, params = await ask(network, "chain_rest", f"{INFERENCE}/params")
        assert params["params"]["devshard_escrow_params"]["approved_versions"] == ["v2"]

    running(tmp_path, scenario, "v0.2.13")


def test_both_can_be_empty(tmp_path: Path) -> None:
    """both empty: client says could not ask (here: what such a client is answered)"""

    async def scenario(network: Network) -> None:
        network.chain.approve([])
        status, body = await ask(network, "chain_rest", f"{INFERENCE}/devshard_approved_versions")
        assert (status, body) == (200, {"versions": []})

    running(tmp_path, scenario)


@pytest.mark.parametrize("after", [False, True], ids=["before the create", "after the create"])
def test_unapproved_tag(world: World, after: bool) -> None:
    """settle with a tag not in the store → code ≠ 0 with `settlement version`; tag removed
    *after* create → same"""
    if not after:
        world.chain.approve(["v5"])
    session = Session(world, world.create())
    message = session.settlement()
    world.chain.approve(["v5"])
    code, _unused, log = world.deliver(message)
    assert code != 0
    assert f'settlement version "{message.version}"' in log
    assert "not" in log


# --- settle ------------------------------------------------------------------------


def test_settler_off_the_list(world: World) -> None:
    """settle by an address off the allow-list → refused in CheckTx, no tx by hash"""
    message = Session(world, world.create()).settlement()
    world.chain.merge_params({"devshard_escrow_params": {"allowed_creator_addresses": [OTHER]}})
    answer = world.chain.broadcast(world.sign(message))
    assert (answer.code, answer.codespace) == (1173, "inference")
    world.block()
    assert world.chain.tx(answer.hash) is None


def test_two_epochs_later(world: World) -> None:
    """settle in E+2 → text with both epochs; row pruned → `found:false`, hosts got equal
    shares, no refund"""
    number = world.create()
    message = Session(world, number).settlement()
    escrow = world.chain.escrows.get(number)
    assert escrow is not None
    before = balance(world)
    hosts = sorted(set(escrow["slots"]))
    had = {host: world.chain.bank.balance(host) for host in hosts}
    with pytest.raises(Exception, match="current epoch 216, escrow epoch 214"):
        world.chain.escrows.settle(message, 216)
    world.chain.advance_epochs(2)
    assert world.chain.escrows.get(number) is None
    assert {world.chain.bank.balance(host) - had[host] for host in hosts} == {AMOUNT // len(hosts)}
    assert balance(world) == before


def test_lowered_max_nonce(world: World) -> None:
    """`max_nonce` lowered below the escrow's nonce → `nonce N exceeds maximum M`"""
    message = Session(world, world.create()).settlement()
    world.chain.merge_params({"devshard_escrow_params": {"max_nonce": message.nonce - 1}})
    assert f"nonce {message.nonce} exceeds maximum {message.nonce - 1}" in world.deliver(message)[2]


def test_quorum_of_its_own_slots(world: World) -> None:
    """quorum counted on the escrow's slots after `group_size` changed"""
    message = Session(world, world.create()).settlement()
    world.chain.merge_params({"devshard_escrow_params": {"group_size": 400}})
    assert world.deliver(message)[0] == 0


def test_excluded_host(world: World) -> None:
    """excluded host: its share leaves to governance, refund unchanged"""
    number = world.create()
    session = Session(world, number)
    session.stats = [txs.HostStats(entry.slot_id, cost=1_000) for entry in session.stats]
    message = session.settlement()
    paid = [stats for stats in message.host_stats if stats.cost]
    escrow = world.chain.escrows.get(number)
    assert escrow is not None
    host = escrow["slots"][paid[0].slot_id]
    slots = escrow["slots"].count(host)
    world.chain.controls.excluded_hosts = [host]
    before = balance(world)
    assert world.deliver(message, fee=0)[0] == 0
    lost = sum(
        stats.cost for stats in message.host_stats if escrow["slots"][stats.slot_id] == host
    ) + slots * (message.fees // len(escrow["slots"]))
    assert world.chain.bank.balance(GOVERNANCE) == lost
    costs = sum(stats.cost for stats in message.host_stats)
    assert balance(world) - before == AMOUNT - costs - message.fees


def test_removed_participant(world: World) -> None:
    """slot participant removed → `participant A not found`"""
    number = world.create()
    message = Session(world, number).settlement()
    escrow = world.chain.escrows.get(number)
    assert escrow is not None
    world.chain.controls.removed_hosts = [escrow["slots"][3]]
    assert f"participant {escrow['slots'][3]} not found" in world.deliver(message)[2]


def test_remainder_is_the_refund(world: World) -> None:
    """event carries `remainder`; bank balance rises by it"""
    message = Session(world, world.create()).settlement()
    before = balance(world)
    answer = world.chain.broadcast(world.sign(message))
    world.block()
    record = world.chain.tx(answer.hash)
    assert record is not None
    (event,) = [entry for entry in record.events if entry["type"] == "devshard_escrow_settled"]
    found = {item["key"]: item["value"] for item in event["attributes"]}
    assert balance(world) - before == int(found["remainder"])


# --- fees --------------------------------------------------------------------------


def test_bank_send(world: World) -> None:
    """fee groups: bank send with fee 0 → code 13 exact text; fee = gas × 1 → ok; other denom →
    code 13"""
    answer = world.chain.broadcast(world.sign(send(world), gas=100_000, fee=0))
    assert answer.code == 13
    assert answer.raw_log.startswith(
        "insufficient fee: got , required at least 100000ngonka (gas=100000, min_gas_price=1ngonka)"
    )
    assert world.deliver(send(world), gas=100_000, fee=100_000)[0] == 0
    assert world.chain.bank.balance(OTHER) == 10
    other = txs.sign_tx(
        txs.TxBody((send(world),)),
        world.creator,
        chain_id=world.config.chain_id,
        account_number=0,
        fee=(txs.Coin("uatom", 1_000_000),),
        gas_limit=100_000,
    )
    assert world.chain.broadcast(other.encode()).code == 13


def test_devshard_group(world: World) -> None:
    """group `devshard` on at 1: create with 1,000,000/500,000 ok, at 2 with gas 700,000 → code
    13"""
    enable(world, "devshard", price=1)
    assert world.deliver(world.create_message(), gas=500_000, fee=1_000_000)[0] == 0
    enable(world, "devshard", price=2)
    assert world.broadcast(gas=700_000, fee=1_000_000).code == 13
    assert world.broadcast(gas=500_000, fee=1_000_000).code == 0


def test_group_off(world: World) -> None:
    """group off: create with fee 0 ok; with fee F: F is charged"""
    before = balance(world)
    assert world.deliver(world.create_message(), fee=0)[0] == 0
    assert balance(world) == before - AMOUNT
    assert world.deliver(world.create_message(), fee=FEE)[0] == 0
    assert balance(world) == before - 2 * AMOUNT - FEE


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_settle_is_free(world: World, on: bool) -> None:
    """settle with a fee offered: nothing charged; also with group `devshard` on"""
    message = Session(world, world.create()).settlement()
    if on:
        enable(world, "devshard", "cosmos", price=5)
    before = world.chain.bank.balance(FEE_COLLECTOR)
    assert world.deliver(message, fee=FEE)[0] == 0
    assert world.chain.bank.balance(FEE_COLLECTOR) == before


def test_exec(world: World) -> None:
    """MsgExec around bank send pays; around settle exempt; empty MsgExec refused"""
    grantee = world.creator.address
    sent = txs.MsgExec(grantee, (send(world),))
    assert world.chain.broadcast(world.sign(sent, fee=0)).code == 13
    assert world.deliver(sent, fee=500_000)[0] == 0
    settle = txs.MsgExec(grantee, (Session(world, world.create()).settlement(),))
    before = world.chain.bank.balance(FEE_COLLECTOR)
    assert world.deliver(settle, fee=FEE)[0] == 0
    assert world.chain.bank.balance(FEE_COLLECTOR) == before
    answer = world.chain.broadcast(world.sign(txs.MsgExec(grantee, ())))
    assert (answer.code, "empty MsgExec cannot be classified" in answer.raw_log) == (18, True)


def test_no_group(world: World) -> None:
    """explicit empty `enabled_fee_groups`: everything free"""
    world.chain.merge_params({"fee_params": {"enabled_fee_groups": []}})
    assert world.deliver(send(world), fee=0)[0] == 0


def test_fee_beyond_all_measure(world: World) -> None:
    """fee > 100 GNK refused, balance untouched"""
    before = balance(world)
    assert world.broadcast(fee=100 * GNK + 1).code != 0
    assert balance(world) == before


# --- the public API ------------------------------------------------------------------


def test_shapes_of_the_epoch(tmp_path: Path) -> None:
    """`/v1/epochs/latest` in the three shapes, alternating per request"""

    async def scenario(network: Network) -> None:
        network.chain.controls.epochs_shapes = ["legacy", "transition", "flat"]
        bodies = [
            (await ask(network, "public_api", "/v1/epochs/latest"))[1] for _unused in range(4)
        ]
        lengths = [
            bodies[0]["epoch_params"]["epoch_length"],
            bodies[1]["epoch_params"]["epoch_params"]["epoch_length"],
            bodies[2]["epoch_params"]["epoch_length"],
        ]
        assert [type(value) for value in lengths] == [str, str, int]
        assert len({int(value) for value in lengths}) == 1
        assert "active_confirmation_poc_event" not in bodies[0]
        assert bodies[1]["active_confirmation_poc_event"] is None
        assert bodies[2]["effective_epoch_index"] == network.chain.effective_epoch
        assert bodies[3]["epoch_params"] == bodies[0]["epoch_params"]

    running(tmp_path, scenario)


@pytest.mark.parametrize(("shape", "kind"), [("transition", str), ("flat", int)])
def test_voting_power(tmp_path: Path, shape: str, kind: type) -> None:
    """participants: `voting_power` string or number"""

    async def scenario(network: Network) -> None:
        network.chain.controls.epochs_shapes = [shape]
        _unused, body = await ask(network, "public_api", "/v1/epochs/current/participants")
        assert {type(entry["voting_power"]) for entry in body["validators"]} == {kind}

    running(tmp_path, scenario)


def test_effective_epoch(world: World) -> None:
    """`latest_epoch.index` = effective + 1 during PoC; settle judged by effective"""
    message = Session(world, world.create()).settlement()
    world.chain.advance_epochs(1)
    world.chain.advance_to("next_poc_start", 1)
    chain = world.chain
    assert chain.epoch.index == chain.effective_epoch + 1 == 216
    assert world.deliver(message)[0] == 0


def test_identity(tmp_path: Path) -> None:
    """abci_info version `v0.2.16-post1`; applied_plan height"""

    async def scenario(network: Network) -> None:
        _unused, body = await ask(network, "chain_rpc", "/abci_info")
        assert body["result"]["response"]["version"] == "v0.2.16-post1"
        base = "/cosmos/upgrade/v1beta1"
        _unused, applied = await ask(network, "chain_rest", f"{base}/applied_plan/v0.2.16")
        assert int(applied["height"]) > 0
        _unused, other = await ask(network, "chain_rest", f"{base}/applied_plan/v9")
        assert other == {"height": "0"}
        _unused, plan = await ask(network, "chain_rest", f"{base}/current_plan")
        assert plan == {"plan": None}

    running(tmp_path, scenario)


@pytest.mark.parametrize("kept", [True, False])
def test_escrow_fields(world: World, kept: bool) -> None:
    """escrow JSON with and without fields 15–17"""
    world.chain.controls.escrow_fields = kept
    escrow = world.chain.escrows.get(world.create())
    assert escrow is not None
    assert ("validation_rate" in escrow) is kept
    assert ("vote_threshold_factor" in escrow) is kept


@pytest.mark.parametrize("version", ["v0.2.13", "v0.2.16-post1"])
def test_settle_file(tmp_path: Path, version: str) -> None:
    """CLI settle file with `version`; file with only `state_root_and_protocol_version` → error
    text"""
    program = release.write_inferenced(tmp_path / "inferenced", version)
    (tmp_path / "file.json").write_text(
        json.dumps({"escrow_id": "1", "state_root_and_protocol_version": "v4.1"})
    )
    argv = ["tx", "inference", "settle-devshard-escrow", "file.json", "--from", OTHER]
    done = subprocess.run(
        [
            str(program),
            *argv,
            "--generate-only",
            "--keyring-backend",
            "test",
            "--home",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    missing = "version" if version == "v0.2.13" else "state_root_and_protocol_version"
    assert f"settlement JSON missing {missing}" in done.stderr


def test_halted_chain(world: World) -> None:
    """chain halted at plan height: tx by hash 404, later included or TTL over"""
    world.chain.controls.upgrade_plan = {"name": "v0.2.17", "height": world.chain.height + 1}
    answer = world.broadcast()
    late = world.broadcast(lifetime=30)
    for _unused in range(3):
        world.block(20)
    assert world.chain.tx(answer.hash) is None
    world.chain.controls.upgrade_plan = None
    world.block()
    assert world.chain.tx(answer.hash) is not None
    assert world.chain.tx(late.hash) is None


def test_downloads(tmp_path: Path) -> None:
    """download URL with `%2F` → 200, with `/` → 404; wrong checksum → refused (by the client)"""

    async def scenario(network: Network) -> None:
        base = "/gonka-ai/gonka/releases/download"
        name = "inferenced-linux-amd64.zip"
        status, raw = await ask(network, "release", f"{base}/release%2Fv0.2.16-post1/{name}")
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            assert archive.namelist() == ["inferenced"]
        status, _unused = await ask(network, "release", f"{base}/release/v0.2.16-post1/{name}")
        assert status == 404
        status, _unused = await ask(
            network, "release", f"{base}/release/v0.2.13/inferenced-amd64.zip"
        )
        assert status == 200

    running(tmp_path, scenario)


def test_simulation(world: World) -> None:
    """§5.3: the gas is asked for, not known"""
    before = balance(world)
    gas = world.chain.simulate(world.sign(world.create_message(), fee=0))
    assert 56_000 < gas < 500_000
    assert balance(world) == before
    assert world.chain.escrows.all() == []
    assert world.chain.bank.balance(ESCROW_MODULE) == 0


def test_a_state_directory_keeps_its_release() -> None:
    store = Store()
    Chain(store, NetworkConfig(release=V0_2_16))
    Chain(store, NetworkConfig(release=V0_2_16))
    with pytest.raises(ReleaseError, match=r"began as v0\.2\.16"):
        Chain(store, NetworkConfig())


def test_releases_by_name() -> None:
    assert RELEASES == {"v0.2.13": V0_2_13, "v0.2.16": V0_2_16}
