# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import Epoch
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.create_window import (
    next_create,
    refuse_window,
)

SWITCH, LENGTH, POC = 10_021, 15_391, 25_391
"""The stages of an epoch of mainnet: the next proof of compute begins 21 blocks before its end."""


def epoch(height: int, phase: str = "Inference") -> Epoch:
    return Epoch(
        index=6,
        height=height,
        phase=phase,
        confirmation_poc=False,
        stages={"set_new_validators": SWITCH, "next_poc_start": POC},
        next_stages={"set_new_validators": SWITCH + LENGTH},
    )


@given(st.integers(SWITCH, POC), st.integers(1, 1_500))
def test_a_create_of_inference_is_refused_only_near_the_end(height: int, wanted: int) -> None:
    assert (refuse_window(epoch(height), height, wanted) is None) is (POC - height >= wanted)


def test_the_later_of_two_heights_counts() -> None:
    """The chain and the public API are asked one after the other."""
    assert refuse_window(epoch(POC - 1_500), POC - 1_499, 1_500) is not None
    assert refuse_window(epoch(POC - 1_499), POC - 1_500, 1_500) is not None


@pytest.mark.parametrize(
    ("height", "when"), [(SWITCH - 5, f"from block {SWITCH} on"), (SWITCH, "in phase Inference")]
)
def test_a_proof_of_compute_is_waited_for(height: int, when: str) -> None:
    found = refuse_window(epoch(height, "PoCValidate"), height, 1)
    assert found is not None
    assert f"Run this again {when}" in found
    assert "escrow_min_blocks_to_poc (min_blocks_to_poc) to 0" in found


@pytest.mark.parametrize(("pace", "blocks"), [(5.3, 2), (8.0, 1), (1.0, 8), (None, 3)], ids=str)
def test_the_pause_is_counted_in_blocks(pace: float | None, blocks: int) -> None:
    """Rather too many of them, where the pace is not known."""
    assert next_create(100, 8, pace) == 100 + blocks
