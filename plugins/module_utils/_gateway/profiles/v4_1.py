# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Gateway 4.1.x, on mainnet since September 2026; known by reading its source.

What a released image has of it is asked from the running gateway, see ``_gateway.probes``.
"""

from __future__ import annotations

import dataclasses

from .v4 import PROFILE as V4

PROFILE = dataclasses.replace(
    V4,
    name="v4.1",
    can_open_stores_of=("v4.1",),
    chain_rpc_variable="DEVSHARD_CHAIN_RPC",
    chain_rpc_fallback="NODE_RPC_URL",
    accounting_variable="DEVSHARD_STATS_ENABLED",
    accounting_port=9091,
    chain_address_optional=True,
    public_api_optional=True,
    start_defaults={
        # its source and its documents name two values for this one
        **{
            name: value
            for name, value in V4.start_defaults.items()
            if name != "DEVSHARD_META_DRAIN_TIMEOUT_SECONDS"
        },
        "DEVSHARD_STATS_ENABLED": "true",
        "DEVSHARD_STATS_PORT": "9091",
        "DEVSHARD_STATS_RETENTION_EPOCHS": "0",
    },
    switch_variables=(*V4.switch_variables, "DEVSHARD_STATS_ENABLED"),
    settle_awaits_inclusion=True,
    busy_settle_is_kept=True,
    loads_inactive_at_start=False,
    deactivates_at_start=True,
    warms_up=True,
    # its guide: one at a time, 8 to 12 s apart, at least 1500 blocks before the next proof of compute
    create_pause=8,
    create_window=1500,
    rotates_since=(4, 1, 2),
    probed=True,
    own_paths=("/v1/debug/memstats", "/debug/pprof/"),
)
