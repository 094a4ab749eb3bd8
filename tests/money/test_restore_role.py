# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The whole restore of a backup that has the rotation on: it is off before the gateway pays."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.money.network import AMOUNT

if t.TYPE_CHECKING:
    import subprocess

    from ansible_collections.gonka.devshard.tests.money.role import RoleHost

RESTORE: t.Final = {"name": "gonka.devshard.backup", "tasks_from": "restore"}
SETTINGS: t.Final = "/v1/admin/settings"


def rotate(role_host: RoleHost, *, on: bool) -> None:
    model = {
        "model_id": role_host.network.ready["models"][0],
        "temp_count": 1,
        "target_count": 1,
        "amount": AMOUNT,
        "private_key_env": role_host.host.creator.variable,
    }
    wanted = {"enabled": on, "pre_poc_blocks": 10, "models": [model]}
    role_host.gateway.admin.post(SETTINGS, {"escrow_rotation": wanted})


def test_a_restore_that_was_interrupted_is_continued(role_host: RoleHost) -> None:
    network, creator = role_host.network, role_host.host.creator
    backups = role_host.host.folder / "backups"
    rotate(role_host, on=True)
    storage = {"storage_dir": str(role_host.gateway.storage), "dest": str(backups)}
    name = role_host.host.run("gateway_backup", storage).result["backup"]["name"]
    rotate(role_host, on=False)
    role_host.gateway.admin.post(SETTINGS, {"max_concurrent_requests": 299})
    escrows = network.escrows(creator)

    def run(wait_timeout: int = 60) -> subprocess.CompletedProcess[str]:
        given = {"backup_name": name, "backup_dir": str(backups)}
        return role_host.run(RESTORE, **given, backup_wait_timeout=wait_timeout)

    def state() -> tuple[bool, int]:
        found = role_host.gateway.admin.get(SETTINGS)
        return found["escrow_rotation"]["enabled"], found["max_concurrent_requests"]

    # it is started and never answers, as one that replays for long
    role_host.engine.on_start = None
    first = run(wait_timeout=2)
    assert first.returncode != 0, first.stdout
    assert "its rotation could not be switched off" in first.stdout
    assert "The gateway is stopped again" in " ".join(first.stdout.split())
    (container,) = role_host.engine.containers
    assert container.state == "exited"

    role_host.engine.on_start = lambda _container: role_host.start()
    second = run()
    assert second.returncode == 0, second.stdout
    assert "the backup had the rotation on, and it is off now" in second.stdout
    assert state() == (False, 512)
    assert network.escrows(creator) == escrows
    assert list(role_host.deploy.iterdir()) == []

    third = run()
    assert third.returncode == 0, third.stdout
    assert "changed=0 " in third.stdout
    assert role_host.engine.done == [f"{verb} {container.name}" for verb in VERBS]


VERBS: t.Final = ("stop", "start", "stop", "start")


@pytest.mark.parametrize("left", ["exited", "running"])
def test_a_gateway_that_has_served_is_continued(role_host: RoleHost, left: str) -> None:
    """The sessions of the backup are older than it now, so they could not be restored again."""
    backups, variables = role_host.host.folder / "backups", role_host.host.folder / "config.env"
    hidden = variables.with_suffix(".hidden")
    rotate(role_host, on=True)
    role_host.gateway.stop()
    storage = {"storage_dir": str(role_host.gateway.storage), "dest": str(backups)}
    made = role_host.host.run("gateway_backup", {**storage, "sessions": True})
    name = made.result["backup"]["name"]
    role_host.start()
    rotate(role_host, on=False)
    role_host.gateway.admin.post(SETTINGS, {"max_concurrent_requests": 299})

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return role_host.run(RESTORE, *options, backup_name=name, backup_dir=str(backups))

    def serve_without_its_key(_container: object) -> None:
        role_host.start()
        role_host.network.chat(role_host.escrow_id, "after it", role_host.gateway.admin)
        variables.rename(hidden)

    role_host.engine.on_start = serve_without_its_key
    first = run()
    assert first.returncode != 0, first.stdout
    assert "The gateway is stopped again" in " ".join(first.stdout.split())
    hidden.rename(variables)
    role_host.engine.on_start = lambda _container: role_host.start()
    (container,) = role_host.engine.containers
    if left == "running":
        # as a run leaves it that was killed after the start
        role_host.start()
        container.state = left

    predicted = run("--check")
    assert predicted.returncode == 0, predicted.stdout
    assert f"changed={int(left == 'exited')} " in predicted.stdout
    assert container.state == left
    if left == "running":
        # one such answer does not stop a gateway that serves
        broken = {"action": "status", "status": 500, "method": "GET", "path": SETTINGS, "times": 1}
        role_host.gateway.faults.post("/faults", broken)
    second = run()
    assert second.returncode == 0, second.stdout
    assert "the backup had the rotation on, and it is off now" in second.stdout
    assert "an earlier run had put the backup" in second.stdout
    assert not role_host.gateway.admin.get(SETTINGS)["escrow_rotation"]["enabled"]
    assert list(role_host.deploy.iterdir()) == []
    served = [f"{verb} {container.name}" for verb in VERBS]
    assert role_host.engine.done == served[: 4 if left == "exited" else 3]
