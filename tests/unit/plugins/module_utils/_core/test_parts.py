# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core import parts
from ansible_collections.gonka.devshard.plugins.module_utils._core.parts import attempt, together


class WhenTheFastOneIsDone:
    """The time is over when that thread has ended, however long it takes on this machine."""

    def __init__(self, seconds: float) -> None:
        pass

    @property
    def left(self) -> float:
        for thread in threading.enumerate():
            if thread.name == "fast":
                thread.join()
        return 0.0


def test_a_part_that_hangs_for_ever_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "WaitBudget", WhenTheFastOneIsDone)
    ever = threading.Event()
    found = together({"slow": lambda: ever.wait(60), "fast": lambda: 7}, 0.05)
    ever.set()
    assert found["fast"].value == 7
    assert found["slow"].why == "no answer within 0.05 seconds"


def test_a_bug_in_a_look_is_no_answer() -> None:
    def bug() -> t.NoReturn:
        raise KeyError("x")

    with pytest.raises(KeyError):
        together({"a": bug}, 5)
    with pytest.raises(KeyError):
        attempt(bug)


def test_a_file_that_may_not_be_read() -> None:
    def denied() -> t.NoReturn:
        raise PermissionError(13, "Permission denied", "/etc/x")

    assert attempt(denied).why == "/etc/x: permission denied. Run with become: true"
