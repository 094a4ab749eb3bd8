# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The whole role ``retire``, whose archive fails once: the next run archives, and pays nothing again."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    import subprocess

    from ansible_collections.gonka.devshard.tests.money.role import RoleHost

RETIRE: t.Final = {"name": "gonka.devshard.retire"}


def test_an_archive_that_failed_once_is_made_by_the_next_run(role_host: RoleHost) -> None:
    network, creator = role_host.network, role_host.host.creator
    archive_dir = role_host.host.folder / "archive"

    def run() -> subprocess.CompletedProcess[str]:
        given = {"retire_archive_dir": str(archive_dir), "retire_wait_timeout": 60}
        return role_host.run(RETIRE, **given)

    def stage() -> str:
        return str(json.loads(role_host.note.read_text())["stage"])

    # no folder can be made there
    archive_dir.write_text("in the way")
    first = run()
    assert first.returncode != 0
    assert "Archive the state, sessions included" in first.stdout.rpartition("TASK")[2], (
        first.stdout
    )
    assert stage() == "settled"
    assert role_host.engine.containers == []
    assert len(network.settles(role_host.escrow_id)) == 1
    balance = network.balance(creator)

    archive_dir.unlink()
    second = run()
    assert second.returncode == 0, second.stdout
    assert "everything is settled, and its state is still to be archived" in second.stdout
    assert stage() == "archived"
    (archive,) = archive_dir.iterdir()
    assert list(archive.rglob(f"escrow-{role_host.escrow_id}/*.db"))
    # it needed neither the gateway nor a transaction
    assert not any(call.startswith("start") for call in role_host.engine.done)
    assert len(network.settles(role_host.escrow_id)) == 1
    assert network.balance(creator) == balance

    third = run()
    assert third.returncode == 0, third.stdout
    assert "it is already retired" in third.stdout
    assert "changed=0 " in third.stdout
    assert len(list(archive_dir.iterdir())) == 1
