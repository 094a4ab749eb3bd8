# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Proves that check mode tells what a real run does, and that a second run does nothing."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from pathlib import Path

from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import succeeded, without
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import snapshot_of

Params = dict[str, t.Any]


def no_writes() -> list[str]:
    return []


def prove(
    module: str,
    params: Params,
    folder: Path,
    *,
    writes: Callable[[], list[str]] = no_writes,
    assigned: tuple[str, ...] = (),
    partly: tuple[str, ...] = (),
    moving: tuple[str, ...] = (),
    idempotent: bool = True,
) -> Params:
    """The result of the real run. ``folder`` holds all that a run may write on the host.

    ``writes`` tells what servers were asked to change since it was called the last time.
    ``assigned`` are paths of what only the other side can know, absent in check mode; ``partly``
    names objects of which check mode tells some fields only; ``moving`` changes by itself.
    """
    writes()
    files = snapshot_of(folder)

    checked = succeeded(module, params, check=True)
    assert writes() == [], "check mode writes nothing"
    assert snapshot_of(folder) == files, "check mode leaves no file behind"

    done = succeeded(module, params)
    result = dict(done)
    assert done["changed"] is True, "the case would prove nothing"
    for key in partly:
        predicted, found = checked.pop(key), done.pop(key)
        assert predicted.items() <= found.items(), "what is predicted came true"
    assert without(checked, assigned) == without(done, assigned)
    assert done["diff"]["before"] != done["diff"]["after"]
    if not idempotent:
        return result

    writes()
    files = snapshot_of(folder)
    again = succeeded(module, params)
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"]
    assert again.get("actions", []) == []
    assert writes() == [], "a second run writes nothing"
    assert snapshot_of(folder) == files
    checked = succeeded(module, params, check=True)
    assert without(checked, moving) == without(again, moving)
    return result
