# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The operations that move or endanger money: how to prepare, run and judge each of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.gonka.devshard.tests.money.host import Host, Run
from ansible_collections.gonka.devshard.tests.money.network import AMOUNT, FUNDS, wait_for


@dataclass
class Verdict:
    double: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)


class Operation:
    name: t.ClassVar[str]
    steps: t.ClassVar[tuple[str, ...]]
    """What the ledger records on the way, in this order."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.network = host.network

    def prepare(self) -> None:
        """What must be there before."""

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        raise NotImplementedError

    def judge(self) -> Verdict:
        raise NotImplementedError

    def clean(self) -> None:
        """Leave a gateway without records of this cell."""
        mine = {int(escrow["id"]) for escrow in self.network.escrows(self.host.creator)}
        for number, record in self.network.records().items():
            if number not in mine:
                continue
            if record["active"]:
                self.network.admin.post(f"/v1/admin/devshards/{number}/deactivate")
            self.network.admin.delete(f"/v1/admin/devshards/{number}")

    def _deposits(self, wanted: int) -> Verdict:
        """The escrows of this creator against what the wallet paid and the gateway records."""
        escrows = self.network.escrows(self.host.creator)
        unsettled = {int(e["id"]) for e in escrows if not e["settled"]}
        records = self.network.records()
        return Verdict(
            double=max(0, len(escrows) - wanted),
            lost=sum(1 for number in unsettled if number not in records),
        )

    def _paid(self, verdict: Verdict, start: int) -> None:
        spent = start - self.network.balance(self.host.creator)
        explained = self.host.explained()
        if spent != explained:
            verdict.wrong.append(f"the wallet paid {spent}, the ledger explains {explained}")
        if still := [intent.id for intent in self.host.intents() if intent.open]:
            verdict.wrong.append(f"intents {still} are still open")


class Create(Operation):
    via: t.ClassVar[str]

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        args: dict[str, t.Any] = {
            "model_id": self.network.ready["models"][0],
            "amount": AMOUNT,
            "count": 1,
            "private_key_env": self.host.creator.variable,
            "create_via": self.via,
            "creator": self.host.creator.address,
            "tx_lifetime": 30,
        }
        return self.host.run("escrow", args, kill)

    def judge(self) -> Verdict:
        verdict = self._deposits(1)
        escrows = self.network.escrows(self.host.creator)
        records = self.network.records()
        if len(escrows) != 1:
            verdict.wrong.append(f"{len(escrows)} escrows instead of 1")
        for escrow in escrows:
            record = records.get(int(escrow["id"]))
            if record is None or not record["active"]:
                verdict.wrong.append(f"escrow {escrow['id']} is not served: {record}")
        self._paid(verdict, FUNDS)
        return verdict


class CreateSigned(Create):
    name = "create"
    via = "signed"
    steps = ("plan", "sign", "note", "include", "finish")


class CreateByGateway(Create):
    name = "create by gateway"
    via = "gateway"
    steps = ("plan", "ask", "note", "include", "finish")


class Settle(Operation):
    via: t.ClassVar[str]
    escrow_id = 0

    def prepare(self) -> None:
        self.escrow_id = self.network.create(self.host.creator)
        self.network.chat(self.escrow_id, f"settle {self.escrow_id}")
        self._start = self.network.balance(self.host.creator)

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        args = {
            "ids": [self.escrow_id],
            "settle_via": self.via,
            "private_key_env": self.host.creator.variable,
            "creator": self.host.creator.address,
            "tx_lifetime": 30,
        }
        return self.host.run("escrow_settle", args, kill)

    def judge(self) -> Verdict:
        verdict = self._deposits(1)
        settles = self.network.settles(self.escrow_id)
        if len(settles) != 1:
            verdict.lost += 1
            verdict.wrong.append(f"{len(settles)} settle events")
            return verdict
        (outcome,) = self.run().result["escrows"]
        (event,) = settles
        if outcome["refund"] != int(event["remainder"]):
            verdict.wrong.append(f"refund {outcome['refund']}, the chain says {event}")
        if outcome["deposit"] != outcome["spent"] + outcome["fees"] + outcome["refund"]:
            verdict.wrong.append(f"the account does not add up: {outcome}")
        self._paid(verdict, self._start)
        return verdict


class SettleSigned(Settle):
    name = "settle"
    via = "signed"
    steps = ("plan", "sign", "note", "include", "finish")


class SettleByGateway(Settle):
    name = "settle by gateway"
    via = "gateway"
    steps = ("plan", "ask", "note", "include", "finish")


class Delete(Operation):
    name = "delete"
    steps = ("plan", "ask", "finish")
    escrow_id = 0

    def prepare(self) -> None:
        self.escrow_id = self.network.create(self.host.creator)
        self.network.settle(self.host.creator, self.escrow_id)
        self._start = self.network.balance(self.host.creator)

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        return self.host.run("devshard", {"id": self.escrow_id, "state": "absent"}, kill)

    def judge(self) -> Verdict:
        verdict = self._deposits(1)
        if self.escrow_id in self.network.records():
            verdict.wrong.append("the record is still there")
        if (self.network.storage / f"escrow-{self.escrow_id}").exists():
            verdict.wrong.append("the session is still there")
        self._paid(verdict, self._start)
        return verdict


class DeleteUnsettled(Operation):
    """Refused by every way there is, and the deposit can still be settled afterwards."""

    name = "delete unsettled"
    steps = ()
    escrow_id = 0

    def prepare(self) -> None:
        self.escrow_id = self.network.create(self.host.creator)
        self.network.chat(self.escrow_id, f"delete {self.escrow_id}")

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        refused = self.host.run("devshard", {"id": self.escrow_id, "state": "absent"}, kill)
        if refused.ok:
            raise AssertionError(f"an unsettled escrow was deleted: {refused}")
        return self.host.run("devshard", {"id": self.escrow_id, "state": "active"})

    def judge(self) -> Verdict:
        verdict = self._deposits(1)
        self.network.settle(self.host.creator, self.escrow_id)
        return verdict


class Import(Operation):
    name = "import"
    steps = ("plan", "ask", "finish")
    escrow_id = 0

    def prepare(self) -> None:
        source = self.network.second_gateway(self.host.creator)
        try:
            self.escrow_id = self.network.create(self.host.creator, source.admin)
            self.network.chat(self.escrow_id, f"import {self.escrow_id}", source.admin)
            source.admin.post(f"/v1/admin/devshards/{self.escrow_id}/deactivate")
            wait_for(lambda: self._quiet(source.admin), "the session to be quiet")
            # of one that is unloaded it is read from its folder
            self._last = source.admin.get(f"/devshard/{self.escrow_id}/v1/status")
        finally:
            source.stop()
        self.path = str(source.storage / f"escrow-{self.escrow_id}")
        self._start = self.network.balance(self.host.creator)

    def _quiet(self, admin: t.Any) -> bool:
        (record,) = admin.get("/v1/admin/state")["devshards"]
        return "runtime" not in record or bool(record["runtime"]["active_requests"] == 0)

    def run(self, kill: tuple[str, str] | None = None) -> Run:
        args = {
            "id": self.escrow_id,
            "state": "imported",
            "storage_path": self.path,
            "private_key_env": self.host.creator.variable,
            "expected_nonce": self._last["nonce"],
            "expected_balance": self._last["balance"],
        }
        return self.host.run("devshard", args, kill)

    def judge(self) -> Verdict:
        """The proof of a good import is that it can be settled."""
        verdict = self._deposits(1)
        record = self.network.records()[self.escrow_id]
        found = (record["runtime"].get("nonce", 0), record["runtime"]["balance"])
        if found != (self._last["nonce"], self._last["balance"]):
            verdict.wrong.append(f"imported {found} instead of {self._last}")
        if violations := self._violations():
            verdict.wrong.append(f"hosts noticed {violations}")
        self._paid(verdict, self._start)
        self.network.settle(self.host.creator, self.escrow_id)
        return verdict

    def _violations(self) -> list[t.Any]:
        seen = self.network.chain.get("/violations")["violations"]
        return [entry for entry in seen if entry["escrow_id"] == str(self.escrow_id)]


OPERATIONS: tuple[type[Operation], ...] = (
    CreateSigned,
    CreateByGateway,
    SettleSigned,
    SettleByGateway,
    Delete,
    DeleteUnsettled,
    Import,
)
