# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import FeeParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import EscrowParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.absence import Absence
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.deadlines import (
    EpochClock,
    settle_deadline,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import EscrowView
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_rules import (
    Settlement,
    SettleStep,
    SettleTerms,
    SettleView,
    dangers,
    may_settle,
    next_step,
    objections,
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
        "deadline": settle_deadline(214, CLOCK),
        **changes,
    }
    return EscrowView(**values)


def step(kept: Settlement | None = None, **changes: t.Any) -> SettleStep:
    return next_step(SettleView(view=view(**changes), settlement=kept))


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
    assert step(kept, active=False, deadline=settle_deadline(214, last_block)) is SettleStep.SETTLE
    later = replace(CLOCK, effective=216, height=1400, next_switch=1900)
    assert step(kept, active=False, deadline=settle_deadline(214, later)) is SettleStep.TOO_LATE


def test_a_pruned_escrow_is_done_only_with_proof() -> None:
    gone: dict[str, t.Any] = {"on_chain": False, "settled": None}
    for absence in (Absence.UNKNOWN, Absence.LOST):
        assert step(None, **gone, absence=absence) is SettleStep.LOST
    assert step(None, **gone, absence=Absence.NOT_SHOWN) is SettleStep.NOT_SHOWN
    proved = {**gone, "settled": True, "absence": Absence.SETTLED}
    assert step(None, **proved) is SettleStep.DONE


PARAMS = EscrowParams(
    min_amount=1,
    max_amount=10**12,
    max_escrows_per_epoch=100,
    max_nonce=20_000,
    group_size=16,
    create_devshard_fee=10_000,
    fee_per_nonce=1_000,
    allowed_creator_addresses=("gonka1c",),
    approved=ApprovedVersions(names=("v2",)),
    fees=FeeParams(),
)


def terms(creator: str | None = "gonka1c", **rules: t.Any) -> SettleTerms:
    return SettleTerms(creator=creator, params=replace(PARAMS, **rules), settlement_tag="v2")


OPEN: dict[str, t.Any] = {"allowed_creator_addresses": (), "approved": ApprovedVersions(every=True)}
UNASKED = SettleTerms(creator="gonka1c", params=None, settlement_tag="v2")


def test_a_sound_settlement_is_not_refused() -> None:
    assert refuse_settlement(settlement(), view(), terms()) is None
    assert refuse_settlement(settlement(), view(), terms(**OPEN)) is None


# before there is a settlement, and with one that was kept
ENDANGERED: list[tuple[dict[str, t.Any], dict[str, t.Any], str, str]] = [
    ({"creator": "gonka1x"}, {}, "foreign", "its creator on the chain is gonka1x"),
    ({}, {"allowed_creator_addresses": ("gonka1x",)}, "not_listed", "no longer on the chain's"),
    ({}, {"approved": ApprovedVersions(names=("v1",))}, "version", '"v2" is not approved'),
    ({}, {"max_nonce": 57}, "nonce", "above the chain's max_nonce 57"),
]


@pytest.mark.parametrize(("changes", "rules", "kind", "text"), ENDANGERED)
def test_what_the_chain_would_refuse_is_known_before_finalizing(
    changes: dict[str, t.Any], rules: dict[str, t.Any], kind: str, text: str
) -> None:
    seen, asked = view(**changes), terms(**rules)
    (found,) = objections(seen, asked)
    assert found.kind == kind
    assert text in found.reason
    assert found.advice
    assert may_settle(seen, asked) is False
    assert dangers(seen, asked, 100) == (found,)
    (kept,) = objections(seen, asked, settlement())
    assert kept.kind == kind
    assert objections(view(settled=True), asked) == ()


@pytest.mark.parametrize(
    ("changes", "rules", "text"),
    [
        ({"id": 13}, {}, "is for escrow 12"),
        ({"amount": 69_599}, {}, "exceed the deposit"),
        *[(changes, rules, text) for changes, rules, _kind, text in ENDANGERED],
    ],
)
def test_what_the_chain_would_refuse_is_not_sent(
    changes: dict[str, t.Any], rules: dict[str, t.Any], text: str
) -> None:
    refusal = refuse_settlement(settlement(), view(**changes), terms(**rules))
    assert refusal is not None
    assert text in refusal


@pytest.mark.parametrize(("phase", "most"), [("active", 58), ("settlement", 41)])
def test_finalizing_raises_the_nonce_by_a_round_and_one_for_each_slot(
    phase: str, most: int
) -> None:
    """Session at 41, 16 slots: the settlement has 58, as the real gateway showed."""
    seen = view(phase=phase)
    assert objections(seen, terms(max_nonce=most)) == ()
    assert [found.kind for found in objections(seen, terms(max_nonce=most - 1))] == ["nonce"]


def test_the_version_of_a_kept_settlement_counts_not_the_gateways() -> None:
    older = Settlement.parse({**document(), "version": "v1"}, "x")
    assert objections(view(), terms(approved=ApprovedVersions(names=("v1",))), older) == ()
    assert objections(view(), terms(), older)[0].kind == "version"


def test_the_version_of_what_another_gateway_has_is_not_guessed() -> None:
    other = view(recorded=False, loaded=False, active=False, phase=None, nonce=None)
    assert objections(other, terms(approved=ApprovedVersions(names=("v3",)))) == ()


def test_unknown_is_neither_yes_nor_no() -> None:
    assert may_settle(view(), terms()) is True
    assert may_settle(view(), UNASKED) is None
    assert may_settle(view(), terms(creator=None)) is None
    assert may_settle(view(deadline=None), terms()) is None
    late = replace(CLOCK, effective=216, height=1400, next_switch=1900)
    assert may_settle(view(deadline=settle_deadline(214, late)), UNASKED) is False


@pytest.mark.parametrize(
    ("blocks", "kinds"), [(399, []), (400, ["deadline"]), (100_000, ["deadline"])]
)
def test_a_deadline_is_near_below_the_number(blocks: int, kinds: list[str]) -> None:
    """At block 1000 the escrow's last block is 1399."""
    assert [found.kind for found in dangers(view(), terms(), blocks)] == kinds


def test_the_advice_fits_what_this_host_has() -> None:
    def advice(kept: Settlement | None = None, **changes: t.Any) -> str:
        return dangers(view(**changes), terms(), 1000, kept)[0].advice

    gone: dict[str, t.Any] = {"loaded": False, "active": False, "phase": None, "nonce": None}
    assert "settle_ids=12" in advice()
    assert "settle_ids=12" in advice(settlement(), recorded=False, **gone)
    assert "escrow_adopt" in advice(recorded=False, **gone)
    assert "has loaded its session" in advice(recorded=True, **gone)


def test_a_session_that_cannot_be_finalized_endangers_its_escrow() -> None:
    assert dangers(view(phase="finalizing", active=False), terms(), 1)[0].kind == "stuck"
    lost = view(loaded=False, phase=None, nonce=None)
    assert dangers(lost, terms(), 1)[0].kind == "no_session"
    assert dangers(lost, terms(), 1, settlement()) == ()


def test_missing_signatures_are_never_sent() -> None:
    refusal = refuse_settlement(settlement(signed=10), view(), terms())
    assert refusal is not None
    assert "10 of 16" in refusal
