# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._escrow_rules import (
    EpochClock,
    EscrowView,
    deadline,
)
from ansible_collections.gonka.devshard.plugins.module_utils._settle_rules import (
    Settlement,
    SettleStep,
    SettleView,
    next_step,
    refuse_settlement,
)

CLOCK = EpochClock(
    effective=215, height=1000, next_switch=1400, epoch_length=500, block_seconds=6.0, poc_blocks=40
)


def document(slots: int = 16, signed: int = 11) -> dict[str, t.Any]:
    return {
        "escrow_id": "12",
        "version": "v2",
        "state_root": "AA==",
        "nonce": 58,
        "fees": 68_000,
        "rest_hash": "AA==",
        "host_stats": [
            {"slot_id": number, "missed": 0, "invalid": 0, "cost": 100} for number in range(slots)
        ],
        "signatures": [{"slot_id": number, "signature": "AA=="} for number in range(signed)],
    }


def settlement(**sizes: int) -> Settlement:
    return Settlement.parse(document(**sizes), "finalize")


def view(**changes: t.Any) -> EscrowView:
    values: dict[str, t.Any] = {
        "id": 12,
        "model": "m",
        "recorded": True,
        "active": True,
        "loaded": True,
        "phase": "active",
        "nonce": 41,
        "active_requests": 0,
        "on_chain": True,
        "creator": "gonka1c",
        "amount": 5_000_000_000,
        "epoch": 214,
        "settled": False,
        "deadline": deadline(214, CLOCK),
        **changes,
    }
    return EscrowView(**values)


def step(kept: Settlement | None = None, before: bool = False, **changes: t.Any) -> SettleStep:
    seen = SettleView(view=view(**changes), settlement=kept, settled_before=before)
    return next_step(seen)


def test_a_settlement_is_read_and_its_refund_computed() -> None:
    found = settlement()
    assert (found.escrow_id, found.nonce, found.cost, found.fees) == (12, 58, 1600, 68_000)
    assert found.refund(5_000_000_000) == 5_000_000_000 - 1600 - 68_000


@pytest.mark.parametrize(
    ("slots", "signed", "enough"), [(16, 10, False), (16, 11, True), (3, 2, False), (3, 3, True)]
)
def test_quorum_is_more_than_two_thirds(slots: int, signed: int, enough: bool) -> None:
    assert settlement(slots=slots, signed=signed).has_quorum is enough


def test_a_slot_that_signs_twice_counts_once() -> None:
    body = document(signed=10)
    body["signatures"].append(dict(body["signatures"][0]))
    assert not Settlement.parse(body, "x").has_quorum


@pytest.mark.parametrize(
    "key",
    [
        "escrow_id",
        "version",
        "nonce",
        "fees",
        "host_stats",
        "signatures",
        "state_root",
        "rest_hash",
    ],
)
def test_a_missing_field_is_refused_by_name(key: str) -> None:
    body = document()
    del body[key]
    with pytest.raises(ProtocolError, match=key):
        Settlement.parse(body, "finalize")


@given(st.sampled_from(["nonce", "fees"]), st.sampled_from([-1, 1.5, True, None, "x", "-1", []]))
def test_a_wrong_number_is_refused(key: str, value: t.Any) -> None:
    body = copy.deepcopy(document())
    body[key] = value
    with pytest.raises(ProtocolError):
        Settlement.parse(body, "finalize")


@pytest.mark.parametrize("value", [None, "", 5, []])
def test_what_is_no_signature_does_not_count(value: object) -> None:
    body = document()
    body["signatures"][0]["signature"] = value
    with pytest.raises(ProtocolError, match=r"finalize\.signature"):
        Settlement.parse(body, "finalize")


def test_a_signature_of_a_slot_that_is_not_there_is_refused() -> None:
    body = document()
    body["signatures"].append({"slot_id": 99, "signature": "AA=="})
    with pytest.raises(ProtocolError):
        Settlement.parse(body, "finalize")


def test_the_steps_follow_each_other() -> None:
    kept = settlement()
    idle: dict[str, t.Any] = {"active": False}
    assert step() is SettleStep.DEACTIVATE
    assert step(active=False, active_requests=2) is SettleStep.WAIT_IDLE
    assert step(**idle) is SettleStep.FINALIZE
    assert step(phase="settlement", **idle) is SettleStep.FINALIZE
    assert step(settlement(signed=10), phase="settlement", **idle) is SettleStep.FINALIZE
    assert step(kept, phase="settlement", **idle) is SettleStep.SETTLE
    assert step(kept, settled=True) is SettleStep.DONE


def test_a_cut_off_finalize_is_stuck_unless_its_settlement_was_kept() -> None:
    assert step(active=False, phase="finalizing") is SettleStep.STUCK
    assert step(settlement(), active=False, phase="finalizing") is SettleStep.SETTLE


def test_a_kept_settlement_needs_no_gateway() -> None:
    gone: dict[str, t.Any] = {"recorded": False, "active": False, "loaded": False, "phase": None}
    assert step(settlement(), **gone) is SettleStep.SETTLE
    assert step(None, **gone) is SettleStep.NO_SOURCE


def test_the_last_epoch_works_and_one_later_is_too_late() -> None:
    kept = settlement()
    last_block = replace(CLOCK, height=1399)
    assert step(kept, active=False, deadline=deadline(214, last_block)) is SettleStep.SETTLE
    later = replace(CLOCK, effective=216, height=1400, next_switch=1900)
    assert step(kept, active=False, deadline=deadline(214, later)) is SettleStep.TOO_LATE


def test_a_pruned_escrow_is_done_only_with_proof() -> None:
    assert step(None, on_chain=False, settled=None) is SettleStep.LOST
    assert step(None, before=True, on_chain=False, settled=None) is SettleStep.DONE


RULES: dict[str, t.Any] = {
    "creator": "gonka1c",
    "allowed": ["gonka1c"],
    "approved_versions": ["v2"],
    "max_nonce": 20_000,
}


def test_a_sound_settlement_is_not_refused() -> None:
    assert refuse_settlement(settlement(), view(), **RULES) is None
    open_rules = {**RULES, "allowed": [], "approved_versions": []}
    assert refuse_settlement(settlement(), view(), **open_rules) is None


@pytest.mark.parametrize(
    ("changes", "rules", "text"),
    [
        ({"id": 13}, {}, "is for escrow 12"),
        ({"creator": "gonka1x"}, {}, "belongs to gonka1x"),
        ({"amount": 69_599}, {}, "exceed the deposit"),
        ({}, {"allowed": ["gonka1x"]}, "no longer on the chain's list"),
        ({}, {"approved_versions": ["v1"]}, "is not approved"),
        ({}, {"max_nonce": 57}, "above the chain's max_nonce"),
    ],
)
def test_what_the_chain_would_refuse_is_not_sent(
    changes: dict[str, t.Any], rules: dict[str, t.Any], text: str
) -> None:
    refusal = refuse_settlement(settlement(), view(**changes), **{**RULES, **rules})
    assert refusal is not None
    assert text in refusal


def test_missing_signatures_are_never_sent() -> None:
    refusal = refuse_settlement(settlement(signed=10), view(), **RULES)
    assert refusal is not None
    assert "10 of 16" in refusal
