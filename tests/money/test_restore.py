# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A backup comes back only while its sessions are the newest ones, and then can be settled."""

from __future__ import annotations

import shutil
import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.money.host import Host, Run
from ansible_collections.gonka.devshard.tests.money.network import (
    AMOUNT,
    Network,
    SecondGateway,
    wait_for,
)


class Life:
    """A gateway that is started and stopped on one storage folder."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.network: Network = host.network
        self.gateway = self._start()
        self.escrow_id = self.network.create(host.creator, self.gateway.admin)

    def _start(self) -> SecondGateway:
        return self.network.second_gateway(self.host.creator, "restore")

    def serve(self, words: str) -> int:
        self.network.chat(self.escrow_id, words, self.gateway.admin)
        wait_for(self._quiet, "the session to be quiet")
        return int(self.gateway.admin.get(f"/devshard/{self.escrow_id}/v1/status")["nonce"])

    def _quiet(self) -> bool:
        (record,) = self.gateway.admin.get("/v1/admin/state")["devshards"]
        return bool(record["runtime"]["active_requests"] == 0)

    def restart(self) -> None:
        self.gateway = self._start()

    def module(self, **more: t.Any) -> Run:
        folders = {
            "storage_dir": str(self.gateway.storage),
            "dest": str(self.host.folder / "backups"),
        }
        return self.host.run("gateway_backup", {**folders, **more})


@pytest.fixture
def life(host: Host) -> t.Iterator[Life]:
    made = Life(host)
    try:
        yield made
    finally:
        made.gateway.stop()


def test_a_lost_storage_comes_back_and_its_deposit_is_settled(life: Life) -> None:
    nonce = life.serve("before the backup")
    running = life.module(sessions=True)
    assert running.kind == "unsafe"
    assert "stop the gateway first" in str(running)
    life.gateway.stop()
    backup = life.module(sessions=True).result["backup"]
    assert [(s["escrow_id"], s["nonce"]) for s in backup["sessions"]] == [(life.escrow_id, nonce)]
    assert not life.module(state="restored", name=backup["name"]).changed

    shutil.rmtree(life.gateway.storage)
    (escrow,) = life.network.escrows(life.host.creator)
    life.network.chain.post("/hosts", {"down": [escrow["slots"][0]]})
    unknown = life.module(state="restored", name=backup["name"])
    life.network.heal()
    assert unknown.kind == "unsafe"
    assert "it is not known whether the hosts" in str(unknown)
    restored = life.module(state="restored", name=backup["name"])
    assert restored.ok, restored
    (session,) = restored.result["sessions"]
    assert (session["hosts_nonce"], session["refusal"]) == (nonce, None)
    life.restart()
    assert life.serve("after the restore") > nonce
    admin = life.gateway.admin
    admin.post(f"/v1/admin/devshards/{life.escrow_id}/deactivate")
    admin.post(f"/devshard/{life.escrow_id}/v1/finalize")
    admin.post(f"/v1/admin/devshards/{life.escrow_id}/settle", {"gas_limit": 1_000_000})
    wait_for(lambda: len(life.network.settles(life.escrow_id)) == 1, "the settle")


def test_a_session_that_served_after_its_backup_never_returns(life: Life) -> None:
    life.serve("before the backup")
    life.gateway.stop()
    name = life.module(sessions=True).result["backup"]["name"]
    life.restart()
    nonce = life.serve("after the backup")
    life.gateway.stop()

    refused = life.module(state="restored", name=name)
    assert refused.kind == "unsafe"
    assert f"{AMOUNT} ngonka would be at risk" in str(refused)
    assert f"nonce {nonce} is known" in str(refused)

    shutil.rmtree(life.gateway.storage)
    lost = life.module(state="restored", name=name)
    assert lost.kind == "unsafe", "the hosts know the newer nonce too"

    assert life.module(state="restored", name=name, force=AMOUNT - 1).kind == "unsafe"
    assert life.module(state="restored", name=name, force=AMOUNT).ok
