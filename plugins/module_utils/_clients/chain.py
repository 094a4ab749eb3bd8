# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The chain and the public API."""

from __future__ import annotations

import typing as t

from .. import _argspec
from .._chain.api import ChainApi
from .._chain.rpc import ChainRpc

if t.TYPE_CHECKING:
    from .._adapter import Context
    from .._core.transport import HttpTransport


def chain_of(context: Context) -> ChainApi:
    return context.once(chain_of, lambda: new_chain(context, context.transport))


def new_chain(context: Context, http: HttpTransport) -> ChainApi:
    context.positive("max_block_age")
    options = context.read(_argspec.ChainOptions)
    return ChainApi(
        http,
        rest=options.chain_rest,
        public_api=options.public_api,
        chain_id=options.chain_id,
        max_block_age=options.max_block_age,
        rpc=options.chain_rpc,
    )


def new_rpc(context: Context, http: HttpTransport) -> ChainRpc | None:
    """None where no URL of the chain's RPC is given."""
    options = context.read(_argspec.ChainOptions)
    if (url := context.read(_argspec.InferencedOptions).chain_rpc) is None:
        return None
    return ChainRpc(http, url=url, chain_id=options.chain_id, max_block_age=options.max_block_age)
