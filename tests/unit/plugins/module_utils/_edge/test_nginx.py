# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Workers as /proc shows them, and paths that nginx in a container sees."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import Nginx, host_path
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import from_inspect
from ansible_collections.gonka.devshard.plugins.module_utils._host.processes import (
    processes,
    still_there,
)

MASTER = "nginx: master process /usr/sbin/nginx -g daemon off;"


class Proc:
    """A /proc of our own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "self" / "ns").mkdir(parents=True)
        os.symlink("pid:[1]", root / "self" / "ns" / "pid")
        (root / "meminfo").touch()

    def add(self, pid: int, title: str, *, parent: int = 1, ns: int = 1, started: int = 5) -> None:
        entry = self.root / str(pid)
        (entry / "ns").mkdir(parents=True)
        os.symlink(f"pid:[{ns}]", entry / "ns" / "pid")
        # a program's name may hold blanks and parentheses
        middle = " ".join(["0"] * 17)
        (entry / "stat").write_text(f"{pid} (a ) b) S {parent} {middle} {started} 0 0\n")
        (entry / "cmdline").write_bytes(title.encode() + b"\0")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def nginx(
    proc: Proc,
    *,
    pid: int | None = None,
    rc: int = 0,
    stderr: str = "",
    sleep: Callable[[float], object] = lambda _seconds: None,
) -> Nginx:
    return Nginx(
        lambda argv: (rc, " ".join(argv), stderr),
        program="nginx",
        pid=pid,
        proc=proc.root,
        sleep=sleep,
    )


def test_workers_are_the_children_of_the_master_of_the_same_namespace(proc: Proc) -> None:
    proc.add(10, MASTER)
    proc.add(11, "nginx: worker process", parent=10, started=6)
    proc.add(12, "nginx: worker process is shutting down", parent=10, started=7)
    proc.add(13, "nginx: cache manager process", parent=10)
    proc.add(20, MASTER, ns=2)
    proc.add(21, "nginx: worker process", parent=20, ns=2)
    assert nginx(proc).workers() == {"11@6": False, "12@7": True}
    assert nginx(proc, pid=20).workers() == {"21@5": False}


@pytest.mark.parametrize("count", [0, 2])
def test_no_or_two_masters_are_unknown(proc: Proc, count: int) -> None:
    for number in range(count):
        proc.add(10 + number, MASTER)
    with pytest.raises(UnknownStateError, match=f"{count} nginx master"):
        nginx(proc).workers()


def test_where_no_nginx_runs_none_is_waited_for(proc: Proc) -> None:
    """A bare host was looked at for two seconds, once for each file of the edge."""
    looks: list[float] = []
    proc.add(10, "tail -f /var/log/nginx/error.log")
    with pytest.raises(UnknownStateError, match="0 nginx master"):
        nginx(proc, sleep=looks.append).workers()
    assert looks == []


def test_one_that_starts_is_waited_for(proc: Proc) -> None:
    proc.add(10, "/usr/sbin/nginx -g daemon on; master_process on;")

    def titled(_seconds: float) -> None:
        (proc.root / "10" / "cmdline").write_bytes(f"{MASTER}\0".encode())

    assert nginx(proc, sleep=titled).workers() == {}


def test_a_worker_that_was_just_forked_is_no_second_master(proc: Proc) -> None:
    """Until it has a title of its own it shows its master's; a start or a reload looks like that."""
    proc.add(10, MASTER)
    proc.add(11, MASTER, parent=10, started=6)
    looks: list[float] = []

    def titled(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            (proc.root / "11" / "cmdline").write_bytes(b"nginx: worker process\0")

    assert nginx(proc, sleep=titled).workers() == {"11@6": False}
    assert len(looks) == 3


def test_a_number_used_again_is_another_process(proc: Proc) -> None:
    proc.add(11, "nginx: worker process", started=6)
    assert still_there(["11@6", "11@7", "12@1"], proc.root) == ["11@6"]


def test_processes_of_this_very_machine_can_be_read() -> None:
    ours = {process.pid: process for process in processes()}
    assert ours[os.getpid()].parent == os.getppid()
    assert still_there([ours[os.getpid()].key]) == [ours[os.getpid()].key]


def test_complaints_name_the_reason(proc: Proc) -> None:
    stderr = "nginx: [emerg] unknown directive\nnginx: configuration file test failed\n"
    assert nginx(proc).check() is None
    assert nginx(proc).dump() == "nginx -T"
    assert nginx(proc, rc=1, stderr=stderr).check() == "nginx: [emerg] unknown directive"
    assert nginx(proc, rc=1).reload() == "it exited with 1 and printed nothing"
    with pytest.raises(ConfigurationError, match="unknown directive"):
        nginx(proc, rc=1, stderr=stderr).dump()


def test_paths_of_a_container_are_found_on_the_host() -> None:
    container = from_inspect(
        {
            "Name": "/edge",
            "Image": "sha256:1",
            "Config": {"Image": "nginx"},
            "State": {"Status": "running", "Pid": 7},
            "HostConfig": {},
            "Mounts": [
                {"Destination": "/etc/nginx/devshard", "Source": "/srv/edge"},
                {"Destination": "/etc/nginx/single.conf", "Source": "/srv/single.conf"},
            ],
        },
        (),
    )
    assert container.pid == 7
    assert host_path(container, "/etc/nginx/devshard/a/flag") == Path("/srv/edge/a/flag")
    for path in ("/etc/nginx/single.conf", "/etc/nginx/other/flag"):
        with pytest.raises(ConfigurationError, match="mount its directory"):
            host_path(container, path)
