# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.lock import HostLock


def test_the_second_run_is_told_who_is_first(path: str) -> None:
    with HostLock(path, "run-1", "escrow for m"):
        with pytest.raises(BusyError) as caught, HostLock(path, "run-2", "settle"):
            pass
        assert str(os.getpid()) in str(caught.value)
        assert "escrow for m" in str(caught.value)
    with HostLock(path, "run-2", "settle"):
        pass


HOLDER = """
import sys
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.lock import HostLock
with HostLock(sys.argv[1], "run-1", "escrow for m"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_leaves_no_lock(path: str) -> None:
    """What is left is the file; only the kernel's lock counts."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match="escrow for m") as caught:
            HostLock(path, "run-2", "settle").__enter__()
        assert str(child.pid) in str(caught.value)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    with HostLock(path, "run-2", "settle"):
        pass
