# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The fault matrix: every operation, killed at every step of its ledger and hurt in every way."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.gonka.devshard.tests.money.network import Network, wait_for
from ansible_collections.gonka.devshard.tests.money.operations import (
    OPERATIONS,
    CreateByGateway,
    CreateSigned,
    Delete,
    DeleteUnsettled,
    Import,
    Operation,
    SettleByGateway,
    SettleSigned,
)

BROADCAST = r"^/cosmos/tx/v1beta1/txs$"
LOOK_UP = r"^/cosmos/tx/v1beta1/txs/[0-9A-F]{64}$"
SEARCH = r"^/cosmos/tx/v1beta1/txs\?query="
REGISTER = r"^/v1/admin/devshards$"
CREATE = r"^/v1/admin/escrows$"
STATE = r"^/v1/admin/state$"
DEACTIVATE = r"/deactivate$"
FINALIZE = r"/v1/finalize$"
SETTLE = r"/settle$"
DELETE = r"^/v1/admin/devshards/\d+$"
IMPORT = r"^/v1/admin/devshards/import$"
ESCROW = r"/devshard_escrow/\d+$"


@dataclass(frozen=True)
class Fault:
    """What goes wrong during the first run. ``late``: it also outlives every lifetime."""

    name: str
    arm: t.Callable[[Network], object]
    struck: t.Callable[[Network], bool]
    late: bool = False


@dataclass(frozen=True)
class Cell:
    operation: type[Operation]
    fault: Fault | None = None
    kill: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        parts = [self.operation.name]
        if self.fault is not None:
            parts.append(self.fault.name)
        if self.kill is not None:
            step, when = self.kill
            parts.append(f"killed {when} {step}")
        return ", ".join(parts)


def chain(action: str, path: str, method: str = "GET", times: int = 1, **more: t.Any) -> Fault:
    rule = {"service": "chain", "action": action, "path": path, "method": method, "times": times}
    name = f"{action}{more.get('status', '')} {times}x on {method} {_short(path)} of the chain"
    return Fault(name, lambda network: network.chain.post("/faults", {**rule, **more}), hit)


def gateway(action: str, path: str, method: str = "POST", times: int = 1, **more: t.Any) -> Fault:
    rule = {"action": action, "path": path, "method": method, "times": times}
    name = f"{action}{more.get('status', '')} {times}x on {method} {_short(path)} of the gateway"
    return Fault(name, lambda network: network.gateway.post("/faults", {**rule, **more}), hit)


def point(name: str, action: str) -> Fault:
    """Something happens inside the gateway; after a crash nothing is left of the point."""
    body = {"point": name, "action": action}

    def arm(network: Network) -> None:
        network.gateway.post("/points", body)

    def struck(network: Network) -> bool:
        wait_for(lambda: bool(network.admin.get("/v1/admin/state")), "the gateway")
        points = network.gateway.get("/points")["points"]
        return not points if action == "crash" else bool(points[0]["hits"])

    return Fault(f"{action} at {name}", arm, struck)


def inclusion(mode: str, *, late: bool = False, **more: t.Any) -> Fault:
    body = {"mode": mode, "times": 1, **more}
    name = f"inclusion {mode}{' for ever' if late else ''} {more.get('blocks', '')}".rstrip()

    def used(network: Network) -> bool:
        return bool(network.chain.get("/chain")["inclusion"]["mode"] == "normal")

    return Fault(name, lambda network: network.chain.post("/chain/inclusion", body), used, late)


def control(name: str, **body: t.Any) -> Fault:
    return Fault(name, lambda network: network.chain.post("/chain", body), always)


def down(hosts: int) -> Fault:
    name, body = f"{hosts} hosts are down", {"down": hosts}
    return Fault(name, lambda network: network.chain.post("/hosts", body), always)


def public_api_down() -> Fault:
    rule = {"service": "public", "action": "status", "status": 503}
    name = "the public API is down"
    return Fault(name, lambda network: network.chain.post("/faults", rule), hit)


def hit(network: Network) -> bool:
    """Whether a rule was applied."""
    rules = network.chain.get("/faults")["faults"] + network.gateway.get("/faults")["faults"]
    return any(rule["hits"] for rule in rules)


def always(_network: Network) -> bool:
    """It holds all the time."""
    return True


def _short(path: str) -> str:
    return {BROADCAST: "broadcast", LOOK_UP: "transaction", SEARCH: "search", ESCROW: "escrow"}.get(
        path, path.strip("^$").rsplit("/", 1)[-1].replace(r"\d+", "record")
    )


SENDING = (
    chain("drop", BROADCAST, "POST"),
    chain("drop_after", BROADCAST, "POST"),
    chain("status", BROADCAST, "POST", status=502),
    chain("status", BROADCAST, "POST", status=429, headers={"Retry-After": "1"}),
    chain("html", BROADCAST, "POST"),
    chain("truncate", BROADCAST, "POST"),
    chain("hang", BROADCAST, "POST"),
    chain("status", LOOK_UP, times=6, status=502),
    chain("html", LOOK_UP, times=6),
    chain("truncate", LOOK_UP),
    chain("drop", LOOK_UP, times=6),
    chain("status", LOOK_UP, times=3, status=404, body="nothing here"),
    inclusion("delay", blocks=15),
    inclusion("delay", blocks=80),
    inclusion("never", late=True),
    inclusion("reject", code=11, codespace="sdk", raw_log="out of gas"),
    control("the chain stops", paused=True),
)
FAULTS: dict[type[Operation], tuple[Fault, ...]] = {
    CreateSigned: (
        *SENDING,
        gateway("drop", REGISTER),
        gateway("drop_after", REGISTER),
        gateway("truncate", REGISTER),
        gateway("html", REGISTER),
        gateway("status", STATE, "GET", times=20, status=503),
        point("add.before_build", "crash"),
        point("add.before_build", "error"),
        chain("status", SEARCH, times=5, status=503),
        control("the node keeps no index", tx_index=False),
        control("the node catches up", catching_up=True),
        control("the node is stale", stale_seconds=600),
        public_api_down(),
    ),
    CreateByGateway: (
        gateway("drop", CREATE),
        gateway("drop_after", CREATE),
        gateway("truncate", CREATE),
        gateway("html", CREATE),
        gateway("hang", CREATE),
        point("create.before_broadcast", "crash"),
        point("create.before_broadcast", "error"),
        point("create.after_broadcast", "crash"),
        point("create.after_broadcast", "error"),
        point("create.after_broadcast", "wait"),
        point("create.before_register", "crash"),
        point("create.before_register", "error"),
        point("create.after_register", "crash"),
        point("create.after_register", "error"),
        chain("drop_after", BROADCAST, "POST"),
        chain("status", BROADCAST, "POST", status=502),
        inclusion("delay", blocks=15),
        inclusion("delay", blocks=60),
        inclusion("never", late=True),
        inclusion("reject", code=1, codespace="inference", raw_log="no validation weights"),
    ),
    SettleSigned: (
        *SENDING,
        gateway("drop", DEACTIVATE),
        gateway("drop_after", DEACTIVATE),
        gateway("drop", FINALIZE),
        gateway("drop_after", FINALIZE),
        gateway("truncate", FINALIZE),
        gateway("html", FINALIZE),
        point("finalize.before_signatures", "error"),
        point("finalize.before_signatures", "crash"),
        down(8),
        chain("status", ESCROW, times=5, status=503),
        control("the node keeps no index", tx_index=False),
        public_api_down(),
    ),
    SettleByGateway: (
        gateway("drop", SETTLE),
        gateway("drop_after", SETTLE),
        gateway("truncate", SETTLE),
        gateway("hang", SETTLE),
        point("settle.before_finalize", "crash"),
        point("settle.before_broadcast", "crash"),
        point("settle.before_broadcast", "error"),
        point("settle.after_broadcast", "crash"),
        point("settle.after_broadcast", "error"),
        down(8),
        inclusion("delay", blocks=60),
        inclusion("never", late=True),
        inclusion("reject", code=1, codespace="undefined", raw_log="insufficient quorum"),
    ),
    Delete: (
        gateway("drop", DELETE, "DELETE"),
        gateway("drop_after", DELETE, "DELETE"),
        gateway("truncate", DELETE, "DELETE"),
        gateway("html", DELETE, "DELETE"),
        chain("status", ESCROW, times=5, status=503),
    ),
    DeleteUnsettled: (
        chain("status", ESCROW, times=5, status=503),
        chain("status", ESCROW, times=5, status=404, body="nothing here"),
    ),
    Import: (
        gateway("drop", IMPORT),
        gateway("drop_after", IMPORT),
        gateway("truncate", IMPORT),
        point("import.before_build", "crash"),
        point("import.before_build", "error"),
    ),
}


def cells() -> list[Cell]:
    """All of them, in an order that does not change."""
    made = []
    for operation in OPERATIONS:
        made += [
            Cell(operation, kill=(step, when))
            for step in operation.steps
            for when in ("before", "after")
        ]
        made += [Cell(operation, fault=fault) for fault in FAULTS[operation]]
    return made
