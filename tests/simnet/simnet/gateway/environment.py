# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the process reads from its environment: each start, and only at the first one."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simnet.gateway import settings as settings_of
from simnet.gateway.generation import Generation, UnknownGenerationError, generation_of
from simnet.gateway.goish import ApiError, Struct, decode, parse

LOG = logging.getLogger("devshardctl")
FAILURES = ("", "exit", "unhealthy", "deactivate")
DEFAULT_TX_QUERY = "http://node1.gonka.ai:8000/chain-api"
DEFAULT_GAS = 500_000
DEFAULT_FEE = 1_000_000


class FatalError(Exception):
    """The process ends with status 1 and this text."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times that only tests change; the defaults are the real gateway's."""

    poll_seconds: float = 5.0
    rotation_seconds: float = 15.0
    balance_seconds: float = 30.0
    chain_timeout: float = 10.0
    public_timeout: float = 5.0
    host_timeout: float = 30.0
    signature_retry_seconds: float = 2.0
    auto_settle_seconds: float = 10.0
    nonce_limit: int = 19_800
    low_balance: int = 1_000_000
    cache_seconds: float = 3600.0
    # how long a store stays open after its runtime is gone
    close_seconds: float = 0.0
    sync_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that is read at each start."""

    variables: Mapping[str, str]
    generation: Generation
    chain_grpc: str
    chain_rpc: str
    chain_tls: bool
    # nothing: no accounting
    stats_port: int | None
    port: int
    host: str
    storage: Path
    admin_key: str
    api_keys: tuple[str, ...]
    poc_relaxed: bool
    capacity_aware: bool
    tuning: Tuning
    faults_port: int | None
    faults_host: str
    fail: str
    image_version: str
    points: str

    def get(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, "").strip()
    if not text:
        return default
    match = re.match(r"[+-]?\d+", text)
    if match is None:
        LOG.info("invalid %s=%r, using %d", name, text, default)
        return default
    return int(match[0])


def _positive_ms(variables: Mapping[str, str], name: str, default: int) -> float:
    value = _number(variables, name, default)
    return (value if value > 0 else default) / 1000


def _flag(variables: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = variables.get(name, "").strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if text:
        LOG.info("invalid %s=%r, using %s", name, text, default)
    return default


def storage_dir(variables: Mapping[str, str]) -> Path:
    if variables.get("DEVSHARD_STORAGE_DIR"):
        return Path(variables["DEVSHARD_STORAGE_DIR"])
    path = variables.get("DEVSHARD_STORAGE_PATH")
    if path:
        whole = Path(path)
        return whole.parent if whole.name == "state.db" else whole
    return Path(variables.get("HOME") or "/tmp") / ".cache" / "gonka"


def _tuning(variables: Mapping[str, str]) -> Tuning:
    given: dict[str, t.Any] = {}
    for field in dataclasses.fields(Tuning):
        text = variables.get(f"SIMNET_{field.name.upper()}")
        if text:
            given[field.name] = int(text) if isinstance(field.default, int) else float(text)
    return Tuning(**given)


def read_environment(variables: Mapping[str, str]) -> Environment:
    mode = variables.get("DEVSHARD_POC_REQUEST_MODE", "").strip().lower()
    if mode not in ("", "off", "relaxed"):
        LOG.info("unknown DEVSHARD_POC_REQUEST_MODE %r, using off", mode)
    keys = variables.get("DEVSHARD_API_KEYS", "").split(",")
    fail = variables.get("SIMNET_FAIL", "")
    if fail not in FAILURES:
        raise FatalError(f"SIMNET_FAIL must be one of {', '.join(FAILURES)}")
    faults_port = variables.get("SIMNET_FAULTS_PORT", "")
    try:
        generation = generation_of(
            variables.get("SIMNET_GATEWAY", ""), variables.get("SIMNET_FACE", "")
        )
    except UnknownGenerationError as error:
        raise FatalError(str(error)) from error
    capacity = variables.get("DEVSHARD_CAPACITY_AWARE_LIMITS", "").strip().lower()
    return Environment(
        variables=dict(variables),
        generation=generation,
        chain_grpc=variables.get("DEVSHARD_CHAIN_GRPC")
        or variables.get("NODE_GRPC_URL")
        or "localhost:9090",
        chain_rpc=variables.get("DEVSHARD_CHAIN_RPC") or variables.get("NODE_RPC_URL", ""),
        stats_port=(
            _number(variables, "DEVSHARD_STATS_PORT", 9091)
            if generation.accounting and _flag(variables, "DEVSHARD_STATS_ENABLED", True)
            else None
        ),
        chain_tls=variables.get("CHAIN_GRPC_TLS", "").strip().lower() in ("1", "true", "yes"),
        port=_number(variables, "DEVSHARD_PORT", 8080),
        host=variables.get("SIMNET_HOST", "0.0.0.0"),
        storage=storage_dir(variables),
        admin_key=variables.get("DEVSHARD_ADMIN_API_KEY", ""),
        api_keys=tuple(key.strip() for key in keys if key.strip()),
        poc_relaxed=mode == "relaxed",
        capacity_aware=capacity in ("1", "true", "on", "yes"),
        tuning=_tuning(variables),
        faults_port=int(faults_port) if faults_port else None,
        faults_host=variables.get("SIMNET_FAULTS_HOST", "127.0.0.1"),
        fail=fail,
        image_version=variables.get("SIMNET_IMAGE_VERSION", ""),
        points=variables.get("SIMNET_POINTS", ""),
    )


@dataclass(frozen=True, slots=True)
class TxOptions:
    """How transactions are paid, sent and looked for; read for each one."""

    chain_id: str
    fee_denom: str
    fee_amount: int
    gas_limit: int
    query_rest: str
    poll_seconds: float
    poll_timeout: float


def tx_options(environment: Environment, body: Mapping[str, t.Any], stored_gas: int) -> TxOptions:
    variables = environment.variables
    return TxOptions(
        chain_id=body.get("chain_id")
        or variables.get("DEVSHARD_CHAIN_ID", "")
        or environment.generation.default_chain_id,
        fee_denom=body.get("fee_denom") or variables.get("DEVSHARD_TX_FEE_DENOM") or "ngonka",
        fee_amount=body.get("fee_amount")
        or _number(variables, "DEVSHARD_TX_FEE_AMOUNT", 0)
        or DEFAULT_FEE,
        gas_limit=body.get("gas_limit")
        or stored_gas
        or _number(variables, "DEVSHARD_TX_GAS_LIMIT", 0)
        or DEFAULT_GAS,
        query_rest=variables.get("DEVSHARD_TX_QUERY_REST") or DEFAULT_TX_QUERY,
        poll_seconds=_positive_ms(variables, "DEVSHARD_TX_POLL_INTERVAL_MS", 2000),
        poll_timeout=_positive_ms(variables, "DEVSHARD_TX_POLL_TIMEOUT_MS", 45000),
    )


# --- first start ---------------------------------------------------------------

_ENTRY = Struct(
    "devshardConfig",
    dict.fromkeys(
        ("id", "private_key", "private_key_env", "model", "storage_path", "protocol_version"),
        "string",
    ),
)


def _urls(generation: Generation) -> dict[str, str]:
    """Settings that are addresses, and their variables."""
    urls = {"public_api": "DEVSHARD_PUBLIC_API"}
    return {"chain_rest": "DEVSHARD_CHAIN_REST", **urls} if generation.chain == "rest" else urls


@dataclass(frozen=True, slots=True)
class Bootstrap:
    settings: settings_of.Settings
    devshards: list[dict[str, t.Any]]


def _list(text: str, name: str, kind: Struct) -> list[dict[str, t.Any]]:
    try:
        value = parse(text.encode())
    except ValueError as error:
        raise FatalError(f"parse {name}: {error}") from error
    if not isinstance(value, list):
        raise FatalError(f"parse {name}: json: cannot unmarshal into a list")
    try:
        return [decode(json.dumps(entry).encode(), kind) for entry in value]
    except ApiError as error:
        raise FatalError(f"parse {name}: {error}") from error


def without_api(text: str) -> bool:
    return text.strip().lower() in ("none", "disabled")


def refill_urls(settings: settings_of.Settings, environment: Environment) -> None:
    """Blank URLs in the database are taken from the environment, at every start."""
    if environment.generation.api_may_be_none and without_api(
        environment.get("DEVSHARD_PUBLIC_API")
    ):
        # The word wins at every start and is kept; a URL later does not undo it.
        settings["public_api"] = "none"
    for field, name in _urls(environment.generation).items():
        if not settings[field]:
            settings[field] = environment.get(name) or settings_of.DEFAULTS[field]


def bootstrap(environment: Environment) -> Bootstrap:
    """Settings and devshards of a first start. Nothing of it is validated."""
    variables = environment.variables
    settings = settings_of.defaults(environment.generation)
    for field, name in _urls(environment.generation).items():
        settings[field] = variables.get(name) or settings[field]
    settings["default_model"] = variables.get("DEVSHARD_MODEL") or settings["default_model"]
    for field, name in (
        ("default_request_max_tokens", "GATEWAY_DEFAULT_MAX_TOKENS"),
        ("request_max_tokens_cap", "GATEWAY_MAX_TOKENS_CAP"),
        ("max_concurrent_requests", "GATEWAY_MAX_CONCURRENT_REQUESTS"),
        (
            "max_concurrent_requests_per_10000_weight",
            "GATEWAY_MAX_CONCURRENT_REQUESTS_PER_10000_WEIGHT",
        ),
        (
            "poc_max_concurrent_requests_per_10000_weight",
            "GATEWAY_POC_MAX_CONCURRENT_REQUESTS_PER_10000_WEIGHT",
        ),
        ("max_input_tokens_in_flight", "GATEWAY_MAX_INPUT_TOKENS_IN_FLIGHT"),
        ("tx_gas_limit", "DEVSHARD_TX_GAS_LIMIT"),
    ):
        settings[field] = _number(variables, name, settings[field])
    disabled = settings["disabled"]
    disabled["enabled"] = _flag(variables, "DEVSHARD_GATEWAY_DISABLED")
    disabled["message"] = variables.get("DEVSHARD_GATEWAY_DISABLED_MESSAGE") or disabled["message"]
    disabled["new_url"] = variables.get("DEVSHARD_GATEWAY_DISABLED_NEW_URL", "")
    rotation = settings["escrow_rotation"]
    prefix = "DEVSHARD_ESCROW_ROTATION_"
    rotation["enabled"] = _flag(variables, prefix + "ENABLED")
    rotation["settlement_enabled"] = _flag(variables, prefix + "SETTLEMENT_ENABLED")
    rotation["pre_poc_blocks"] = _number(
        variables, prefix + "PRE_POC_BLOCKS", rotation["pre_poc_blocks"]
    )
    models = variables.get(prefix + "MODELS_JSON", "")
    if models.strip():
        kind = t.cast(Struct, settings_of.REQUEST.fields["escrow_rotation"]).fields["models"][0]
        entries = _list(models, prefix + "MODELS_JSON", kind)
        settings = settings_of.merged(settings, {"escrow_rotation": {"models": entries}})
    return Bootstrap(settings_of.stored(settings), _devshards(environment, settings))


def _devshards(environment: Environment, settings: settings_of.Settings) -> list[dict[str, t.Any]]:
    variables = environment.variables
    text = variables.get("DEVSHARDS_JSON", "")
    if text.strip():
        entries = _list(text, "DEVSHARDS_JSON", _ENTRY)
    else:
        key = variables.get("DEVSHARD_PRIVATE_KEY", "")
        if not key:
            raise FatalError("--private-key flag or DEVSHARD_PRIVATE_KEY env var required")
        escrow = variables.get("DEVSHARD_ESCROW_ID", "")
        if not escrow:
            raise FatalError("--escrow-id flag or DEVSHARD_ESCROW_ID env var required")
        entries = [{"id": escrow, "private_key_env": "DEVSHARD_PRIVATE_KEY"}]
    for entry in entries:
        if not entry.get("id"):
            raise FatalError("DEVSHARDS_JSON: id is required")
        entry.setdefault("model", settings["default_model"])
        entry.setdefault("storage_path", str(environment.storage / f"escrow-{entry['id']}"))
    return entries
