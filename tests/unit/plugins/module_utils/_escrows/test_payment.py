# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, replace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import (
    deposits_needed,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.payment import (
    Facts,
    KnownTerms,
    Payment,
    PaymentAnswer,
    payment_checks,
    refuse_payment,
    terms_result,
)

AMOUNT = 5_000_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the chain says in these tests."""

    min_amount: int = 50_000_000
    max_amount: int = 100_000_000_000
    allowed_creator_addresses: tuple[str, ...] = ("gonka1c",)
    approved: ApprovedVersions = ApprovedVersions(names=("v1", "v2"))
    create_gas_price: int = 0


PAYMENT = Payment(model="m", amount=AMOUNT, count=2, create=2, max_creates=4)


FACTS = Facts(
    creator="gonka1c",
    terms=Limits(),
    active_models=["m"],
    balance=2 * 5_002_000_000,
    settlement_tag="v2",
    fee=1_000_000,
    gas_limit=500_000,
    locked=0,
)


def refusal(payment: dict[str, t.Any], facts: dict[str, t.Any]) -> str | None:
    return refuse_payment([replace(PAYMENT, **payment)], replace(FACTS, **facts))


def answers(*payments: Payment, **facts: t.Any) -> dict[str, PaymentAnswer]:
    return {check.name: check.answer for check in payment_checks(payments, replace(FACTS, **facts))}


def test_the_terms_that_the_controller_gets_are_those_of_the_chain() -> None:
    terms = KnownTerms.from_result(json.loads(json.dumps(terms_result(Limits(create_gas_price=7)))))
    assert payment_checks([PAYMENT], replace(FACTS, terms=terms)) == payment_checks(
        [PAYMENT], replace(FACTS, terms=Limits(create_gas_price=7))
    )
    assert terms_result(terms) == terms_result(Limits(create_gas_price=7))


@pytest.mark.parametrize("field", ["min_amount", "allowed_creator_addresses", "create_gas_price"])
def test_terms_without_one_of_them_are_no_terms(field: str) -> None:
    """An empty list would be open to everyone."""
    found = terms_result(Limits())
    del found[field]
    with pytest.raises(ProtocolError, match=f"{field}: the field is missing"):
        KnownTerms.from_result(found)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"terms": Limits(allowed_creator_addresses=())},
        # an old chain without a list approves all
        {"terms": Limits(approved=ApprovedVersions(every=True))},
        {"terms": Limits(create_gas_price=2)},
        {"max_total_locked": 2 * AMOUNT},
    ],
)
def test_a_payment_that_fits_is_not_refused(facts: dict[str, t.Any]) -> None:
    assert refusal({}, facts) is None
    assert set(answers(PAYMENT, **facts).values()) == {PaymentAnswer.YES}


@pytest.mark.parametrize(
    ("payment", "facts", "text"),
    [
        ({}, {"terms": Limits(allowed_creator_addresses=("gonka1o",))}, "not on the chain's list"),
        ({"amount": 49_999_999}, {}, "outside the chain's limits"),
        ({"amount": 100_000_000_001}, {}, "outside the chain's limits"),
        ({"amount": 5}, {}, "did you mean 5 GNK = 5000000000 ngonka?"),
        ({"amount": 5}, {}, "(devshard_models)"),
        ({}, {"active_models": ["x", "y"]}, "active: x, y"),
        (
            {},
            {"terms": Limits(approved=ApprovedVersions(names=("v4", "v3")))},
            'version "v2", and the chain approves only v3, v4',
        ),
        ({"max_creates": 1}, {}, "raise escrow_max_creates_per_run"),
        ({"count": 5, "create": 1}, {}, "could not be replaced in the next epoch"),
        (
            {},
            {"locked": AMOUNT, "max_total_locked": 3 * AMOUNT - 1},
            "escrow_max_total_locked",
        ),
        (
            {},
            {"balance": 2 * 5_002_000_000 - 1},
            "1 ngonka are missing. Send 0.000000001 GNK to gonka1c",
        ),
        (
            {},
            {"terms": Limits(create_gas_price=3)},
            "set escrow_fee_amount (fee_amount) to 1500000",
        ),
        # what is not known is never fine
        ({}, {"terms": None}, "could not be asked"),
        ({}, {"active_models": None}, "could not be asked"),
        ({}, {"balance": None}, "could not be asked"),
        ({"create": None}, {}, "how many escrows are missing"),
        ({}, {"creator": None}, "not known yet"),
    ],
)
def test_each_refusal_says_why(
    payment: dict[str, t.Any], facts: dict[str, t.Any], text: str
) -> None:
    found = refusal(payment, facts)
    assert found is not None
    assert text in found


@pytest.mark.parametrize(
    ("payment", "facts", "refused"),
    [
        ({"amount": 5}, {}, True),
        ({"max_creates": 1}, {}, True),
        ({}, {"balance": 0}, False),
        ({}, {"active_models": []}, False),
        ({}, {"terms": Limits(approved=ApprovedVersions(names=("v4",)))}, False),
    ],
)
def test_where_nothing_is_missing_only_settings_are_judged(
    payment: dict[str, t.Any], facts: dict[str, t.Any], refused: bool
) -> None:
    assert (refusal({"create": 0, **payment}, facts) is not None) is refused


def test_what_could_not_be_asked_is_neither_yes_nor_no() -> None:
    found = answers(PAYMENT, terms=None, active_models=None, balance=None, max_total_locked=1)
    assert found["limit per run"] is PaymentAnswer.YES
    assert found["limit in all"] is PaymentAnswer.NO
    assert {found[name] for name in ("allowlist", "settlement version", "amount", "model")} == {
        PaymentAnswer.UNKNOWN
    }
    assert {found["fee"], found["funds"]} == {PaymentAnswer.UNKNOWN}


def test_all_models_are_paid_from_one_wallet() -> None:
    other = replace(PAYMENT, model="o", amount=AMOUNT, create=1)
    facts: dict[str, t.Any] = {
        "active_models": ["m", "o"],
        "balance": deposits_needed([AMOUNT] * 3, 1_000_000),
    }
    assert answers(PAYMENT, other, **facts)["funds"] is PaymentAnswer.YES
    short = {**facts, "balance": facts["balance"] - 1}
    assert answers(PAYMENT, other, **short)["funds"] is PaymentAnswer.NO
