# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._status.idle_rules import idle_state
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    SWAP,
    both,
    danger_of,
    escrow,
    of_escrow,
    of_presence,
    told,
    verdict,
)

INACTIVE: dict[str, t.Any] = {
    "active": False,
    "usable": False,
    "why_not": ["inactive in the gateway"],
}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, None),
        ({"active": False}, "inactive"),
        ({"active": False, "gateway_settles": True}, "settling"),
        ({"loaded": False}, "not loaded"),
        ({"held_since": "2026-11-29T10:00:00Z"}, "held back"),
        ({"active": False, "settled": True}, None),
        ({"active": False, "recorded": False}, None),
        ({"active": False, "on_chain": False}, None),
    ],
)
def test_the_state_of_one_in_a_word(changes: dict[str, t.Any], state: str | None) -> None:
    assert idle_state(escrow(7, **changes)) == state


def lines(**changes: t.Any) -> list[str]:
    return [line for line in told(verdict(of_escrow(**changes))) if "escrow 7" in line]


def test_it_is_named_once_with_what_is_left() -> None:
    assert lines(**INACTIVE) == [
        "warning: escrow 7 (5 GNK, 5000 blocks, 8 h 20 min left) is out of service and not settled"
    ]
    # a finding of its own says more
    near = {"kind": "deadline", "reason": "near", "advice": "Settle it"}
    assert not any("out of service" in line for line in lines(**INACTIVE, dangers=[near]))
    assert any(
        "out of service" in line for line in lines(**INACTIVE, dangers=[danger_of("held", "x")])
    )


def test_a_swap_moves_escrows_by_itself() -> None:
    found = verdict(both(of_escrow(**INACTIVE), of_presence(swap=SWAP)))
    assert not any("out of service" in line for line in told(found))
