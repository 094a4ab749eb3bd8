# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway-lost-storage.json: a session that is lost and begun anew. Costs a simulated deposit."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.tests.contract._recordings import load
from ansible_collections.gonka.devshard.tests.contract._story import Story
from ansible_collections.gonka.devshard.tests.money.network import Port

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")


@pytest.mark.usefixtures("faults")
def test_recorded_lost_storage(story: Story) -> None:
    """The first host remembers what the gateway forgot; others serve, but not all will sign."""
    (number,) = story.need("regular")
    story.open_models("api_key", "open")
    assert story.chat(devshard=number).status == 200
    nonce = story.status(number)["nonce"]
    assert nonce > 0
    story.purse.lost.add(number)
    # DELETE removes the session of an escrow that is not settled: nobody asks
    story.forget(number)
    readd, first, *later = load("gateway-lost-storage")[:4]
    story.replay(readd, ids={"1": number})
    assert story.status(number)["nonce"] == 0
    story.replay(first, ids={"1": number})
    for exchange in later:
        assert exchange.name == "chat_lost"
        story.replay(exchange, ids={"1": number})
    story.forget(number)


def test_recorded_names(faults: Port) -> None:
    """What is left of the recording was replayed with the create that lost its answer."""
    assert faults.get("/health") == {"ok": True}
    names = [exchange.name for exchange in load("gateway-lost-storage")]
    assert names[4:] == ["finalize_lost", "finalize_lost2", "settle_lost"]
