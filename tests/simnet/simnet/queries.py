# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The queries that a CLI asks by ``abci_query``: protobuf on the wire, proto JSON for everybody else.

Only the numbers and kinds of fields are known here; what no table names is skipped, as real clients
skip the fields of a newer chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simnet import txs

Data = dict[str, Any]
_SIGN = 1 << 63


@dataclass(frozen=True, slots=True)
class Field:
    number: int
    # int64, int32, bool, string or bytes; or a message
    kind: str | Message
    many: bool = False
    # Of a newer chain: without a value it is not told at all.
    newer: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    fields: Mapping[str, Field]


def _message(*fields: tuple[str, str | Message], **at: int) -> Message:
    """Fields in order; a name that ends with ``*`` is repeated, with ``?`` of a newer chain.
    ``at`` gives other numbers."""
    found, number = {}, 0
    for name, kind in fields:
        bare = name.rstrip("*?")
        number = at.get(bare, number + 1)
        found[bare] = Field(number, kind, name.endswith("*"), name.endswith("?"))
    return Message(found)


def _all(kind: str | Message, names: str) -> list[tuple[str, str | Message]]:
    return [(name, kind) for name in names.split()]


I64, I32, BOOL, TEXT, BYTES = "int64", "int32", "bool", "string", "bytes"
DECIMAL = _message(("value", I64), ("exponent", I32))

_STAT_TEST = _message(*_all(DECIMAL, "dist_threshold p_mismatch p_value_threshold"))
_POC_MODEL = _message(
    *_all(I32, "dim n_layers n_heads n_kv_heads vocab_size"),
    ("ffn_dim_multiplier", DECIMAL),
    ("multiple_of", I32),
    ("norm_eps", DECIMAL),
    ("rope_theta", I32),
    ("use_scaled_rope", BOOL),
    ("seq_len", I32),
    ("r_target", DECIMAL),
)
_PARAMS: dict[str, Message] = {
    "epoch_params": _message(
        *_all(
            I64,
            "epoch_length epoch_multiplier epoch_shift default_unit_of_compute_price"
            " poc_stage_duration poc_exchange_duration poc_validation_delay"
            " poc_validation_duration set_new_validators_delay inference_validation_cutoff"
            " inference_pruning_epoch_threshold inference_pruning_max poc_pruning_max",
        ),
        ("poc_slot_allocation", DECIMAL),
        ("confirmation_poc_safety_window", I64),
    ),
    "validation_params": _message(
        ("false_positive_rate", DECIMAL),
        ("min_ramp_up_measurements", I32),
        *_all(DECIMAL, "pass_value min_validation_average max_validation_average"),
        *_all(I64, "expiration_blocks epochs_to_max full_validation_traffic_cutoff"),
        ("min_validation_halfway", DECIMAL),
        ("min_validation_traffic_cutoff", I64),
        *_all(DECIMAL, "miss_percentage_cutoff miss_requests_penalty"),
        *_all(I64, "timestamp_expiration timestamp_advance estimated_limits_per_block_kb"),
        *_all(
            DECIMAL,
            "invalid_reputation_preserve bad_participant_invalidation_rate invalidation_h_threshold"
            " downtime_good_percentage downtime_bad_percentage downtime_h_threshold"
            " downtime_reputation_preserve quick_failure_threshold binom_test_p0",
        ),
        ("claim_validation_enabled", BOOL),
        ("logprobs_mode", TEXT),
    ),
    "poc_params": _message(
        *_all(I32, "default_difficulty validation_sample_size"),
        ("poc_data_pruning_epoch_threshold", I64),
        ("weight_scale_factor", DECIMAL),
        ("model_params", _POC_MODEL),
        ("model_id", TEXT),
        ("seq_len", I64),
        *_all(BOOL, "poc_v2_enabled confirmation_poc_v2_enabled"),
        ("stat_test", _STAT_TEST),
        ("validation_slots", I32),
        *_all(BOOL, "poc_normalization_enabled poc_stronger_rng_enabled"),
        (
            "models*",
            _message(
                ("model_id", TEXT),
                ("seq_len", I64),
                ("stat_test", _STAT_TEST),
                ("weight_scale_factor", DECIMAL),
                ("penalty_start_epoch", I64),
            ),
        ),
    ),
    "tokenomics_params": _message(
        *_all(
            DECIMAL,
            "subsidy_reduction_interval subsidy_reduction_amount current_subsidy_percentage",
        ),
        *_all(I64, "work_vesting_period reward_vesting_period"),
        work_vesting_period=6,
    ),
    "collateral_params": _message(
        *_all(
            DECIMAL,
            "slash_fraction_invalid slash_fraction_downtime downtime_missed_percentage_threshold",
        ),
        ("grace_period_end_epoch", I64),
        *_all(DECIMAL, "base_weight_ratio collateral_per_weight_unit"),
    ),
    "bitcoin_reward_params": _message(
        ("use_bitcoin_rewards", BOOL),
        ("initial_epoch_reward", I64),
        ("decay_rate", DECIMAL),
        ("genesis_epoch", I64),
        *_all(
            DECIMAL,
            "utilization_bonus_factor full_coverage_bonus_factor partial_coverage_bonus_factor",
        ),
    ),
    "dynamic_pricing_params": _message(
        *_all(DECIMAL, "stability_zone_lower_bound stability_zone_upper_bound price_elasticity"),
        *_all(
            I64,
            "utilization_window_duration min_per_token_price base_per_token_price"
            " grace_period_end_epoch grace_period_per_token_price",
        ),
    ),
    "bandwidth_limits_params": _message(
        ("estimated_limits_per_block_kb", I64),
        *_all(DECIMAL, "kb_per_input_token kb_per_output_token"),
        *_all(I64, "invalidations_limit invalidations_sample_period invalidations_limit_curve"),
        ("minimum_concurrent_invalidations", I32),
        ("max_inferences_per_block", I64),
    ),
    "confirmation_poc_params": _message(
        ("expected_confirmations_per_epoch", I64),
        *_all(DECIMAL, "alpha_threshold slash_fraction"),
        ("upgrade_protection_window", I64),
    ),
    "genesis_guardian_params": _message(
        *_all(I64, "network_maturity_threshold network_maturity_min_height"),
        ("guardian_addresses*", TEXT),
    ),
    "developer_access_params": _message(
        ("until_block_height", I64), ("allowed_developer_addresses*", TEXT)
    ),
    "participant_access_params": _message(
        ("new_participant_registration_start_height", I64),
        ("blocked_participant_addresses*", TEXT),
        ("use_participant_allowlist", BOOL),
        ("participant_allowlist_until_block_height", I64),
    ),
    "transfer_agent_access_params": _message(("allowed_transfer_addresses*", TEXT)),
    "devshard_escrow_params": _message(
        *_all(I64, "min_amount max_amount"),
        *_all(I32, "max_escrows_per_epoch group_size"),
        ("allowed_creator_addresses*", TEXT),
        ("token_price", I64),
        ("approved_versions*", _message(*_all(TEXT, "name binary sha256"))),
        ("max_nonce", I32),
        ("devshard_requests_enabled", BOOL),
        *_all(I32, "default_inference_seal_grace_nonces default_inference_seal_grace_seconds"),
        *_all(I64, "create_devshard_fee fee_per_nonce refusal_timeout execution_timeout"),
        *_all(I32, "validation_rate vote_threshold_factor default_auto_seal_every_n_nonces"),
    ),
    "fee_params": _message(
        *_all(I64, "min_gas_price_ngonka base_validation_gas gas_per_poc_count")
    ),
    "delegation_params": _message(
        ("deploy_window", I64),
        *_all(DECIMAL, "refusal_penalty no_participation_penalty delegation_share w_threshold"),
        ("v_min", I64),
        ("cap_factor", DECIMAL),
        ("initial_model_id", TEXT),
        ("max_model_voting_power_percentage", DECIMAL),
    ),
}
_ESCROW = _message(
    ("id", I64),
    ("creator", TEXT),
    ("amount", I64),
    ("slots*", TEXT),
    ("epoch_index", I64),
    ("app_hash", TEXT),
    ("settled", BOOL),
    ("token_price", I64),
    ("model_id", TEXT),
    *_all(I64, "create_devshard_fee fee_per_nonce"),
    *_all(I32, "inference_seal_grace_nonces inference_seal_grace_seconds auto_seal_every_n_nonces"),
    *_all(I32, "validation_rate? vote_threshold_factor?"),
)
ANY = _message(("type_url", TEXT), ("value", BYTES))
PUBLIC_KEY = _message(("key", BYTES))
BASE_ACCOUNT = _message(
    ("address", TEXT), ("pub_key", ANY), ("account_number", I64), ("sequence", I64)
)
BASE_ACCOUNT_TYPE = "/cosmos.auth.v1beta1.BaseAccount"

_STATS = _message(
    *_all(
        I64,
        "inference_count missed_requests earned_coins rewarded_coins burned_coins"
        " validated_inferences invalidated_inferences",
    )
)
_PARTICIPANT = _message(
    *_all(TEXT, "index address"),
    ("weight", I32),
    *_all(I64, "join_time join_height last_inference_time"),
    ("inference_url", TEXT),
    ("status", I32),
    ("coin_balance", I64),
    ("validator_key", TEXT),
    ("consecutive_invalid_inferences", I64),
    ("worker_public_key", TEXT),
    ("epochs_completed", I32),
    ("current_epoch_stats", _STATS),
)
_WEIGHT = _message(
    ("member_address", TEXT),
    ("weight", I64),
    ("reputation", I32),
    ("ml_nodes*", _message(("node_id", TEXT), *_all(I64, "throughput poc_weight"))),
    *_all(I64, "confirmation_weight voting_power"),
)
_EPOCH_GROUP = _message(
    *_all(I64, "poc_start_block_height epoch_group_id"),
    ("epoch_policy", TEXT),
    *_all(I64, "effective_block_height last_block_height"),
    ("validation_weights*", _WEIGHT),
    *_all(I64, "unit_of_compute_price number_of_requests previous_epoch_requests total_weight"),
    ("model_id", TEXT),
    ("sub_group_models*", TEXT),
    *_all(I64, "epoch_index total_throughput"),
    validation_weights=8,
    total_weight=13,
    total_throughput=18,
)
_PRESERVED = _message(
    ("episode_anchor_height", I64),
    (
        "model_preserved_nodes*",
        _message(("model_id", TEXT), ("preserved_node_ids*", TEXT)),
    ),
)
_EVENT = _message(
    ("type", TEXT),
    ("attributes*", _message(*_all(TEXT, "key value"), ("index", BOOL))),
)
_TX = _message(
    ("height", I64),
    *_all(TEXT, "txhash codespace"),
    ("code", I32),
    *_all(TEXT, "data raw_log info"),
    *_all(I64, "gas_wanted gas_used"),
    ("tx", ANY),
    ("timestamp", TEXT),
    ("events*", _EVENT),
    info=8,
)
# Questions and answers of the transaction service.
BROADCAST_REQUEST = _message(("tx_bytes", BYTES), ("mode", I32))
BROADCAST_RESPONSE = _message(("tx_response", _TX))
TX_REQUEST = _message(("hash", TEXT))
TX_RESPONSE = _message(("tx", BYTES), ("tx_response", _TX))

PARAMS = "/inference.inference.Query/Params"
ESCROW = "/inference.inference.Query/DevshardEscrow"
PARTICIPANT = "/inference.inference.Query/Participant"
EPOCH_GROUP = "/inference.inference.Query/EpochGroupData"
GRANTEES = "/inference.inference.Query/GranteesByMessageType"
EPOCH_INFO = "/inference.inference.Query/EpochInfo"
PRESERVED = "/inference.inference.Query/PreservedNodesSnapshot"
BALANCES = "/cosmos.bank.v1beta1.Query/AllBalances"
ACCOUNT = "/cosmos.auth.v1beta1.Query/Account"
# Question and answer of each.
QUERIES: dict[str, tuple[Message, Message]] = {
    PARAMS: (_message(), _message(("params", _message(*_PARAMS.items())))),
    ESCROW: (_message(("id", I64)), _message(("escrow", _ESCROW), ("found", BOOL))),
    PARTICIPANT: (_message(("index", TEXT)), _message(("participant", _PARTICIPANT))),
    EPOCH_GROUP: (
        _message(("epoch_index", I64), ("model_id", TEXT)),
        _message(("epoch_group_data", _EPOCH_GROUP)),
    ),
    GRANTEES: (
        _message(*_all(TEXT, "granter_address message_type_url")),
        _message(("grantees*", _message(*_all(TEXT, "address pub_key")))),
    ),
    EPOCH_INFO: (
        _message(),
        _message(
            ("block_height", I64),
            ("params", _message(*_PARAMS.items())),
            ("latest_epoch", _message(*_all(I64, "index poc_start_block_height"))),
            ("is_confirmation_poc_active", BOOL),
        ),
    ),
    PRESERVED: (_message(), _message(("snapshot", _PRESERVED), ("found", BOOL))),
    BALANCES: (
        _message(("address", TEXT)),
        _message(
            ("balances*", _message(*_all(TEXT, "denom amount"))),
            ("pagination", _message(("next_key", BYTES), ("total", I64))),
        ),
    ),
    ACCOUNT: (_message(("address", TEXT)), _message(("account", ANY))),
}


def encode(message: Message, data: Mapping[str, Any]) -> bytes:
    """Proto JSON to bytes; defaults are left out."""
    raw = b""
    for name, field in message.fields.items():
        value = data.get(name)
        if value is None:
            continue
        for entry in value if field.many else [value]:
            raw += _encode_one(field, entry)
    return raw


def _encode_one(field: Field, value: Any) -> bytes:
    number, kind = field.number, field.kind
    if isinstance(kind, Message):
        # a version may be written as its bare name
        body = value if isinstance(value, Mapping) else {"name": value}
        return txs.field_message(number, encode(kind, body))
    if kind in (TEXT, BYTES):
        raw = str(value).encode() if kind == TEXT else txs.unb64(value)
        return txs.field_message(number, raw) if field.many else txs.field_bytes(number, raw)
    return txs.field_varint(number, int(value))


def decode(message: Message, raw: bytes) -> Data:
    """Bytes to proto JSON with its defaults."""
    data: Data = {
        name: _default(field) for name, field in message.fields.items() if not field.newer
    }
    names = {field.number: name for name, field in message.fields.items()}
    for number, value in txs.fields_of(raw):
        name = names.get(number)
        if name is None:
            continue
        field = message.fields[name]
        found = _decode_one(field, value)
        if field.many:
            data[name].append(found)
        else:
            data[name] = found
    return data


def _default(field: Field) -> Any:
    if field.many:
        return []
    if isinstance(field.kind, Message):
        return None
    return {I64: "0", I32: 0, BOOL: False, TEXT: "", BYTES: None}[field.kind]


def _decode_one(field: Field, value: int | bytes) -> Any:
    kind = field.kind
    if isinstance(value, bytes):
        if isinstance(kind, Message):
            return decode(kind, value)
        if kind == TEXT:
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                raise txs.TxDecodeError("string field is not UTF-8") from error
        if kind == BYTES:
            return txs.b64(value)
    elif kind == BOOL:
        return bool(value)
    elif kind in (I64, I32):
        signed = value - (_SIGN << 1) if value >= _SIGN else value
        return str(signed) if kind == I64 else signed
    raise txs.TxDecodeError(f"unexpected wire type in field {field.number}")
