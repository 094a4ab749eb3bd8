# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether each model is served, and how clients may use it. Pure."""

from __future__ import annotations

import typing as t

from .._escrows.absence import WHY, Absence
from .._gateway.settings import access_gap, access_modes
from .rotation_rules import rotates
from .scene import ESCROW, SITE, Data, Finding, Model, Scene, danger, listed, settle_run, warning

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


def model_row(scene: Scene, model: Model) -> dict[str, t.Any]:
    """One wanted model: what serves it. ``served`` is None where that is not known."""
    slot = scene.serving or scene.wish.slot
    gateway = scene.gateway(slot)
    mine = [row for row in scene.rows if row["model"] == model.id and row["slot"] == slot]
    usable = [row["id"] for row in mine if row["usable"] and not row["foreign"]]
    maybe = [row["id"] for row in mine if _maybe(row)]
    foreign = [row["id"] for row in mine if row["usable"] and row["foreign"]]
    found: list[Finding] = []
    result: dict[str, t.Any] = {
        "id": model.id,
        "wanted": model.count,
        "usable": len(usable),
        "usable_ids": usable,
        "not_known": len(maybe),
        "access_mode": None,
        "hosts_available": None,
        "hosts": None,
        "served": None,
        "findings": found,
    }
    if gateway is None:
        return {**result, "usable": None}
    mode = access_mode(gateway, model.id)
    hosts = _hosts(scene, slot, model.id, {*usable, *maybe, *foreign})
    result |= {"access_mode": mode, **hosts}
    reasons = [
        *_none_usable(model, usable, maybe, foreign),
        *_closed(model, mode),
        *_no_hosts(model, hosts),
        *_blocked(model, gateway, {*usable, *maybe, *foreign}),
    ]
    # a redirect that is meant excuses what clients of this host would miss
    meant = scene.redirect is not None
    found += [warning(r.about, r.text, r.run) if meant else r for r in reasons]
    found += _counts(scene, model, usable, maybe, mine)
    found += _some_hosts(model, hosts) if not reasons else []
    served: bool | None = not reasons
    if served and not usable and maybe:
        served = None
    return {**result, "served": served}


def _maybe(row: Data) -> bool:
    """Only the silence of the chain keeps it from being usable."""
    silent = row["why_not"] in (["not known on the chain"], [WHY[Absence.NOT_SHOWN]])
    return silent and not row["usable"] and not row["settled"]


def _none_usable(
    model: Model, usable: Sequence[int], maybe: Sequence[int], foreign: Sequence[int]
) -> Iterator[Finding]:
    if usable or maybe:
        return
    if foreign:
        text = f"only escrow(s) {listed(foreign)} of another account serve {model.id}"
        yield danger("models", text, ESCROW)
        return
    yield danger("models", f"no usable escrow for {model.id}: requests are refused", ESCROW)


def access_mode(gateway: Data, model: str) -> str:
    """Who may use a model; one without an entry is closed (contract gateway.md §1.5)."""
    return access_modes(gateway["settings"], [model])[model]


def _closed(model: Model, mode: str) -> Iterator[Finding]:
    if mode == "admin_only" and model.access_mode != "admin_only":
        yield danger(
            "models",
            f"{model.id} is open to the admin key only, so clients are turned away; the inventory"
            f" wants {model.access_mode}",
            SITE,
        )


def _blocked(model: Model, gateway: Data, ids: Collection[int]) -> Iterator[Finding]:
    mine = [
        item for item in gateway["devshards"] if item["id"].isdigit() and int(item["id"]) in ids
    ]
    if mine and all(item["requests_blocked"] for item in mine):
        why = next((item["block_reason"] for item in mine if item.get("block_reason")), "")
        yield danger(
            "models", f"the gateway blocks all requests for {model.id}{': ' if why else ''}{why}"
        )


def _hosts(scene: Scene, slot: str, model: str, ids: Collection[int]) -> dict[str, t.Any]:
    entries = ((scene.seen or {}).get("slots", {}).get(slot) or {}).get("hosts")
    mine = [entry for entry in entries or () if entry["model"] == model and entry["id"] in ids]
    if not mine:
        return {"hosts_available": None, "hosts": None, "quarantined": []}
    best = max(mine, key=lambda entry: entry["available"])
    away = {host["address"]: host for entry in mine for host in entry["quarantined"]}
    return {
        "hosts_available": best["available"],
        "hosts": best["count"],
        "quarantined": [away[name] for name in sorted(away)],
    }


def _until(hosts: Data) -> str:
    times = sorted(host["until"] for host in hosts["quarantined"] if host["until"])
    return f" until {times[0]}" if times else ""


def _no_hosts(model: Model, hosts: Data) -> Iterator[Finding]:
    if hosts["hosts_available"] == 0:
        yield danger(
            "hosts",
            f"none of {hosts['hosts']} hosts for {model.id} is asked: all are in quarantine"
            f"{_until(hosts)}, and requests wait or get 429. Where they are back, end the quarantine"
            " with POST /v1/admin/participants/unquarantine (guide: Hosts in quarantine)",
        )


def _some_hosts(model: Model, hosts: Data) -> list[Finding]:
    available, count = hosts["hosts_available"], hosts["hosts"]
    if available is None or available == count:
        return []
    text = f"{available} of {count} hosts for {model.id} are asked, others are in quarantine"
    return [warning("hosts", text + _until(hosts))]


def _counts(
    scene: Scene,
    model: Model,
    usable: Sequence[int],
    maybe: Sequence[int],
    rows: Sequence[Data],
) -> Iterator[Finding]:
    """Fewer or more than are wanted. In a swap, and with the rotation, more are normal."""
    if usable and len(usable) + len(maybe) < model.count:
        text = f"{len(usable)} of {model.count} wanted escrows for {model.id} usable"
        yield warning("models", text, ESCROW)
    if len(usable) <= model.count or scene.swap is not None or rotates(scene):
        return
    order = {row["id"]: (row["deadline"] or {}).get("height", 0) for row in rows}
    surplus = sorted(usable, key=lambda number: (order[number], number))
    surplus = sorted(surplus[: len(usable) - model.count])
    yield warning(
        "models",
        f"{len(usable)} usable escrows for {model.id}, {model.count} wanted; a deposit is locked for"
        f" each of {listed(surplus)}",
        settle_run(*surplus),
    )


def access_findings(scene: Scene) -> Iterator[Finding]:
    """A request without a model is checked for the default model and served by any."""
    gateway = scene.gateway(scene.serving or scene.wish.slot)
    if gateway is None:
        return
    settings = gateway["settings"]
    loaded = {item["model"] for item in gateway["devshards"] if item["active"] and item["loaded"]}
    modes = access_modes(settings, sorted(filter(None, loaded)))
    default = str(settings.get("default_model") or "")
    gap = access_gap(default, {default: access_mode(gateway, default), **modes})
    if gap is not None:
        yield warning("models", gap)
