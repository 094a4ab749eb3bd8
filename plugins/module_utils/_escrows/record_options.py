# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is wanted of one record of the gateway."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ConfigurationError
from .._host.storage import require_absolute

Wanted = t.Literal["present", "active", "inactive", "imported", "absent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DevshardOptions:
    id: int
    state: Wanted
    model_id: str | None
    private_key_env: str
    storage_path: str | None
    perf_path: str | None
    expected_nonce: int | None
    expected_balance: int | None
    force: int | None

    def check(self) -> None:
        if self.id <= 0:
            raise ConfigurationError(f"id must be the number of an escrow, got {self.id}")
        if self.expected_balance is not None and self.expected_nonce is None:
            raise ConfigurationError("expected_balance needs expected_nonce")
        for option in ("storage_path", "perf_path"):
            path = getattr(self, option)
            if path is not None:
                require_absolute(path, option)
