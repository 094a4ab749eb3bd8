# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Looks at several things, each by itself and for a limited time.

One that fails says why and takes no other one with it.
"""

from __future__ import annotations

import threading
import typing as t
from dataclasses import dataclass

from .errors import DevshardError
from .timer import WaitBudget

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = t.TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(t.Generic[T]):
    """What one part answered, or why that is not known."""

    value: T | None = None
    why: str | None = None

    @property
    def known(self) -> bool:
        return self.why is None

    def to_result(self) -> dict[str, t.Any]:
        return {"known": self.known, "why": self.why}


def attempt(look: Callable[[], T]) -> Part[T]:
    """Errors that have a name are an answer too; any other one is a bug and stays one."""
    try:
        return Part(value=look())
    except PermissionError as exc:
        return Part(why=f"{exc.filename}: permission denied. Run with become: true")
    except (DevshardError, OSError) as exc:
        return Part(why=str(exc))


class _Bugs:
    """What a thread raises would be lost with it; here it is kept for the thread that waits."""

    def __init__(self) -> None:
        self.found: list[BaseException] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> bool:
        if exc is not None:
            self.found.append(exc)
        return True

    def show(self) -> None:
        if self.found:
            raise self.found[0]


def together(looks: Mapping[str, Callable[[], t.Any]], seconds: float) -> dict[str, Part[t.Any]]:
    """All of them at the same time, none longer than ``seconds``, whatever it hangs in."""
    found: dict[str, Part[t.Any]] = {}
    bugs = _Bugs()

    def run(name: str, look: Callable[[], t.Any]) -> None:
        with bugs:
            found[name] = attempt(look)

    # not daemonic ones would keep a module from ending while one hangs in a name server
    threads = [
        threading.Thread(target=run, args=item, daemon=True, name=item[0]) for item in looks.items()
    ]
    deadline = WaitBudget(seconds)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left)
    bugs.show()
    late: Part[t.Any] = Part(why=f"no answer within {seconds:g} seconds")
    return {name: found.get(name, late) for name in looks}
