# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The command: one JSON line when ready, and a clean end on a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

SIMNET = Path(__file__).resolve().parents[2] / "simnet"


def _start(directory: Path, command: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simnet", command, "--dir", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SIMNET)},
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def _stop(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    rest, _ = process.communicate(timeout=15)
    return rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_net(tmp_path: Path, number: int) -> None:
    process, line = _start(tmp_path, "net")
    try:
        for key in ("chain_rest", "chain_rpc", "public_api", "faults", "release"):
            assert line[key].startswith("http://127.0.0.1:")
        assert len(line["models"]) == 2
        assert line["amount"] == 5_000_000_000
        assert os.access(line["inferenced"], os.X_OK)
        with urllib.request.urlopen(line["faults"] + "/health") as answer:
            assert json.load(answer) == {"ok": True}
    finally:
        rest = _stop(process, number)
    assert (process.returncode, rest) == (0, "")


def test_run(tmp_path: Path) -> None:
    process, line = _start(tmp_path, "run")
    try:
        assert {
            "gateway", "chain_rest", "chain_rpc", "public_api", "faults", "admin_key", "api_key",
            "creator_key", "models", "amount", "inferenced",
        } <= set(line)  # fmt: skip
        request = urllib.request.Request(
            line["gateway"] + "/v1/admin/state",
            headers={"Authorization": f"Bearer {line['admin_key']}"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["devshards"] == []
    finally:
        rest = _stop(process, signal.SIGTERM)
    assert (process.returncode, rest) == (0, "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(line["gateway"] + "/v1/status", timeout=2)
