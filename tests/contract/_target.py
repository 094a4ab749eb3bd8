# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the suite is pointed at: the variables ``DEVSHARD_TEST_*``, or a simulator of its own."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.gonka.devshard.tests.contract._profile import (
    CHAINS,
    V2,
    Profile,
    ProfileError,
    chosen,
    chosen_chain,
)
from ansible_collections.gonka.devshard.tests.money.network import ROOT, Process

PREFIX: t.Final = "DEVSHARD_TEST_"
FAULTS: t.Final = f"{PREFIX}FAULTS_URL"
GATEWAY_FAULTS: t.Final = f"{PREFIX}GATEWAY_FAULTS_URL"
# One more variable for the suite's own simulated gateway, NAME=VALUE, separated by blanks.
SIMULATED: t.Final = f"{PREFIX}SIMULATED_GATEWAY"
REQUIRED: t.Final = (
    "GATEWAY_URL",
    "CHAIN_REST",
    "CHAIN_RPC",
    "PUBLIC_API",
    "ADMIN_KEY",
    "API_KEY",
    "CREATOR_KEY",
    "MODEL",
    "AMOUNT",
    "INFERENCED",
)
# Only how often it looks is shorter than with the real gateway. Its time limits are the real ones:
# a test that needs one to pass says so to the gateway's clock.
_FAST: t.Final = (
    "SIMNET_POLL_SECONDS=0.3",
    "SIMNET_ROTATION_SECONDS=0.3",
    "SIMNET_SIGNATURE_RETRY_SECONDS=0.05",
)


class TargetError(Exception):
    """The variables do not make sense."""


@dataclass(frozen=True, kw_only=True)
class Target:
    gateway: str
    chain_rest: str
    chain_rpc: str
    public_api: str
    admin_key: str
    api_key: str
    creator_key: str
    model: str
    amount: int
    inferenced: str
    faults: str | None
    gateway_faults: str | None = None
    profile: Profile = V2
    chain: str = CHAINS[0]


def from_environment(environment: Mapping[str, str]) -> Target | None:
    """None when not one variable is set."""
    given = {name: environment.get(PREFIX + name, "") for name in REQUIRED}
    faults, gateway_faults = environment.get(FAULTS, ""), environment.get(GATEWAY_FAULTS, "")
    if not any(given.values()) and not faults and not gateway_faults:
        return None
    missing = [PREFIX + name for name, value in given.items() if not value]
    if missing:
        raise TargetError(f"set all or none: {', '.join(missing)} is missing")
    if not given["AMOUNT"].isdigit():
        raise TargetError(f"{PREFIX}AMOUNT must be a whole number of ngonka")
    return Target(
        gateway=given["GATEWAY_URL"],
        chain_rest=given["CHAIN_REST"],
        chain_rpc=given["CHAIN_RPC"],
        public_api=given["PUBLIC_API"],
        admin_key=given["ADMIN_KEY"],
        api_key=given["API_KEY"],
        creator_key=given["CREATOR_KEY"],
        model=given["MODEL"],
        amount=int(given["AMOUNT"]),
        inferenced=given["INFERENCED"],
        faults=faults or None,
        gateway_faults=gateway_faults or None,
        **_expected(environment),
    )


def _expected(environment: Mapping[str, str]) -> dict[str, t.Any]:
    try:
        return {"profile": chosen(environment), "chain": chosen_chain(environment)}
    except ProfileError as exc:
        raise TargetError(str(exc)) from exc


@contextmanager
def simulator(folder: Path) -> Iterator[Target]:
    """A network and a gateway in a process group of their own."""
    more = os.environ.get(SIMULATED, "").split()
    argv = [sys.executable, "-m", "simnet", "run", "--dir", str(folder / "state")]
    expected = _expected(os.environ)
    profile = expected["profile"]
    argv += ["--gateway", profile.name, "--chain", expected["chain"]]
    argv += ["--face", profile.face] if profile.face else []
    argv += ["--block-interval", "0.2", *[f"--gateway-env={entry}" for entry in (*_FAST, *more)]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "simnet")}
    process = Process(argv, environment, folder / "simulator.log")
    try:
        text = process.first_line()
        if not text:
            raise TargetError((folder / "simulator.log").read_text()[-4000:])
        line = json.loads(text)
        yield Target(
            gateway=line["gateway"],
            chain_rest=line["chain_rest"],
            chain_rpc=line["chain_rpc"],
            public_api=line["public_api"],
            admin_key=line["admin_key"],
            api_key=line["api_key"],
            creator_key=line["creator_key"],
            model=line["models"][0],
            amount=line["amount"],
            inferenced=line["inferenced"],
            faults=line["faults"],
            gateway_faults=line["gateway_faults"],
            **expected,
        )
    finally:
        process.stop()
