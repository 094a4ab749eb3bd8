# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Waits that are not divided: one call of the module, with lines beside it."""

from __future__ import annotations

import threading
import typing as t
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.action import (
    escrow,
    gateway_wait,
    swap_sessions,
    swap_settings,
)
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow import SPEC as ESCROW
from ansible_collections.gonka.devshard.plugins.modules.gateway_wait import SPEC as WAIT
from ansible_collections.gonka.devshard.plugins.modules.swap_sessions import SPEC as SESSIONS
from ansible_collections.gonka.devshard.plugins.modules.swap_settings import SPEC as SETTINGS
from ansible_collections.gonka.devshard.plugins.plugin_utils import _slices
from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import Result, WholeAction

if t.TYPE_CHECKING:
    from collections.abc import Callable

WAITING: list[tuple[type[WholeAction], Result, str]] = [
    (gateway_wait.ActionModule, {}, "waits for the gateway"),
    (swap_sessions.ActionModule, {"state": "intact"}, "waits until all sessions are served"),
    (swap_settings.ActionModule, {}, "waits until the gateway answers"),
    (escrow.ActionModule, {"model_id": "some/model"}, "ensures the escrows of some/model"),
]
LINES = 3


class Call:
    """What the module was called with. It ends when ``until`` says so."""

    def __init__(self, until: Callable[[], bool], answer: Result | Exception) -> None:
        self.args: list[Result] = []
        self._until = until
        self._answer = answer

    def __call__(self, args: Result, _task_vars: Result) -> Result:
        self.args.append(args)
        assert self._until()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(_slices, "FIRST", 0)
    return []


def acted(
    action: type[WholeAction],
    args: Result,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    shown: Callable[[str], None],
    **task: t.Any,
) -> Result:
    class Acting(action):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            values = {"args": args, "check_mode": False, "async_val": 0, "no_log": False}
            self._task: t.Any = SimpleNamespace(**{**values, **task})
            self._templar: t.Any = SimpleNamespace(template=lambda value: value)

        _call = staticmethod(call)

    monkeypatch.setattr(_slices, "display", SimpleNamespace(display=shown))
    variables = {"inventory_hostname": "gw1", "devshard_progress": task.get("progress", True)}
    return t.cast("Result", Acting().run(None, variables))


@pytest.mark.parametrize(("action", "args", "what"), WAITING)
@pytest.mark.parametrize("answer", [{"changed": True}, {"failed": True}, OSError("gone")], ids=str)
def test_lines_are_shown_beside_one_call(
    action: type[WholeAction],
    args: Result,
    what: str,
    answer: Result | Exception,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enough = threading.Event()

    def shown(line: str) -> None:
        lines.append(line)
        if len(lines) >= LINES:
            enough.set()

    given = {**args, "wait_timeout": 600}
    call = Call(lambda: enough.wait(30), answer)
    if isinstance(answer, Exception):
        with pytest.raises(OSError, match="gone"):
            acted(action, given, call, monkeypatch, shown)
    else:
        assert acted(action, given, call, monkeypatch, shown) == answer
    # once, with all of its time: a payment is not divided
    assert call.args == [given]
    name = action.MODULE.rpartition(".")[2]
    assert lines[0] == f"{name} [gw1]: {what}, 600 s until the deadline" or " min " in lines[0]
    assert {line.partition(",")[0] for line in lines} == {f"{name} [gw1]: {what}"}
    # none comes after its end
    assert [one for one in threading.enumerate() if one is not threading.main_thread()] == []


@pytest.mark.parametrize(("action", "args", "_what"), WAITING)
@pytest.mark.parametrize(
    "task", [{"progress": False}, {"no_log": True}, {"check_mode": True}], ids=str
)
def test_no_line_is_shown_where_there_is_none_to_show(
    action: type[WholeAction],
    args: Result,
    _what: str,
    task: dict[str, bool],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    call = Call(lambda: True, {"changed": False})
    assert acted(action, args, call, monkeypatch, lines.append, **task) == {"changed": False}
    assert (call.args, lines) == ([args], [])


@pytest.mark.parametrize("state", ["listed", "stoppable", None])
def test_what_is_read_once_shows_no_line(
    state: str | None, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    args = {} if state is None else {"state": state}
    call = Call(lambda: True, {"sessions": {}})
    acted(swap_sessions.ActionModule, args, call, monkeypatch, lines.append)
    assert lines == []


class Waits:
    """An event that is set after some pauses, each of which is kept."""

    def __init__(self, pauses: int) -> None:
        self.kept: list[float] = []
        self._pauses = pauses

    def wait(self, pause: float) -> bool:
        self.kept.append(pause)
        return len(self.kept) > self._pauses


def test_lines_get_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(_slices, "display", SimpleNamespace(display=shown.append))
    action = t.cast("t.Any", gateway_wait.ActionModule.__new__(gateway_wait.ActionModule))
    over = Waits(6)
    action._show_until(over, "waits", 7200, {"inventory_hostname": "gw1"})
    assert over.kept == [15, 30, 60, 120, 240, 300, 300]
    assert len(shown) == 6


def test_a_task_in_the_background_is_the_modules_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    called: list[dict[str, t.Any]] = []

    class Acting(escrow.ActionModule):
        def __init__(self) -> None:
            self._task: t.Any = SimpleNamespace(args={}, check_mode=False, async_val=60)

    def execute(_self: object, **given: t.Any) -> Result:
        called.append(given)
        return {"ansible_job_id": "1"}

    monkeypatch.setattr(Acting, "_execute_module", execute)
    assert Acting().run(None, {}) == {"ansible_job_id": "1"}
    assert called == [
        {"module_name": escrow.ActionModule.MODULE, "task_vars": {}, "wrap_async": True}
    ]


@pytest.mark.parametrize(
    ("action", "options"),
    [
        (gateway_wait.ActionModule, WAIT.options),
        (swap_sessions.ActionModule, SESSIONS.options),
        (swap_settings.ActionModule, SETTINGS.options),
        (escrow.ActionModule, ESCROW.options),
    ],
)
def test_the_defaults_are_those_of_the_module(
    action: type[WholeAction], options: t.Mapping[str, t.Any]
) -> None:
    for name, value in action.NUMBERS.items():
        assert options[name]["default"] == value
