# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs ``inferenced`` as an operator does: never through a shell, keys by standard input."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import subprocess
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time

FEE: t.Final = 1_000_000
GAS: t.Final = 500_000
Json = dict[str, t.Any]


@dataclass(frozen=True)
class Ran:
    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    @property
    def last(self) -> str:
        """The reason of a failure; help comes before it."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def good(self) -> str:
        assert self.rc == 0, self
        return self.stdout

    @property
    def json(self) -> t.Any:
        return json.loads(self.good())


@dataclass(frozen=True)
class Signed:
    """A transaction's bytes and its hash, which is known before anything is sent."""

    tx_bytes: str
    tx_hash: str


@dataclass(frozen=True)
class Cli:
    """The program with a home of its own."""

    program: str
    home: Path
    chain_id: str
    node: str

    def run(self, *argv: str, stdin: str = "") -> Ran:
        done = subprocess.run(
            [self.program, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.home,
            env={**os.environ, "LC_ALL": "C", "HOME": str(self.home)},
            timeout=120,
            check=False,
        )
        return Ran(argv, done.returncode, done.stdout, done.stderr)

    @property
    def keyring(self) -> list[str]:
        return ["--keyring-backend", "test", "--home", str(self.home)]

    def unsigned(self, *message: str, gas: int = GAS) -> Json:
        """``tx inference MESSAGE``, unordered, with a lifetime of two minutes."""
        argv = ["tx", "inference", *message, "--gas", str(gas), "--fees", f"{FEE}ngonka"]
        argv += ["--generate-only", "--unordered", "--timeout-duration", "2m", "--from", "creator"]
        argv += ["--chain-id", self.chain_id, *self.keyring, "--node", self.node]
        found: Json = self.run(*argv).json
        return found

    def signed(
        self, unsigned: Json, account_number: int, *, sequence: int = 0, chain_id: str = ""
    ) -> Signed:
        plain, done = self.home / "unsigned.json", self.home / "signed.json"
        plain.write_text(json.dumps(unsigned))
        argv = ["tx", "sign", str(plain), "--offline", "--account-number", str(account_number)]
        argv += ["--sequence", str(sequence), "--from", "creator"]
        argv += ["--chain-id", chain_id or self.chain_id, *self.keyring]
        done.write_text(self.run(*argv).good())
        tx_bytes = self.run("tx", "encode", str(done), "--home", str(self.home)).good().strip()
        return Signed(tx_bytes, hash_of(tx_bytes))


def hash_of(tx_bytes: str) -> str:
    return hashlib.sha256(base64.b64decode(tx_bytes, validate=True)).hexdigest().upper()


def with_timeout(unsigned: Json, end: datetime) -> Json:
    """The same transaction with another end of its lifetime."""
    changed = copy.deepcopy(unsigned)
    changed["body"]["timeout_timestamp"] = end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return changed


def with_gas(unsigned: Json, gas: int) -> Json:
    changed = copy.deepcopy(unsigned)
    changed["auth_info"]["fee"]["gas_limit"] = str(gas)
    return changed


def a_little_later(unsigned: Json, step: int) -> Json:
    """Another end of lifetime, so that the two do not share a time slot."""
    end = parse_time(unsigned["body"]["timeout_timestamp"])
    return with_timeout(unsigned, end + timedelta(milliseconds=step))
