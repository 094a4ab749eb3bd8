# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a creator may pay for escrows. Pure: modules, roles and the preflight filter ask it alike.

Each check has three answers: yes, no with the reason, and not known where it could not be asked.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from .._chain.fees import MAX_FEE
from .._chain.releases import ApprovedVersions
from .._core.reader import Reader
from .funding import GNK, deposits_needed, gnk

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class PaymentTerms(t.Protocol):
    """What the chain asks of who creates an escrow; ``EscrowParams`` has it."""

    @property
    def min_amount(self) -> int: ...
    @property
    def max_amount(self) -> int: ...
    @property
    def allowed_creator_addresses(self) -> tuple[str, ...]: ...
    @property
    def approved(self) -> ApprovedVersions: ...
    @property
    def create_gas_price(self) -> int: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownTerms:
    """The terms alone, as a module hands them to the controller."""

    min_amount: int
    max_amount: int
    allowed_creator_addresses: tuple[str, ...]
    approved: ApprovedVersions
    create_gas_price: int

    @classmethod
    def from_result(cls, found: object) -> KnownTerms:
        body = Reader(found, "terms")
        return cls(
            min_amount=body.whole("min_amount"),
            max_amount=body.whole("max_amount"),
            allowed_creator_addresses=body.texts("allowed_creator_addresses"),
            approved=ApprovedVersions.of_result(body.raw()),
            create_gas_price=body.whole("create_gas_price"),
        )


def terms_result(terms: PaymentTerms) -> dict[str, t.Any]:
    """What :meth:`KnownTerms.from_result` reads again."""
    return {
        "min_amount": terms.min_amount,
        "max_amount": terms.max_amount,
        "allowed_creator_addresses": list(terms.allowed_creator_addresses),
        **terms.approved.to_result(),
        "create_gas_price": terms.create_gas_price,
    }


class PaymentAnswer(enum.Enum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "not known"


class Check(t.NamedTuple):
    """One answer. ``subject`` is the model where the check concerns one."""

    name: str
    answer: PaymentAnswer
    text: str
    subject: str | None = None

    @property
    def reason(self) -> str:
        """Why nothing is paid. What is not known is named, since the text says only why."""
        return f"{self.name}: {self.text}" if self.answer is PaymentAnswer.UNKNOWN else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """The escrows of one model that are wanted."""

    model: str
    amount: int
    count: int
    """How many are wanted in all."""
    create: int | None
    """How many of them are missing; None when it is not known."""
    max_creates: int | None = None
    """``escrow_max_creates_per_run``."""
    where: str = "devshard_models"
    """The variable in which the user set the amount."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The known state of chain and wallet; None could not be asked."""

    creator: str | None
    terms: PaymentTerms | None
    active_models: Collection[str] | None
    balance: int | None
    settlement_tag: str
    fee: int
    """The most that is paid for one transaction."""
    gas_limit: int | None = None
    """Of a create transaction, where its fee is to be judged."""
    reserved: int = 0
    """What creates may still take whose outcome is open."""
    locked: int | None = None
    """The sum of the unsettled deposits of this creator, where a limit was set for it."""
    max_total_locked: int | None = None
    """``escrow_max_total_locked``."""


_NOT_ASKED: t.Final = "the chain could not be asked"


def payment_checks(payments: Sequence[Payment], facts: Facts) -> list[Check]:
    """Every check, in the order in which the reasons matter to the user."""
    found = [_allowlist(facts), _version(facts)]
    for payment in payments:
        found += _of_model(payment, facts)
    return [*found, *_fee(facts), *_locked(payments, facts), _wallet(payments, facts)]


def refuse_payment(payments: Sequence[Payment], facts: Facts) -> str | None:
    """The first reason why nothing may be paid, or None. What is not known is a reason too.

    Where nothing is missing only what the user set is judged: no coin moves.
    """
    pays = any(payment.create != 0 for payment in payments)
    for check in payment_checks(payments, facts):
        if check.answer is PaymentAnswer.YES or (not pays and check.name not in _SETTINGS):
            continue
        return check.reason
    return None


_SETTINGS: t.Final = frozenset({"amount", "limit per run"})
"""Checks of what the user set. They hold also while enough escrows exist: the next payment fails."""


def refuse_amount(model: str, amount: int, terms: PaymentTerms, where: str) -> str | None:
    low, high = terms.min_amount, terms.max_amount
    if low <= amount <= high:
        return None
    meant = amount * GNK
    hint = f"; did you mean {gnk(meant)} = {meant} ngonka?" if low <= meant <= high else ""
    return (
        f"amount {amount} ngonka of model {model} ({where}) is outside the chain's limits"
        f" {low} to {high} ngonka ({gnk(low)} to {gnk(high)}){hint}"
    )


def is_listed(creator: str | None, allowed: Collection[str]) -> bool:
    """An empty list means that everybody may create and settle (contract chain.md §2.1)."""
    return not allowed or creator in allowed


def refuse_creator(creator: str, terms: PaymentTerms) -> str | None:
    if is_listed(creator, terms.allowed_creator_addresses):
        return None
    return f"{creator} is not on the chain's list of allowed creators"


def refuse_model(model: str, active: Collection[str]) -> str | None:
    if model in active:
        return None
    known = ", ".join(sorted(active)) or "none"
    return (
        f"model {model} is not active on the chain in this epoch: no host serves it, so no escrow can"
        f" be created for it; active: {known}"
    )


VERSIONS_UNKNOWN: t.Final = (
    "the chain's approved versions could not be read: the node answers with an empty list, or does"
    " not serve the query. Use another devshard_chain_rest"
)


def refuse_version(settlement_tag: str, approved: ApprovedVersions) -> str | None:
    """Why an escrow made now could perhaps never be settled, or None.

    The chain takes an escrow of any generation and asks for the version only when it is settled.
    """
    takes = approved.takes(settlement_tag)
    if takes is None:
        return VERSIONS_UNKNOWN
    if takes:
        return None
    return (
        f'settlements of this gateway name version "{settlement_tag}", and the chain approves only'
        f" {approved}: a deposit could never be settled and would go to the hosts."
        " Deploy a gateway of an approved generation, or move this one there with the playbook"
        " gonka.devshard.generation_upgrade"
    )


def _check(name: str, reason: str | None, fine: str, subject: str | None = None) -> Check:
    if reason is None:
        return Check(name, PaymentAnswer.YES, fine, subject)
    return Check(name, PaymentAnswer.NO, reason, subject)


def _unknown(name: str, why: str = _NOT_ASKED, subject: str | None = None) -> Check:
    return Check(name, PaymentAnswer.UNKNOWN, why, subject)


def _allowlist(facts: Facts) -> Check:
    name = "allowlist"
    if facts.creator is None:
        return _unknown(name, "the creator's address is not known yet")
    if facts.terms is None:
        return _unknown(name)
    listed = bool(facts.terms.allowed_creator_addresses)
    reason = refuse_creator(facts.creator, facts.terms)
    if reason is not None:
        reason += (
            ". Request it by a governance proposal. The playbook site waits for the vote with"
            " creator_allowlist_wait: true"
        )
    return _check(name, reason, facts.creator if listed else "open to everyone")


def _version(facts: Facts) -> Check:
    name = "settlement version"
    if facts.terms is None:
        return _unknown(name)
    approved, tag = facts.terms.approved, facts.settlement_tag
    if not approved.known:
        return _unknown(name, VERSIONS_UNKNOWN)
    fine = f"{tag}, the chain approves any" if approved.every else tag
    return _check(name, refuse_version(tag, approved), fine)


def _of_model(payment: Payment, facts: Facts) -> list[Check]:
    model = payment.model
    found = [
        _unknown("amount", subject=model)
        if facts.terms is None
        else _check(
            "amount",
            refuse_amount(model, payment.amount, facts.terms, payment.where),
            f"{gnk(payment.amount)} each",
            model,
        ),
        _unknown("model", "the public API could not be asked", model)
        if facts.active_models is None
        else _check("model", refuse_model(model, facts.active_models), "active", model),
    ]
    if payment.max_creates is not None:
        found.append(_check("limit per run", _over_limit(payment), f"{payment.count}", model))
    return found


def _over_limit(payment: Payment) -> str | None:
    limit, model = payment.max_creates or 0, payment.model
    advice = "raise escrow_max_creates_per_run (max_creates_per_run) if this is really wanted"
    if payment.create is not None and payment.create > limit:
        return (
            f"{payment.create} escrows of model {model} are missing but at most {limit} may be"
            f" created in one run; {advice}"
        )
    if payment.count > limit:
        return (
            f"{payment.count} escrows of model {model} are wanted but at most {limit} may be created"
            f" in one run, so they could not be replaced in the next epoch; {advice}"
        )
    return None


def _locked(payments: Sequence[Payment], facts: Facts) -> list[Check]:
    name, limit = "limit in all", facts.max_total_locked
    if limit is None:
        return []
    if facts.locked is None or any(payment.create is None for payment in payments):
        return [_unknown(name)]
    deposit = sum((payment.create or 0) * payment.amount for payment in payments)
    reason = None
    if deposit and facts.locked + deposit > limit:
        reason = (
            f"{facts.locked} ngonka ({gnk(facts.locked)}) of this creator are locked, {deposit} more"
            f" would exceed escrow_max_total_locked (max_total_locked) {limit} ngonka"
        )
    return [_check(name, reason, f"{gnk(facts.locked + deposit)} of {gnk(limit)}")]


def _wallet(payments: Sequence[Payment], facts: Facts) -> Check:
    name = "funds"
    if facts.creator is None:
        return _unknown(name, "the creator's address is not known yet")
    if facts.balance is None:
        return _unknown(name)
    if any(payment.create is None for payment in payments):
        return _unknown(name, "it is not known how many escrows are missing")
    amounts = [payment.amount for payment in payments for _unused in range(payment.create or 0)]
    need = deposits_needed(amounts, facts.fee) + facts.reserved
    held = f" and {gnk(facts.reserved)} for creates that are still open" if facts.reserved else ""
    what = f"{len(amounts)} escrow(s), with the fees to create and to settle them{held}, need"
    reason = refuse_wallet(facts.creator, facts.balance, need, what=what)
    return _check(name, reason, f"{gnk(facts.balance)}, {gnk(need)} needed")


def _fee(facts: Facts) -> list[Check]:
    name = "fee"
    if facts.gas_limit is None:
        return []
    if facts.terms is None:
        return [_unknown(name)]
    need = facts.gas_limit * facts.terms.create_gas_price
    reason = refuse_fee(facts.fee, facts.gas_limit, need, FEE_OPTION)
    return [_check(name, reason, f"at most {gnk(facts.fee)} for each transaction")]


FEE_OPTION: t.Final = "escrow_fee_amount (fee_amount)"


def refuse_fee(fee: int, gas_limit: int, need: int, variable: str) -> str | None:
    """``fee`` is the most that may be paid, ``need`` what the chain asks for this gas limit."""
    if max(fee, need) > MAX_FEE:
        return (
            f"a fee of {max(fee, need)} ngonka ({gnk(max(fee, need))}) for a gas limit of {gas_limit}"
            f" is more than {gnk(MAX_FEE)}, which the chain refuses; check {variable} and the gas"
            " limit"
        )
    if fee >= need:
        return None
    return (
        f"a fee of {fee} ngonka is below the chain's price: a gas limit of {gas_limit} costs {need}"
        f" ngonka; set {variable} to {need} or more"
    )


def refuse_wallet(creator: str, balance: int, need: int, *, what: str) -> str | None:
    if balance >= need:
        return None
    missing = need - balance
    return (
        f"the wallet {creator} has {balance} ngonka ({gnk(balance)}), {what} {need}: {missing} ngonka"
        f" are missing. Send {gnk(missing)} to {creator}"
    )
