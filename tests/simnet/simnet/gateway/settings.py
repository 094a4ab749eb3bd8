# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The gateway's settings: defaults, merge, validation, and what is shown of them."""

from __future__ import annotations

import copy
import re
import typing as t

from simnet.gateway.generation import Generation
from simnet.gateway.goish import ApiError, Struct
from simnet.network import DEFAULT_MODELS

Settings = dict[str, t.Any]

DEFAULT_MESSAGE = "please use ... base url"
DEFAULT_PER_WEIGHT = 5
DEFAULT_POC_PER_WEIGHT = 10
DEFAULT_PRE_POC_BLOCKS = 300
DEFAULT_MODEL = DEFAULT_MODELS[0]

DEFAULTS: Settings = {
    "chain_rest": "http://localhost:1317",
    "public_api": "http://localhost:9000",
    "default_model": DEFAULT_MODEL,
    "default_request_max_tokens": 3072,
    "request_max_tokens_cap": 4096,
    "max_concurrent_requests": 512,
    "max_concurrent_requests_per_10000_weight": DEFAULT_PER_WEIGHT,
    "poc_max_concurrent_requests_per_10000_weight": DEFAULT_POC_PER_WEIGHT,
    "max_input_tokens_in_flight": 0,
    "model_limits": [],
    "tx_gas_limit": 0,
    "disabled": {"enabled": False, "message": DEFAULT_MESSAGE, "new_url": ""},
    "participant_throttle": {
        "request_burst": 600,
        "recovery_per_minute": 10,
        "http_quarantine_ms": 3600000,
        "transport_failure_quarantine_ms": 1800000,
        "empty_stream_quarantine_ms": 1800000,
        "stalled_winner_quarantine_ms": 1800000,
        "empty_stream_threshold": 3,
        "eof_transport_failure_threshold": 3,
    },
    "redundancy": {
        "receipt_timeout_ms": 5000,
        "first_token_timeout_floor_ms": 1000,
        "per_input_token_first_token_lag_ms": 10,
        "inter_chunk_stall_timeout_ms": 60000,
        "streaming_attempt_hard_timeout_ms": 1200000,
        "non_stream_response_floor_ms": 20000,
        "non_stream_no_content_timeout_ms": 1200000,
        "non_stream_max_attempt_wait_ms": 1800000,
        "per_input_token_response_lag_ms": 20,
        "secondary_wait_after_winner_ms": 600000,
        "parallel_advantage_threshold": 0.5,
        "unresponsive_threshold": 1,
        "speed_policy": "hybrid",
        "pairwise_budget_percentile": 0.9,
        "pairwise_max_proactive_attempts": 3,
        "pairwise_min_direct_comparisons": 4,
        "pairwise_winner_hold_ms": 500,
        "pairwise_winner_hold_min_speedup": 0.1,
        "pairwise_winner_hold_min_samples": 6,
    },
    "perf": {"sample_size": 256, "window_ms": 3600000},
    "escrow_rotation": {
        "enabled": False,
        "settlement_enabled": False,
        "pre_poc_blocks": DEFAULT_PRE_POC_BLOCKS,
        "models": [],
    },
}


def defaults(generation: Generation) -> Settings:
    result = copy.deepcopy(DEFAULTS)
    result["redundancy"].update(generation.redundancy)
    for name in generation.redundancy_gone:
        del result["redundancy"][name]
    if generation.chain != "rest":
        result["chain_rest"] = ""
    return result


_LIMIT = {
    "model_id": "string",
    "max_concurrent_requests": "int",
    "max_input_tokens_in_flight": "int64",
    "default_request_max_tokens": "int",
    "request_max_tokens_cap": "int",
    "access_mode": "string",
    "access_message": "string",
}
_ROTATION_MODEL = {
    "model_id": "string",
    "temp_count": "int",
    "target_count": "int",
    "amount": "uint64",
    "private_key_env": "string",
}
_FRACTIONS = {
    "parallel_advantage_threshold",
    "unresponsive_threshold",
    "pairwise_budget_percentile",
    "pairwise_winner_hold_min_speedup",
}


def _section(name: str, leave_out: str = "") -> Struct:
    fields: dict[str, t.Any] = {}
    for key, value in DEFAULTS[name].items():
        if key != leave_out:
            kind = "float64" if key in _FRACTIONS else "int64"
            fields[key] = {bool: "bool", str: "string"}.get(type(value), kind)
    return Struct(f"admin{name.title().replace('_', '')}Request", fields)


def _redundancy() -> Struct:
    known = _section("redundancy")
    return Struct(known.name, {**known.fields, "force_upstream_streaming": "bool"})


_ROTATION = Struct(
    "adminEscrowRotationRequest",
    {
        "enabled": "bool",
        "settlement_enabled": "bool",
        "pre_poc_blocks": "int64",
        "models": [Struct("EscrowRotationModel", _ROTATION_MODEL)],
    },
)
REQUEST = Struct(
    "adminSettingsRequest",
    {
        "chain_rest": "string",
        "public_api": "string",
        "default_model": "string",
        "default_request_max_tokens": "int",
        "request_max_tokens_cap": "int",
        "max_concurrent_requests": "int",
        "max_concurrent_requests_per_10000_weight": "int",
        "poc_max_concurrent_requests_per_10000_weight": "int",
        "max_input_tokens_in_flight": "int64",
        "model_limits": [Struct("ModelLimit", _LIMIT)],
        "tx_gas_limit": "uint64",
        "disabled": _section("disabled"),
        # GET shows the threshold, POST does not know it.
        "participant_throttle": _section("participant_throttle", "eof_transport_failure_threshold"),
        "redundancy": _redundancy(),
        "perf": _section("perf"),
        "escrow_rotation": _ROTATION,
    },
)

_ACCESS = {
    "open": {"open", "public", "none"},
    "api_key": {"api_key", "apikey", "api_keys", "api", "key"},
    "admin_only": {"admin", "admin_only", "admin_key"},
}


def canonical_access(text: str) -> str:
    """The mode behind a synonym; what is none stays as it is and fails validation."""
    flat = re.sub(r"[- ]", "_", text.strip().lower())
    return next((mode for mode, names in _ACCESS.items() if flat in names), flat)


def _limits(entries: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Without entries that name no model; of two for one model the last wins."""
    kept: dict[str, dict[str, t.Any]] = {}
    for entry in entries:
        model = str(entry.get("model_id", "")).strip()
        if model:
            whole = {"max_concurrent_requests": 0, "max_input_tokens_in_flight": 0, **entry}
            whole["model_id"] = model
            whole["access_mode"] = canonical_access(str(entry.get("access_mode", "")))
            kept[model] = whole
    return list(kept.values())


def _rotation_models(entries: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    empty = {"model_id": "", "temp_count": 0, "target_count": 0, "amount": 0, "private_key_env": ""}
    return [{**empty, **entry} for entry in entries]


def merged(current: Settings, patch: dict[str, t.Any]) -> Settings:
    """Merge a request field by field; the two lists replace as a whole."""
    result = copy.deepcopy(current)
    for name, value in patch.items():
        if name == "model_limits":
            result[name] = _limits(value)
        elif isinstance(value, dict):
            # What this generation does not have is as good as unknown.
            result[name].update({key: value[key] for key in value if key in result[name]})
        else:
            result[name] = value
    if "models" in patch.get("escrow_rotation", {}):
        result["escrow_rotation"]["models"] = _rotation_models(patch["escrow_rotation"]["models"])
    if not result["disabled"]["message"]:
        result["disabled"]["message"] = DEFAULT_MESSAGE
    return result


def stored(settings: Settings) -> Settings:
    """What is kept of a merge: some zeros become defaults again."""
    result = copy.deepcopy(settings)
    if not result["max_concurrent_requests_per_10000_weight"]:
        result["max_concurrent_requests_per_10000_weight"] = DEFAULT_PER_WEIGHT
    if not result["poc_max_concurrent_requests_per_10000_weight"]:
        result["poc_max_concurrent_requests_per_10000_weight"] = DEFAULT_POC_PER_WEIGHT
    if result["escrow_rotation"]["pre_poc_blocks"] <= 0:
        result["escrow_rotation"]["pre_poc_blocks"] = DEFAULT_PRE_POC_BLOCKS
    return result


def limit_of(settings: Settings, model: str) -> dict[str, t.Any] | None:
    return next((entry for entry in settings["model_limits"] if entry["model_id"] == model), None)


def token_limits(settings: Settings, model: str) -> tuple[int, int]:
    """Default and cap of the output tokens of a model."""
    entry = limit_of(settings, model) or {}
    default = entry.get("default_request_max_tokens") or settings["default_request_max_tokens"]
    cap = entry.get("request_max_tokens_cap") or settings["request_max_tokens_cap"]
    return int(default), int(cap)


# --- validation ----------------------------------------------------------------


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ApiError(400, message)


def validate(settings: Settings) -> None:
    default, cap = settings["default_request_max_tokens"], settings["request_max_tokens_cap"]
    _need(default > 0, "default_request_max_tokens must be > 0")
    _need(cap > 0, "request_max_tokens_cap must be > 0")
    _need(default <= cap, "default_request_max_tokens must be <= request_max_tokens_cap")
    for name in (
        "max_concurrent_requests_per_10000_weight",
        "poc_max_concurrent_requests_per_10000_weight",
    ):
        _need(settings[name] >= 0, f"{name} must be >= 0")
    for section in ("participant_throttle", "perf"):
        for name, value in settings[section].items():
            _need(value > 0, f"{section}.{name} must be > 0")
    _validate_redundancy(settings["redundancy"])
    for entry in settings["model_limits"]:
        _validate_limit(entry, cap)
    if settings["escrow_rotation"]["enabled"]:
        validate_rotation(settings["escrow_rotation"])


_MAY_BE_ZERO = {
    "per_input_token_first_token_lag_ms",
    "per_input_token_response_lag_ms",
    "secondary_wait_after_winner_ms",
    "pairwise_max_proactive_attempts",
    "pairwise_min_direct_comparisons",
    "pairwise_winner_hold_ms",
    "pairwise_winner_hold_min_samples",
}


def _validate_redundancy(section: dict[str, t.Any]) -> None:
    for name, value in section.items():
        where = f"redundancy.{name}"
        if name == "speed_policy":
            _need(
                value in ("legacy", "hybrid", "pairwise"),
                f"{where} must be legacy, hybrid, or pairwise",
            )
        elif name in ("parallel_advantage_threshold", "pairwise_budget_percentile"):
            _need(0 < value < 1, f"{where} must be > 0 and < 1")
        elif name in ("unresponsive_threshold", "pairwise_winner_hold_min_speedup"):
            _need(0 < value <= 1, f"{where} must be > 0 and <= 1")
        elif isinstance(value, bool):
            continue
        elif name in _MAY_BE_ZERO:
            _need(value >= 0, f"{where} must be >= 0")
        else:
            _need(value > 0, f"{where} must be > 0")
    _need(
        section.get("non_stream_max_attempt_wait_ms", 0)
        >= section.get("non_stream_no_content_timeout_ms", 0),
        "redundancy.non_stream_max_attempt_wait_ms must be >= non_stream_no_content_timeout_ms",
    )


def _validate_limit(entry: dict[str, t.Any], cap: int) -> None:
    model = entry["model_id"]
    for name in ("max_concurrent_requests", "max_input_tokens_in_flight"):
        _need(entry[name] >= 0, f"model_limits.{name} must be >= 0")
    _need(
        entry["access_mode"] in ("", *_ACCESS),
        f'model_limits.access_mode must be open, api_key, or admin_only for model_id "{model}"',
    )
    for name in ("default_request_max_tokens", "request_max_tokens_cap"):
        _need(entry.get(name, 0) >= 0, f"model_limits.{name} must be >= 0")
    own_cap = entry.get("request_max_tokens_cap") or cap
    _need(
        entry.get("default_request_max_tokens", 0) <= own_cap,
        "model_limits.default_request_max_tokens must be <= request_max_tokens_cap "
        f'for model_id "{model}"',
    )


def validate_rotation(rotation: dict[str, t.Any]) -> None:
    prefix = "escrow_rotation."
    _need(rotation["pre_poc_blocks"] > 0, prefix + "pre_poc_blocks must be > 0")
    _need(
        len(rotation["models"]) > 0,
        prefix + "models must contain at least one model when rotation is enabled",
    )
    seen: set[str] = set()
    for model in rotation["models"]:
        name = model["model_id"]
        _need(name != "", prefix + "models.model_id is required when rotation is enabled")
        _need(model["temp_count"] > 0, prefix + "temp_count must be > 0")
        _need(model["target_count"] > 0, prefix + "target_count must be > 0")
        _need(model["amount"] > 0, prefix + "amount must be > 0 when rotation is enabled")
        _need(
            model["private_key_env"] != "",
            prefix + "private_key_env is required when rotation is enabled",
        )
        _need(name not in seen, prefix + f'models contains duplicate model_id "{name}"')
        seen.add(name)


# --- showing -------------------------------------------------------------------


def _shown_limit(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    always = ("model_id", "max_concurrent_requests", "max_input_tokens_in_flight")
    return {key: entry[key] for key in _LIMIT if key in always or entry.get(key)}


def shown(settings: Settings) -> dict[str, t.Any]:
    """The settings as GET prints them: some empty fields are left out."""
    result = copy.deepcopy(settings)
    result["model_limits"] = [_shown_limit(entry) for entry in settings["model_limits"]]
    for holder, name in (
        (result, "model_limits"),
        (result, "tx_gas_limit"),
        (result["disabled"], "new_url"),
        (result["escrow_rotation"], "models"),
    ):
        if not holder[name]:
            del holder[name]
    return result
