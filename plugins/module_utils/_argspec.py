# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Argument specs in parts that modules merge; each part has its documentation fragment.

Beside each part stands what a module reads of it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ._chain.limits import MAX_BLOCK_AGE
from ._gateway.profiles import DEFAULT_PROFILE
from ._swap.steps import Step

STATE_DIR: t.Final = "/var/lib/gonka-devshard"

Options = dict[str, dict[str, t.Any]]
Names = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ArgumentSpec:
    options: Options
    mutually_exclusive: Names = ()
    required_together: Names = ()
    required_one_of: Names = ()
    required_if: tuple[tuple[t.Any, ...], ...] = ()
    required_by: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        """All parts together; an option may come from one part only."""
        merged = self
        for other in others:
            twice = set(merged.options) & set(other.options)
            if twice:
                raise ValueError(f"options given twice: {', '.join(sorted(twice))}")
            merged = ArgumentSpec(
                options={**merged.options, **other.options},
                mutually_exclusive=merged.mutually_exclusive + other.mutually_exclusive,
                required_together=merged.required_together + other.required_together,
                required_one_of=merged.required_one_of + other.required_one_of,
                required_if=merged.required_if + other.required_if,
                required_by={**merged.required_by, **other.required_by},
            )
        return merged

    def to_kwargs(self) -> dict[str, t.Any]:
        return {
            "argument_spec": self.options,
            "mutually_exclusive": [list(names) for names in self.mutually_exclusive],
            "required_together": [list(names) for names in self.required_together],
            "required_one_of": [list(names) for names in self.required_one_of],
            "required_if": [list(rule) for rule in self.required_if],
            "required_by": {key: list(names) for key, names in self.required_by.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpOptions:
    request_timeout: int
    validate_certs: bool
    ca_path: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayOptions:
    gateway_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileOptions:
    """A module that never speaks with a gateway has no option for it."""

    gateway_profile: str = DEFAULT_PROFILE
    gateway_protocol: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvFileOptions:
    env_file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainOptions:
    chain_rest: str
    public_api: str
    chain_id: str
    max_block_age: int
    chain_rpc: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InferencedOptions:
    inferenced_path: str
    inferenced_home: str
    keyring_dir: str
    key_name: str
    chain_rpc: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerOptions:
    ledger_path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitOptions:
    wait_timeout: int
    wait_interval: float


def http() -> ArgumentSpec:
    """Fragment ``_http``."""
    return ArgumentSpec(
        options={
            "request_timeout": {"type": "int", "default": 10},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
        }
    )


def generation() -> ArgumentSpec:
    """Fragment ``_generation``: which generation the gateway is of, and its protocol."""
    return ArgumentSpec(
        options={
            "gateway_profile": {"type": "str", "default": DEFAULT_PROFILE},
            "gateway_protocol": {"type": "str"},
        }
    )


def admin() -> ArgumentSpec:
    """Fragment ``_admin``: the gateway's admin API."""
    return ArgumentSpec(
        options={
            "gateway_url": {"type": "str", "default": "http://127.0.0.1:18080"},
            "env_file": {
                "type": "path",
                "default": "/srv/gonka/devshard-gateway/config.devshard.env",
            },
            "admin_api_key": {"type": "str", "no_log": True},
        }
    )


def chain() -> ArgumentSpec:
    """Fragment ``_chain``: the chain and the public API."""
    return ArgumentSpec(
        options={
            "chain_rest": {"type": "str", "required": True},
            "chain_rpc": {"type": "str"},
            "public_api": {"type": "str", "required": True},
            "chain_id": {"type": "str", "required": True},
            "max_block_age": {"type": "int", "default": MAX_BLOCK_AGE},
        }
    )


def inferenced() -> ArgumentSpec:
    """Fragment ``_inferenced``: the program and its keyring."""
    return ArgumentSpec(
        options={
            "inferenced_path": {"type": "path", "default": "/usr/local/bin/inferenced"},
            "inferenced_home": {"type": "path", "default": f"{STATE_DIR}/inferenced"},
            "keyring_dir": {"type": "path", "default": f"{STATE_DIR}/inferenced/keyring-devshard"},
            "key_name": {"type": "str", "default": "devshard-create", "no_log": False},
        }
    )


def ledger() -> ArgumentSpec:
    """Fragment ``_ledger``."""
    return ArgumentSpec(
        options={"ledger_path": {"type": "path", "default": f"{STATE_DIR}/ledger.db"}}
    )


def gateway() -> ArgumentSpec:
    """What asks a gateway needs."""
    return admin().merge(generation(), http())


def money() -> ArgumentSpec:
    """What judges escrows needs: the gateway, the chain and what was signed."""
    return gateway().merge(chain(), ledger())


def signing() -> ArgumentSpec:
    """What pays or settles by itself needs: the same, and the program with the creator's key."""
    return money().merge(inferenced())


def environment() -> ArgumentSpec:
    """Fragment ``_environment``: what a gateway's environment file is to hold."""
    return ArgumentSpec(
        options={
            "variables": {"type": "dict", "required": True},
            "defaults": {"type": "dict", "default": {}},
            "private_key": {"type": "str", "no_log": True},
            "api_keys": {"type": "str", "no_log": True},
            "admin_api_key": {"type": "str", "no_log": True},
        }
    )


def wait(seconds: int = 300, interval: float = 2) -> ArgumentSpec:
    """Fragment ``_wait``."""
    return ArgumentSpec(
        options={
            "wait_timeout": {"type": "int", "default": seconds},
            "wait_interval": {"type": "float", "default": interval},
        }
    )


def startup() -> ArgumentSpec:
    """Fragment ``_startup``: the container that is waited for."""
    return ArgumentSpec(
        options={
            "container_name": {"type": "str", "required": True},
            "timeout_variable": {"type": "str", "default": "wait_timeout"},
        }
    )


def swap() -> ArgumentSpec:
    """Fragment ``_swap``: the journal that a step of a swap notes its work in."""
    return ArgumentSpec(
        options={
            "journal": {"type": "path"},
            "run": {"type": "str"},
            "step": {"type": "str", "choices": [step.value for step in Step]},
            "finished": {"type": "str"},
        },
        required_together=(("journal", "run"),),
    )
