# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The creator: its key in the keyring, its address, its place on the allowlist (guide §2.3-2.5)."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import shutil
import stat
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .._core.errors import (
    ConfigurationError,
    DevshardError,
    ProtocolError,
    RateLimitedError,
    TransportError,
    UnknownStateError,
)
from .._core.keys import check_private_key
from .payment import is_listed

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._chain.inferenced import Inferenced
    from .._chain.models import EscrowParams
    from .._chain.ports import ChainPort
    from .._core.timer import WaitBudget


class NotListedError(ConfigurationError):
    """The chain was asked and says no; only a vote changes that."""

    kind = "not_listed"


class Membership(enum.Enum):
    LISTED = "listed"
    OPEN = "open"
    NOT_LISTED = "not_listed"

    @property
    def may_create(self) -> bool:
        return self is not Membership.NOT_LISTED


def membership(params: EscrowParams, address: str) -> Membership:
    allowed = params.allowed_creator_addresses
    if not is_listed(address, allowed):
        return Membership.NOT_LISTED
    return Membership.LISTED if allowed else Membership.OPEN


def await_membership(
    chain: ChainPort, address: str, *, deadline: WaitBudget | None, interval: float
) -> tuple[Membership, EscrowParams]:
    """Listed, or an error that distinguishes 'not listed' and 'could not ask'.

    With a deadline both are waited for: a vote may pass, a node may come back.
    """
    while True:
        problem: DevshardError
        try:
            chain.head()
            params = chain.escrow_params()
        except (TransportError, ProtocolError, RateLimitedError, UnknownStateError) as exc:
            problem = UnknownStateError(
                f"whether {address} is on the allowlist could not be asked: {exc}", **exc.details
            )
            cause: DevshardError | None = exc
        else:
            found = membership(params, address)
            if found.may_create:
                return found, params
            cause = None
            problem = NotListedError(
                f"{address} is not on the chain's list of allowed escrow creators"
                f" ({len(params.allowed_creator_addresses)} addresses are). It cannot create"
                " escrows, so do not fund it yet. Request its inclusion by a governance vote on"
                " devshard_escrow_params.allowed_creator_addresses (guide §2.4, 'Become a broker')"
                " and run this again after the vote",
                address=address,
                listed=False,
            )
        if deadline is None or not deadline.pause(interval):
            raise problem from cause


@dataclass(frozen=True, kw_only=True)
class KeyPlan:
    """What the keyring holds and what it should hold."""

    address: str
    present: bool
    exposed: tuple[Path, ...]
    """Folders and files of the keyring that others than its owner can reach."""


def address_of(signer: Inferenced, key: str) -> str:
    """The address that the program derives, in a keyring that lives only as long as the question."""
    check_private_key(key, "the creator's key")
    with _scratch() as folder:
        probe = dataclasses.replace(
            signer, home=str(folder / "home"), keyring_dir=str(folder / "keyring"), key_name="probe"
        )
        probe.import_key(key)
        found = probe.address()
    if found is None:
        raise ProtocolError("inferenced imported a key but does not find it afterwards")
    return found


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gonka-devshard-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def plan_key(signer: Inferenced, key: str, expected: str | None) -> KeyPlan:
    """Refuse before anything is written when addresses do not fit."""
    address = address_of(signer, key)
    if expected is not None and address != expected:
        raise ConfigurationError(
            f"the creator's key belongs to {address}, but {expected} is expected (creator_address)."
            " Nothing was imported",
            address=address,
        )
    found = signer.address()
    if found is not None and found != address:
        raise ConfigurationError(
            f"the keyring {signer.keyring_dir} holds the key of {found} under the name"
            f" {signer.key_name}, but the creator's key belongs to {address}. Choose another"
            " devshard_key_name (key_name), or remove that key when none of its escrows is unsettled",
            address=address,
        )
    return KeyPlan(
        address=address, present=found is not None, exposed=exposed(Path(signer.keyring_dir))
    )


def exposed(keyring: Path) -> tuple[Path, ...]:
    """What of a keyring others can reach; the program leaves that to its caller."""
    if not keyring.is_dir():
        return ()
    return tuple(
        path
        for path in (keyring, *sorted(keyring.rglob("*")))
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    )


def close(paths: tuple[Path, ...]) -> None:
    """Leave them to their owner alone."""
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)
