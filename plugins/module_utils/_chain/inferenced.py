# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The ``inferenced`` program: keys and signing (contract chain.md §2.5 and §4). Never a shell."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .._core.errors import ConfigurationError, ConflictError, ProtocolError
from .._core.keys import check_private_key

if t.TYPE_CHECKING:
    from collections.abc import Callable


class CliResult(t.NamedTuple):
    rc: int
    stdout: str
    stderr: str


class Run(t.Protocol):
    """Runs a program with its standard input; the command line holds no secret."""

    def __call__(self, argv: list[str], data: str | None) -> CliResult: ...


def last_line(stderr: str) -> str:
    """The reason of a failure: the program prints its help first and the reason last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


@dataclass(frozen=True, kw_only=True)
class Inferenced:
    """One installation with one keyring (backend ``test``) and the name of the creator's key."""

    run: Run
    path: str
    home: str
    keyring_dir: str
    key_name: str
    node: str | None = None
    """RPC URL, for commands that take one; signing itself makes no request."""

    def _keyring(self) -> list[str]:
        return ["--keyring-backend", "test", "--keyring-dir", self.keyring_dir, "--home", self.home]

    def _must(self, what: str, argv: list[str]) -> str:
        result = self.run([self.path, *argv], None)
        if result.rc != 0:
            raise ProtocolError(
                f"inferenced could not {what}: {last_line(result.stderr)}", rc=result.rc
            )
        return result.stdout

    def version(self) -> str:
        result = self.run([self.path, "version", "--home", self.home], None)
        found = re.search(r"v?\d+\.\d+\.\d+\S*", f"{result.stdout}\n{result.stderr}")
        if result.rc != 0 or found is None:
            raise ProtocolError(
                f"inferenced does not report its version: {last_line(result.stderr)}"
            )
        return found[0]

    def address(self) -> str | None:
        """The address of the creator's key; None when the keyring has no key of this name."""
        if not Path(self.keyring_dir, "keyring-test").is_dir():
            # asking would make the program create its home
            return None
        argv = [self.path, "keys", "show", self.key_name, "-a", *self._keyring()]
        result = self.run(argv, None)
        text = result.stdout.strip()
        if result.rc == 0:
            if not re.fullmatch(r"[a-z]+1[a-z0-9]{38}", text):
                raise ProtocolError(
                    "inferenced keys show answered something that is not an address"
                )
            return text
        reason = last_line(result.stderr)
        if "is not a valid name or address" in reason:
            return None
        raise ProtocolError(f"inferenced could not read the keyring: {reason}", rc=result.rc)

    def import_key(self, key: str) -> None:
        """Put a key into the keyring, through standard input."""
        argv = [self.path, "keys", "import-hex", self.key_name, *self._keyring()]
        result = self.run(argv, check_private_key(key, "the creator's key") + "\n")
        if result.rc != 0:
            reason = last_line(result.stderr).replace(key, "…")
            if "cannot overwrite key" in reason:
                raise ConflictError(
                    f"the keyring {self.keyring_dir} already has a key named {self.key_name}"
                )
            raise ProtocolError(f"inferenced could not import the key: {reason}", rc=result.rc)

    def _generate(
        self,
        what: str,
        argv: list[str],
        *,
        chain_id: str,
        fee: int | None,
        gas: int | None,
        lifetime: int,
    ) -> str:
        return self._must(
            what,
            [
                "tx",
                "inference",
                *argv,
                "--generate-only",
                "--unordered",
                "--timeout-duration",
                f"{lifetime}s",
                "--gas",
                str(gas),
                "--fees",
                f"{fee}ngonka",
                "--from",
                self.key_name,
                "--chain-id",
                chain_id,
                *(["--node", self.node] if self.node else []),
                *self._keyring(),
            ],
        )

    def generate_create(
        self,
        amount: int | None,
        model: str | None,
        *,
        chain_id: str,
        fee: int | None,
        gas: int | None,
        lifetime: int,
    ) -> str:
        """The unsigned creation of an escrow, with an absolute end of lifetime."""
        argv = ["create-devshard-escrow", str(amount), str(model)]
        return self._generate(
            "make the create transaction",
            argv,
            chain_id=chain_id,
            fee=fee,
            gas=gas,
            lifetime=lifetime,
        )

    def generate_settle(
        self, settlement: str, *, chain_id: str, fee: int | None, gas: int | None, lifetime: int
    ) -> str:
        """The unsigned settlement from the file of a finalize."""
        argv = ["settle-devshard-escrow", settlement]
        return self._generate(
            "make the settle transaction",
            argv,
            chain_id=chain_id,
            fee=fee,
            gas=gas,
            lifetime=lifetime,
        )

    def sign(self, file: str, *, account_number: int, chain_id: str) -> str:
        """Sign offline; signed online it would carry a sequence and be refused."""
        argv = ["tx", "sign", file, "--offline", "--account-number", str(account_number)]
        argv += ["--sequence", "0", "--from", self.key_name, "--chain-id", chain_id]
        return self._must("sign the transaction", [*argv, *self._keyring()])

    def encode(self, file: str) -> str:
        """The signed transaction as base64 bytes."""
        return self._must("encode the transaction", ["tx", "encode", file, "--home", self.home])


def runner(
    run_command: Callable[..., tuple[int, str, str]],
) -> Run:
    """A :class:`Run` over ``AnsibleModule.run_command``."""

    def run(argv: list[str], data: str | None) -> CliResult:
        try:
            rc, stdout, stderr = run_command(
                argv,
                data=data,
                binary_data=True,
                environ_update={"LC_ALL": "C"},
                check_rc=False,
                handle_exceptions=False,
            )
        except OSError as exc:
            raise ConfigurationError(
                f"{argv[0]} cannot be run: {exc.strerror}. Is it the program for this machine's"
                " architecture, and executable?"
            ) from exc
        return CliResult(rc, stdout, stderr)

    return run
