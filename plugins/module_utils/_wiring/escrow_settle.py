# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``escrow_settle``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.money import open_ports
from .._escrows.deadlines import (
    DEADLINE_BLOCKS,
    SETTLE_GAS,
)
from .._escrows.ledger.states import Via
from .._escrows.settle import SettleEscrows
from .._escrows.settle_options import (
    SettleOptions,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "ids": {"type": "list", "elements": "int"},
        "select": {
            "type": "str",
            "choices": ["expiring", "at_risk", "depleted", "inactive_unsettled", "all"],
        },
        "model_id": {"type": "str"},
        "deadline_blocks": {"type": "int", "default": DEADLINE_BLOCKS},
        "settle_via": {"type": "str", "default": "signed", "choices": ["signed", "gateway"]},
        "private_key_env": {"type": "str", "default": "DEVSHARD_PRIVATE_KEY", "no_log": False},
        "creator": {"type": "str"},
        "fee_amount": {"type": "int", "default": 1_000_000},
        "gas_limit": {"type": "int", "default": SETTLE_GAS},
        "tx_lifetime": {"type": "int", "default": 120},
        "ask_hosts": {"type": "bool", "default": True},
        "leave": {"type": "list", "elements": "int", "default": []},
        "leave_foreign": {"type": "bool", "default": False},
    },
    mutually_exclusive=(("ids", "select"),),
    required_one_of=(("ids", "select"),),
    required_if=(("settle_via", "gateway", ("creator",)),),
).merge(_argspec.signing(), _argspec.wait(1800))


def work(context: Context) -> Outcome:
    context.positive("deadline_blocks")
    options = context.read(SettleOptions)
    known = context.environment if options.settle_via is Via.GATEWAY else None
    if known is not None:
        options = replace(options, known_env=frozenset(known))
    folder = Path(context.read(_argspec.LedgerOptions).ledger_path).parent
    with open_ports(context, "escrow_settle", signs=True, waits=True) as ports:
        result = SettleEscrows(ports, options, folder).run()
    return Outcome(
        changed=result.changed,
        values=result.to_result(),
        before=result.before,
        after=result.after,
    )
