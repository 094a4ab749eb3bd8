# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import Epoch
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.deadlines import (
    settle_deadline,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    MAX_LAG,
    clock_or_none,
    read_clock,
    view_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import Limits
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    EPOCH_BLOCKS,
    Deposit,
    FakeChain,
)


class Chain(FakeChain):
    """A chain whose public API is some blocks behind."""

    lag = 0
    tells_epoch = True

    def effective_epoch(self) -> int | None:
        return 5 + self.height // EPOCH_BLOCKS if self.tells_epoch else None

    def epoch(self) -> Epoch:
        height = self.height - self.lag
        start = height // EPOCH_BLOCKS * EPOCH_BLOCKS
        return Epoch(
            confirmation_poc=False,
            index=5 + start // EPOCH_BLOCKS,
            height=height,
            phase="Inference",
            stages={"set_new_validators": start, "next_poc_start": start + EPOCH_BLOCKS - 40},
            next_stages={"set_new_validators": start + EPOCH_BLOCKS},
        )


@pytest.mark.parametrize("lag", [0, 1, MAX_LAG, -MAX_LAG])
@pytest.mark.parametrize("height", [1900, 1999, 2000, 2010])
@pytest.mark.parametrize("tells_epoch", [True, False])
def test_a_small_lag_changes_nothing_also_across_a_switch(
    lag: int, height: int, *, tells_epoch: bool
) -> None:
    chain = Chain()
    chain.tells_epoch = tells_epoch
    chain.height, chain.lag = height, 0
    true = read_clock(chain)
    chain.lag = lag
    seen = read_clock(chain)
    newest = max(height, height - lag)
    assert seen.height == newest
    # the epoch is the chain's; what is derived goes by the newest block that anything shows
    now = height if tells_epoch else newest
    assert seen.effective == 5 + now // EPOCH_BLOCKS
    assert seen.next_switch == (now // EPOCH_BLOCKS + 1) * EPOCH_BLOCKS
    assert seen.epoch_length == true.epoch_length == EPOCH_BLOCKS
    for epoch in (true.effective - 1, true.effective):
        assert settle_deadline(epoch, seen).height == settle_deadline(epoch, true).height


@pytest.mark.parametrize("lag", [MAX_LAG + 1, -MAX_LAG - 1, 900])
def test_a_stale_public_api_is_refused(lag: int) -> None:
    chain = Chain()
    chain.height, chain.lag = 5000, lag
    with pytest.raises(UnknownStateError, match="stale"):
        read_clock(chain)
    said: list[str] = []
    assert clock_or_none(chain, said.append) is None
    assert "stale" in said[0]


def test_an_unknown_deadline_is_never_fine() -> None:
    chain = Chain()
    chain.escrows[1] = Deposit(id=1)
    seen = view_of(
        1,
        None,
        chain.escrow(1),
        None,
        Limits(min_balance=0, max_nonce=1),
    )
    assert seen.deadline is None
    assert "its deadline is not known" in seen.why_not
