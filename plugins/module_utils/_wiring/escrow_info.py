# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``escrow_info``."""

from __future__ import annotations

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.money import open_ports
from .._escrows.deadlines import (
    DEADLINE_BLOCKS,
)
from .._escrows.report import (
    ReportOptions,
    report,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "ids": {"type": "list", "elements": "int", "default": []},
        "model_id": {"type": "str"},
        "creator": {"type": "str"},
        "storage_dir": {"type": "path"},
        "history": {"type": "bool", "default": False},
        "deadline_blocks": {"type": "int", "default": DEADLINE_BLOCKS},
    },
).merge(_argspec.signing())


def work(context: Context) -> Outcome:
    context.positive("deadline_blocks")
    options = context.read(ReportOptions)
    with open_ports(context, None, signs=True) as ports:
        return Outcome(changed=False, values=report(ports, options))
