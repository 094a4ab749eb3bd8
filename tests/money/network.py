# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts the simulated network and talks to its faults ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


class Faults:
    """One faults port: of the network or of the gateway."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = requests.Session()
        self._http.trust_env = False

    def get(self, path: str) -> t.Any:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, t.Any] | None = None) -> t.Any:
        return self._call("POST", path, body or {})

    def delete(self, path: str) -> t.Any:
        return self._call("DELETE", path, None)

    def _call(self, method: str, path: str, body: dict[str, t.Any] | None) -> t.Any:
        answer = self._http.request(method, self._url + path, json=body, timeout=30)
        if answer.status_code != 200:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


class Network:
    """A whole network with a gateway in one process group."""

    def __init__(self, folder: Path, *, block_interval: float = 0.2) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "simnet")}
        with (folder / "simnet.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "simnet",
                    "run",
                    "--dir",
                    str(folder / "simnet"),
                    "--block-interval",
                    str(block_interval),
                    "--balance",
                    str(10**15),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        self.ready = self._first_line()
        self.chain = Faults(self.ready["faults"])
        self.gateway = Faults(self.ready["gateway_faults"])

    def _first_line(self) -> dict[str, t.Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(READY_SECONDS, self.stop)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.stop()
            raise AssertionError((self.folder / "simnet.log").read_text()[-4000:])
        ready = json.loads(line)
        assert isinstance(ready, dict)
        return ready

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def heal(self) -> None:
        """No fault is left; what happened stays."""
        self.chain.delete("/faults")
        self.gateway.delete("/faults")
        self.chain.post("/reset")
