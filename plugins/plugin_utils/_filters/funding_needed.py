# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what a wallet must have free so that the rotation of a gateway never runs dry."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows import funding

FEE: t.Final = 1_000_000


def _whole(value: object, what: str) -> int:
    """A whole number; roles get numbers as text from the command line."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise AnsibleFilterError(f"funding_needed: {what} must be a whole number, got '{value}'")
    try:
        number = int(value)
    except ValueError as exc:
        raise AnsibleFilterError(
            f"funding_needed: {what} must be a whole number, got '{value}'"
        ) from exc
    if number < 0:
        raise AnsibleFilterError(f"funding_needed: {what} must not be negative, got {number}")
    return number


def _need(model: object, temp_count: int) -> funding.RotationNeed:
    if not isinstance(model, Mapping):
        raise AnsibleFilterError(
            f"funding_needed: each model is a dict, not {type(model).__name__}"
        )
    name = model.get("model_id", model.get("id"))
    if "amount" not in model:
        raise AnsibleFilterError(f"funding_needed: model {name} has no amount")
    return funding.RotationNeed(
        temp_count=_whole(model.get("temp_count", temp_count), f"temp_count of {name}"),
        target_count=_whole(
            model.get("target_count", model.get("count", 1)), f"target_count of {name}"
        ),
        amount=_whole(model["amount"], f"amount of {name}"),
    )


def funding_needed(models: object, fee: object = FEE, temp_count: object = 1) -> int:
    """Return the sum in ngonka for the models of one gateway."""
    if not isinstance(models, Sequence) or isinstance(models, str):
        raise AnsibleFilterError(
            f"funding_needed: a list of models is needed, not {type(models).__name__}"
        )
    temps = _whole(temp_count, "temp_count")
    return funding.funding_needed([_need(model, temps) for model in models], _whole(fee, "fee"))
