# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``escrow``."""

from __future__ import annotations

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.money import open_ports
from .._escrows.ensure import EnsureEscrows
from .._escrows.ensure_options import (
    EscrowOptions,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "model_id": {"type": "str", "required": True},
        "amount": {"type": "int", "required": True},
        "count": {"type": "int", "default": 1},
        "private_key_env": {"type": "str", "default": "DEVSHARD_PRIVATE_KEY", "no_log": False},
        "create_via": {"type": "str", "default": "signed", "choices": ["signed", "gateway"]},
        "creator": {"type": "str"},
        "adopt": {"type": "list", "elements": "int", "default": []},
        "other_models": {"type": "list", "elements": "str", "default": []},
        "adopt_orphans": {"type": "bool", "default": False},
        "other_gateway_escrow_ids": {"type": "list", "elements": "int", "default": []},
        "allow_unclaimed": {"type": "bool", "default": False},
        "others_create_after": {"type": "int"},
        "reactivate": {"type": "bool", "default": True},
        "max_creates_per_run": {"type": "int", "default": 4},
        "max_total_locked": {"type": "int"},
        "fee_amount": {"type": "int", "default": 1_000_000},
        "gas_limit": {"type": "int", "default": 500_000},
        "tx_lifetime": {"type": "int", "default": 120},
        "min_blocks_left": {"type": "int", "default": 0},
        "min_blocks_to_poc": {"type": "int"},
        "create_pause": {"type": "int"},
    },
    required_if=(("create_via", "gateway", ("creator",)),),
).merge(_argspec.signing(), _argspec.wait())


def work(context: Context) -> Outcome:
    options = context.read(EscrowOptions).of_generation(context.profile)
    with open_ports(
        context, "escrow", signs=True, waits=True, min_blocks_left=options.min_blocks_left
    ) as ports:
        result = EnsureEscrows(ports, options).run()
    return Outcome(
        changed=result.changed,
        values=result.to_result(),
        before=result.before,
        after=result.after,
    )
