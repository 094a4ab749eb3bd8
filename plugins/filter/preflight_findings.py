# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the preflight observed, judged."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from datetime import datetime

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.filter.deadline_alarms import (
    deadline_alarms,
    time_left,
)

OK: t.Final = "ok"
FAILED: t.Final = "FAILED"
UNKNOWN: t.Final = "unknown"
NEAR: t.Final = "NEAR"
"""Does not stop a deployment, but somebody must settle."""

MAX_BLOCK_AGE: t.Final = 120
ARCHITECTURES: t.Final = ("x86_64", "aarch64")

Finding = dict[str, str]


def _finding(check: str, verdict: str, detail: str) -> Finding:
    return {"check": check, "verdict": verdict, "detail": detail}


def _dig(value: object, *path: str) -> object:
    """The value at a path of keys, None when anything on the way is missing."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _answer(reply: object) -> tuple[Mapping[str, object] | None, str]:
    """The JSON object that an HTTP reply holds, or None and why not."""
    if not isinstance(reply, Mapping):
        return None, "was not asked"
    status = reply.get("status")
    if status != 200:
        message = str(reply.get("msg", ""))[:160]
        return None, f"does not answer ({message})" if status == -1 else f"answers HTTP {status}"
    body = reply.get("json")
    if not isinstance(body, Mapping):
        return None, "answers with something that is not JSON"
    return body, ""


def _moment(stamp: object) -> datetime | None:
    """A time in UTC, to the second; the chain writes nanoseconds, which no check needs."""
    if not isinstance(stamp, str):
        return None
    try:
        return datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return None


def _head(
    check: str, reply: object, paths: Mapping[str, tuple[str, ...]], seen: Mapping[str, t.Any]
) -> Finding:
    body, why = _answer(reply)
    if body is None:
        return _finding(check, FAILED, why)
    chain_id = _dig(body, *paths["chain_id"])
    height = _dig(body, *paths["height"])
    then, now = _moment(_dig(body, *paths["time"])), _moment(seen["now"])
    if now is None:
        raise AnsibleFilterError(f"preflight_findings: {seen['now']!r} is not a time")
    if not isinstance(chain_id, str) or then is None:
        return _finding(check, FAILED, "answers without chain id and block time")
    if chain_id != seen["chain_id"]:
        return _finding(check, FAILED, f"is chain {chain_id}, not {seen['chain_id']}")
    age = (now - then).total_seconds()
    if age > MAX_BLOCK_AGE:
        return _finding(check, FAILED, f"is stale: its newest block is {age:.0f} s old")
    if _dig(body, "result", "sync_info", "catching_up") is True:
        return _finding(check, FAILED, "is still catching up")
    return _finding(check, OK, f"{chain_id}, block {height}")


def _host(seen: Mapping[str, t.Any]) -> list[Finding]:
    facts = seen["facts"]
    system = f"{facts.get('distribution')} {facts.get('distribution_version')}"
    found = [
        _finding("system", OK if facts.get("os_family") == "Debian" else FAILED, system),
        _finding(
            "architecture",
            OK if facts.get("architecture") in ARCHITECTURES else FAILED,
            str(facts.get("architecture")),
        ),
    ]
    if seen["refusal"]:
        found.append(_finding("host", FAILED, str(seen["refusal"])))
    return [*found, *map(_port, seen["ports"])]


def _port(port: Mapping[str, t.Any]) -> Finding:
    """A port as presence_info sees it. An nginx of the host takes the edge in."""
    owner = port["owner"] or {}
    edge = port["name"] == "edge" and owner.get("kind") == "nginx"
    # two gateways of the collection stand in for each other (hot_swap_mode=pool)
    pool = port["name"] == "temp" and owner.get("record_path")
    fine = port["state"] in ("free", "ours") or edge or pool
    # nothing was found there, but an engine that cannot be asked may forward it
    verdict = OK if fine else UNKNOWN if port["owner"] is None else FAILED
    return _finding(f"port {port['port']}", verdict, str(port["text"]))


def _public_api(reply: object) -> Finding:
    body, why = _answer(reply)
    index = _dig(body, "latest_epoch", "index")
    if body is not None and not isinstance(index, (int, str)):
        why = "answers without the epoch"
    return _finding("public API", FAILED if why else OK, why or f"epoch {index}")


def _ids(reply: object, key: str) -> set[object] | None:
    """Models by their ids; None when the public API does not list them. No play needs the lists."""
    body, _why = _answer(reply)
    listed = _dig(body, key)
    if not isinstance(listed, list):
        return None
    return {item.get("id") for item in listed if isinstance(item, Mapping)}


def _models(seen: Mapping[str, t.Any], escrow_params: object) -> list[Finding]:
    known, active = _ids(seen["governance_models"], "models"), seen["active_models"]
    # some builds call the list of what is served "models"
    listed = _ids(active, "data")
    served = _ids(active, "models") if listed is None else listed
    found = [_public_api(seen["epoch"])]
    low, high = _dig(escrow_params, "min_amount"), _dig(escrow_params, "max_amount")
    for model in seen["models"]:
        name, amount = str(model["id"]), int(model["amount"])
        check = f"model {name}"
        if low is None or high is None or (known is None and served is None):
            found.append(_finding(check, UNKNOWN, "the chain or the public API could not be asked"))
        elif known is not None and name not in known and name not in (served or ()):
            found.append(_finding(check, FAILED, "is not a model of the network"))
        elif not int(str(low)) <= amount <= int(str(high)):
            found.append(
                _finding(check, FAILED, f"amount {amount} is not between {low} and {high}")
            )
        elif served is not None and name not in served:
            detail = "no host serves it in this epoch, so no escrow can be created for it now"
            found.append(_finding(check, UNKNOWN, detail))
        else:
            found.append(_finding(check, OK, f"amount {amount}"))
    return found


def _version(seen: Mapping[str, t.Any], escrow_params: object) -> Finding:
    """Whether what this gateway makes can be settled at all; a new deposit could not be, else."""
    check, tag = "settlement version", str(seen["settlement_tag"])
    approved = _dig(escrow_params, "approved_versions")
    if not isinstance(approved, list):
        return _finding(check, UNKNOWN, "the chain could not be asked")
    names = [_dig(item, "name") if isinstance(item, Mapping) else item for item in approved]
    if not names or tag in names:
        return _finding(check, OK, tag if names else f"{tag}, the chain approves any")
    detail = f"{tag} is not approved on the chain: {', '.join(map(str, names))}"
    return _finding(check, FAILED if int(seen["needed"]) > 0 else NEAR, detail)


def _creator(seen: Mapping[str, t.Any], escrow_params: object) -> list[Finding]:
    address = seen.get("creator")
    allowed = _dig(escrow_params, "allowed_creator_addresses")
    if not address:
        detail = "no key on this host yet, and creator_address is not set"
        return [_finding("allowlist", UNKNOWN, detail), _finding("funds", UNKNOWN, detail)]
    if not isinstance(allowed, list):
        found = [_finding("allowlist", UNKNOWN, "the chain could not be asked")]
    elif not allowed or address in allowed:
        found = [_finding("allowlist", OK, "open to everyone" if not allowed else str(address))]
    else:
        found = [_finding("allowlist", FAILED, f"{address} is not listed: ask governance for it")]
    body, why = _answer(seen["balance"])
    amount = _dig(body, "balance", "amount")
    if amount is None:
        return [*found, _finding("funds", UNKNOWN, why or "the chain could not be asked")]
    needed = int(seen["needed"])
    short = needed - int(str(amount))
    detail = f"{amount} ngonka, {needed} needed"
    if short > 0:
        return [*found, _finding("funds", FAILED, f"{detail}: {short} ngonka are missing")]
    return [*found, _finding("funds", OK, detail)]


def _deadlines(seen: Mapping[str, t.Any]) -> list[Finding]:
    found = seen.get("escrows")
    if found is None:
        return []
    if not isinstance(found, Mapping):
        return [
            _finding("deadlines", UNKNOWN, "gateway or chain could not be asked for the escrows")
        ]
    alarms = deadline_alarms(found, (), seen["host"])
    if alarms:
        return [_finding("deadlines", NEAR, alarm) for alarm in alarms]
    escrows = found["escrows"]
    left = [e["deadline"] for e in escrows if e["on_chain"] and not e["settled"]]
    if not left:
        return [_finding("deadlines", OK, "no unsettled escrow")]
    next_one = min(left, key=lambda deadline: int(deadline["blocks_left"]))
    return [_finding("deadlines", OK, f"the next one: {time_left(next_one)}")]


def preflight_findings(seen: object) -> list[Finding]:
    """Judges what was observed: one finding for each check, with its verdict and the reason."""
    if not isinstance(seen, Mapping):
        raise AnsibleFilterError("preflight_findings: a dict of observations is needed")
    rest = _head(
        "chain REST",
        seen["rest"],
        {
            "chain_id": ("block", "header", "chain_id"),
            "height": ("block", "header", "height"),
            "time": ("block", "header", "time"),
        },
        seen,
    )
    rpc = _head(
        "chain RPC",
        seen["rpc"],
        {
            "chain_id": ("result", "node_info", "network"),
            "height": ("result", "sync_info", "latest_block_height"),
            "time": ("result", "sync_info", "latest_block_time"),
        },
        seen,
    )
    params, _why = _answer(seen["params"])
    escrow_params = _dig(params, "params", "devshard_escrow_params")
    return [
        *_host(seen),
        rest,
        rpc,
        *_models(seen, escrow_params),
        _version(seen, escrow_params),
        *_creator(seen, escrow_params),
        *_deadlines(seen),
    ]


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"preflight_findings": preflight_findings}
