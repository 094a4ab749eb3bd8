# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What these tests spent, and what they leave behind."""

from __future__ import annotations

from ansible_collections.gonka.devshard.tests.contract._story import LIMIT, Story


def test_budget(story: Story) -> None:
    """As the chain counts it."""
    spent = story.purse.spent
    assert 0 < len(spent) <= LIMIT
    newest = story.chain.created(story.creator)[: len(spent)]
    assert sorted(newest) == sorted(spent)


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
