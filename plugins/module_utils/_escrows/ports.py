# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What every use case that moves money works with."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ConfigurationError, UnsafeError

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .._chain.models import Escrow, HostsNonce, Voices
    from .._chain.ports import ChainPort, SignerPort
    from .._core.timer import WaitBudget
    from .._gateway.ports import GatewayPort
    from .ledger.store import Ledger
    from .pool_rules import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainPorts:
    """Chain, hosts and ledger, for work that needs no gateway.

    ``ledger`` is None in check mode and for reading on a host that has none yet.
    ``hosts_nonce`` asks the hosts of an escrow for diffs after a nonce, ``voices`` how many answer.
    """

    chain: ChainPort
    chain_id: str
    ledger: Ledger | None
    now: Callable[[], datetime]
    warn: Callable[[str], None]
    check_mode: bool
    hosts_nonce: Callable[[Escrow, int], HostsNonce]
    voices: Callable[[Escrow], Voices]

    def record(self) -> Ledger:
        """The ledger for writing; there is none in check mode, and nothing may be written there."""
        if self.ledger is None or self.check_mode:
            raise UnsafeError("refused to write to the ledger in check mode")
        return self.ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports(ChainPorts):
    """All of it, for one gateway. ``deadline`` is the end of all waiting of this run."""

    gateway: GatewayPort
    gateway_id: str
    signer: SignerPort | None
    limits: Limits
    settlement_tag: str
    """The version that this gateway's settlements name."""
    deadline: WaitBudget
    interval: float

    @classmethod
    def of(
        cls,
        chain_ports: ChainPorts,
        *,
        gateway: GatewayPort,
        gateway_id: str,
        signer: SignerPort | None,
        limits: Limits,
        settlement_tag: str,
        deadline: WaitBudget,
        interval: float,
    ) -> Ports:
        return cls(
            chain=chain_ports.chain,
            chain_id=chain_ports.chain_id,
            ledger=chain_ports.ledger,
            now=chain_ports.now,
            warn=chain_ports.warn,
            check_mode=chain_ports.check_mode,
            hosts_nonce=chain_ports.hosts_nonce,
            voices=chain_ports.voices,
            gateway=gateway,
            gateway_id=gateway_id,
            signer=signer,
            limits=limits,
            settlement_tag=settlement_tag,
            deadline=deadline,
            interval=interval,
        )

    def known_creator(self, expected: str | None) -> str | None:
        """The creator's address, if it is known."""
        found = None if self.signer is None else self.signer.address()
        return expected if found is None else found

    def creator(self, expected: str | None) -> str:
        """The creator's address: the keyring's, checked against the one that is expected."""
        found = None if self.signer is None else self.signer.address()
        if found is None:
            if expected is None:
                raise ConfigurationError(
                    "the keyring has no key of this name; import it with gonka.devshard.creator_key"
                )
            return expected
        if expected is not None and expected != found:
            raise ConfigurationError(
                f"the key in the keyring belongs to {found}, but {expected} is expected (creator_address)"
            )
        return found
