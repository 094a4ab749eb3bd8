# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``escrow_rotation``."""

from __future__ import annotations

from dataclasses import replace

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.commitments import watch_commitments
from .._clients.money import open_ports
from .._core.errors import UnsafeError
from .._escrows.rotation import (
    RotationOptions,
    SetRotation,
    check_models,
)
from .._gateway.image_plan import rotation_fault

SPEC = _argspec.ArgumentSpec(
    options={
        "enabled": {"type": "bool"},
        "settlement_enabled": {"type": "bool"},
        "pre_poc_blocks": {"type": "int"},
        "models": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "model_id": {"type": "str", "required": True},
                "temp_count": {"type": "int", "default": 1},
                "target_count": {"type": "int", "default": 1},
                "amount": {"type": "int", "required": True},
                "private_key_env": {
                    "type": "str",
                    "default": "DEVSHARD_PRIVATE_KEY",
                    "no_log": False,
                },
            },
        },
        "purge_models": {"type": "bool", "default": False},
        "other_gateways_need": {"type": "int", "default": 0},
        "fee_amount": {"type": "int", "default": 1_000_000},
        "creator": {"type": "str"},
        "image": {"type": "str"},
        "storage_dir": {"type": "path"},
    },
    required_if=(("enabled", True, ("settlement_enabled",)),),
).merge(_argspec.signing(), _argspec.wait())


def work(context: Context) -> Outcome:
    options = context.read(RotationOptions)
    fault = rotation_fault(context.params["image"], context.profile)
    if options.enabled and fault is not None:
        raise UnsafeError(f"rotation is not enabled: {fault}")
    check_models(options.models)
    known = context.environment
    if known is not None:
        options = replace(options, known_env=frozenset(known))
    with open_ports(context, None, signs=True, waits=True) as ports:
        watch = watch_commitments(context, ports.deadline)
        result = SetRotation(ports, options, watch).run()
    before, after = result.pop("before"), result.pop("after")
    return Outcome(changed=result.pop("changed"), values=result, before=before, after=after)
