# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Compares the shape of an answer with recorded ones: keys, types, string or number.

A path is written as ``devshards.#.runtime.nonce``: ``#`` is any element of a list, ``*`` any value
of an object whose keys are data. What may deviate is listed in :class:`Rules`, each with the
place in the contract that says so; everything else must be as recorded.
"""

from __future__ import annotations

import fnmatch
import typing as t
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the contract lets vary. Patterns are those of :mod:`fnmatch` over the whole path."""

    optional: Mapping[str, str] = field(default_factory=dict)
    """Keys that may be absent though recorded, and present though not; with their kind."""
    nullable: Mapping[str, str] = field(default_factory=dict)
    """Values that are null or of this kind, whichever was recorded."""
    maps: Collection[str] = ()
    """Objects whose keys are data; also the empty object has their shape."""
    more: Collection[str] = ()
    """Objects that may have keys which were not recorded."""
    fewer: Collection[str] = ()
    """Objects of which any recorded key may be absent."""


def _match(path: str, patterns: Collection[str]) -> str | None:
    return next((entry for entry in patterns if fnmatch.fnmatchcase(path, entry)), None)


def kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "object"


def differences(
    recorded: Sequence[object], found: object, rules: Rules | None = None, path: str = ""
) -> list[str]:
    """How ``found`` deviates from the shape that all ``recorded`` samples have together."""
    rules = rules or Rules()
    here = path or "the answer"
    kinds = {kind(sample) for sample in recorded}
    nullable = _match(path, rules.nullable)
    if nullable is not None:
        kinds |= {"null", rules.nullable[nullable]}
    if not kinds:
        # an element of a list that was recorded empty
        return []
    if kind(found) not in kinds:
        return [f"{here}: recorded {' or '.join(sorted(kinds))}, found {kind(found)}"]
    if isinstance(found, dict):
        samples = [sample for sample in recorded if isinstance(sample, dict)]
        return _object(samples, found, rules, path)
    if isinstance(found, list):
        items = [item for sample in recorded if isinstance(sample, list) for item in sample]
        return [
            line
            for item in found
            for line in differences(items, item, rules, f"{path}.#".lstrip("."))
        ]
    return []


def _object(
    samples: list[dict[str, t.Any]], found: dict[str, t.Any], rules: Rules, path: str
) -> list[str]:
    if not samples:
        return []
    if _match(path, rules.maps):
        values = [value for sample in samples for value in sample.values()]
        return [
            line
            for value in found.values()
            for line in differences(values, value, rules, f"{path}.*".lstrip("."))
        ]
    known = {key for sample in samples for key in sample}
    required = set.intersection(*(set(sample) for sample in samples))
    lines = []
    for key in sorted(known | set(found)):
        place = f"{path}.{key}".lstrip(".")
        optional = _match(place, rules.optional)
        if key not in found:
            if key in required and optional is None and not _match(path, rules.fewer):
                lines.append(f"{place}: recorded, but absent")
        elif key in known:
            values = [sample[key] for sample in samples if key in sample]
            lines += differences(values, found[key], rules, place)
        elif optional is not None:
            if kind(found[key]) != rules.optional[optional]:
                wanted = rules.optional[optional]
                lines.append(f"{place}: the contract says {wanted}, found {kind(found[key])}")
        elif not _match(path, rules.more):
            lines.append(f"{place}: found, but neither recorded nor optional")
    return lines


_CHAIN_TEXTS = {
    "chain_phase": "string",
    "confirmation_poc_phase": "string",
    "block_reason": "string",
}
_RUNTIME = {
    **_CHAIN_TEXTS,
    "phase": "string",
    "nonce": "number",
    "balance": "number",
    "protocol_version": "string",
    # gateway-v4.1.md §4.8
    "session_version": "string",
}
_RECORD = {
    "private_key": "string",
    "private_key_env": "string",
    "model": "string",
    "storage_path": "string",
    "protocol_version": "string",
    # generations.md §3, gateway-v4.1.md §4.8
    "settlement_pending": "bool",
    "route_prefix": "string",
    "on_hold_since": "string",
    "rotation_role": "string",
    "rotation_epoch": "number",
    "runtime": "object",
}
_SETTINGS = {
    # generations.md §3: from v4 on, of memory only
    "chain_grpc": "string",
    "model_limits": "list",
    "tx_gas_limit": "number",
    "disabled.new_url": "string",
    "escrow_rotation.models": "list",
    "model_limits.#.default_request_max_tokens": "number",
    "model_limits.#.request_max_tokens_cap": "number",
    "model_limits.#.access_mode": "string",
    "model_limits.#.access_message": "string",
}

GATEWAY = Rules(
    optional={
        # gateway.md §1.2: left out when zero or empty
        **_CHAIN_TEXTS,
        **{f"devshards.#.{key}": value for key, value in _RUNTIME.items()},
        # gateway.md §1.8
        **{f"devshards.#.runtime.{key}": value for key, value in _RUNTIME.items()},
        **{f"devshards.#.{key}": value for key, value in _RECORD.items()},
        # gateway.md §1.6: omitted when empty or zero
        **_SETTINGS,
        **{f"settings.{key}": value for key, value in _SETTINGS.items()},
        # gateway.md §1.2: capacity and limiter
        "capacity.models": "object",
        "capacity.models.*.access_message": "string",
        "limiter.models": "object",
        "limiter.models.*.current_weight": "number",
        "limiter.models.*.baseline_weight": "number",
        "limiter.models.*.max_concurrent_requests_per_10000_weight": "number",
        # gateway.md §1.9
        "participants.#.quarantine_until": "string",
        "participants.#.quarantine_remaining_ms": "number",
        "participants.#.empty_stream_streak": "number",
        "participants.#.eof_transport_failure_streak": "number",
        # gateway.md §5.5
        "latest.#.create_error": "string",
    },
    nullable={
        # gateway.md §5.5: null when there is nothing
        "latest": "list",
        "settings.models": "list",
        # gateway.md §1.10
        "pending": "list",
        "inferences.*.validated_by": "list",
        # generations.md §3: null when there is none
        "suspicious_hosts": "list",
    },
    maps=(
        "capacity.models",
        "capacity.escrow_weights",
        "limiter.models",
        # gateway.md §1.10: by slot and by nonce
        "host_stats",
        "inferences",
        "revealed_seeds",
        "warm_keys",
        "live_status_counts",
        "status_counts",
    ),
)

# gateway-v4.1.md §4.7
GATEWAY_4_1 = replace(
    GATEWAY,
    optional={
        **GATEWAY.optional,
        "redundancy.force_upstream_streaming": "bool",
        "redundancy.non_stream_response_floor_ms": "number",
        "redundancy.non_stream_no_content_timeout_ms": "number",
        "redundancy.non_stream_max_attempt_wait_ms": "number",
    },
)

# gateway.md §1.5: the host's own object, which engines extend
CHAT = Rules(
    more=("", "choices.#", "choices.#.message", "choices.#.delta", "usage"),
    nullable={"choices.#.finish_reason": "string", "choices.#.delta.content": "string"},
    optional={
        "usage": "object",
        "choices.#.delta.content": "string",
        "choices.#.delta.role": "string",
    },
)

CHAIN = Rules(
    optional={
        # chain-v0.2.16.md §3.1: missing is as good as zero
        "escrow.validation_rate": "number",
        "escrow.vote_threshold_factor": "number",
        "escrow.logprobs_mode": "string",
        # chain-v0.2.16.md §7.3
        "phase": "string",
        "effective_epoch_index": "string",
        "epoch_stages": "object",
        "next_epoch_stages": "object",
    },
    nullable={
        # chain.md §2.2, §2.3: null until there is something
        "account.pub_key": "object",
        "pagination": "object",
        "*.next_key": "string",
        "escrow": "object",
        "*params.fee_params": "object",
        "active_confirmation_poc_event": "object",
        "participant.current_epoch_stats.confirmationPoCRatio": "object",
        "block.data.txs": "list",
        "result.txs.#.tx_result.data": "string",
    },
    # chain.md §2.1 names the parameters that matter; other modules' come and go with versions
    more=(
        "params",
        "params.*_params",
        "params.params",
        "params.params.*_params",
        "default_node_info.other",
        "result.node_info.other",
        "*.events.#.attributes.#",
    ),
)

# chain.md §4: proto JSON leaves out false, null and what is empty
CLI_QUERY = Rules(
    fewer=("", "*"), more=CHAIN.more, nullable=CHAIN.nullable, optional=CHAIN.optional
)
