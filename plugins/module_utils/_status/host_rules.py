# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is on the host: parts that did not answer, files, disks, an open swap, containers, edge. Pure."""

from __future__ import annotations

import typing as t

from .._presence import retirement
from .._presence.rules import keys_wait, swap_ways
from .scene import (
    ADOPT,
    GENERATION_UPGRADE,
    HOT_SWAP,
    OTHER,
    RETIRE,
    SITE,
    Data,
    Finding,
    Scene,
    danger,
    listed,
    settle_run,
    unknown,
    warning,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator


_PARTS: t.Final = {
    "chain": ("chain", "the chain (devshard_chain_rest) could not be asked"),
    "public_api": ("public API", "the public API (devshard_public_api) could not be asked"),
    "epoch": ("chain", "no deadline can be calculated"),
    "settlements": ("escrows", "a kept settlement cannot be read"),
    "ledger": ("ledger", "the ledger (devshard_ledger_path) cannot be read"),
    "creator": ("creator", "the creator is not known from the keyring"),
    "creations": ("escrows", "the chain could not be asked for all escrows of the creator"),
    "disks": ("disk", "how much space is free is not known"),
    "main_hosts": ("hosts", "the hosts of the gateway in slot main are not known"),
    "temp_hosts": ("hosts", "the hosts of the gateway in slot temp are not known"),
}


_FOLLOWS: t.Final = {"epoch": ("chain", "public_api"), "creations": ("chain", "creator")}


def part_findings(scene: Scene) -> Iterator[Finding]:
    if scene.seen is None:
        yield unknown("host", f"nothing could be asked: {scene.seen_error}")
        return
    if scene.deployed is False and not _remains(scene):
        return
    for name, (about, text) in _PARTS.items():
        why = scene.part(name)
        if why is None or any(scene.part(cause) for cause in _FOLLOWS.get(name, ())):
            continue
        yield unknown(about, f"{text}: {why}")
    if scene.part("creations") is None and scene.creator is None and not scene.part("creator"):
        yield unknown("creator", "the keyring has no key, so the creator's escrows are not known")
    lost = [row for row in scene.rows if row["chain_error"] and not scene.part("chain")]
    if lost:
        ids, why = listed([row["id"] for row in lost]), lost[0]["chain_error"]
        yield unknown("escrows", f"the chain did not answer for escrow(s) {ids}: {why}")
    if scene.deployed is not False and not scene.retired:
        yield from _unknown_gateways(scene)


def _unknown_gateways(scene: Scene) -> Iterator[Finding]:
    for slot in OTHER:
        if (why := scene.part(slot)) is not None:
            yield unknown("gateway", f"the gateway in slot {slot} could not be asked: {why}")
    if not scene.asked(scene.wish.slot):
        yield unknown("gateway", _not_asked(scene))


def _not_asked(scene: Scene) -> str:
    port = _port(scene, "gateway")
    whose = "" if port is None else f": port {port['port']} is {port['text']}"
    return f"the gateway was not asked, since what listens is not proved to be it{whose}"


def _port(scene: Scene, name: str) -> Data | None:
    ports = (scene.presence or {}).get("ports", ())
    return next((port for port in ports if port["name"] == name), None)


def _named_otherwise(scene: Scene, other: Data) -> bool:
    """Whether it is one of this host's gateways, which is an inventory host of its own."""
    mine = (scene.presence or {})["instance"]
    return other["instance"] not in (None, mine)


def _remains(scene: Scene) -> list[str]:
    """What contradicts 'nothing is here' where the deploy record is missing."""
    presence = scene.presence or {}
    found = [presence[name]["text"] for name in ("container", "temp") if presence[name]["exists"]]
    others = [other["text"] for other in presence["others"] if not _named_otherwise(scene, other)]
    found += others
    # the host has one of each for all its gateways
    shared = ("keyring", "ledger") if len(presence["others"]) > len(others) else ()
    found += [
        f"{what} {presence[name]['path']}"
        for name, what in (
            ("keyring", "the key"),
            ("ledger", "the ledger"),
            ("storage", "the database"),
        )
        if presence[name]["exists"] and name not in shared
    ]
    found += [f"another ledger {path}" for path in presence["other_ledgers"]]
    if unsettled := scene.unsettled():
        found.append(f"unsettled escrows {listed(row['id'] for row in unsettled)} of the creator")
    return found


def host_findings(scene: Scene) -> Iterator[Finding]:
    if scene.presence is None:
        yield unknown("host", f"what is on the host is not known: {scene.presence_error}")
        return
    presence, record = scene.presence, scene.presence["record"]
    engine = presence["engine"]
    bare = scene.deployed is False and not scene.retired
    if bare:
        yield _nothing(scene)
    if not engine["known"]:
        yield unknown("engine", engine["error"] or "the Docker Engine cannot be asked")
    elif not engine["exists"]:
        # where nothing is deployed, nothing depends on it
        make = warning if bare else danger
        yield make("engine", "no Docker Engine answers on this host", SITE)
    if scene.deployed is None:
        why = record["error"] or f"{record['path']} cannot be looked at"
        yield unknown("host", f"the deploy record is not known: {why}")
    elif scene.retired:
        yield from _after_retirement(scene)
    if scene.deployed is not False and presence["other_ledgers"]:
        yield danger(
            "ledger",
            f"another ledger lies in {listed(presence['other_ledgers'])}; with two of them a deposit"
            " can be paid twice. Correct devshard_state_dir",
        )


def _nothing(scene: Scene) -> Finding:
    presence = scene.presence or {}
    here = f"the collection has deployed no gateway in {presence['deploy_dir']}"
    if remains := _remains(scene):
        return danger(
            "host",
            f"{here}, but this host has {'; '.join(remains)}. Correct devshard_deploy_dir or"
            " devshard_state_dir. Where they are right, the deploy record was lost or the gateway was"
            f" made by hand: take it over with {ADOPT}",
        )
    if not presence["others_known"]:
        return unknown("host", f"{here}; whether another gateway runs is not known")
    return danger("host", f"{here}, and clients are not served", SITE)


def _after_retirement(scene: Scene) -> Iterator[Finding]:
    presence = scene.presence or {}
    found = retirement.plan(retirement.Seen.of(presence), retirement.Wish(), presence["deploy_dir"])
    if found.state == "unknown":
        yield unknown("host", found.refusal)
    elif found.state == "settled":
        yield warning(
            "host",
            "the retirement is not finished: everything is settled, and the state of the gateway is"
            " not archived yet",
            RETIRE,
        )
    here = "this host is retired" if found.state == "retired" else "this host serves no client"
    if unsettled := scene.unsettled():
        yield danger(
            "host",
            f"{here}, and its creator still has unsettled escrows"
            f" {listed(row['id'] for row in unsettled)}",
            settle_run(*(row["id"] for row in unsettled)),
        )
    remains = [other["text"] for other in presence["others"] if not _named_otherwise(scene, other)]
    if remains:
        yield warning("host", f"{here}, and it runs {'; '.join(remains)}")


FULL_MB: t.Final = 64
"""Below this a gateway is about to fail: its databases and their journals grow with each request."""


def disk_findings(scene: Scene) -> Iterator[Finding]:
    if scene.seen is None or scene.deployed is False or scene.retired:
        return
    for disk in scene.seen["disks"] or ():
        free = f"{disk['free_mb']} MiB are free on the disk of {disk['path']}"
        if disk["free_mb"] < FULL_MB:
            yield danger(
                "disk", f"{free}: without space no session is written, and requests fail. Make room"
            )
        elif disk["free_mb"] < scene.wish.min_free_mb:
            need = f"{scene.wish.min_free_mb} (hot_swap_min_free_mb)"
            yield warning("disk", f"{free}, a deployment or a hot swap needs {need}")


def swap_findings(scene: Scene) -> Iterator[Finding]:
    if scene.presence is None:
        return
    found = scene.presence["swap"]
    if not found["known"]:
        yield unknown("swap", f"whether a swap is open is not known: {found['error']}")
    if scene.swap is None:
        return
    moves = found["mode"] == "generation"
    kind = "a rollback" if found["rolling_back"] else "a move" if moves else "a swap"
    since = f" since {found['since']}" if found["since"] else ""
    step = f" at step {found['step']}" if found["step"] else ""
    ways = swap_ways(
        asked=found["asked"],
        mode=found["mode"],
        slot=found["slot"],
        way_back=not (found["rolling_back"] or found["only_forward"]),
    )
    play = GENERATION_UPGRADE if moves else HOT_SWAP
    finish, *back = (" ".join((play, *(f"-e {word}" for word in way))) for way in ways)
    yield danger(
        "swap",
        f"{kind} from {found['origin_asked']} to {found['asked']} is open{since}{step}; slot"
        f" {scene.serving or 'not known'} is in service",
        finish,
        *back,
    )


def key_findings(scene: Scene) -> Iterator[Finding]:
    """New keys that were made and are not in use. An open swap brings them, and has its own line."""
    found = (scene.presence or {}).get("waiting_keys")
    if found is None or scene.deployed is False or scene.retired:
        return
    if not found["known"]:
        yield unknown(
            "keys", f"whether a new key waits for a container is not known: {found['error']}"
        )
    if (text := keys_wait(found["names"])) is not None:
        yield warning("keys", text, "" if scene.swap else HOT_SWAP)


def container_findings(scene: Scene) -> Iterator[Finding]:
    if scene.presence is None or scene.deployed is False or scene.retired:
        return
    yield from _container(scene, scene.presence["container"])
    temp = scene.presence["temp"]
    if temp["known"] and temp["exists"] and scene.swap is None:
        if temp["ours"]:
            text = f"{temp['text']} is left of a hot swap, and no swap is open"
            yield (danger if temp["running"] else warning)("container", text)
        else:
            yield warning(
                "container",
                f"{temp['text']} is not of this collection and has the name of the temporary"
                " gateway: a hot swap will be refused. Remove it, or set hot_swap_temp_container",
            )
    for other in scene.presence["others"]:
        if _named_otherwise(scene, other):
            continue
        yield warning("host", f"another gateway is on this host: {other['text']}")
    for name, what in (("gateway", "the gateway"), ("temp", "the temporary gateway")):
        port = _port(scene, name)
        if port is not None and port["state"] == "foreign":
            make = danger if name == "gateway" else warning
            yield make("port", f"port {port['port']} of {what} is {port['text']}")


def _container(scene: Scene, found: Data) -> Iterator[Finding]:
    if not found["known"]:
        if (scene.presence or {})["engine"]["exists"]:
            yield unknown("container", f"the state of container {found['name']} is not known")
        return
    # in a swap the gateway is stopped and replaced; the swap has its own finding
    if not found["exists"]:
        if scene.swap is None:
            yield danger("container", f"there is no container {found['name']}", SITE)
    elif not found["running"]:
        yield danger("container", f"{found['text']} does not run", SITE)
    elif found["health"] == "unhealthy":
        yield danger("container", f"{found['text']} is unhealthy: docker logs {found['name']}")
    elif found["health"] == "starting":
        yield warning("container", f"{found['text']} is starting")
    if found["exists"] and found["ours"] is False:
        yield danger("container", f"{found['text']} does not use the storage of the deploy record")
    elif found["exists"] and found["ours"] is None:
        yield unknown("container", f"whether {found['text']} is this gateway is not known")


CERTIFICATE_DAYS: t.Final = 14


def certificate_findings(scene: Scene) -> Iterator[Finding]:
    if scene.seen is None or scene.deployed is False or scene.retired:
        return
    if (why := scene.part("certificate")) is not None:
        yield unknown("edge", f"when the certificate of the edge expires is not known: {why}")
    held = scene.seen["certificate"]
    if held is None:
        return
    if held["days_left"] < 0:
        yield danger("edge", f"the certificate of the edge expired at {held['expires']}. Renew it")
    elif held["days_left"] < CERTIFICATE_DAYS:
        yield warning(
            "edge",
            f"the certificate of the edge expires in {held['days_left']} days, at"
            f" {held['expires']}. Renew it",
        )


def edge_findings(scene: Scene) -> Iterator[Finding]:
    """The state of nginx matters by itself only while the route does not show it."""
    if scene.seen is None or scene.deployed is False or scene.retired or scene.direct:
        return
    why, state = scene.part("nginx"), scene.seen["nginx"]
    if why is not None and scene.route is None:
        yield unknown("edge", f"the state of nginx is not known: {why}")
    elif state not in (None, "active", "running") and scene.route is not None:
        yield warning("edge", f"nginx is {state}, though {scene.wish.client_url} answers")
    served = None if scene.route is None else scene.route["slot"]
    if served and scene.edge_slot and served != scene.edge_slot:
        yield danger(
            "edge",
            f"slot {scene.edge_slot} should be in service, but slot {served} answers clients",
        )
