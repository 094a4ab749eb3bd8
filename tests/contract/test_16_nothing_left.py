# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What these tests spent, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.contract._recordings import load, names
from ansible_collections.gonka.devshard.tests.contract._story import LIMIT, Story

# compared only where faults can be injected
WITH_FAULTS = {
    ("gateway-chat", "chat_poc_503"),
    ("gateway-chat", "chat_poc_503_again_after_poc"),
    *{
        (file, exchange.name)
        for file in ("gateway-create-faults", "gateway-lost-storage")
        for exchange in load(file)
    },
}
# compared only where a request can be kept under way
WITH_GATEWAY_FAULTS = {
    ("gateway-chat-settle", name)
    for name in ("settle_busy", "finalize_busy", "delete_busy", "state_inflight")
}
# compared only where they cannot: its deposit would be the ninth
WITHOUT_FAULTS = {("gateway-temp", "create")}


def test_every_recorded_exchange_was_compared(story: Story) -> None:
    files = names(story.profile.folder)
    known = {(file, exchange.name) for file in files for exchange in load(file)}
    if story.profile.name == "v4.1":
        pytest.skip("nothing was recorded of this generation")
    if story.profile.folder:
        away = f"{story.profile.folder}/gateway-import"
        if not Path(story.storage).is_dir():
            # see test_recorded_import
            known = {(file, name) for file, name in known if file != away}
        assert known <= story.seen
        return
    skipped = WITH_FAULTS if story.target.faults is None else WITHOUT_FAULTS
    if story.target.gateway_faults is None:
        skipped = skipped | WITH_GATEWAY_FAULTS
    assert known - story.seen == skipped


def test_budget(story: Story) -> None:
    """As the chain counts it."""
    spent = story.purse.spent
    assert 0 < len(spent) <= LIMIT
    assert story.spent_on_chain() == spent


def test_all_deposits_are_back(story: Story) -> None:
    """But for the one of a simulated network that was lost on purpose."""
    failed = story.put_back()
    assert failed == []
    assert story.unsettled() == []
    assert len(story.purse.lost) <= 1


def test_gateway_is_as_it_was(story: Story) -> None:
    assert story.records() == {}
    found, first = story.settings(), story.first_settings
    for name in ("disabled", "escrow_rotation", "model_limits", "default_model", "tx_gas_limit"):
        assert found.get(name) == first.get(name), name
    assert found == first
    assert story.gateway.get("/v1/status").good()["runtimes"] == 0
