# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the preflight observed, judged."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.filter.deadline_alarms import (
    deadline_alarms,
    time_left,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import (
    EscrowParams,
    active_models_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.node import (
    Node,
    is_rest,
    is_rpc,
    judge_node,
    node_of_rest,
    node_of_rpc,
    swapped_text,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.address import refuse_address
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader, parse_time
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.payment import (
    Check,
    Facts,
    Payment,
    PaymentAnswer,
    payment_checks,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.settings import access_gap

OK: t.Final = "ok"
FAILED: t.Final = "FAILED"
UNKNOWN: t.Final = "unknown"
NEAR: t.Final = "NEAR"
"""A deposit is in danger. It does not stop a deployment, but the operator must act."""
WARNING: t.Final = "warning"
"""What the operator should know. It changes nothing about the verdict."""

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


def _node(
    seen: Mapping[str, t.Any], part: str, variable: str, read: Callable[[str, object], Node]
) -> Finding:
    check, url = f"chain {part.upper()}", str(seen["urls"][part])
    other = seen.get(f"{part}_as_other") or {}
    if (is_rpc if part == "rest" else is_rest)(other.get("json")):
        return _finding(check, FAILED, swapped_text(variable, url))
    body, why = _answer(seen[part])
    if body is None:
        return _finding(check, FAILED, f"{variable} {url} {why}")
    try:
        node = read(url, dict(body))
    except ProtocolError as exc:
        return _finding(
            check, FAILED, f"{variable} {url} answers without block and chain id: {exc}"
        )
    faults = judge_node(node, chain_id=str(seen["chain_id"]), now=_now(seen), sign=True)
    if faults:
        return _finding(check, FAILED, faults[0].text)
    return _finding(check, OK, f"{node.chain_id}, block {node.height}")


def _now(seen: Mapping[str, t.Any]) -> datetime:
    """The clock of the host, which signs, not the controller's."""
    try:
        return parse_time(str(seen["now"]))
    except ProtocolError as exc:
        raise AnsibleFilterError(f"preflight_findings: now: {exc}") from exc


def _host(seen: Mapping[str, t.Any]) -> list[Finding]:
    facts = seen["facts"]
    system = f"{facts.get('distribution')} {facts.get('distribution_version')}"
    supported = facts.get("os_family") == "Debian"
    wanted = "" if supported else ", which is not supported: Debian 13 or Ubuntu 24.04 is needed"
    known = facts.get("architecture") in ARCHITECTURES
    machine = str(facts.get("architecture"))
    found = [
        _finding("system", OK if supported else FAILED, f"{system}{wanted}"),
        _finding(
            "architecture",
            OK if known else FAILED,
            machine if known else f"{machine}; supported are {', '.join(ARCHITECTURES)}",
        ),
        _root(seen),
        *_disks(seen),
    ]
    if seen["refusal"]:
        found.append(_finding("host", FAILED, str(seen["refusal"])))
    refused = [
        _finding(f"role {item['role']}", FAILED, str(item["reason"])) for item in seen["refused"]
    ]
    return [*found, *refused, *map(_port, seen["ports"]), *_image(seen)]


def _image(seen: Mapping[str, t.Any]) -> list[Finding]:
    """One that is not there is among what the role refuses."""
    if any(item["role"] == "gateway" for item in seen["refused"]):
        return []
    image = seen["image"]
    if not image:
        return [_finding("image", UNKNOWN, "gateway_image was not asked for")]
    return [_finding("image", OK if image["there"] else UNKNOWN, str(image["text"]))]


def _root(seen: Mapping[str, t.Any]) -> Finding:
    user = str(seen["uid"])
    if user == "0":
        return _finding("root", OK, "yes")
    if not user.isdigit():
        return _finding("root", UNKNOWN, "the host did not say as which user the tasks run")
    return _finding(
        "root", FAILED, f"the tasks run as user {user}, not as root: set ansible_become: true"
    )


def _disks(seen: Mapping[str, t.Any]) -> list[Finding]:
    """The fullest disk; the lines are what df says, MiB and where the disk is mounted."""
    found = [re.fullmatch(r"\s*(\d+)\s+(/.*)", str(line)) for line in seen["disks"]]
    disks = sorted((int(line[1]), line[2]) for line in found if line)
    if not disks:
        return [_finding("disk", UNKNOWN, "the host did not say how much space is free")]
    (free, path), least = disks[0], int(seen["min_free_mb"])
    detail = f"{free} MiB are free on {path}"
    if free >= least:
        return [_finding("disk", OK, detail)]
    return [_finding("disk", FAILED, f"{detail}, {least} are needed (hot_swap_min_free_mb)")]


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


def _public_api(seen: Mapping[str, t.Any]) -> Finding:
    body, why = _answer(seen["epoch"])
    index = _dig(body, "latest_epoch", "index")
    if body is not None and not isinstance(index, (int, str)):
        why = "answers without the epoch"
    where = f"devshard_public_api {seen['urls']['public']}"
    return _finding(
        "public API", FAILED if why else OK, f"{where} {why}" if why else f"epoch {index}"
    )


def _models_of(reply: object, read: Callable[[Reader], Sequence[str]]) -> list[str] | None:
    """Models by their ids; None when the public API does not list them."""
    body, _why = _answer(reply)
    if body is None:
        return None
    try:
        return list(read(Reader(dict(body), "models")))
    except ProtocolError:
        return None


def _terms(reply: object) -> EscrowParams | None:
    body, _why = _answer(reply)
    params = _dig(body, "params")
    if not isinstance(params, dict):
        return None
    try:
        return EscrowParams.from_api(Reader(params, "params"))
    except ProtocolError:
        return None


def _balance(reply: object) -> int | None:
    body, _why = _answer(reply)
    amount = _dig(body, "balance", "amount")
    return int(str(amount)) if str(amount).isdigit() else None


def _creator(seen: Mapping[str, t.Any]) -> list[Finding]:
    """Whether key, keyring and creator_address belong to one account."""
    wanted, key, ring = (str(seen[name] or "") for name in ("wanted", "of_key", "of_keyring"))
    refused = refuse_address(wanted, "creator_address") if wanted else None
    if refused is None and key and wanted and key != wanted:
        refused = f"gateway_private_key gives {key}, creator_address is {wanted}"
    if refused is None and ring and key and key != ring:
        refused = (
            f"gateway_private_key gives {key}, and this host has the key of {ring}, which is not"
            " replaced. Retire the gateway first, or leave gateway_private_key out"
        )
    if refused is None and ring and wanted and wanted != ring:
        refused = f"this host has the key of {ring}, creator_address is {wanted}"
    if refused is not None:
        return [_finding("creator", FAILED, refused)]
    found = ring or key or wanted
    if found:
        return [_finding("creator", OK, found)]
    return [_finding("creator", UNKNOWN, "a key is made on the host by the first run of site")]


def _missing(seen: Mapping[str, t.Any], model: str, count: int) -> int | None:
    """How many escrows of a model must be created; None when the existing ones are not known."""
    found = seen["escrows"]
    if found is None:
        return count
    if not isinstance(found, Mapping):
        return None
    usable = [item for item in found["escrows"] if item["usable"] and item["model"] == model]
    return max(count - len(usable), 0)


def _payments(seen: Mapping[str, t.Any]) -> list[Finding]:
    wishes = [
        Payment(
            model=str(model["id"]),
            amount=int(model["amount"]),
            count=int(model.get("count", 1)),
            create=_missing(seen, str(model["id"]), int(model.get("count", 1))),
            max_creates=int(seen["max_creates"]),
        )
        for model in seen["models"]
    ]
    facts = Facts(
        creator=str(seen["of_keyring"] or seen["of_key"] or seen["wanted"] or "") or None,
        terms=_terms(seen["params"]),
        active_models=_models_of(seen["active_models"], active_models_of),
        balance=_balance(seen["balance"]),
        settlement_tag=str(seen["settlement_tag"]),
        fee=int(seen["fee"]),
        gas_limit=int(seen["gas_limit"]),
    )
    governed = _models_of(
        seen["governance_models"],
        lambda body: [item.text("id") for item in body.children("models")],
    )
    pays = {wish.model for wish in wishes if wish.create != 0}
    return [_of_check(check, pays, governed) for check in payment_checks(wishes, facts)]


def _of_check(check: Check, pays: set[str], governed: list[str] | None) -> Finding:
    """A rule's answer as a finding: what stops a payment is not a failure where none is due."""
    name = check.name if check.subject is None else f"{check.name} {check.subject}"
    text, unlisted = check.text, governed is not None and check.subject not in governed
    if check.answer is PaymentAnswer.YES:
        return _finding(name, OK, text)
    if check.answer is PaymentAnswer.UNKNOWN:
        return _finding(name, UNKNOWN, text)
    if check.name == "model" and unlisted and governed is not None:
        listed = ", ".join(sorted(governed)) or "none"
        text = f"{check.subject} is not a model of the network. Its models: {listed}"
    setting = check.name in ("amount", "limit per run", "fee") or (
        check.name == "model" and unlisted
    )
    due = check.subject in pays if check.subject is not None else bool(pays)
    return _finding(name, FAILED if setting or due else NEAR, text)


def _access(seen: Mapping[str, t.Any]) -> list[Finding]:
    """The first model becomes the default one; a model without escrows cannot be spent."""
    models = seen["models"]
    modes = {
        str(model["id"]): str(model.get("access_mode", "api_key"))
        for number, model in enumerate(models)
        if number == 0 or int(model.get("count", 1)) > 0
    }
    gap = access_gap(str(models[0]["id"]), modes) if models else None
    return [] if gap is None else [_finding("access", WARNING, gap)]


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
    """Judge the observations: one finding for each check, with its verdict and the reason."""
    if not isinstance(seen, Mapping):
        raise AnsibleFilterError("preflight_findings: a dict of observations is needed")
    return [
        *_host(seen),
        _node(seen, "rest", "devshard_chain_rest", node_of_rest),
        _node(seen, "rpc", "devshard_chain_rpc", node_of_rpc),
        _public_api(seen),
        *_creator(seen),
        *_payments(seen),
        *_access(seen),
        *_deadlines(seen),
    ]


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"preflight_findings": preflight_findings}
