# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Writes down each module that Ansible runs, each command that it sends, and how long tasks take.

An action plugin may run several modules for one task (``template`` runs ``stat`` and ``copy``), and
a loop runs one for each item. What counts is what is sent to the host, so the two methods of
Ansible through which all of that goes are wrapped before its workers are forked.
"""

from __future__ import annotations

import functools
import json
import os
import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bench_record
type: notification
short_description: Write down modules, commands and durations of tasks
description:
  - For the benchmark of a run that changes nothing. The environment variable E(BENCH_RECORD) names the file.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "bench_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._file = os.open(
            os.environ["BENCH_RECORD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        self._begun: dict[tuple[str, str], float] = {}
        self._wrap("_execute_module", "module")
        self._wrap("_low_level_execute_command", "command")

    def _write(self, **event: t.Any) -> None:
        # one short line by one call: the workers share the file
        os.write(self._file, (json.dumps(event) + "\n").encode())

    def _wrap(self, method: str, kind: str) -> None:
        inner = getattr(ActionBase, method)

        @functools.wraps(inner)
        def outer(action: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            name = ""
            if kind == "module":
                given = kwargs.get("module_name") or (args[0] if args else None)
                name = str(given or action._task.action)
            self._write(
                kind=kind,
                name=name,
                task=str(action._task.name),
                connection=str(action._connection.transport),
            )
            return inner(action, *args, **kwargs)

        setattr(ActionBase, method, outer)

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._begun[host.name, task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        task = result._task
        begun = self._begun.pop((result._host.name, task._uuid), None)
        if begun is not None:
            module = str(task.action).rpartition(".")[2]
            self._write(
                kind="task", name=module, task=str(task.name), seconds=time.monotonic() - begun
            )
