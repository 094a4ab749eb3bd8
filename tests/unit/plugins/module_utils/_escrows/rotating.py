# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The settings of rotation, in a gateway that has nothing else."""

from __future__ import annotations

import copy
import typing as t
from types import SimpleNamespace as Obj


class Gateway:
    """Keeps its rotation settings, and counts what was sent."""

    def __init__(self, **changes: t.Any) -> None:
        self.held: dict[str, t.Any] = {
            "enabled": False,
            "settlement_enabled": False,
            "pre_poc_blocks": 300,
            "models": [],
            **changes,
        }
        self.sent: list[dict[str, t.Any]] = []

    def settings(self) -> dict[str, t.Any]:
        return {"escrow_rotation": copy.deepcopy(self.held)}

    def post_settings(self, patch: dict[str, t.Any]) -> None:
        self.sent.append(patch)
        self.held |= patch["escrow_rotation"]

    def rotation(self) -> Obj:
        return Obj(settings=copy.deepcopy(self.held))
