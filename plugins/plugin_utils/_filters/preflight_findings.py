# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the preflight observed, judged."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core.address import refuse_address
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import gnk
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.payment import (
    Check,
    Facts,
    KnownTerms,
    Payment,
    PaymentAnswer,
    payment_checks,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.settings import access_gap
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deadline_alarms import (
    deadline_alarms,
    time_left,
)

OK: t.Final = "ok"
FAILED: t.Final = "FAILED"
UNKNOWN: t.Final = "unknown"
NEAR: t.Final = "NEAR"
"""A deposit is in danger. It does not stop a deployment, but the operator must act."""
WARNING: t.Final = "warning"
"""What the operator should know. It changes nothing about the verdict."""
NOTE: t.Final = "note"
"""What is not as it should be, and the playbook site mends. It changes nothing about the verdict."""

ARCHITECTURES: t.Final = ("x86_64", "aarch64")

Finding = dict[str, str]


def _finding(check: str, verdict: str, detail: str) -> Finding:
    return {"check": check, "verdict": verdict, "detail": detail}


class Look(t.NamedTuple):
    """A part of what ``preflight_info`` returned."""

    known: bool
    why: str
    value: t.Any


def _look(seen: Mapping[str, t.Any], part: str) -> Look:
    found = seen["look"][part]
    return Look(bool(found["known"]), str(found["why"] or ""), found["value"])


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
        *_engine(seen),
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
    user = _look(seen, "user").value
    if user == 0:
        return _finding("root", OK, "yes")
    return _finding(
        "root", FAILED, f"the tasks run as user {user}, not as root: set ansible_become: true"
    )


def _disks(seen: Mapping[str, t.Any]) -> list[Finding]:
    """The fullest disk."""
    look = _look(seen, "disks")
    if not look.value:
        text = "the host did not say how much space is free"
        return [_finding("disk", UNKNOWN, f"{text}: {look.why}" if look.why else text)]
    free, path = min((int(disk["free_mb"]), str(disk["path"])) for disk in look.value)
    least = int(seen["min_free_mb"])
    detail = f"{free} MiB are free on {path}"
    if free >= least:
        return [_finding("disk", OK, detail)]
    return [_finding("disk", FAILED, f"{detail}, {least} are needed (hot_swap_min_free_mb)")]


def _engine(seen: Mapping[str, t.Any]) -> list[Finding]:
    """One that site would not start is among what the role gateway refuses."""
    if seen["engine_known"] or not (_look(seen, "docker_service").value or {}).get("startable"):
        return []
    text = "the service docker does not run. The playbook site starts it"
    return [_finding("engine", NOTE, text)]


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


def _node(seen: Mapping[str, t.Any], part: str, check: str) -> Finding:
    look = _look(seen, part)
    if not look.known:
        return _finding(check, FAILED, look.why)
    return _finding(check, OK, f"{look.value['chain_id']}, block {look.value['height']}")


def _public_api(seen: Mapping[str, t.Any]) -> Finding:
    look = _look(seen, "public_api")
    return _finding(
        "public API",
        OK if look.known else FAILED,
        f"epoch {look.value['epoch']}" if look.known else look.why,
    )


def _creator(seen: Mapping[str, t.Any]) -> list[Finding]:
    """Whether key, keyring and creator_address belong to one account."""
    look = _look(seen, "keyring")
    wanted, key, ring = (str(name or "") for name in (seen["wanted"], seen["of_key"], look.value))
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
    if not look.known:
        text = f"the keyring of this host could not be read: {look.why}"
        return [_finding("creator", UNKNOWN, text)]
    found = ring or key or wanted
    if found:
        return [_finding("creator", OK, found)]
    return [_finding("creator", UNKNOWN, "a key is made on the host by the first run of site")]


def _escrows(seen: Mapping[str, t.Any]) -> Mapping[str, t.Any] | None:
    """What is known of them. Where nothing is deployed, there are none."""
    look = _look(seen, "escrows")
    if look.known:
        known: Mapping[str, t.Any] = look.value
        return known
    return None if seen["deployed"] else {"escrows": []}


def _missing(seen: Mapping[str, t.Any], model: str, count: int) -> int | None:
    """How many escrows of a model must be created; None when the existing ones are not known."""
    found = _escrows(seen)
    if found is None:
        return None
    usable = [item for item in found["escrows"] if item["usable"] and item["model"] == model]
    return max(count - len(usable), 0)


def _payer(seen: Mapping[str, t.Any]) -> str | None:
    ring = _look(seen, "keyring")
    found = ring.value or seen["of_key"] or seen["wanted"] if ring.known else None
    return str(found) if found else None


def _facts(seen: Mapping[str, t.Any]) -> Facts:
    terms = _look(seen, "terms")
    return Facts(
        creator=_payer(seen),
        terms=KnownTerms.from_result(terms.value) if terms.known else None,
        active_models=_look(seen, "active_models").value,
        balance=_look(seen, "balance").value,
        settlement_tag=str(seen["settlement_tag"]),
        fee=int(seen["fee"]),
        gas_limit=int(seen["gas_limit"]),
    )


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
    pays = {wish.model for wish in wishes if wish.create != 0}
    found = [_of_check(seen, check, pays) for check in payment_checks(wishes, _facts(seen))]
    found += _moment(seen, "upgrade", "chain upgrade", due=bool(pays))
    found += _moment(seen, "create_window", "moment", due=bool(pays))
    if pays:
        found += _unexplained(seen)
    return _awaited(found) if seen["allowlist_wait"] else found


def _unexplained(seen: Mapping[str, t.Any]) -> list[Finding]:
    """Deposits beside which no other one is paid. A new host for a lost one is deployed all the same."""
    look, escrows = _look(seen, "deposits"), _escrows(seen)
    if not look.known or escrows is None or seen["pays_beside"]:
        return []
    here = {item["id"] for item in escrows["escrows"] if item["recorded"]}
    known = here | {int(number) for number in seen["explained"]}
    left = [item for item in look.value if item["id"] not in known and not item["in_ledger"]]
    if not left:
        return []
    named = ", ".join(f"{item['id']} ({gnk(int(item['amount']))})" for item in left)
    text = (
        f"{_payer(seen)} has unsettled escrows that nothing on these hosts explains: {named}. The"
        " playbook site creates no other escrow beside them. If another gateway has them, name them in"
        " escrow_other_gateway_ids; if this gateway is to serve them, in escrow_adopt, or restore its"
        " backup"
    )
    return [_finding("deposits", WARNING, text)]


_MOMENTS: t.Final = {
    "chain upgrade": "the chain could not be asked for its upgrades",
    "moment": "whether escrows can be created now is not known",
}


def _moment(seen: Mapping[str, t.Any], asked: str, check: str, *, due: bool) -> list[Finding]:
    """Nothing is paid in the hour before an upgrade, or outside the window of the generation."""
    look = _look(seen, asked)
    if not look.known and due:
        why = f": {look.why}" if _look(seen, "chain_rest").known else ""
        return [_finding(check, UNKNOWN, f"{_MOMENTS[check]}{why}")]
    if (reason := look.value) is None:
        return []
    return [_finding(check, FAILED if due else WARNING, str(reason))]


def _awaited(found: list[Finding]) -> list[Finding]:
    """Where the role creator waits for the vote, neither the list nor the wallet is final now."""
    failed = {item["check"] for item in found if item["verdict"] == FAILED}
    if "allowlist" not in failed:
        return found
    changed = {"allowlist": (NOTE, ""), "funds": (UNKNOWN, ". Site checks them after the vote")}
    return [
        _finding(check, changed[check][0], item["detail"] + changed[check][1])
        if (check := item["check"]) in changed and check in failed
        else item
        for item in found
    ]


_ASKED: t.Final = {"model": "active_models", "funds": "balance"}
"""The questions whose answers a check needs; the others need the terms."""


def _why_unknown(seen: Mapping[str, t.Any], check: Check) -> str:
    """Why a question had no answer, unless that stands above already."""
    of_creator = check.name in ("allowlist", "funds") and _payer(seen) is None
    if of_creator or not _look(seen, "chain_rest").known:
        return ""
    return _look(seen, _ASKED.get(check.name, "terms")).why


def _of_check(seen: Mapping[str, t.Any], check: Check, pays: set[str]) -> Finding:
    """A rule's answer as a finding: what stops a payment is not a failure where none is due."""
    name = check.name if check.subject is None else f"{check.name} {check.subject}"
    governed = _look(seen, "governance_models").value
    text, unlisted = check.text, governed is not None and check.subject not in governed
    if check.answer is PaymentAnswer.YES:
        return _finding(name, OK, text)
    if check.answer is PaymentAnswer.UNKNOWN:
        why = _why_unknown(seen, check)
        return _finding(name, UNKNOWN, f"{text}: {why}" if why else text)
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
    look, found = _look(seen, "escrows"), _escrows(seen)
    if found is None:
        text = f"gateway or chain could not be asked for the escrows: {look.why}"
        return [_finding("deadlines", UNKNOWN, text)]
    if not look.known:
        return []
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
        _node(seen, "chain_rest", "chain REST"),
        _node(seen, "chain_rpc", "chain RPC"),
        _public_api(seen),
        *_creator(seen),
        *_payments(seen),
        *_access(seen),
        *_deadlines(seen),
    ]
