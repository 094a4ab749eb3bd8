# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The generation of July 2026: v0.2.13-v3, known by running it."""

from __future__ import annotations

import dataclasses

from .v2 import PROFILE as V2

PROFILE = dataclasses.replace(
    V2,
    name="v3",
    protocol_chosen=True,
    settlement_tag="",
    can_open_stores_of=("v3",),
    route_variable="DEVSHARD_ROUTE_PREFIX",
    locked_variables={
        "DEVSHARD_CHAIN_ID": "its escrows exist on one chain alone",
        "DEVSHARD_ROUTE_PREFIX": (
            "the hosts of an escrow serve it on one path for life, and a gateway with another one ends at"
            " its start or takes the escrow out of service"
        ),
    },
    start_defaults={
        **{
            name: value
            for name, value in V2.start_defaults.items()
            # its own default was given when it was built
            if name != "DEVSHARD_ROUTE_PREFIX"
        },
        "DEVSHARD_CHAT_CACHE_MAX_BYTES": "268435456",
        "DEVSHARD_MAX_CONCURRENT_RUNTIME_BUILDS": "16",
        "DEVSHARD_META_DRAIN_TIMEOUT_SECONDS": "2400",
    },
    default_image="",
    activate_path="/v1/admin/devshards/{id}/activate",
    activate_with_id_in_body=False,
    deactivate_idempotent=False,
    deactivate_unloads=True,
    settle_unloaded=True,
    loads_inactive_at_start=False,
    deactivates_at_start=True,
    host_session_prefix="",
    foreign_paths=(),
    own_paths=("/v1/debug/memstats", "/debug/pprof/"),
)
