# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""The generation of the operator guide: v0.2.13-devshard-v2."""

from __future__ import annotations

from . import Profile

PROFILE = Profile(
    name="v2",
    settlement_tag="v2",
    can_open_stores_of=("v2",),
    chain_address_variable="DEVSHARD_CHAIN_REST",
    tx_query_variable="DEVSHARD_TX_QUERY_REST",
    chain_id_variable="DEVSHARD_CHAIN_ID",
    public_api_variable="DEVSHARD_PUBLIC_API",
    chain_address_format="url",
    chain_address_persisted=True,
    bootstrap_variables=(
        "DEVSHARDS_JSON",
        "DEVSHARD_CHAIN_REST",
        "DEVSHARD_ESCROW_ID",
        "DEVSHARD_ESCROW_ROTATION_ENABLED",
        "DEVSHARD_ESCROW_ROTATION_MODELS_JSON",
        "DEVSHARD_ESCROW_ROTATION_PRE_POC_BLOCKS",
        "DEVSHARD_ESCROW_ROTATION_SETTLEMENT_ENABLED",
        "DEVSHARD_GATEWAY_DISABLED",
        "DEVSHARD_GATEWAY_DISABLED_MESSAGE",
        "DEVSHARD_GATEWAY_DISABLED_NEW_URL",
        "DEVSHARD_MODEL",
        "DEVSHARD_PUBLIC_API",
        "DEVSHARD_TX_GAS_LIMIT",
        "GATEWAY_DEFAULT_MAX_TOKENS",
        "GATEWAY_MAX_CONCURRENT_REQUESTS",
        "GATEWAY_MAX_CONCURRENT_REQUESTS_PER_10000_WEIGHT",
        "GATEWAY_MAX_INPUT_TOKENS_IN_FLIGHT",
        "GATEWAY_MAX_TOKENS_CAP",
        "GATEWAY_POC_MAX_CONCURRENT_REQUESTS_PER_10000_WEIGHT",
    ),
    unread_variables=(
        "CHAIN_ID",
        "DEVSHARD_CREATOR",
        "DEVSHARD_INSTANCE_NAME",
        "DEVSHARD_STORAGE_HOST_DIR",
        "INFERENCED_HOME",
        "INFERENCED_KEYRING",
        "NODE_BASE",
        "NODE_CHAIN_API",
        "NODE_RPC",
    ),
    container_port=8080,
    storage_dir="/root/.devshardctl",
    health_command=("CMD", "curl", "-f", "http://localhost:8080/v1/status"),
    default_image="libermans/gonka-devshard-proxy:latest",
    activate_path="/v1/admin/devshards",
    activate_with_id_in_body=True,
    deactivate_idempotent=True,
    deactivate_unloads=False,
    settle_unloaded=False,
    loads_inactive_at_start=True,
    absolute_storage_path=True,
    nonce_limit=19_800,
    min_balance=1_000_000,
    host_session_prefix="/v1/devshard",
    foreign_paths=("/v1/debug/memstats",),
    foreign_settings=("chain_grpc",),
)
