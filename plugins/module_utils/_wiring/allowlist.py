# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``allowlist``."""

from __future__ import annotations

from dataclasses import dataclass

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.chain import chain_of
from .._clients.signer import signer_of
from .._core.errors import ConfigurationError
from .._escrows.creator import (
    await_membership,
)

SPEC = _argspec.ArgumentSpec(
    options={"address": {"type": "str"}, "wait": {"type": "bool", "default": False}},
).merge(_argspec.chain(), _argspec.http(), _argspec.inferenced(), _argspec.wait())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    address: str | None
    wait: bool
    wait_interval: float


def work(context: Context) -> Outcome:
    options = context.read(Options)
    address = options.address
    if address is None and (signer := signer_of(context)) is not None:
        address = signer.address()
    if address is None:
        raise ConfigurationError(
            "there is no address to ask about: give address, or import the creator's key with"
            " gonka.devshard.creator_key"
        )
    waits = options.wait and not context.check_mode
    found, params = await_membership(
        chain_of(context),
        address,
        deadline=context.deadline() if waits else None,
        interval=options.wait_interval,
    )
    return Outcome(
        changed=False,
        values={
            "allowlist": {"address": address, "membership": found.value},
            "params": params.to_result(),
        },
    )
