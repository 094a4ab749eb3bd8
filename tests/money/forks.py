# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Runs modules of the collection, each in a forked process that may be killed at a ledger step.

Reads one job per line from standard input and answers one JSON line for each. The kill is a
ledger that ends its own process; the product knows nothing of it. Modules are imported once,
and the simulated ``inferenced`` runs in the same process: a whole matrix would take too long
otherwise. What the modules do is their own code, unchanged.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
import types
import typing as t
from pathlib import Path

from ansible.module_utils import basic

from ansible_collections.gonka.devshard.plugins.module_utils._chain.inferenced import CliResult, Run
from ansible_collections.gonka.devshard.plugins.module_utils._clients import money, signer
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Intent,
    Kind,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import api
from simnet import inferenced as cli

MODULES = ("creator_key", "devshard", "escrow", "escrow_info", "escrow_settle", "gateway_backup")


class DoomedLedger(Ledger):
    """A ledger that ends its process by SIGKILL at a chosen step, once."""

    doom: tuple[str, str] | None = None
    """A step, ``plan`` or an event's name, and whether before or after it is recorded."""

    def plan(self, kind: Kind, via: Via, subject: Subject) -> Intent:
        self._die("plan", "before")
        intent = super().plan(kind, via, subject)
        self._die("plan", "after")
        return intent

    def apply(
        self,
        intent: Intent,
        event: Event,
        detail: dict[str, t.Any] | None = None,
        **values: t.Any,
    ) -> Intent:
        self._die(event.value, "before")
        after = super().apply(intent, event, detail, **values)
        self._die(event.value, "after")
        return after

    def _die(self, step: str, when: str) -> None:
        if self.doom == (step, when):
            os.kill(os.getpid(), signal.SIGKILL)


def run_cli(argv: list[str], data: str | None) -> CliResult:
    out, err = io.StringIO(), io.StringIO()
    streams = cli.Streams(
        read_line=io.StringIO(data or "").readline,
        out=out.write,
        err=err.write,
        now_ns=time.time_ns,
    )
    return CliResult(cli.run(argv[1:], streams), out.getvalue(), err.getvalue())


def runner(_run_command: object) -> Run:
    return run_cli


def work(job: dict[str, t.Any]) -> int:
    """In the forked process: become the module."""
    output = os.open(job["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    DoomedLedger.doom = None if job["kill"] is None else tuple(job["kill"])
    replaced: list[tuple[types.ModuleType, str, t.Any]] = [
        (money, "Ledger", DoomedLedger),
        (signer, "runner", runner),
        # The same code with shorter time-outs; the real ones are minutes.
        *((api, name, 5.0) for name in ("_LOAD", "_CREATE", "_FINALIZE", "_SETTINGS")),
    ]
    for place, name, value in replaced:
        if not hasattr(place, name):
            raise AssertionError(f"{place.__name__} has no {name} any more")
        setattr(place, name, value)
    module = importlib.import_module(
        f"ansible_collections.gonka.devshard.plugins.modules.{job['module']}"
    )
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": job["args"]}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    try:
        module.main()
    except SystemExit as exc:
        return int(exc.code or 0)
    raise AssertionError("a module ends by exit_json or fail_json")


def child(job: dict[str, t.Any]) -> t.NoReturn:
    code = 70
    try:
        code = work(job)
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    for name in MODULES:
        importlib.import_module(f"ansible_collections.gonka.devshard.plugins.modules.{name}")
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(job)
        _unused, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        text = Path(job["out"]).read_text() if Path(job["out"]).exists() else ""
        print(json.dumps({"code": code, "output": text}), flush=True)
