# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The names in what the status of a host returns."""

from __future__ import annotations

import typing as t

KEYS: t.Final = (
    *(
        "host",
        "verdict",
        "failed",
        "findings",
        "alarms",
        "clients",
        "slot",
        "models",
        "rotation",
        "escrows",
    ),
    *("presence", "slots", "route", "nginx", "phase", "confirmation_poc", "epoch", "creator"),
    *("params", "complete", "transactions", "parts", "clock_fault", "disks"),
    *("clock_offset", "backups", "certificate"),
    *("upgrade", "accounting", "looked_at"),
)
"""What the data of one host have at the top."""


NESTED: t.Final = (
    *("severity", "about", "text", "run", "back"),
    *("state", "why", "to"),
    *(
        "id",
        "wanted",
        "usable",
        "usable_ids",
        "not_known",
        "access_mode",
        "hosts_available",
        "hosts",
        "served",
    ),
    *("quarantined", "address", "until", "available", "count"),
    *("model", "slot", "recorded", "active", "loaded", "phase", "nonce", "balance"),
    *(
        "active_requests",
        "storage_path",
        "rotation_role",
        "on_chain",
        "absence",
        "creator",
        "amount",
        "epoch",
    ),
    *("background", "loadable", "settle_queued", "held_since", "protocol", "route"),
    *("settled", "deadline", "why_not", "foreign", "chain_error", "may_settle", "dangers"),
    *("gateway_settles", "profile", "protocol", "probes", "at", "found"),
    *("reason", "advice", "settlements"),
    *("height", "blocks_left", "seconds_left", "last_epoch"),
    *("main", "temp", "gateway", "refused", "url", "disabled", "in_flight_requests", "devshards"),
    *("settings", "rotation", "container", "requests_blocked", "block_reason", "private_key_env"),
    *("plain_key", "polled", "confirmation_poc_phase", "epoch_index", "block_height"),
    *("blocks_to_epoch_switch", "blocks_until_next_rotation", "latest"),
    *("status", "target", "message", "models", "chat", "schema"),
    *("effective", "next_switch", "epoch_length", "block_seconds"),
    *("membership", "known", "public_api", "chain", "ledger", "creations", "main_hosts"),
    *("temp_hosts", "route", "nginx"),
    *("min_amount", "max_amount", "max_escrows_per_epoch", "max_nonce", "create_devshard_fee"),
    *("fee_per_nonce", "approved_versions", "min_gas_price"),
    *("approved_known", "create_gas_price", "settle_gas_price", "settle_exempt"),
    *(
        "free_mb",
        "kind",
        "via",
        "chain_id",
        "run_id",
        "created_at",
        "updated_at",
        "fee",
        "gas",
        "tx_hash",
    ),
    *("timeout_at", "seen_height", "seen_time", "open", "result"),
    *("deploy_dir", "state_dir", "record", "retired", "redirect", "swap", "others"),
    *("others_known", "ports", "keyring", "env_file", "storage", "other_ledgers", "engine"),
    *("gateway_proved", "exists", "error", "path", "base_url", "noted", "name", "running", "ours"),
    *("image", "image_id", "digest", "digests", "health", "asked", "origin", "origin_asked"),
    *("burn", "ngonka_per_hour", "nonces_per_hour", "seconds"),
    *("age", "expires", "days_left"),
    *("waiting_keys", "names"),
    *("step", "since", "rolling_back", "mode", "port", "owner"),
)
"""What their parts have, at any depth. Settings have names of their own."""
