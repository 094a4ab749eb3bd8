# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A run with several hosts at once: each of its lines is whole and plain, in the log too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    collections,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Seen,
    Server,
    json_answer,
    running,
)

BUSY = ("h1", "h2", "h3", "h4")
LOOKS = 25
"""For so many looks a gateway is busy, which are more than fit into a slice of one second."""
LINE = re.compile(
    r"gateway_drain \[(h\d)\] slot main: (\d+) requests? left, (\d+) s until the deadline"
)


def told(requests: int) -> dict[str, t.Any]:
    runtime = {"active": True, "requests_blocked": False, "active_requests": requests}
    record = {"id": "7", "active": True, "created_at": "2026-01-02T03:04:05Z"}
    return {
        "capacity": {},
        "settings": {},
        "limiter": {"in_flight_requests": requests},
        "devshards": [{**record, "runtime": runtime}],
    }


@pytest.fixture
def server() -> t.Iterator[Server]:
    with running() as made:
        looks: Counter[str] = Counter()

        def reply(seen: Seen) -> Answer:
            if seen.path.startswith("/-/busy/"):
                return Answer(204, b"")
            host = seen.headers["Authorization"].rpartition("-")[2]
            looks[host] += 1
            return json_answer(told(max(0, LOOKS - looks[host]) if host in BUSY else 0))

        made.reply = reply
        yield made


def drain(
    folder: Path, server: Server, *, no_log: bool = False, **variables: t.Any
) -> tuple[str, str]:
    """What Ansible writes, with colours asked for, and its log."""
    task = {
        f"{FULL_NAME}.gateway_drain": {
            "gateway_url": server.url,
            "admin_api_key": "key-of-{{ inventory_hostname }}",
            "edge_busy_url": f"{server.url}/-/busy/main",
            "polls": 2,
            "wait_interval": 0.1,
            "wait_timeout": 300,
            "progress_interval": 1,
        }
    }
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, **variables},
        "tasks": [{**task, "no_log": no_log}],
    }
    path = folder / "play.json"
    path.write_text(json.dumps([play]))
    log = folder / "ansible.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "--forks", "5"),
            *("--inventory", ",".join([*BUSY, "idle"]), path),
        ],
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(collections()),
            "ANSIBLE_LOG_PATH": str(log),
            "ANSIBLE_NOCOLOR": "0",
            "ANSIBLE_FORCE_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, log.read_text()


def test_lines_of_many_hosts_are_whole_and_plain(tmp_path: Path, server: Server) -> None:
    screen, log = drain(tmp_path, server)
    # the rest of what Ansible writes is coloured
    assert "\x1b" in screen
    lines = [line for line in screen.splitlines() if "gateway_drain [" in line]
    found = [LINE.fullmatch(line) for line in lines]
    assert None not in found, lines
    for host in BUSY:
        mine = [match for match in found if match is not None and match[1] == host]
        left = [int(match[3]) for match in mine]
        requests = [int(match[2]) for match in mine]
        assert mine, screen
        assert requests == sorted(requests, reverse=True)
        assert left == sorted(left, reverse=True)
    in_log = [line for line in log.splitlines() if "gateway_drain [" in line]
    assert [line.partition("gateway_drain [")[2] for line in in_log] == [
        line.partition("gateway_drain [")[2] for line in lines
    ]


@pytest.mark.parametrize("off", [{"devshard_progress": "{{ 1 == 2 }}"}, {"no_log": True}])
def test_no_line_is_shown_where_they_are_switched_off(
    tmp_path: Path, server: Server, off: dict[str, t.Any]
) -> None:
    screen, log = drain(tmp_path, server, **off)
    assert "gateway_drain [" not in screen + log
    assert len([seen for seen in server.seen if seen.path == "/v1/admin/state"]) > 4 * LOOKS
