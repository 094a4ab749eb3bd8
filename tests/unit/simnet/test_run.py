# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The command: one JSON line when ready, and a clean end on a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 120  # only a failed test waits so long
SIMNET = Path(__file__).resolve().parents[2] / "simnet"


def _start(
    directory: Path, command: str, *more: str
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simnet", command, "--dir", str(directory), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SIMNET)},
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def _ask(line: dict[str, Any], path: str) -> Any:
    request = urllib.request.Request(
        line["gateway"] + path, headers={"Authorization": f"Bearer {line['admin_key']}"}
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        return json.load(answer)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _stop(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    rest, _unused = process.communicate(timeout=_PATIENCE)
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
        assert _ask(line, "/v1/admin/state")["devshards"] == []
    finally:
        rest = _stop(process, signal.SIGTERM)
    assert (process.returncode, rest) == (0, "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(line["gateway"] + "/v1/status", timeout=_PATIENCE)


def _process_id(line: dict[str, Any]) -> str:
    try:
        with urllib.request.urlopen(
            line["gateway_faults"] + "/process", timeout=_PATIENCE
        ) as answer:
            return str(json.load(answer)["process_id"])
    except (urllib.error.URLError, ConnectionError):
        return ""


def test_a_gateway_that_ends_is_started_again(tmp_path: Path) -> None:
    process, line = _start(tmp_path, "run", "--gateway-env", "SIMNET_POLL_SECONDS=0.2")
    try:
        first = _process_id(line)
        crash = urllib.request.Request(line["gateway_faults"] + "/crash", data=b"{}")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(crash, timeout=_PATIENCE)
        _until(lambda: _process_id(line) not in ("", first))
        _until(lambda: _answers(line))
    finally:
        _stop(process, signal.SIGTERM)


def _answers(line: dict[str, Any]) -> bool:
    try:
        return bool(_ask(line, "/v1/admin/state"))
    except (urllib.error.URLError, ConnectionError):
        return False
