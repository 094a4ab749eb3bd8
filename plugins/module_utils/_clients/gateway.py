# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The gateway's admin API."""

from __future__ import annotations

import typing as t

from .. import _argspec
from .._core import keys
from .._gateway.api import GatewayApi

if t.TYPE_CHECKING:
    from .._adapter import Context


def gateway_of(context: Context) -> GatewayApi:
    return context.once(
        gateway_of,
        lambda: GatewayApi(
            context.transport,
            url=context.read(_argspec.GatewayOptions).gateway_url,
            admin_key=context.secret("admin_api_key", keys.ADMIN_API_KEY),
            profile=context.profile,
            storage_dir=storage_seen(context),
        ),
    )


def storage_seen(context: Context) -> str | None:
    """The storage as the gateway sees it, for a generation that takes paths below it alone."""
    if context.profile.absolute_storage_path:
        return None
    return (context.environment or {}).get(context.profile.storage_variable)
