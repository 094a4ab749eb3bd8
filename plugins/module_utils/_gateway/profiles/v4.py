# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The chain over gRPC, and one name for route, session and settlement; known by running it."""

from __future__ import annotations

import dataclasses

from .v3 import PROFILE as V3

_NO_REST = ("DEVSHARD_CHAIN_REST", "DEVSHARD_TX_QUERY_REST")

PROFILE = dataclasses.replace(
    V3,
    name="v4",
    can_open_stores_of=("v4",),
    chain_address_variable="DEVSHARD_CHAIN_GRPC",
    chain_address_fallback="NODE_GRPC_URL",
    tx_query_variable=None,
    chain_tls_variable="CHAIN_GRPC_TLS",
    chain_address_format="host_port",
    chain_address_persisted=False,
    bootstrap_variables=tuple(name for name in V3.bootstrap_variables if name not in _NO_REST),
    unread_variables=tuple(sorted({*V3.unread_variables, *_NO_REST})),
    start_defaults={
        **{name: value for name, value in V3.start_defaults.items() if name not in _NO_REST},
        "CHAIN_GRPC_TLS": "false",
        "DEVSHARD_CHAIN_ID": "gonka-mainnet",
        "DEVSHARD_PARAMS_SOURCE": "adaptive",
    },
    # never asked: without it the gateway takes mainnet for granted
    asked_variables=(),
    switch_variables=(*V3.switch_variables, "CHAIN_GRPC_TLS"),
    # images of this line come with either program
    health_command=(
        "CMD-SHELL",
        "curl -fsS http://localhost:8080/v1/status || wget -qO /dev/null http://localhost:8080/v1/status",
    ),
    loads_inactive_at_start=True,
    deactivates_at_start=False,
    absolute_storage_path=False,
    escrow_prefix_field="route_prefix",
    foreign_settings=(),
    own_paths=("/v1/debug/memstats",),
    own_settings=("chain_grpc",),
)
