# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the state of a gateway means: no broken state is ever called well."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._status.rules import judge
from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import (
    Finding,
    Model,
    Scene,
    Severity,
    StatusVerdict,
    StatusWish,
    coins,
)

Data = dict[str, t.Any]
OURS = "gonka1ours"
A, B = "org/A", "org/B"
GATEWAY, EDGE = "http://127.0.0.1:18080", "http://127.0.0.1"


def escrow(number: int, model: str = A, **changes: t.Any) -> Data:
    return {
        "id": number,
        "model": model,
        "slot": "main",
        "recorded": True,
        "active": True,
        "loaded": True,
        "loadable": False,
        "settle_queued": False,
        "gateway_settles": False,
        "held_since": None,
        "active_requests": 0,
        "background": 0,
        "phase": "active",
        "nonce": 3,
        "balance": 4_900_000_000,
        "on_chain": True,
        "absence": None,
        "creator": OURS,
        "amount": 5_000_000_000,
        "epoch": 4,
        "settled": False,
        "deadline": {
            "height": 9000 + number,
            "blocks_left": 5000,
            "seconds_left": 30000,
            "last_epoch": False,
        },
        "usable": True,
        "why_not": [],
        "foreign": False,
        "may_settle": True,
        "dangers": [],
        "chain_error": None,
        **changes,
    }


def record(number: int, model: str = A) -> Data:
    return {
        "id": str(number),
        "model": model,
        "active": True,
        "loaded": True,
        "requests_blocked": False,
        "block_reason": "",
    }


def gateway(*devshards: Data) -> Data:
    return {
        "disabled": False,
        "active_requests": 0,
        "devshards": list(devshards),
        "settings": {
            "model_limits": [
                {"model_id": A, "access_mode": "api_key"},
                {"model_id": B, "access_mode": "api_key"},
            ]
        },
        "rotation": {"polled": True, "settings": {"enabled": False}, "latest": []},
    }


def hosts(number: int, available: int, count: int = 4, model: str = A) -> Data:
    away = [
        {"address": f"gonka1h{i}", "until": "2026-01-01T00:30:00Z"} for i in range(available, count)
    ]
    return {
        "id": number,
        "model": model,
        "available": available,
        "count": count,
        "quarantined": away,
    }


def slot(name: str, **changes: t.Any) -> Data:
    return {
        "name": name,
        "known": True,
        "exists": True,
        "running": True,
        "ours": True,
        "state": "running",
        "health": "healthy",
        "image": "registry/gateway:1.0",
        "text": f"container {name} (running)",
        "instance": None,
        **changes,
    }


def well() -> tuple[Data, Data]:
    """Presence and sight of a host where everything is as wanted."""
    presence: Data = {
        "instance": "",
        "deploy_dir": "/srv/gw",
        "record": {"path": "/srv/gw/r.json", "known": True, "exists": True, "error": None},
        "retired": {
            "path": "/srv/gw/.retired.json",
            "known": True,
            "exists": False,
            "retired": False,
            "unchanged": None,
            "archived": None,
        },
        "redirect": {"known": True, "exists": False, "base_url": None, "noted": False},
        "swap": {"known": True, "error": None, "open": False},
        "waiting_keys": {"known": True, "error": None, "names": []},
        "container": slot("multi"),
        "temp": slot("temp", exists=False, running=False, ours=None),
        "others": [],
        "others_known": True,
        "ports": [{"name": "gateway", "port": 18080, "state": "ours", "text": "ours"}],
        "keyring": {"path": "/k", "known": True, "exists": True},
        "ledger": {"path": "/l", "known": True, "exists": True},
        "storage": {"path": "/s", "known": True, "exists": True},
        "other_ledgers": [],
        "engine": {"known": True, "exists": True, "error": None},
        "paths": {
            name: {"path": f"/{name}", "known": True, "exists": True}
            for name in ("compose", "storage", "edge")
        },
    }
    names = ("main", "route", "chain", "public_api", "nginx", "creator", "ledger", "epoch")
    parts = {name: {"known": True, "why": None} for name in (*names, "creations", "main_hosts")}
    seen: Data = {
        "parts": parts,
        "slots": {"main": {"gateway": gateway(record(7)), "hosts": [hosts(7, 4)], "refused": 0}},
        "route": {
            "url": EDGE,
            "status": 200,
            "slot": "main",
            "target": None,
            "message": "",
            "models": [A],
            "chat": 400,
        },
        "accounting": None,
        "nginx": "active",
        "phase": "Inference",
        "confirmation_poc": False,
        "epoch": {"effective": 4, "height": 100},
        "clock_fault": None,
        "clock_offset": 0,
        "backups": None,
        "certificate": None,
        "upgrade": None,
        "disks": [{"path": "/srv", "free_mb": 9000}],
        "creator": {"address": OURS, "balance": 10**11, "membership": "listed"},
        "params": {
            "approved_versions": ["v2"],
            "approved_known": True,
            "settle_exempt": False,
            "max_nonce": 20000,
        },
        "escrows": [escrow(7)],
        "complete": True,
        "transactions": [],
    }
    return presence, seen


WANTED = (Model(id=A, count=1, amount=5_000_000_000, access_mode="api_key"),)


def verdict(
    change: t.Callable[[Data, Data], object] = lambda presence, seen: None,
    *,
    edge_slot: str | None = "main",
    **wish: t.Any,
) -> StatusVerdict:
    presence, seen = well()
    change(presence, seen)
    wanted: Data = {
        "models": WANTED,
        "settlement_tag": "v2",
        "settle_fee": 1_000_000,
        "min_free_mb": 1024,
        "gateway_url": GATEWAY,
        "client_url": EDGE,
        **wish,
    }
    scene = Scene(wish=StatusWish(**wanted), presence=presence, seen=seen, edge_slot=edge_slot)
    return judge(scene)


def test_all_is_well() -> None:
    found = verdict()
    assert found.findings == ()
    assert (found.worst, found.fails) == (Severity.OK, False)
    assert found.clients["state"] == "served"
    assert (found.slot, found.rotation) == ("main", "off")
    (model,) = found.models
    assert (model["usable"], model["wanted"], model["served"]) == (1, 1, True)


# states that are broken


def lost(name: str, why: str = "no answer within the time-out") -> t.Callable[[Data, Data], object]:
    """A part that does not answer, as the look reports it."""

    def change(_presence: Data, seen: Data) -> None:
        seen["parts"][name] = {"known": False, "why": why}
        if name == "main":
            seen["slots"]["main"] = {"gateway": None, "hosts": None, "refused": None}
            for row in seen["escrows"]:
                row |= {"recorded": None, "usable": False, "why_not": ["not known in the gateway"]}
                row["slot"] = None
        elif name == "chain":
            seen |= {"params": None, "epoch": None, "complete": False}
            seen["creator"] = {"address": OURS, "balance": None, "membership": None}
            for part in ("epoch", "creations"):
                seen["parts"][part] = {"known": False, "why": why}
            for row in seen["escrows"]:
                row |= {"on_chain": None, "usable": False, "deadline": None, "settled": None}
                row |= {"why_not": ["not known on the chain"], "chain_error": why, "creator": None}
                row |= {"foreign": None, "amount": None}
        elif name == "public_api":
            seen |= {"phase": None, "epoch": None}
            seen["parts"]["epoch"] = {"known": False, "why": why}
            for row in seen["escrows"]:
                row["deadline"] = None
        elif name in ("route", "nginx"):
            seen[name] = None

    return change


def of_route(**changes: t.Any) -> t.Callable[[Data, Data], object]:
    return lambda _presence, seen: seen["route"].update(changes)


def of_presence(**changes: t.Any) -> t.Callable[[Data, Data], object]:
    def change(presence: Data, _seen: Data) -> None:
        for name, value in changes.items():
            if isinstance(value, dict):
                presence[name].update(value)
            else:
                presence[name] = value

    return change


def of_seen(**changes: t.Any) -> t.Callable[[Data, Data], object]:
    return lambda _presence, seen: seen.update(changes)


def of_escrow(**changes: t.Any) -> t.Callable[[Data, Data], object]:
    return lambda _presence, seen: seen["escrows"][0].update(changes)


def of_gateway(**changes: t.Any) -> t.Callable[[Data, Data], object]:
    return lambda _presence, seen: seen["slots"]["main"]["gateway"].update(changes)


def both(*changes: t.Callable[[Data, Data], object]) -> t.Callable[[Data, Data], object]:
    def change(presence: Data, seen: Data) -> None:
        for one in changes:
            one(presence, seen)

    return change


def nginx_stopped(_presence: Data, seen: Data) -> None:
    seen["nginx"] = "inactive"
    lost("route", "GET http://127.0.0.1/v1/models: the connection was refused")(_presence, seen)


def rotating(**entry: t.Any) -> t.Callable[[Data, Data], object]:
    latest = [{"model_id": A, "stage": "prepare_temp", "epoch": 4, **entry}] if entry else []
    settings = {"enabled": True, "settlement_enabled": True}
    return of_gateway(rotation={"polled": True, "settings": settings, "latest": latest})


SETTLED: t.Final = of_escrow(settled=True, usable=False, why_not=["settled on the chain"])
NOTED: t.Final = {"exists": True, "retired": True, "unchanged": True, "archived": True}
RETIRED: t.Final = {"retired": NOTED, "container": {"exists": False, "running": False}}


SWAP: t.Final = {
    "open": True,
    "rolling_back": False,
    "only_forward": False,
    "mode": "temp",
    "slot": "main",
    "since": "03:00",
    "step": "drain_main",
    "asked": "registry/gateway:1.1",
    "origin_asked": "registry/gateway:1.0",
}
NOTHING: t.Final = of_presence(
    record={"exists": False},
    container={"exists": False, "running": False},
    keyring={"exists": False},
    ledger={"exists": False},
    storage={"exists": False},
)


def danger_of(kind: str, reason: str) -> Data:
    return {"kind": kind, "reason": reason, "advice": "Ask governance"}


def intent(**changes: t.Any) -> Data:
    return {
        "kind": "create",
        "state": "signed",
        "model": A,
        "amount": 5_000_000_000,
        "escrow_id": None,
        "updated_at": "03:00",
        "timeout_at": "03:09",
        **changes,
    }


Change = t.Callable[[Data, Data], object]
BROKEN: t.Final[dict[str, tuple[Change, str, str]]] = {
    # clients
    "nginx is stopped": (nginx_stopped, "danger", "no client is served: nginx is inactive"),
    "edge hangs": (lost("route"), "danger", "no client is served: no answer within"),
    "edge cannot be reached from here": (
        lost("route", "the host name cannot be resolved"),
        "not known",
        "whether clients are served is not known: the host name cannot be resolved",
    ),
    "edge answers 502": (of_route(status=502), "danger", "the edge returns 502"),
    "another site answers": (of_route(status=404, slot=None), "danger", "answers 404"),
    "an edge that does not name the slot": (of_route(slot=None), "not known", "name the slot"),
    "the path for chats is closed": (of_route(chat=404), "danger", "path for chats answers 404"),
    "disabled by hand": (
        of_route(status=308, target=None),
        "danger",
        "by a disabled state that the playbook redirect did not set",
    ),
    "redirect without effect": (
        of_presence(redirect={"exists": True, "base_url": "https://o.example", "noted": True}),
        "danger",
        "a redirect to https://o.example is set up, but clients are not sent there",
    ),
    "the edge has another slot in service": (
        of_route(slot="temp"),
        "danger",
        "slot main should be in service, but slot temp answers clients",
    ),
    # models
    "all settled": (
        of_escrow(settled=True, usable=False, why_not=["settled on the chain"]),
        "danger",
        f"no usable escrow for {A}",
    ),
    "no escrow": (of_seen(escrows=[]), "danger", f"no usable escrow for {A}"),
    "an escrow of another model only": (of_escrow(model=B), "danger", f"no usable escrow for {A}"),
    "closed to clients": (
        of_gateway(settings={"model_limits": []}),
        "danger",
        "clients are turned away; the inventory wants api_key",
    ),
    "all hosts in quarantine": (
        lambda _p, seen: seen["slots"]["main"].update(hosts=[hosts(7, 0)]),
        "danger",
        "none of 4 hosts for org/A is asked: all are in quarantine until 2026-01-01T00:30:00Z",
    ),
    "requests are blocked": (
        of_gateway(devshards=[{**record(7), "requests_blocked": True, "block_reason": "PoC"}]),
        "danger",
        f"the gateway blocks all requests for {A}: PoC",
    ),
    "only another account's escrow serves": (
        of_escrow(creator="gonka1other", foreign=True),
        "danger",
        f"only escrow(s) 7 of another account serve {A}",
    ),
    # parts
    "gateway is down": (lost("main"), "not known", "the gateway in slot main could not be asked"),
    "chain hangs": (
        lost("chain"),
        "not known",
        "the chain (devshard_chain_rest) could not be asked",
    ),
    "public API is down": (
        lost("public_api"),
        "not known",
        "the public API (devshard_public_api) could not be asked",
    ),
    "chain and API do not fit": (lost("epoch", "one is stale"), "not known", "one is stale"),
    "no index of transactions": (lost("creations", "no index"), "not known", "no index"),
    "ledger is broken": (lost("ledger", "disk I/O"), "not known", "devshard_ledger_path"),
    "keyring is broken": (lost("creator", "exit 1"), "not known", "keyring: exit 1"),
    "no key": (
        of_seen(creator={"address": None, "balance": None, "membership": None}),
        "not known",
        "the keyring has no key",
    ),
    "hosts are not known": (lost("main_hosts", "500"), "not known", "500"),
    "one escrow's answer is missing": (
        of_escrow(chain_error="reset", on_chain=None, usable=False, why_not=["x"], deadline=None),
        "not known",
        "the chain did not answer for escrow(s) 7: reset",
    ),
    "nothing could be asked": (of_seen(parts={}), "not known", "not proved to be it"),
    # the host
    "engine is stopped": (
        of_presence(engine={"known": False, "error": "no socket"}, container={"known": False}),
        "not known",
        "no socket",
    ),
    "no engine": (of_presence(engine={"exists": False}), "danger", "no Docker Engine answers"),
    "container is gone": (
        of_presence(container={"exists": False}),
        "danger",
        "there is no container multi",
    ),
    "container exited": (
        of_presence(container={"running": False, "text": "container multi (exited, exit code 1)"}),
        "danger",
        "container multi (exited, exit code 1) does not run",
    ),
    "container is unhealthy": (
        of_presence(container={"health": "unhealthy"}),
        "danger",
        "unhealthy",
    ),
    "container on another storage": (
        of_presence(container={"ours": False}),
        "danger",
        "does not use the storage of the deploy record",
    ),
    "port is another's": (
        both(
            of_presence(
                ports=[{"name": "gateway", "port": 18080, "state": "foreign", "text": "taken by x"}]
            ),
            lambda _p, seen: (seen["slots"].clear(), seen["parts"].pop("main")),
        ),
        "danger",
        "port 18080 of the gateway is taken by x",
    ),
    "wrong directory": (
        of_presence(record={"exists": False}),
        "danger",
        "has deployed no gateway in /srv/gw, but this host has container multi",
    ),
    "wrong directory, nothing but a deposit": (
        NOTHING,
        "danger",
        "Where they are right, the deploy record was lost or the gateway was made by hand: take it",
    ),
    "bare host": (both(NOTHING, of_seen(escrows=[])), "danger", "clients are not served"),
    "bare host, engine unknown": (
        both(NOTHING, of_seen(escrows=[]), of_presence(others_known=False)),
        "not known",
        "whether another gateway runs is not known",
    ),
    "record cannot be read": (
        of_presence(record={"known": False, "error": "no JSON"}),
        "not known",
        "the deploy record is not known: no JSON",
    ),
    "second ledger": (
        of_presence(other_ledgers=["/old/l"]),
        "danger",
        "another ledger lies in /old/l",
    ),
    "retired, with a deposit out": (
        of_presence(**RETIRED),
        "danger",
        "is retired, and its creator still has unsettled escrows 7",
    ),
    "retired, chain unknown": (
        both(of_presence(**RETIRED), lost("chain")),
        "not known",
        "devshard_chain_rest",
    ),
    "settled, and served again": (
        of_presence(**{**RETIRED, "retired": {**NOTED, "archived": False, "unchanged": False}}),
        "not known",
        "has served again after everything was settled",
    ),
    "retired, and served again": (
        of_presence(**{**RETIRED, "retired": {**NOTED, "unchanged": False}}),
        "not known",
        "has served again after its retirement was recorded",
    ),
    "retired, by a record that cannot be read": (
        of_presence(**{**RETIRED, "retired": {**NOTED, "archived": None}}),
        "not known",
        "the record and the database could not be compared",
    ),
    "clock": (
        of_seen(clock_fault="this host's clock is 900 s behind the chain"),
        "danger",
        "this host's clock is 900 s behind the chain",
    ),
    "no money for the fee of a settle": (
        of_seen(creator={"address": OURS, "balance": 5, "membership": "listed"}),
        "danger",
        "to settle escrow(s) 7 it pays a fee of 0.001 GNK (settlement_fee_amount). Send 0.000999995",
    ),
    "disk": (
        of_seen(disks=[{"path": "/srv", "free_mb": 20}]),
        "danger",
        "20 MiB are free on the disk of /srv: without space no session is written",
    ),
    "disk not known": (lost("disks", "exit 1"), "not known", "how much space is free is not known"),
    # the swap
    "open swap": (
        both(of_presence(swap=SWAP), of_route(slot="main")),
        "danger",
        "gateway:1.1 is open since 03:00 at step drain_main; slot main is in service",
    ),
    "journal cannot be read": (
        of_presence(swap={"known": False, "error": "no JSON"}),
        "not known",
        "whether a swap is open is not known: no JSON",
    ),
    "temp is left": (
        of_presence(temp=slot("temp")),
        "danger",
        "is left of a hot swap, and no swap is open",
    ),
    # rotation and money
    "rotation cannot create": (
        rotating(create_error="insufficient funds"),
        "danger",
        "the rotation fails: prepare_temp of org/A in epoch 4: insufficient funds",
    ),
    "rotation cannot settle": (rotating(settle_failed_count=2), "danger", "could not be settled"),
    "rotation without money": (
        both(
            rotating(),
            of_seen(creator={"address": OURS, "balance": 5, "membership": "listed"}),
        ),
        "danger",
        "0.000000005 GNK, another escrow needs 5 GNK",
    ),
    "deadline is near": (
        of_escrow(
            deadline={"blocks_left": 10, "seconds_left": 60, "last_epoch": True},
            dangers=[{"kind": "deadline", "reason": "near", "advice": "Settle"}],
        ),
        "danger",
        "escrow 7 (5 GNK): 10 blocks, 0 h 01 min left to settle it",
    ),
    "not listed any more": (
        of_escrow(dangers=[danger_of("not_listed", "it is no longer on the list")]),
        "danger",
        "escrow 7 (5 GNK, 5000 blocks, 8 h 20 min left): it is no longer on the list. Ask governance",
    ),
    "not listed, nothing open": (
        of_seen(creator={"address": OURS, "balance": 10**11, "membership": "not_listed"}),
        "danger",
        "not on the chain's list",
    ),
    "version is not approved": (
        of_seen(
            params={
                "approved_versions": ["v3"],
                "approved_known": True,
                "settle_exempt": False,
                "max_nonce": 1,
            }
        ),
        "danger",
        'version "v2"',
    ),
}
MILD: t.Final[dict[str, tuple[Change, str]]] = {
    "surplus": (
        lambda _p, seen: seen.update(escrows=[escrow(9), escrow(8), escrow(7)]),
        "3 usable escrows for org/A, 1 wanted; a deposit is locked for each of 7, 8",
    ),
    "a host in quarantine": (
        lambda _p, seen: seen["slots"]["main"].update(hosts=[hosts(7, 3)]),
        "3 of 4 hosts for org/A are asked",
    ),
    "open transaction": (
        of_seen(transactions=[intent()]),
        "create of 5 GNK for org/A is not finished (signed since 03:00, decided by 03:09",
    ),
    "modes differ": (
        lambda _p, seen: seen["slots"]["main"]["gateway"].update(
            devshards=[record(7), record(8, B)],
            settings={
                "default_model": A,
                "model_limits": [{"model_id": A, "access_mode": "api_key"}],
            },
        ),
        f"clients of {A} can also spend the escrows of {B} (admin_only)",
    ),
    "PoC": (of_seen(phase="PoCGenerate"), "phase PoCGenerate"),
    "foreign temp container": (
        of_presence(temp=slot("temp", ours=False, text="container temp (running)")),
        "container temp (running) is not of this collection",
    ),
    "little space": (
        of_seen(disks=[{"path": "/srv", "free_mb": 500}]),
        "500 MiB are free on the disk of /srv, a deployment or a hot swap needs 1024",
    ),
    "another gateway": (of_presence(others=[slot("plain")]), "another gateway is on this host"),
    "a gateway that has no name of its own either": (
        of_presence(others=[slot("plain", instance="")]),
        "another gateway is on this host",
    ),
    "at its limit": (of_route(chat=429), "at its limit"),
    "no money for another": (
        of_seen(creator={"address": OURS, "balance": 10**6, "membership": "listed"}),
        "another escrow needs 5 GNK",
    ),
    "paid and not recorded": (
        lambda _p, seen: seen["escrows"].append(escrow(8, recorded=False, slot=None, usable=False)),
        "escrow 8 (5 GNK) is paid for, and the gateway has no record of it",
    ),
}


def told(found: StatusVerdict) -> list[str]:
    return [f"{item.severity.value}: {item.text}" for item in found.findings]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_state_is_never_well(name: str) -> None:
    change, severity, words = BROKEN[name]
    found = verdict(change)
    assert found.fails, told(found)
    assert any(line.startswith(f"{severity}: ") and words in line for line in told(found)), told(
        found
    )


def test_there_are_many_broken_states() -> None:
    assert len(BROKEN) > 50


@pytest.mark.parametrize("name", MILD)
def test_what_needs_no_hurry_is_a_warning(name: str) -> None:
    change, words = MILD[name]
    found = verdict(change)
    assert found.worst is Severity.WARNING, told(found)
    assert any(words in line for line in told(found)), told(found)


def test_the_named_gateways_of_a_host_are_no_surprise() -> None:
    """Each is an inventory host of its own, and the ledger and the key belong to all of them."""
    blue = [slot("blue", instance="blue")]
    assert verdict(of_presence(others=blue)).worst is Severity.OK
    retired = of_presence(**RETIRED, others=blue)
    assert not any("blue" in line for line in told(verdict(retired)))
    record = {"path": "/r", "known": True, "exists": False, "error": None}
    gone = {"exists": False, "running": False, "ours": None}
    bare = {"record": record, "container": slot("multi", **gone), "instance": "green"}
    storage = {"path": "/s", "known": True, "exists": False}
    settled = of_seen(escrows=[])
    found = told(verdict(both(of_presence(others=blue, storage=storage, **bare), settled)))
    assert not any("this host has" in line for line in found), found
    assert any("clients are not served" in line for line in found), found


@pytest.mark.parametrize("missing", ["presence", "seen"])
def test_a_look_that_failed_is_not_known(missing: str) -> None:
    presence, seen = well()
    parts: Data = {"presence": presence, "seen": seen, missing: None, f"{missing}_error": "boom"}
    wish = StatusWish(models=WANTED, gateway_url=GATEWAY, client_url=EDGE)
    found = judge(Scene(wish=wish, edge_slot=None, **parts))
    assert found.fails
    assert any("boom" in line for line in told(found))


def test_every_single_part_that_is_lost_fails() -> None:
    """Whatever the look did not learn, the verdict is not well."""
    _presence, seen = well()
    for name in seen["parts"]:
        if name != "nginx":  # while the route answers, the service's state does not matter
            assert verdict(lost(name)).fails, name


def test_the_part_that_does_not_answer_is_named_once() -> None:
    for name, variable in (("public_api", "devshard_public_api"), ("chain", "devshard_chain_rest")):
        rows = [escrow(number) for number in range(1, 9)]
        found = verdict(both(of_seen(escrows=rows), lost(name)))
        about = [line for line in told(found) if "no answer within" in line]
        assert len(about) == 1, about
        assert variable in about[0]
        assert f"devshard_{name}" in about[0] or name == "chain"


def test_deadlines_are_told_while_the_gateway_is_down() -> None:
    near = of_escrow(
        deadline={"blocks_left": 10, "seconds_left": 60, "last_epoch": True},
        dangers=[{"kind": "deadline", "reason": "near", "advice": "Settle it"}],
    )
    lines = told(verdict(both(near, lost("main"))))
    assert any("10 blocks, 0 h 01 min left, and its gateway does not answer" in x for x in lines)


def test_a_redirect_that_is_meant_is_well() -> None:
    meant = of_presence(redirect={"exists": True, "base_url": "https://o.example", "noted": True})
    sent = of_route(status=308, target="https://o.example", slot=None)
    settled = of_escrow(settled=True, usable=False, why_not=["settled on the chain"])
    found = verdict(both(meant, sent))
    assert (found.fails, found.clients["state"]) == (False, "redirected")
    assert told(found) == [
        "ok: clients are redirected to https://o.example by the playbook redirect"
    ]
    assert not verdict(both(meant, sent, settled)).fails
    assert verdict(both(meant, sent, lost("chain"))).fails


def test_an_https_edge_is_not_taken_for_a_redirect() -> None:
    found = verdict(of_route(status=308, target="https://127.0.0.1", slot=None))
    assert found.fails
    assert any("set devshard_client_base_url" in line for line in told(found))


def test_in_a_swap_the_slot_that_serves_is_described() -> None:
    """Main may stand still, and temp's escrow is the one that counts."""

    def change(presence: Data, seen: Data) -> None:
        presence["swap"] |= SWAP
        presence["container"] |= {"exists": False, "running": False}
        presence["temp"] = slot("temp")
        seen["route"]["slot"] = "temp"
        seen["parts"]["main"] = {"known": False, "why": "the connection was refused"}
        seen["parts"]["temp"] = {"known": True, "why": None}
        seen["slots"] = {
            "main": {"gateway": None, "hosts": None, "refused": None},
            "temp": {"gateway": gateway(record(8)), "hosts": [hosts(8, 4)], "refused": 0},
        }
        seen["escrows"] = [escrow(8, slot="temp")]

    found = verdict(change, edge_slot="temp")
    assert (found.slot, found.clients["state"]) == ("temp", "served")
    assert found.models[0]["usable_ids"] == [8]
    (swap,) = [item for item in found.findings if item.about == "swap"]
    assert swap.run == "gonka.devshard.hot_swap -e hot_swap_image=registry/gateway:1.1"
    assert swap.back == "gonka.devshard.hot_swap -e hot_swap_rollback=true"
    assert not any("there is no container" in line for line in told(found))


def test_the_way_on_of_a_swap_with_the_other_gateway_names_its_mode() -> None:
    pool = {**SWAP, "mode": "pool", "slot": "temp"}
    found = verdict(of_presence(swap=pool))
    (swap,) = [item for item in found.findings if item.about == "swap"]
    more = " -e hot_swap_mode=pool -e hot_swap_slot=temp"
    assert swap.run == f"gonka.devshard.hot_swap -e hot_swap_image=registry/gateway:1.1{more}"
    assert swap.back == f"gonka.devshard.hot_swap -e hot_swap_rollback=true{more}"


def test_keys_that_wait_are_named_with_the_playbook_that_brings_them() -> None:
    waits = {"known": True, "error": None, "names": ["DEVSHARD_ADMIN_API_KEY", "DEVSHARD_API_KEYS"]}
    (found,) = verdict(of_presence(waiting_keys=waits)).findings
    assert (found.severity, found.run) == (Severity.WARNING, "gonka.devshard.hot_swap")
    assert "DEVSHARD_ADMIN_API_KEY and DEVSHARD_API_KEYS waits for a container" in found.text
    unknown = {"known": False, "error": "it is no JSON", "names": []}
    (found,) = verdict(of_presence(waiting_keys=unknown)).findings
    assert found.severity is Severity.UNKNOWN
    (_swap, found) = verdict(of_presence(waiting_keys=waits, swap=SWAP)).findings
    assert (found.about, found.run) == ("keys", "")


@pytest.mark.parametrize(
    ("changes", "back"),
    [
        ({}, "gonka.devshard.generation_upgrade -e hot_swap_rollback=true"),
        ({"only_forward": True}, ""),
        ({"rolling_back": True}, ""),
    ],
)
def test_an_open_move_goes_on_by_its_own_playbook(changes: Data, back: str) -> None:
    found = verdict(of_presence(swap={**SWAP, "mode": "generation", **changes}))
    (swap,) = [item for item in found.findings if item.about == "swap"]
    asked = "-e hot_swap_image=registry/gateway:1.1"
    assert (swap.run, swap.back) == (f"gonka.devshard.generation_upgrade {asked}", back)
    kind = "a rollback" if "rolling_back" in changes else "a move"
    assert swap.text.startswith(f"{kind} from registry/gateway:1.0 to registry/gateway:1.1 is open")


def test_modes_that_differ_are_no_danger_where_the_default_model_is_the_strictest() -> None:
    limits = [{"model_id": B, "access_mode": "open"}, {"model_id": A, "access_mode": "api_key"}]
    found = verdict(
        lambda _p, seen: seen["slots"]["main"]["gateway"].update(
            devshards=[record(7), record(8, B)],
            settings={"default_model": A, "model_limits": limits},
        )
    )
    assert told(found) == []


def test_a_bare_host_is_named_before_its_missing_engine() -> None:
    engine = of_presence(engine={"known": True, "exists": False, "error": None})
    lines = told(verdict(both(NOTHING, engine, of_seen(escrows=[]))))
    assert "the collection has deployed no gateway" in lines[0]
    assert "no Docker Engine answers" in lines[1]


def test_a_swap_goes_on_with_the_variables_that_it_began_with() -> None:
    pool = {**SWAP, "mode": "pool", "slot": "temp", "rolling_back": True}
    found = verdict(lambda presence, _seen: presence["swap"].update(pool))
    (swap,) = [item for item in found.findings if item.about == "swap"]
    assert swap.run == (
        "gonka.devshard.hot_swap -e hot_swap_image=registry/gateway:1.1 -e hot_swap_mode=pool"
        " -e hot_swap_slot=temp"
    )


def test_only_own_escrows_in_a_fleet() -> None:
    rows = [escrow(7), escrow(8, recorded=False, slot=None, usable=False)]
    found = verdict(of_seen(escrows=rows), elsewhere=frozenset({8}))
    assert [row["id"] for row in found.escrows] == [7]
    assert told(found) == []


def test_one_that_this_gateway_has_is_told_although_another_has_it_too() -> None:
    found = verdict(elsewhere=frozenset({7}))
    assert [row["id"] for row in found.escrows] == [7]


def test_a_retired_host_without_deposits_is_well() -> None:
    found = verdict(both(SETTLED, of_presence(**RETIRED), of_route(status=502), lost("main")))
    assert told(found) == []


def test_an_unfinished_retirement_is_told_with_the_command_that_ends_it() -> None:
    unfinished = of_presence(**{**RETIRED, "retired": {**NOTED, "archived": False}})
    (finding,) = verdict(both(SETTLED, unfinished, of_route(status=502), lost("main"))).findings
    assert finding.severity is Severity.WARNING
    assert finding.run == "gonka.devshard.retire"
    assert "everything is settled, and the state of the gateway is not archived yet" in finding.text
    assert "is retired" not in finding.text


@pytest.mark.parametrize(
    ("wanted", "on", "words"),
    [(None, True, None), (True, True, None), (False, False, None), (True, False, "is off")],
)
def test_the_rotation_of_the_inventory(wanted: bool | None, on: bool, words: str | None) -> None:
    found = verdict(rotating() if on else lambda p, s: None, rotation=wanted)
    assert found.rotation == ("on" if on else "off")
    assert [line for line in told(found) if "inventory" in line] == (
        [] if words is None else ["warning: the rotation is off, the inventory wants it on"]
    )


def test_a_rotation_that_failed_and_then_went_well() -> None:
    old = {"model_id": A, "stage": "prepare_temp", "epoch": 3, "create_error": "x"}
    new = {"model_id": A, "stage": "prepare_temp", "epoch": 4}
    settings = {"enabled": True, "settlement_enabled": True}
    rotation = {"polled": True, "settings": settings, "latest": [new, old]}
    assert verdict(of_gateway(rotation=rotation)).rotation == "on"


def test_a_surplus_is_normal_with_the_rotation() -> None:
    more = of_seen(escrows=[escrow(7), escrow(8)])
    assert told(verdict(both(rotating(), more))) == []


def test_the_worst_comes_first() -> None:
    mild, bad = MILD["surplus"][0], BROKEN["edge answers 502"][0]
    severities = [item.severity for item in verdict(both(mild, bad, lost("ledger"))).findings]
    assert severities == [Severity.DANGER, Severity.UNKNOWN, Severity.WARNING]


ACCOUNTING = f"{EDGE}/api/v1/accounting/epochs"


def published(status: int | None, schema: int | None = None) -> Change:
    """The accounting behind the edge, which was asked for; None where nothing answered."""

    def change(_presence: Data, seen: Data) -> None:
        why = "the connection was refused" if status is None else None
        seen["parts"]["accounting"] = {"known": status is not None, "why": why}
        if status is not None:
            seen["accounting"] = {"url": ACCOUNTING, "status": status, "schema": schema}

    return change


def test_an_accounting_that_answers_is_well() -> None:
    assert verdict(published(200, 4)).findings == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (published(503), "answers 503: the gateway does not answer for its accounting"),
        (published(404), "answers 404"),
        (published(200), "answers 200, but not with an accounting"),
        (published(None), "could not be asked: the connection was refused"),
    ],
)
def test_an_accounting_that_is_missing_is_a_warning(change: Change, words: str) -> None:
    (found,) = verdict(change).findings
    assert (found.severity, found.about) == (Severity.WARNING, "accounting")
    assert words in found.text


def test_in_a_swap_the_accounting_is_missed_for_a_while() -> None:
    found = verdict(both(published(503), of_presence(swap=SWAP))).findings
    (said,) = [item.text for item in found if item.about == "accounting"]
    assert said == "the accounting is not public while the gateway is replaced"


@pytest.mark.parametrize("change", [nginx_stopped, of_route(status=308, target="https://b")])
def test_where_no_client_is_served_nothing_is_said_of_the_accounting(change: Change) -> None:
    found = verdict(both(published(503), change)).findings
    assert found
    assert not [item for item in found if item.about == "accounting"]


def test_a_gateway_without_an_edge() -> None:
    change = both(of_route(slot=None), of_seen(nginx=None), lost("nginx"))
    found = verdict(change, client_url=GATEWAY, edge_slot=None)
    assert (found.slot, told(found)) == ("main", [])


def test_a_model_of_which_none_is_wanted_is_not_missed() -> None:
    models = (*WANTED, Model(id=B, count=0, amount=1, access_mode="api_key"))
    assert told(verdict(models=models)) == []


def test_a_model_for_the_admin_alone_is_not_closed_to_clients() -> None:
    only = (Model(id=A, count=1, amount=1, access_mode="admin_only"),)
    assert told(verdict(of_gateway(settings={"model_limits": None}), models=only)) == []


def test_the_tables_change_what_they_mean_to_change() -> None:
    """A change that does nothing would make its test pass for another reason."""
    changes = [entry[0] for entry in BROKEN.values()] + [entry[0] for entry in MILD.values()]
    for change in changes:
        presence, seen = well()
        before = copy.deepcopy((presence, seen))
        change(presence, seen)
        assert (presence, seen) != before


def test_coins() -> None:
    assert [coins(n) for n in (None, 0, 1, 5_000_000_000)] == [
        "-",
        "0 GNK",
        "0.000000001 GNK",
        "5 GNK",
    ]


def test_findings_are_plain_data() -> None:
    finding = Finding(severity=Severity.OK, about="a", text="b")
    assert finding.to_result() == {
        "severity": "ok",
        "about": "a",
        "text": "b",
        "run": "",
        "back": "",
    }


@pytest.mark.parametrize(("balance", "enough"), [(5_000_000_019, False), (5_000_000_020, True)])
def test_the_wallet_is_judged_as_the_next_create_judges_it(balance: int, enough: bool) -> None:
    """A deposit with the fees to create and to settle it."""
    creator = {"address": OURS, "balance": balance, "membership": "listed"}
    found = verdict(of_seen(creator=creator), fee=10)
    assert any("another escrow needs" in line for line in told(found)) is not enough


def endangered(number: int, *kinds: str, **changes: t.Any) -> Data:
    found = [{"kind": kind, "reason": f"why {kind}", "advice": "do it"} for kind in kinds]
    return escrow(number, dangers=found, **changes)


@pytest.mark.parametrize(
    ("kind", "changes", "run"),
    [
        ("version", {"may_settle": False}, "gonka.devshard.settle -e settle_select=at_risk"),
        ("not_listed", {"may_settle": False}, "gonka.devshard.settle -e settle_select=at_risk"),
        ("nonce", {"may_settle": False}, "gonka.devshard.settle -e settle_select=at_risk"),
        ("changed", {}, "gonka.devshard.settle -e settle_select=at_risk"),
        ("deadline", {}, "gonka.devshard.settle -e settle_ids=7"),
        ("last_epoch", {"active": False}, "gonka.devshard.settle -e settle_ids=7"),
        ("too_late", {"may_settle": False}, ""),
        ("foreign", {"may_settle": False}, ""),
    ],
)
def test_each_danger_is_an_alarm_with_its_deadline_and_what_to_run(
    kind: str, changes: dict[str, t.Any], run: str
) -> None:
    row = endangered(7, kind, **changes)
    found = verdict(of_seen(escrows=[row]))
    (alarm,) = found.to_result()["alarms"]
    assert alarm == {
        "id": 7,
        "kind": kind,
        "severity": "danger",
        "amount": 5_000_000_000,
        "deadline": row["deadline"],
        "reason": f"why {kind}",
        "advice": "do it",
        "run": run,
    }
    assert found.fails
    assert any(item.run == run for item in found.findings if item.about == "escrows")


def test_what_serves_in_its_last_epoch_is_an_alarm_and_no_failure() -> None:
    last = {"blocks_left": 15_000, "seconds_left": 80_000, "last_epoch": True}
    found = verdict(of_escrow(deadline=last))
    (alarm,) = found.to_result()["alarms"]
    assert (alarm["kind"], alarm["severity"], alarm["deadline"]) == ("last_epoch", "warning", last)
    assert alarm["run"] == "gonka.devshard.settle -e settle_ids=7"
    assert told(found) == [
        "warning: escrow 7 (5 GNK): the last epoch to settle it has begun, 15000 blocks, 22 h 13 min left"
    ]
    assert not found.fails
    # settled, or of another account: nothing of ours is due
    assert verdict(of_escrow(deadline=last, settled=True)).alarms == ()
    assert verdict(of_escrow(deadline=last, foreign=True)).alarms == ()


def test_a_danger_of_several_names_the_nearest_deadline_of_them() -> None:
    rows = [endangered(7, "version"), endangered(8, "version")]
    rows[1]["deadline"] = {
        "height": 1,
        "blocks_left": 20,
        "seconds_left": None,
        "last_epoch": False,
    }
    lines = told(verdict(of_seen(escrows=rows)))
    assert "danger: escrow 7, 8 (10 GNK, 20 blocks left): why version. do it" in lines


def test_without_dangers_there_is_no_alarm() -> None:
    assert verdict().to_result()["alarms"] == []


def test_an_approved_list_that_could_not_be_asked_for_is_not_known() -> None:
    params = {"approved_versions": [], "approved_known": False, "settle_exempt": True}
    (line,) = told(verdict(of_seen(params=params)))
    assert line.startswith("not known: ")
    assert "it names no approved version" in line


@pytest.mark.parametrize(("exempt", "fails"), [(True, False), (False, True)])
def test_an_empty_wallet_can_settle_where_settling_costs_nothing(
    *, exempt: bool, fails: bool
) -> None:
    params = {"approved_versions": ["v2"], "approved_known": True, "settle_exempt": exempt}
    creator = {"address": OURS, "balance": 0, "membership": "listed"}
    assert verdict(of_seen(params=params, creator=creator), models=()).fails is fails


def test_an_upgrade_of_the_chain_is_told() -> None:
    lines = told(verdict(of_seen(upgrade="the chain upgrades to v0.2.17 at block 9")))
    assert lines == ["warning: the chain upgrades to v0.2.17 at block 9"]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (30, []),
        (14, []),
        (3, ["warning"]),
        (0, ["warning"]),
        (-1, ["danger"]),
    ],
)
def test_a_certificate_that_ends(days: int, said: list[str]) -> None:
    found = verdict(
        of_seen(certificate={"expires": "2026-12-31T12:00:00+00:00", "days_left": days})
    )
    assert [item.severity.value for item in found.findings] == said


def test_a_certificate_that_cannot_be_read_is_not_known() -> None:
    found = verdict(lost("certificate"))
    assert [item.severity for item in found.findings] == [Severity.UNKNOWN]
