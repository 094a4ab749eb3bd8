# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The admin port of the simulator: faults, time, state, request log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from simnet import crypto
from simnet.chain import Chain, Inclusion
from simnet.chainrelease import EPOCHS_SHAPES
from simnet.faultrules import FaultError, FaultRules, RequestLog
from simnet.hosts import Hosts
from simnet.jsonbody import json_reply, read_json
from simnet.network import Model

Reply = Any
Body = Mapping[str, Any]

INCLUSION_MODES = ("normal", "delay", "never", "reject")


class FaultsApi:
    def __init__(self, chain: Chain, hosts: Hosts, rules: FaultRules, log: RequestLog) -> None:
        self.chain = chain
        self.hosts = hosts
        self.rules = rules
        self.log = log

    def routes(self) -> list[web.RouteDef]:
        gets: dict[str, Callable[[web.Request], Reply]] = {
            "/health": lambda request: {"ok": True},
            "/faults": lambda request: {
                "faults": [rule.to_json() for rule in self.rules.rules.values()]
            },
            "/requests": self._requests,
            "/violations": lambda request: {"violations": self.hosts.violations()},
            "/chain": lambda request: self._chain_state(),
            "/chain/txs": lambda request: {"txs": self._txs()},
            "/chain/escrows": lambda request: {"escrows": self.chain.escrows.all()},
            "/hosts": lambda request: {"hosts": self._hosts()},
        }
        posts: dict[str, Callable[[Body], Reply]] = {
            "/faults": lambda body: self.rules.add(body).to_json(),
            "/reset": self._reset,
            "/chain": self._set_chain,
            "/chain/advance": self._advance,
            "/chain/inclusion": self._inclusion,
            "/chain/params": self._params,
            "/chain/allowlist": self._allowlist,
            "/chain/versions": self._versions,
            "/chain/accounts": self._account,
            "/chain/models": self._models,
            "/hosts": self._set_hosts,
        }
        deletes: dict[str, Callable[[web.Request], Reply]] = {
            "/faults": self._clear_faults,
            "/faults/{id}": self._clear_fault,
            "/requests": self._clear_requests,
            "/violations": self._clear_violations,
        }
        return [
            *(web.get(path, getting(function)) for path, function in gets.items()),
            *(web.post(path, posting(function)) for path, function in posts.items()),
            *(web.delete(path, getting(function)) for path, function in deletes.items()),
        ]

    # --- reading ---------------------------------------------------------------

    def _requests(self, request: web.Request) -> Reply:
        query = request.query
        return {
            "requests": self.log.entries(
                query.get("service"), query.get("method"), query.get("path")
            )
        }

    def _chain_state(self) -> Reply:
        chain = self.chain
        return {
            "chain_id": chain.config.chain_id,
            "height": chain.height,
            "time": chain.reported_time.rfc3339(),
            "epoch": chain.epoch.index,
            "effective_epoch": chain.effective_epoch,
            "switch_height": chain.epoch.switch_height,
            "next_poc_start": chain.epoch.next_poc_start,
            "phase": chain.phase,
            "controls": asdict(chain.controls),
            "release": chain.release.name,
            "inclusion": asdict(chain.inclusion),
            "pending": chain.pending(),
        }

    def _txs(self) -> Reply:
        rows = self.chain.store.rows("SELECT hash FROM txs ORDER BY position")
        found = []
        for row in rows:
            record = self.chain.tx(row["hash"])
            if record is not None:
                found.append(
                    {
                        "hash": record.hash,
                        "height": record.height,
                        "code": record.code,
                        "raw_log": record.raw_log,
                        "events": [
                            entry
                            for entry in record.events
                            if entry["type"].startswith("devshard_")
                        ],
                    }
                )
        return found

    def _hosts(self) -> Reply:
        return [
            {
                "index": host.index,
                "address": host.address,
                "silent": host.address in self.hosts.silent,
                "down": host.address in self.hosts.down,
            }
            for host in self.chain.hosts
        ]

    # --- clearing --------------------------------------------------------------

    def _clear_faults(self, request: web.Request) -> Reply:
        self.rules.clear()
        return {}

    def _clear_fault(self, request: web.Request) -> Reply:
        self.rules.remove(request.match_info["id"])
        return {}

    def _clear_requests(self, request: web.Request) -> Reply:
        self.log.clear()
        return {}

    def _clear_violations(self, request: web.Request) -> Reply:
        self.hosts.clear_violations()
        return {}

    def _reset(self, body: Body) -> Reply:
        """Back to a healthy network; balances, escrows and heights stay."""
        controls = self.chain.controls
        self.rules.clear()
        self.hosts.silent.clear()
        self.hosts.down.clear()
        self.hosts.versions = None
        self.chain.inclusion = Inclusion()
        self.chain.release_pending()
        self.chain.controls = type(controls)(block_interval=controls.block_interval)
        return self._chain_state()

    # --- changing --------------------------------------------------------------

    def _set_chain(self, body: Body) -> Reply:
        controls = self.chain.controls
        values = dict(body)
        if "phase" in values:
            self.chain.set_phase(values.pop("phase"))
        if "stale_seconds" in values:
            # A stale node does not move on either.
            controls.stale_seconds = int(values.pop("stale_seconds"))
            controls.paused = controls.stale_seconds > 0
        kinds: dict[str, type] = {
            "paused": bool,
            "catching_up": bool,
            "tx_index": bool,
            "confirmation_poc": bool,
            "time_offset": int,
            "host_weight": int,
            "escrow_fields": bool,
            "epochs_shapes": list,
            "excluded_hosts": list,
            "removed_hosts": list,
        }
        if "upgrade_plan" in values:
            plan = values.pop("upgrade_plan")
            if plan is not None:
                plan = {"name": str(plan["name"]), "height": int(plan["height"])}
            controls.upgrade_plan = plan
        unknown = set(values.get("epochs_shapes", [])) - set(EPOCHS_SHAPES)
        if unknown:
            raise FaultError(f"epochs_shapes must be of {', '.join(EPOCHS_SHAPES)}")
        if "preserved_hosts" in values:
            count = values.pop("preserved_hosts")
            if count is not None:
                count = _typed(count, int, "preserved_hosts")
            controls.preserved_hosts = count
        for name, kind in kinds.items():
            if name in values:
                setattr(controls, name, _typed(values.pop(name), kind, name))
        if "block_interval" in values:
            interval = float(values.pop("block_interval"))
            if interval <= 0:
                raise FaultError("block_interval must be positive")
            controls.block_interval = interval
        if values:
            raise FaultError(f"unknown fields: {', '.join(sorted(values))}")
        return self._chain_state()

    def _advance(self, body: Body) -> Reply:
        chain = self.chain
        seconds = float(body.get("seconds", 0))
        if "epochs" in body:
            chain.advance_epochs(int(body["epochs"]))
        elif "stage" in body:
            chain.advance_to(str(body["stage"]), int(body.get("offset", 0)))
        else:
            chain.advance(int(body.get("blocks", 1)), seconds)
        return self._chain_state()

    def _inclusion(self, body: Body) -> Reply:
        rule = Inclusion(**body)
        if rule.mode not in INCLUSION_MODES:
            raise FaultError(f"mode must be one of {', '.join(INCLUSION_MODES)}")
        self.chain.inclusion = rule
        if rule.mode == "normal":
            self.chain.release_pending()
        return self._chain_state()

    def _params(self, body: Body) -> Reply:
        self.chain.merge_params(dict(body))
        return {"params": self.chain.params()}

    def _allowlist(self, body: Body) -> Reply:
        addresses = [str(entry) for entry in body.get("addresses", [])]
        patch = {"devshard_escrow_params": {"allowed_creator_addresses": addresses}}
        return self._params(patch)

    def _versions(self, body: Body) -> Reply:
        self.chain.approve(list(body["versions"]))
        return {"versions": self.chain.approved()}

    def _account(self, body: Body) -> Reply:
        address = str(body.get("address", ""))
        crypto.decode_address(address)
        self.chain.bank.set_balance(address, int(body["balance"]))
        return {"address": address, "balance": str(self.chain.bank.balance(address))}

    def _models(self, body: Body) -> Reply:
        models = body.get("models", [])
        self.chain.models = [
            Model(str(entry["id"]), bool(entry.get("active", True))) for entry in models
        ]
        return {"models": [asdict(model) for model in self.chain.models]}

    def _set_hosts(self, body: Body) -> Reply:
        unknown = set(body) - {"silent", "down", "versions"}
        if unknown:
            raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}")
        if "versions" in body:
            names = body["versions"]
            self.hosts.versions = None if names is None else {str(name) for name in names}
        chosen = {
            name: self._chosen(name, body[name]) for name in ("silent", "down") if name in body
        }
        self.hosts.silent = chosen.get("silent", self.hosts.silent)
        self.hosts.down = chosen.get("down", self.hosts.down)
        return {"hosts": self._hosts()}

    def _chosen(self, name: str, wanted: Any) -> set[str]:
        """Hosts by their number, or by a list of addresses or indices."""
        hosts = self.chain.hosts
        if isinstance(wanted, int):
            return {host.address for host in hosts[:wanted]}
        chosen = {host.address for host in hosts if {host.index, host.address} & set(wanted)}
        if len(chosen) != len(set(wanted)):
            raise FaultError(f"unknown host in {name}")
        return chosen


def _typed(value: Any, kind: type, name: str) -> Any:
    # a boolean is an int for Python, but not for who sent it
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise FaultError(f"{name} must be a {kind.__name__}")
    return value


async def _attempt(function: Callable[[], Reply]) -> web.Response:
    started = time.monotonic()
    try:
        answer = function()
    except (ValueError, TypeError, KeyError) as error:
        return json_reply({"error": f"{type(error).__name__}: {error}"}, status=400)
    took = f"{time.monotonic() - started:.3f}"
    return json_reply(answer, headers={"X-Simnet-Seconds": took})


def getting(
    function: Callable[[web.Request], Reply],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return await _attempt(lambda: function(request))

    return handle


def posting(
    function: Callable[[Body], Reply],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        body = {} if not await request.read() else await read_json(request)
        if body is None:
            return json_reply({"error": "expected a JSON object"}, status=400)
        return await _attempt(lambda: function(body))

    return handle
