# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Reload nginx and prove that the new configuration serves."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    ConfigurationError,
    UnknownStateError,
)
from .._core.timer import WaitBudget

if t.TYPE_CHECKING:
    from collections.abc import Mapping


class NginxControl(t.Protocol):
    """The running nginx, on the host or in a container."""

    def dump(self) -> str: ...
    def check(self) -> str | None: ...
    def reload(self) -> str | None: ...
    def workers(self) -> Mapping[str, bool]: ...


def leaving(nginx: NginxControl) -> list[str]:
    """Workers that finish requests from before a reload, perhaps one of an interrupted run."""
    return sorted(worker for worker, is_leaving in nginx.workers().items() if is_leaving)


def reload_and_prove(
    nginx: NginxControl, *, deadline: WaitBudget, interval: float
) -> tuple[str, ...]:
    """Check, reload, and prove that every earlier worker is gone or shutting down.

    Return the earlier workers that still finish requests. Raise ConfigurationError when the
    configuration is refused, UnknownStateError when nginx took the signal but kept its workers (it
    returns 0 then, and only its error log says why).
    """
    complaint = nginx.check()
    if complaint is not None:
        raise ConfigurationError(f"nginx -t refuses the configuration: {complaint}")
    before = set(nginx.workers())
    complaint = nginx.reload()
    if complaint is not None:
        raise ConfigurationError(f"nginx -s reload failed: {complaint}")

    def turned() -> bool:
        now = nginx.workers()
        return all(now.get(worker, True) for worker in before) and any(
            not leaving for worker, leaving in now.items() if worker not in before
        )

    while not turned():
        if not deadline.pause(interval):
            raise UnknownStateError(
                "nginx accepted the reload but its old workers still take requests: it kept the old"
                " configuration. Its error log names the reason (often an address it cannot listen"
                " on)"
            )
    now = nginx.workers()
    return tuple(sorted(worker for worker in before if worker in now))
