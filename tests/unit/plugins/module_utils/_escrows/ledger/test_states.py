# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    ON_CHAIN,
    TERMINAL,
    Event,
    IllegalTransition,
    Kind,
    State,
    Via,
    advance,
    transitions,
)


@given(
    st.sampled_from(list(Kind)),
    st.sampled_from(list(Via)),
    st.lists(st.sampled_from(list(Event)), max_size=12),
)
def test_no_way_leads_out_of_an_end_and_none_skips_the_record(
    kind: Kind, via: Via, events: list[Event]
) -> None:
    state, seen = State.PLANNED, [State.PLANNED]
    for event in events:
        try:
            after = advance(kind, via, state, event)
        except IllegalTransition:
            continue
        assert state not in TERMINAL
        state = after
        seen.append(after)
    if State.INCLUDED in seen or State.REJECTED in seen or State.EXPIRED in seen:
        assert State.SIGNED in seen or State.ASKED in seen
    if State.DROPPED in seen:
        assert State.SIGNED not in seen, "bytes that may have been sent are never dropped"
    if State.LOST in seen:
        assert State.INCLUDED in seen


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("via", list(Via))
def test_every_open_state_has_a_way_to_an_end(kind: Kind, via: Via) -> None:
    table = transitions(kind, via)
    reachable = {State.PLANNED}
    for _unused in State:
        reachable |= {after for (before, _unused), after in table.items() if before in reachable}
    for state in reachable - TERMINAL:
        seen = {state}
        for _unused in State:
            seen |= {after for (before, _unused), after in table.items() if before in seen}
        assert seen & TERMINAL, state


def test_only_deposits_can_be_included_or_lost() -> None:
    for kind in set(Kind) - ON_CHAIN:
        for via in Via:
            assert not {State.INCLUDED, State.LOST, State.EXPIRED} & set(
                transitions(kind, via).values()
            )
