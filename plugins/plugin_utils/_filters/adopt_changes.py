# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the takeover of a gateway would change, and what each change costs."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import PurePosixPath

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import generation
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.site_changes import SHOWN

Row = dict[str, str]

NOTHING: t.Final = "nothing"
FILE: t.Final = "a file is written, after a backup"
PACKAGES: t.Final = "packages and files are added"
RELOAD: t.Final = "nginx is reloaded, streams go on"
SWAP: t.Final = "a swap, which cuts no stream and creates one escrow of each model"
LATER: t.Final = "nothing now, and the next container does without"
_UNKNOWN: t.Final = "could not be checked"
_COMPOSE: t.Final = "docker-compose.yml"


def adopt_changes(look: object, adopt: object) -> list[Row]:
    """Returns the rows, in the order of the work."""
    if not isinstance(look, Mapping) or not isinstance(adopt, Mapping):
        raise AnsibleFilterError(
            "adopt_changes: the results of site_plan and adopt_info are needed"
        )
    inventory = adopt.get("inventory") or {}
    plan, gateway = look.get("plan") or {}, _gateway_plan(look)
    rows = []
    for part, what in (("docker_engine", "Docker Engine"), ("inferenced", "program inferenced")):
        rows.append(_row(what, _told(plan.get(part)), PACKAGES))
    rows.append(
        _row(f"environment file {inventory.get('devshard_env_file')}", _names(gateway), FILE)
    )
    rows.append(_row("keyring of the creator", _told(plan.get("creator"), unknown=True), FILE))
    rows.append(_container(gateway))
    rows.append(_inside(adopt))
    rows.append(_overridden(adopt, inventory))
    rows += [_ports(adopt, gateway), _options(adopt, gateway)]
    rows.append(_compose(adopt, plan, gateway))
    rows.append(_row("record of the deployment", _record(gateway), FILE))
    rows.append(_edge(adopt, inventory, plan))
    rows.append(_ledger(adopt))
    rows.append(_row("rotation, limits and access of clients", "", NOTHING))
    return rows


def _gateway_plan(look: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    asked = ((look.get("predictions") or {}).get("gateway") or {}).get("gateway_plan_info") or ()
    plan: Mapping[str, t.Any] = asked[0].get("plan", {}) if asked else {}
    return plan


def _row(what: str, change: str, cost: str) -> Row:
    found = {"what": what, "change": change or "no change", "cost": cost if change else NOTHING}
    return {**found, "text": f"- {what}: {found['change']} (cost: {found['cost']})"}


def _told(reasons: t.Sequence[str] | None, *, unknown: bool = False) -> str:
    """What could not be checked yet is known when the takeover has come that far."""
    found = list(reasons or ())
    known = [reason for reason in found if _UNKNOWN not in reason]
    if unknown and found and not known:
        return "the key is imported"
    more = f"; {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return "; ".join(known[:SHOWN]) + more


def _names(gateway: Mapping[str, t.Any]) -> str:
    names = gateway.get("differing") or ()
    return f"these variables are added or changed: {', '.join(names)}" if names else ""


def _container(gateway: Mapping[str, t.Any]) -> Row:
    reasons = gateway.get("reasons") or ()
    return _row(
        "container", f"another one is needed: {'; '.join(reasons)}" if reasons else "", SWAP
    )


def _inside(adopt: Mapping[str, t.Any]) -> Row:
    """The port in the container is the same in all of the collection; that of the host stays."""
    port = str(adopt["container"]["variables"].get("DEVSHARD_PORT") or "")
    usual = str(generation(str(adopt["generation"])).container_port)
    change = f"{port} becomes {usual}, published on the same port of the host"
    return _row("port in the container", change if port not in ("", usual) else "", SWAP)


def _overridden(adopt: Mapping[str, t.Any], inventory: Mapping[str, t.Any]) -> Row:
    names, file = adopt.get("overridden") or (), inventory.get("devshard_env_file")
    change = (
        f"{', '.join(names)} get the value of {file}, and the container runs with another one. To keep"
        " that one, write it into the file first"
    )
    return _row("values of variables", change if names else "", SWAP)


def _ports(adopt: Mapping[str, t.Any], gateway: Mapping[str, t.Any]) -> Row:
    """A port of the container that was published otherwise than the collection does it."""
    found = adopt.get("closed") or ()
    change = (
        f"the next container is not published on {', '.join(found)}. It answers on the loopback of the"
        " host alone, and clients of other hosts come by the edge"
    )
    return _row("published ports", change if found else "", _next(gateway))


def _options(adopt: Mapping[str, t.Any], gateway: Mapping[str, t.Any]) -> Row:
    found = adopt["container"].get("options") or ()
    change = f"these are not carried over to the next container: {', '.join(found)}"
    return _row("options of the container", change if found else "", _next(gateway))


def _next(gateway: Mapping[str, t.Any]) -> str:
    return SWAP if gateway.get("reasons") else LATER


def _compose(
    adopt: Mapping[str, t.Any], plan: Mapping[str, t.Any], gateway: Mapping[str, t.Any]
) -> Row:
    """The owner's own file goes on to count for his Compose, unless it has the usual name."""
    if adopt["container"].get("neighbours"):
        return _own_folder(adopt, plan)
    changed = any(_COMPOSE in reason for reason in plan.get("gateway") or ())
    files = [PurePosixPath(one).name for one in adopt["container"].get("compose_files") or ()]
    others = [name for name in files if name != _COMPOSE]
    if not changed:
        return _row("compose file", "", FILE)
    when = "by the swap" if gateway.get("reasons") else "the container is not touched"
    beside = (
        f" ({when}). Rename {', '.join(others)} after the takeover: Compose prefers it"
        if others
        else f" ({when})"
    )
    return _row("compose file", f"{_COMPOSE} is written{beside}", FILE)


def _own_folder(adopt: Mapping[str, t.Any], plan: Mapping[str, t.Any]) -> Row:
    container = adopt["container"]
    files = ", ".join(container.get("compose_files") or ())
    change = (
        f"{_COMPOSE} is written in a folder of its own, since {files} describes"
        f" {', '.join(container['neighbours'])} too. Remove {container['service']} from it after the"
        " takeover"
    )
    changed = any(_COMPOSE in reason for reason in plan.get("gateway") or ())
    return _row("compose file", change if changed else "", FILE)


def _record(gateway: Mapping[str, t.Any]) -> str:
    return "" if gateway.get("recorded") else "written"


def _edge(
    adopt: Mapping[str, t.Any], inventory: Mapping[str, t.Any], plan: Mapping[str, t.Any]
) -> Row:
    if not plan.get("edge"):
        return _row("edge", "", RELOAD)
    front = adopt.get("front") or {}
    port = inventory.get("edge_http_port")
    beside = " beside your own sites" if front.get("listens") and port != 80 else ""
    installs = "" if front.get("installed") else "nginx is installed, and "
    return _row("edge", f"{installs}a site on port {port} is added{beside}", RELOAD)


def _ledger(adopt: Mapping[str, t.Any]) -> Row:
    open_ones = [one for one in adopt.get("escrows") or () if not (one["settled"] or one["pruned"])]
    ids = ", ".join(one["id"] for one in open_ones)
    return _row("ledger", f"escrow {ids} is entered if it is not in it" if ids else "", FILE)
