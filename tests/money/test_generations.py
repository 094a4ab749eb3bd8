# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The modules that move money, with a gateway of each later generation."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import typing as t
from pathlib import Path

import pytest
import requests

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import HttpTransport
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.probes import probe
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.startup import dropped
from ansible_collections.gonka.devshard.plugins.module_utils._swap.settings_copy import (
    refuse_foreign,
)
from ansible_collections.gonka.devshard.tests.money.host import Forks, Host
from ansible_collections.gonka.devshard.tests.money.network import Network, wait_for
from ansible_collections.gonka.devshard.tests.money.operations import (
    CreateByGateway,
    CreateSigned,
    Delete,
    DeleteUnsettled,
    Import,
    Operation,
    Settle,
    SettleByGateway,
    SettleSigned,
)

OPERATIONS = (
    CreateSigned,
    CreateByGateway,
    SettleSigned,
    SettleByGateway,
    Delete,
    DeleteUnsettled,
    Import,
)
# the faces of 4.1 that are read in different places
GATEWAYS = {
    "v3": ("v3", ()),
    "v4": ("v4", ()),
    "v4.1": ("v4.1", ()),
    "v4.1-on-v0.2.16": ("v4.1", ("--chain", "v0.2.16")),
    "v4.1-4.0": ("v4.1", ("--face", "4.0")),
    "v4.1-late": ("v4.1", ("--face", "late", "--gateway-env=DEVSHARD_ALLOW_PRIVATE_ADDRESSES=1")),
}


@pytest.fixture(scope="module")
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[Network]:
    generation, more = GATEWAYS[request.param]
    made = Network(tmp_path_factory.mktemp("network"), generation=generation, more=more)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def host(tmp_path: Path, network: Network, forks: Forks) -> Host:
    return Host(tmp_path / "host", network, forks)


ALL = pytest.mark.parametrize("network", GATEWAYS, indirect=True, scope="module")
# the others differ from these two in nothing that is tried here
SOME = pytest.mark.parametrize("network", ["v3", "v4.1-on-v0.2.16"], indirect=True, scope="module")


@ALL
@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_it_moves_what_it_should_and_no_more(host: Host, kind: type[Operation]) -> None:
    operation = kind(host)
    operation.prepare()
    done = operation.run()
    for _unused in range(3):
        if done.ok:
            break
        assert done.kind in ("busy", "timeout"), done
        done = operation.run()
    assert done.ok, done
    verdict = operation.judge()
    assert (verdict.double, verdict.lost, verdict.wrong) == (0, 0, [])
    operation.clean()


class Chat:
    """A streamed reply in the background that takes so many seconds."""

    def __init__(self, network: Network, escrow_id: int, seconds: float, more: str = "") -> None:
        self._network = network
        self._body = {
            "model": network.ready["models"][0],
            "messages": [
                {
                    "role": "user",
                    "content": f"stream {escrow_id} [sim seconds={seconds} chunks=10 {more}]",
                }
            ],
            "max_tokens": 64,
            "stream": True,
        }
        self._path = f"/devshard/{escrow_id}/v1/chat/completions"
        self._thread = threading.Thread(target=self._ask)
        self.text = ""

    def __enter__(self) -> Chat:
        self._thread.start()
        wait_for(self._begun, "the stream to begin")
        return self

    def __exit__(self, *_unused: object) -> None:
        self._thread.join()

    def _begun(self) -> bool:
        return bool(self._network.admin.get("/v1/admin/state")["limiter"]["in_flight_requests"])

    def _ask(self) -> None:
        url = self._network.ready["gateway"] + self._path
        key = self._network.ready["admin_key"]
        headers = {"Authorization": f"Bearer {key}"}
        with contextlib.suppress(requests.RequestException):
            self.text = requests.post(url, json=self._body, headers=headers, timeout=120).text


@pytest.fixture(params=["signed", "gateway"])
def settle(request: pytest.FixtureRequest, host: Host) -> t.Iterator[Settle]:
    kind = SettleSigned if request.param == "signed" else SettleByGateway
    operation = kind(host)
    operation.prepare()
    yield operation
    host.network.heal()
    operation.clean()


def until_settled(operation: Operation, runs: int = 12) -> list[str]:
    """The causes of the runs that had to wait, up to the one that settled."""
    kinds: list[str] = []
    for _unused in range(runs):
        done = operation.run()
        if done.ok:
            return kinds
        kinds.append(done.kind)
        assert done.kind in ("busy", "timeout"), done
    raise AssertionError(f"it was not settled: {kinds}")


def nothing_wrong(operation: Operation) -> None:
    verdict = operation.judge()
    assert (verdict.double, verdict.lost, verdict.wrong) == (0, 0, [])


@SOME
def test_a_stream_is_never_cut_by_a_settle(settle: Settle) -> None:
    with Chat(settle.network, settle.escrow_id, 4) as chat:
        kinds = until_settled(settle)
    assert "[DONE]" in chat.text
    assert "busy" in kinds
    nothing_wrong(settle)


@SOME
def test_a_settle_that_failed_for_want_of_signatures_is_repaired(settle: Settle) -> None:
    """By hand, as an operator would: 502, and every further one is answered 200 in v3 and v4."""
    network, number = settle.network, settle.escrow_id
    network.admin.post(f"/v1/admin/devshards/{number}/deactivate")
    wait_for(lambda: "runtime" not in network.records()[number], "the session to be unloaded")
    (escrow,) = network.escrows(settle.host.creator)
    network.chain.post("/hosts", {"down": sorted(set(escrow["slots"]))})
    body = {"private_key_env": settle.host.creator.variable, "gas_limit": 1_000_000}
    with pytest.raises(AssertionError, match="insufficient signatures"):
        network.admin.post(f"/v1/admin/devshards/{number}/settle", body)
    network.heal()
    assert settle.run().ok
    assert len(network.settles(number)) == 1


@SOME
def test_what_is_unloaded_is_loaded_for_its_settlement(settle: Settle) -> None:
    settle.network.admin.post(f"/v1/admin/devshards/{settle.escrow_id}/deactivate")
    until_settled(settle)
    nothing_wrong(settle)


@SOME
def test_a_busy_settle_by_hand_is_never_sent_twice(settle: Settle) -> None:
    """Nothing in 4.0 and before; in 4.1 the gateway makes up for it by itself."""
    network, number = settle.network, settle.escrow_id
    body = {"private_key_env": settle.host.creator.variable, "gas_limit": 1_000_000}
    with Chat(network, number, 4):
        with pytest.raises(AssertionError, match="409.*has active requests"):
            network.admin.post(f"/v1/admin/devshards/{number}/settle", body)
        until_settled(settle)
    assert len(network.settles(number)) == 1
    assert not [tx for tx in network.chain.get("/chain/txs")["txs"] if doomed(tx, number)]


def doomed(tx: dict[str, t.Any], number: int) -> bool:
    return bool(tx["code"]) and f"escrow {number} already settled" in str(tx)


# by the key of GATEWAYS: whether it has a profiler, gRPC, a word for what is held, and batches
HAS = {
    "v3": (True, False, False, False),
    "v4": (False, True, False, False),
    "v4.1": (True, True, False, False),
    "v4.1-on-v0.2.16": (True, True, False, False),
    "v4.1-4.0": (True, True, False, False),
    "v4.1-late": (True, True, True, True),
}


@ALL
def test_what_a_gateway_has_is_found_out(
    request: pytest.FixtureRequest, host: Host, network: Network
) -> None:
    ready = network.ready
    gateway = GatewayApi(
        HttpTransport(timeout=30),
        url=ready["gateway"],
        admin_key=ready["admin_key"],
        profile=profile(network.generation, network.generation),
    )
    operation = CreateSigned(host)
    assert operation.run().ok
    asked = probe(gateway, gateway.state(), ready["accounting"] or None)
    found = (asked.profiler, asked.chain_by_grpc, asked.holds, asked.settles_batches)
    assert found == HAS[request.node.callspec.params["network"]]
    assert asked.memory_statistics is True
    assert (asked.accounting_schema is not None) is (network.generation == "v4.1")
    refuse_foreign(gateway, profile(network.generation, network.generation))
    with pytest.raises(UnsafeError, match="of another generation than v2"):
        refuse_foreign(gateway, profile("v2"))
    operation.clean()


@pytest.mark.parametrize("network", ["v3", "v4.1"], indirect=True, scope="module")
def test_an_escrow_that_a_start_dropped_is_named_by_the_log(host: Host, network: Network) -> None:
    operation = CreateSigned(host)
    assert operation.run().ok
    (escrow,) = network.escrows(host.creator)
    number = int(escrow["id"])
    for word in ("one", "two", "three"):
        network.chat(number, f"dropped {number} {word}")
    (file,) = (network.storage / f"escrow-{number}").glob("epoch_*.db")
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM diffs WHERE nonce = 2")
        database.commit()
    with contextlib.suppress(requests.RequestException, AssertionError):
        network.gateway.post("/crash")
    wait_for(lambda: not network.records()[number]["active"], "the start")
    found = dropped((network.folder / "simnet.log").read_text())
    assert [one.to_result() for one in found] == [
        {"id": number, "why": "local state unrecoverable"}
    ]
    # its deposit is not given up for another one: an operator has to look
    again = operation.run()
    assert not again.ok
    assert "state root mismatch" in str(again)
    assert len(network.escrows(host.creator)) == 1
