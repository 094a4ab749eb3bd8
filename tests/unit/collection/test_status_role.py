# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The playbook status where no host answers: the page says so, and the verdicts are told."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    run_ansible,
)

# a port that no server has; the connection is refused at once
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}
BAD = {"devshard_profile": "v0"}
VARIABLES = {
    "devshard_chain_id": "gonka-test",
    "devshard_chain_rest": "http://127.0.0.1:1",
    "devshard_chain_rpc": "http://127.0.0.1:1",
    "devshard_public_api": "http://127.0.0.1:1",
    "devshard_models": [{"id": "org/A", "count": 1, "amount": 5_000_000_000}],
}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    hosts = {"gw1": AWAY, "gw2": AWAY, "gw3": BAD}
    inventory = folder / "inventory.json"
    inventory.write_text(
        json.dumps({"devshard_gateways": {"hosts": hosts, "vars": VARIABLES}}), encoding="utf-8"
    )
    return run_ansible("playbook", "-i", inventory, "gonka.devshard.status", *options)


def test_hosts_that_do_not_answer_are_on_the_page_as_not_known(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    data = tmp_path / "fleet.json"
    done = run(tmp_path, "-e", f"status_page_file={page}", "-e", f"status_json_file={data}")
    assert done.returncode == 2
    fleet = json.loads(data.read_text(encoding="utf-8"))
    assert (fleet["verdict"], fleet["failed"]) == ("not known", True)
    assert {host["host"]: host["verdict"] for host in fleet["hosts"]} == dict.fromkeys(
        ("gw1", "gw2", "gw3"), "not known"
    )
    assert stat.S_IMODE(data.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    text = page.read_text(encoding="utf-8")
    states = re.findall(r'data-state="([^"]+)"', text)
    assert states == ["not known"] * 3
    assert {"gw1", "gw2", "gw3"} <= set(re.findall(r">(gw\d)<", text))
    assert "Connection refused" in text
    # each of them has its verdict nevertheless
    for host in ("gw1", "gw2"):
        assert (
            f"{host}: not known: nothing could be asked: the host cannot be reached" in done.stdout
        )


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("page.html", ["--check"], ""),
        ("none/page.html", [], "status_page_file was not written: "),
    ],
)
def test_a_page_that_is_not_written_hides_no_verdict(
    tmp_path: Path, file: str, options: list[str], said: str
) -> None:
    done = run(tmp_path, "-e", f"status_page_file={tmp_path / file}", *options)
    assert done.returncode == 2
    assert not list(tmp_path.rglob("page.html"))
    assert said in done.stdout
    assert "not known: nothing could be asked: the host cannot be reached" in done.stdout
