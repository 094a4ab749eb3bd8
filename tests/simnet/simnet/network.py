# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What a simulated network consists of at its start: accounts, models, hosts."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from simnet import crypto
from simnet.chainrelease import V0_2_13, ChainRelease

DEFAULT_CHAIN_ID = "gonka-sim"
DEFAULT_MODELS = ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "moonshotai/Kimi-K2-Instruct")
RETIRED_MODEL = "Qwen/QwQ-32B"
DEFAULT_AMOUNT = 5_000_000_000
DEFAULT_BALANCE = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Model:
    """A model that governance knows; only an active one has hosts in this epoch."""

    id: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Host:
    """A simulated host with its own validator key."""

    index: int
    key: crypto.PrivateKey
    address: str


@dataclass(slots=True)
class NetworkConfig:
    chain_id: str = DEFAULT_CHAIN_ID
    release: ChainRelease = V0_2_13
    start_height: int = 4_710_000
    epoch_index: int = 214
    hosts: int = 12
    hosts_per_escrow: int = 9
    balances: dict[str, int] = field(default_factory=dict)
    allowlist: list[str] = field(default_factory=list)
    models: list[Model] = field(
        default_factory=lambda: [
            *(Model(name) for name in DEFAULT_MODELS),
            Model(RETIRED_MODEL, active=False),
        ]
    )


def default_params(release: ChainRelease) -> dict[str, Any]:
    """The parameters that a chain of v0.2.13 answered, allowlist emptied, and what came later."""
    text = resources.files("simnet").joinpath("data/params.json").read_text()
    params: dict[str, Any] = json.loads(text)
    return merged(params, release.params or {})


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects are merged; lists and values replace."""
    result = dict(base)
    for key, value in patch.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both and isinstance(old, Mapping) else value
    return result


def creator_key(chain_id: str) -> crypto.PrivateKey:
    """The funded creator of a simulated chain; worthless anywhere else."""
    return crypto.PrivateKey.from_seed(f"{chain_id}/creator")


def make_hosts(config: NetworkConfig) -> list[Host]:
    hosts = []
    for index in range(config.hosts):
        key = crypto.PrivateKey.from_seed(f"{config.chain_id}/host/{index}")
        hosts.append(Host(index, key, key.address))
    return hosts


def slots_of(config: NetworkConfig, hosts: list[Host], escrow_id: int, size: int) -> list[str]:
    """Draw the group of an escrow: ``size`` slots over a part of the hosts.

    Depends on the escrow's id alone, so that a restarted network draws the same.
    """
    seed = hashlib.sha256(f"{config.chain_id}/escrow/{escrow_id}".encode()).digest()
    draw = random.Random(seed)
    members = draw.sample(hosts, min(config.hosts_per_escrow, len(hosts), size))
    group = members + [draw.choice(members) for _unused in range(size - len(members))]
    draw.shuffle(group)
    return [host.address for host in group]
