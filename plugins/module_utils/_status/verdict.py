# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The status of one host as plain data: the observed, the wanted, and what it means. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .keys import KEYS
from .rules import judge
from .scene import Model, Scene, StatusWish


def _models(models: object) -> tuple[Model, ...]:
    if not isinstance(models, (list, tuple)):
        raise TypeError("models must be a list")
    return tuple(
        Model(
            id=str(model["id"]),
            count=int(model.get("count", 1)),
            amount=int(model["amount"]),
            access_mode=str(model.get("access_mode", "api_key")),
        )
        for model in models
    )


def read_wish(wish: Mapping[str, t.Any]) -> StatusWish:
    """The wish from plain data."""
    return StatusWish(
        models=_models(wish["models"]),
        slot=str(wish["slot"]),
        settlement_tag=str(wish["settlement_tag"]),
        fee=int(wish["fee"]),
        settle_fee=int(wish["settle_fee"]),
        min_free_mb=int(wish["min_free_mb"]),
        elsewhere=frozenset(int(number) for number in wish["elsewhere"]),
        rotation=wish["rotation"],
        gateway_url=str(wish["gateway_url"]).rstrip("/"),
        client_url=str(wish["client_url"]).rstrip("/"),
    )


def status_of(look: Mapping[str, t.Any], wish: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Everything about one host: the observed state, what it means, the worst first."""
    presence, seen = look["presence"] or None, look["seen"] or None
    verdict = judge(
        Scene(
            wish=read_wish(wish),
            presence=presence,
            seen=seen,
            edge_slot=look["edge_slot"] or None,
            presence_error=str(look["presence_error"]),
            seen_error=str(look["seen_error"]),
        )
    )
    seen_or_not = {**dict.fromkeys(KEYS), **(seen or {})}
    return {
        **seen_or_not,
        "host": look["host"],
        "looked_at": look.get("looked_at"),
        "presence": presence,
        **verdict.to_result(),
    }
