# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Escrow rotation: what is wanted, why it would be refused, and how it is switched."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import (
    ConfigurationError,
    DevshardError,
    ProtocolError,
    UnsafeError,
    WaitTimeoutError,
)
from .._core.reader import Reader
from .._gateway.rotation_settings import Settings, patch_for, rotation_of
from .._gateway.settings import send
from .funding import RotationNeed, funding_needed
from .observe import read_clock, view_of
from .payment import refuse_amount, refuse_creator, refuse_model, refuse_version, refuse_wallet

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .._core.errors import TransportError
    from .commitments import CommitmentWatch
    from .payment import PaymentTerms
    from .ports import Ports

PRE_POC_BLOCKS: t.Final = 300
"""The window that is set where nothing else is, if the epoch has room for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationModel:
    model_id: str
    temp_count: int
    target_count: int
    amount: int
    private_key_env: str

    def to_api(self) -> Settings:
        return {
            "model_id": self.model_id,
            "temp_count": self.temp_count,
            "target_count": self.target_count,
            "amount": self.amount,
            "private_key_env": self.private_key_env,
        }

    @property
    def need(self) -> RotationNeed:
        return RotationNeed(
            temp_count=self.temp_count, target_count=self.target_count, amount=self.amount
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationOptions:
    enabled: bool | None
    """None leaves it as it is."""
    settlement_enabled: bool | None
    pre_poc_blocks: int | None
    models: tuple[RotationModel, ...]
    purge_models: bool
    other_gateways_need: int
    fee_amount: int
    creator: str | None
    known_env: frozenset[str] | None = None
    """Names in the gateway's environment file, where it could be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationFacts:
    """What the refusals depend on."""

    usable_models: frozenset[str]
    active_models: frozenset[str]
    balance: int
    terms: PaymentTerms
    creator: str
    poc_blocks: int
    """Blocks from the start of PoC to the switch of the epoch."""
    settlement_tag: str
    gas_limit: int
    """Of the transactions that the gateway signs."""


GATEWAY_GAS: t.Final = 500_000
"""The gas limit of a gateway whose settings name none."""


def wanted_rotation(current: Settings, options: RotationOptions) -> Settings:
    """The settings after this run: models are merged by id, unless the others are to go."""
    models = {} if options.purge_models else {m["model_id"]: m for m in current["models"]}
    models |= {model.model_id: model.to_api() for model in options.models}
    return {
        "enabled": current["enabled"] if options.enabled is None else options.enabled,
        "settlement_enabled": current["settlement_enabled"]
        if options.settlement_enabled is None
        else options.settlement_enabled,
        "pre_poc_blocks": current["pre_poc_blocks"]
        if options.pre_poc_blocks is None
        else options.pre_poc_blocks,
        "models": sorted(models.values(), key=lambda model: str(model["model_id"])),
    }


def fitting_window(found: int, poc_blocks: int) -> int:
    """The window where the user sets none: what is there, if that may be enabled."""
    return found if 0 < found <= poc_blocks else min(PRE_POC_BLOCKS, poc_blocks)


def models_of(rotation: Settings) -> tuple[RotationModel, ...]:
    try:
        return tuple(
            RotationModel(
                model_id=str(model["model_id"]),
                temp_count=int(model["temp_count"]),
                target_count=int(model["target_count"]),
                amount=int(model["amount"]),
                private_key_env=str(model["private_key_env"]),
            )
            for model in rotation["models"]
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ProtocolError(f"escrow_rotation.models is not what the contract says: {exc}") from exc


def refuse_rotation(
    wanted: Settings,
    facts: RotationFacts,
    *,
    known_env: Collection[str] | None,
    other_gateways_need: int,
    fee: int,
) -> list[str]:
    """Every reason why rotation must not be enabled like this; empty means it may."""
    models = models_of(wanted)
    reasons: list[str] = []
    if not models:
        reasons.append("no model is given")
    if wanted["pre_poc_blocks"] <= 0:
        reasons.append("rotation_pre_poc_blocks (pre_poc_blocks) must be more than 0")
    if wanted["pre_poc_blocks"] > facts.poc_blocks:
        reasons.append(
            f"rotation_pre_poc_blocks (pre_poc_blocks) {wanted['pre_poc_blocks']} is more than the"
            f" {facts.poc_blocks} blocks between the start of PoC and the switch of the epoch: the "
            f"window would open under one epoch and continue under the next, and temporary escrows "
            f"would be paid for twice. Set rotation_pre_poc_blocks: {facts.poc_blocks} or less"
        )
    reasons += _said(
        refuse_creator(facts.creator, facts.terms),
        refuse_version(facts.settlement_tag, facts.terms.approved),
    )
    for model in models:
        name = model.model_id
        if model.temp_count <= 0 or model.target_count <= 0:
            reasons.append(f"{name}: temp_count and target_count must be more than 0")
        reasons += _said(
            refuse_amount(
                name, model.amount, facts.terms, where="rotation_models or devshard_models"
            ),
            refuse_model(name, facts.active_models),
        )
        if name not in facts.usable_models:
            reasons.append(
                f"{name} has no usable escrow in this gateway, and rotation never creates the "
                f"first one: create it with gonka.devshard.escrow"
            )
        if known_env is not None and model.private_key_env not in known_env:
            reasons.append(
                f"{name}: the gateway's environment has no {model.private_key_env}; the gateway"
                " would accept that and fail at every rotation"
            )
    reasons += _said(refuse_gateway_fee(fee, facts.gas_limit, facts.terms.create_gas_price))
    need = funding_needed((model.need for model in models), fee) + other_gateways_need
    return reasons + _said(
        refuse_wallet(
            facts.creator,
            facts.balance,
            need,
            what="rotation of all gateways that share it needs",
        )
    )


def refuse_gateway_fee(fee: int, gas_limit: int, gas_price: int) -> str | None:
    """The gateway offers the same fee for each transaction, whatever the chain asks for."""
    need = gas_limit * gas_price
    if need <= fee:
        return None
    return (
        f"the gateway offers a fee of {fee} ngonka, and for its gas limit of {gas_limit} the chain"
        f" asks for {need} to create an escrow, so each of its creates would be refused. Lower"
        " gateway_tx_gas_limit, or raise DEVSHARD_TX_FEE_AMOUNT in gateway_env_extra"
    )


def _said(*reasons: str | None) -> list[str]:
    return [reason for reason in reasons if reason is not None]


class SetRotation:
    def __init__(
        self, ports: Ports, options: RotationOptions, commitments: CommitmentWatch | None = None
    ) -> None:
        self._p = ports
        self._o = options
        self._commitments = commitments

    def run(self) -> dict[str, t.Any]:
        current = rotation_of(self._p.gateway.settings())
        wanted = wanted_rotation(current, self._o)
        if wanted["enabled"] and not current["enabled"] and self._o.pre_poc_blocks is None:
            room = read_clock(self._p.chain).poc_blocks
            wanted["pre_poc_blocks"] = fitting_window(current["pre_poc_blocks"], room)
        patch = patch_for(current, wanted)
        need = 0
        if wanted["enabled"]:
            models = models_of(wanted)
            need = funding_needed((model.need for model in models), self._o.fee_amount)
            if patch:
                self._refuse(wanted)
            else:
                self._warn_when_it_can_settle_nothing()
            if not wanted["settlement_enabled"]:
                self._p.warn(
                    "rotation runs with rotation_settlement_enabled: false. Retired escrows are only switched"
                    " off, and the deposit of each that is not settled before the end of the next"
                    " epoch goes to the hosts. Settle them with the playbook gonka.devshard.settle"
                    " (settle_select=inactive_unsettled)"
                )
        watch = self._commitments if current["enabled"] and not wanted["enabled"] else None
        if watch is not None:
            watch.before()
        if patch and not self._p.check_mode:
            lost = send(self._p.gateway, {"escrow_rotation": patch})
            self._read_back(wanted, lost)
            if watch is not None:
                watch.after()
        return {
            "changed": bool(patch),
            "rotation": {**wanted, "funding_needed": need},
            "before": current,
            "after": wanted,
            "actions": [f"set escrow_rotation.{name}" for name in sorted(patch)],
        }

    def _warn_when_it_can_settle_nothing(self) -> None:
        """Rotation that was enabled before goes on retiring escrows whatever the chain says now."""
        try:
            creator, terms = self._p.creator(self._o.creator), self._p.chain.escrow_params()
        except DevshardError as exc:
            self._p.warn(
                "rotation is on, and it is unknown whether the chain accepts its settlements:"
                f" {exc}"
            )
            return
        no_create = refuse_gateway_fee(
            self._o.fee_amount, self._gas_limit(), terms.create_gas_price
        )
        if no_create is not None:
            self._p.warn(f"rotation is on, and {no_create}")
        reason = refuse_creator(creator, terms) or refuse_version(
            self._p.settlement_tag, terms.approved
        )
        if reason is not None:
            self._p.warn(
                "rotation is on and takes escrows out of service that the chain refuses to settle:"
                f" {reason}. Switch it off with rotation_enabled: false until governance has"
                " changed that, before the deadlines of the open escrows"
            )

    def _refuse(self, wanted: Settings) -> None:
        reasons = refuse_rotation(
            wanted,
            self._facts(),
            known_env=self._o.known_env,
            other_gateways_need=self._o.other_gateways_need,
            fee=self._o.fee_amount,
        )
        if reasons:
            raise UnsafeError("rotation is not enabled: " + "; ".join(reasons), reasons=reasons)

    def _facts(self) -> RotationFacts:
        chain = self._p.chain
        # the gateway signs by the clock of this host
        chain.signing_head()
        creator = self._p.creator(self._o.creator)
        clock = read_clock(chain)
        usable: set[str] = set()
        for record in self._p.gateway.state().devshards:
            if not record.active:
                continue
            number = int(record.id)
            view = view_of(
                number, record, chain.escrow(number), clock, self._p.limits, creator=creator
            )
            if view.usable and view.model is not None:
                usable.add(view.model)
        return RotationFacts(
            usable_models=frozenset(usable),
            active_models=frozenset(chain.active_models()),
            balance=chain.spendable(creator),
            terms=chain.escrow_params(),
            creator=creator,
            poc_blocks=clock.poc_blocks,
            settlement_tag=self._p.settlement_tag,
            gas_limit=self._gas_limit(),
        )

    def _gas_limit(self) -> int:
        return (
            Reader(self._p.gateway.settings(), "settings").whole("tx_gas_limit", 0) or GATEWAY_GAS
        )

    def _read_back(self, wanted: Settings, lost: TransportError | None) -> None:
        """The gateway drops what it does not know without a word, so only reading back proves."""
        while True:
            status = self._p.gateway.rotation()
            found = rotation_of({"escrow_rotation": status.settings})
            if found == wanted:
                return
            if not self._p.deadline.pause(self._p.interval):
                if lost is not None:
                    raise lost
                differs = sorted(key for key in wanted if found[key] != wanted[key])
                raise WaitTimeoutError(
                    "the gateway accepted the rotation settings but shows others:"
                    f" {', '.join(differs)}",
                    wanted=wanted,
                    found=found,
                )


def check_models(models: Sequence[RotationModel]) -> None:
    names = [model.model_id for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"models names these twice: {', '.join(twice)}")
