# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A gateway in memory as those of v3 and later are: it unloads what is out of service."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConflictError,
    NotFoundError,
    ProtocolError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ports import Ports
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import (
    GatewayState,
    SessionStatus,
    SettleReply,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    FakeChain,
    FakeGateway,
    Record,
    Reply,
    Session,
    World,
)


def refused(status: int, text: str) -> ProtocolError:
    kind = {404: NotFoundError, 409: ConflictError}.get(status, ProtocolError)
    return kind(text, http_status=status, server_message=text)


class NewerGateway(FakeGateway):
    """``generations.md`` §3 and ``gateway-v4.1.md`` §4; what differs among them is switched."""

    def __init__(self, chain: FakeChain) -> None:
        super().__init__(chain)
        self.confirms = False
        """v4.1: a settle is answered when its transaction is in a block."""
        self.keeps_busy = False
        """v4.1: a settle that is refused as busy is made up for."""
        self.background: dict[str, int] = {}
        self.hidden: set[str] = set()
        """Busy with work that no field shows."""
        self.queued: set[str] = set()
        self.retiring: set[str] = set()
        self.on_disk: dict[str, Session] = {}
        self.locked: set[str] = set()
        """The store of these is still open, for one call."""
        self.held: dict[str, str] = {}
        self.bound: dict[str, str] = {}
        """Sessions of another protocol than its own."""

    def busy(self, number: str) -> bool:
        session: Session | None = self.records[number].runtime
        return session is not None and bool(
            session.active_requests or self.background.get(number) or number in self.hidden
        )

    def _retire(self) -> None:
        for number in sorted(self.retiring):
            if number in self.records and not self.busy(number):
                self.retiring.discard(number)
                self.unload(number)

    def unload(self, number: str) -> None:
        record = self.records[number]
        if record.runtime is not None:
            self.on_disk[number] = record.runtime
        record.runtime = None
        # they were in its memory
        self.in_memory.pop(number, None)

    def _load(self, number: str) -> Session:
        if number in self.locked:
            self.locked.discard(number)
            raise refused(502, f"devshard {number}: database is locked (5) (SQLITE_BUSY)")
        return self.on_disk.pop(number, None) or self._record(number, None).runtime

    def _held(self, number: str) -> Record:
        if number not in self.records:
            raise refused(404, f"devshard {number} not found")
        return self.records[number]

    def state(self) -> GatewayState:
        self._retire()
        found = super().state()
        return dataclasses.replace(
            found,
            devshards=tuple(
                dataclasses.replace(
                    one,
                    settle_queued=one.id in self.queued,
                    held_since=self.held.get(one.id),
                    runtime=one.runtime
                    and dataclasses.replace(
                        one.runtime,
                        background=self.background.get(one.id, 0),
                        protocol=self.bound.get(one.id, "v4.1"),
                    ),
                )
                for one in found.devshards
            ),
        )

    def session(self, number: str) -> SessionStatus:
        self._call("session")
        found = self._held(number).runtime or self.on_disk[number]
        return SessionStatus(
            escrow_id=number, nonce=found.nonce, balance=found.balance, phase=found.phase
        )

    def activate(self, number: str) -> Reply:
        lost = self._call("activate")
        record = self._held(number)
        resident = record.runtime is not None
        if not resident:
            record.runtime = self._load(number)
        record.active = record.runtime.active = True
        self._lost("activate", lost)
        return {"already_resident": True} if resident else {}

    def deactivate(self, number: str) -> Reply:
        if self._held(number).runtime is None:
            self._call("deactivate")
            raise refused(404, f"devshard {number} is not active")
        reply = super().deactivate(number)
        self.retiring.add(number)
        self._retire()
        return reply

    def finalize(self, number: str) -> dict[str, t.Any]:
        if self._held(number).runtime is None:
            raise refused(404, f"unknown devshard {number}")
        if self.busy(number):
            self._call("finalize")
            raise refused(409, f"devshard {number} has active requests")
        return super().finalize(number)

    def document(self, number: str, signatures: int) -> dict[str, t.Any]:
        return {**super().document(number, signatures), "version": "v4.1"}

    def settle(
        self,
        number: str,
        *,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> SettleReply:
        record = self._held(number)
        if self.busy(number):
            self._call("settle")
            if self.keeps_busy:
                record.active = record.runtime.active = False
                self.queued.add(number)
            raise refused(409, f"devshard {number} has active requests")
        if record.runtime is None:
            record.runtime = self._load(number)
        if record.runtime.phase == "active":
            record.runtime.phase = "settlement"
            record.active = record.runtime.active = False
            if self.signatures < 11:
                self.unload(number)
                raise refused(502, f"insufficient signatures: {self.signatures}/11 weight")
            self.in_memory[number] = self.signatures
        reply = super().settle(
            number,
            private_key_env=private_key_env,
            chain_id=chain_id,
            fee_amount=fee_amount,
            gas_limit=gas_limit,
        )
        self.unload(number)
        if self.confirms:
            self._await(reply.tx_hash)
        return reply

    def _await(self, tx_hash: str) -> None:
        for _unused in range(9):
            self._chain.step()
            tx = self._chain.txs.get(tx_hash)
            if tx is None:
                continue
            if tx.code:
                raise refused(
                    502, f"tx {tx_hash} failed code={tx.code} codespace= raw_log={tx.raw_log}"
                )
            return
        raise refused(502, f"wait for tx {tx_hash}: not found")


class NewerWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.newer = NewerGateway(self.chain)
        self.gateway = self.newer
        self.chain.approved = ("v4.1",)

    def ports(self, *args: t.Any, **kwargs: t.Any) -> Ports:
        ports = super().ports(*args, **kwargs)
        return dataclasses.replace(
            ports,
            settlement_tag="v4.1",
            limits=dataclasses.replace(ports.limits, reloads=True, protocol="v4.1"),
        )
