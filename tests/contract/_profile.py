# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the suite expects of the gateway and of the chain that it is pointed at."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansible_collections.gonka.devshard.tests.contract._shape import GATEWAY, GATEWAY_4_1, Rules

VARIABLE: t.Final = "DEVSHARD_TEST_PROFILE"
CHAIN_VARIABLE: t.Final = "DEVSHARD_TEST_CHAIN"
CHAINS: t.Final = ("v0.2.13", "v0.2.16")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A generation of the gateway."""

    name: str
    rules: Rules = GATEWAY
    # of the simulated gateway
    face: str = ""
    # below recordings/, empty: those at its top
    folder: str = ""
    # what its recordings were made with
    other_model: str = "moonshotai/Kimi-K2-Instruct"
    creator: str = "gonka17cn3h2092t8nec7meke592jzwz6seza8367yt9"
    # recorded ids of escrows by what made them
    life: Mapping[str, str] | None = None
    activates: bool = True
    # deactivating takes an escrow out of memory, settling takes it from its files
    unloads: bool = True
    # of the admin's state, after those that all have
    state_keys: tuple[str, ...] = ()
    # of a status without any runtime, besides
    nothing_loaded: tuple[str, ...] = ()
    # settings that are told and not stored
    told: tuple[str, ...] = ()
    no_path: str = "storage_path is required for import"
    # after "fetch account", when the chain does not have it
    no_account: str = r"GET /cosmos/auth/v1beta1/accounts/{} status 404: .*"


V2: t.Final = Profile(name="v2", activates=False, unloads=False)
V3: t.Final = Profile(
    name="v3",
    folder="v3",
    other_model="Qwen/Qwen3-32B-FP8",
    creator="gonka10xcqpzrky6eff2g52qdye53xkk9jxkvr34az8p",
    life={
        "create_default_model": "27",
        "create_two": "28",
        "create_other_model": "29",
        "create_prefix_bad": "30",
        "create_no_register": "31",
    },
    state_keys=("suspicious_hosts",),
)
V4: t.Final = replace(
    V3,
    name="v4",
    folder="v4",
    life={
        "create_default_model": "32",
        "create_two": "33",
        "create_other_model": "34",
        # refused when its deposit was locked already
        "create_prefix_bad": "35",
        "create_no_register": "36",
    },
    state_keys=(),
    told=("chain_grpc",),
    no_path="storage_path is required",
    no_account=r"rpc error: code = NotFound desc = account {} not found: .*",
)
# nothing was recorded of it; `v4.1:late` and `v4.1:4.0` are other faces of the simulated one
V4_1: t.Final = replace(V4, name="v4.1", folder="", life=None, rules=GATEWAY_4_1)
PROFILES: t.Final[Mapping[str, Profile]] = {
    **{each.name: each for each in (V2, V3, V4, V4_1)},
    "v4.1:late": replace(V4_1, face="late", nothing_loaded=("phase", "error")),
    "v4.1:4.0": replace(V4_1, face="4.0"),
}


class ProfileError(Exception):
    """No such profile."""


def chosen(environment: Mapping[str, str]) -> Profile:
    name = environment.get(VARIABLE) or "v2"
    if name not in PROFILES:
        raise ProfileError(f"{VARIABLE} must be one of {', '.join(PROFILES)}")
    return PROFILES[name]


def chosen_chain(environment: Mapping[str, str]) -> str:
    name = environment.get(CHAIN_VARIABLE) or CHAINS[0]
    if name not in CHAINS:
        raise ProfileError(f"{CHAIN_VARIABLE} must be one of {', '.join(CHAINS)}")
    return name
