# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What refuses a swap besides the moment: models without an escrow, and full disks."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._swap.window_rules import (
    ModelsWish,
    disk_refusals,
    model_refusals,
)

WISH = ModelsWish(served=("a", "b"), asked=("a",))


@pytest.mark.parametrize(
    ("loaded", "active", "refused"),
    [
        (["a"], ["a"], []),
        ([], ["a", "c"], []),
        (["c", "a", "d"], ["a"], ["serves c, d, of which devshard_models wants no escrow"]),
        (["a"], ["b"], ["no escrow in use for a"]),
        (["c"], [], ["serves c", "no escrow in use for a"]),
    ],
)
def test_clients_of_every_model_find_a_gateway(
    loaded: list[str], active: list[str], refused: list[str]
) -> None:
    found = model_refusals(WISH, loaded=loaded, active=active)
    assert len(found) == len(refused)
    assert all(part in text for part, text in zip(refused, found, strict=True))


def test_a_disk_has_room_for_what_a_swap_writes() -> None:
    disks = [{"path": "/a", "free_mb": 1024}, {"path": "/b", "free_mb": 1023}]
    (found,) = disk_refusals(disks, min_free_mb=1024)
    assert "/b" in found
    assert "1023" in found
