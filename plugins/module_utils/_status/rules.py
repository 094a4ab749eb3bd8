# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the state of a gateway means: findings, and whether all is well. Pure.

What was seen comes as plain data: ``presence`` from the module presence_info, ``seen`` from
gateway_status. Unknown is never well: a part that did not answer is a finding of its own.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

from .._escrows.funding import gnk
from .._gateway.settings import access_gap, access_modes
from .._presence.rules import swap_ways

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    Data = Mapping[str, t.Any]

OTHER: t.Final = {"main": "temp", "temp": "main"}
HOT_SWAP: t.Final = "gonka.devshard.hot_swap"
SITE: t.Final = "gonka.devshard.site"
SETTLE: t.Final = "gonka.devshard.settle"
ESCROW: t.Final = "gonka.devshard.escrow"
REDIRECT: t.Final = "gonka.devshard.redirect"
ROTATION: t.Final = "gonka.devshard.rotation"


KEYS: t.Final = (
    *("host", "verdict", "failed", "findings", "clients", "slot", "models", "rotation", "escrows"),
    *("presence", "slots", "route", "nginx", "phase", "confirmation_poc", "epoch", "creator"),
    *("params", "complete", "transactions", "parts", "clock_behind", "disks"),
)
"""What the data of one host have at the top."""
NESTED: t.Final = (
    *("severity", "about", "text", "run"),
    *("state", "why", "to"),
    *(
        "id",
        "wanted",
        "usable",
        "usable_ids",
        "not_known",
        "access_mode",
        "hosts_available",
        "hosts",
        "served",
    ),
    *("quarantined", "address", "until", "available", "count"),
    *("model", "slot", "recorded", "active", "loaded", "phase", "nonce", "balance"),
    *("active_requests", "storage_path", "rotation_role", "on_chain", "creator", "amount", "epoch"),
    *("settled", "deadline", "why_not", "foreign", "chain_error", "may_settle", "dangers"),
    *("reason", "advice", "settlements"),
    *("height", "blocks_left", "seconds_left"),
    *("main", "temp", "gateway", "refused", "url", "disabled", "in_flight_requests", "devshards"),
    *("settings", "rotation", "container", "requests_blocked", "block_reason", "private_key_env"),
    *("plain_key", "polled", "confirmation_poc_phase", "epoch_index", "block_height"),
    *("blocks_to_epoch_switch", "blocks_until_next_rotation", "latest"),
    *("status", "target", "message", "models", "chat"),
    *("effective", "next_switch", "epoch_length", "block_seconds"),
    *("membership", "known", "public_api", "chain", "ledger", "creations", "main_hosts"),
    *("temp_hosts", "route", "nginx"),
    *("min_amount", "max_amount", "max_escrows_per_epoch", "max_nonce", "create_devshard_fee"),
    *("fee_per_nonce", "approved_versions", "min_gas_price"),
    *(
        "free_mb",
        "kind",
        "via",
        "chain_id",
        "run_id",
        "created_at",
        "updated_at",
        "fee",
        "gas",
        "tx_hash",
    ),
    *("timeout_at", "seen_height", "seen_time", "open", "result"),
    *("deploy_dir", "state_dir", "record", "retired", "redirect", "swap", "others"),
    *("others_known", "ports", "keyring", "env_file", "storage", "other_ledgers", "engine"),
    *("gateway_proved", "exists", "error", "path", "base_url", "noted", "name", "running", "ours"),
    *("image", "image_id", "digest", "digests", "health", "asked", "origin", "origin_asked"),
    *("step", "since", "rolling_back", "mode", "port", "owner"),
)
"""What their parts have, at any depth. Settings have names of their own."""


class Severity(str, enum.Enum):
    """The worst first. Only the first two make a run fail."""

    DANGER = "danger"
    UNKNOWN = "not known"
    WARNING = "warning"
    OK = "ok"


ORDER: t.Final = tuple(Severity)
FAILS: t.Final = (Severity.DANGER, Severity.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """``run`` is what mends it, as words that can be typed after ``ansible-playbook``."""

    severity: Severity
    about: str
    text: str
    run: str = ""

    def to_result(self) -> dict[str, t.Any]:
        return {
            "severity": self.severity.value,
            "about": self.about,
            "text": self.text,
            "run": self.run,
        }


def danger(about: str, text: str, run: str = "") -> Finding:
    return Finding(severity=Severity.DANGER, about=about, text=text, run=run)


def unknown(about: str, text: str, run: str = "") -> Finding:
    return Finding(severity=Severity.UNKNOWN, about=about, text=text, run=run)


def warning(about: str, text: str, run: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, about=about, text=text, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that is wanted."""

    id: str
    count: int
    amount: int
    access_mode: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusWish:
    """What the inventory wants, and what other hosts of the run account for."""

    models: tuple[Model, ...]
    slot: str = "main"
    settlement_tag: str = ""
    fee: int = 0
    settle_fee: int = 0
    min_free_mb: int = 0
    elsewhere: frozenset[int] = frozenset()
    rotation: bool | None = None
    gateway_url: str = ""
    client_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusVerdict:
    findings: tuple[Finding, ...]
    clients: Data
    models: tuple[Data, ...]
    rotation: str
    escrows: tuple[Data, ...]
    slot: str | None

    @property
    def worst(self) -> Severity:
        return min((f.severity for f in self.findings), key=ORDER.index, default=Severity.OK)

    @property
    def fails(self) -> bool:
        return self.worst in FAILS

    def to_result(self) -> dict[str, t.Any]:
        return {
            "verdict": self.worst.value,
            "failed": self.fails,
            "findings": [item.to_result() for item in self.findings],
            "clients": dict(self.clients),
            "models": [dict(item) for item in self.models],
            "rotation": self.rotation,
            "escrows": [dict(item) for item in self.escrows],
            "slot": self.slot,
        }


def coins(amount: int | None) -> str:
    """An amount in ngonka, readable in GNK; a dash where it is not known."""
    return "-" if amount is None else gnk(amount)


def _ids(numbers: Iterable[object]) -> str:
    return ", ".join(str(number) for number in numbers)


def _settle(*numbers: object) -> str:
    return f"{SETTLE} -e settle_ids={','.join(str(number) for number in numbers)}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One host: the wish and everything that was seen, with the questions that rules share."""

    wish: StatusWish
    presence: Data | None
    seen: Data | None
    edge_slot: str | None = None
    presence_error: str = ""
    seen_error: str = ""
    rows: tuple[Data, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self._own_rows()))

    def _own_rows(self) -> Iterator[Data]:
        """The escrows of this host, and those that no host of the run accounts for."""
        for row in (self.seen or {}).get("escrows", ()):
            if row["recorded"] or row["id"] not in self.wish.elsewhere:
                yield row

    @property
    def creator(self) -> str | None:
        return None if self.seen is None else self.seen["creator"]["address"]

    def part(self, name: str) -> str | None:
        """Why a part is not known; None where it is known or was not asked."""
        found = (self.seen or {}).get("parts", {}).get(name)
        return None if found is None or found["known"] else str(found["why"])

    def asked(self, name: str) -> bool:
        return name in (self.seen or {}).get("parts", {})

    def gateway(self, slot: str) -> Data | None:
        found = (self.seen or {}).get("slots", {}).get(slot)
        return None if found is None else found["gateway"]

    @property
    def route(self) -> Data | None:
        return (self.seen or {}).get("route")

    @property
    def serving(self) -> str | None:
        """The slot that clients reach; the route proves it, else what the edge has written."""
        if self.route is not None and self.route["slot"] in OTHER:
            return str(self.route["slot"])
        if self.edge_slot in OTHER:
            return self.edge_slot
        if self.direct:
            return self.wish.slot
        return None

    @property
    def direct(self) -> bool:
        """Clients come to the gateway itself, without an edge."""
        return self.wish.client_url == self.wish.gateway_url

    @property
    def swap(self) -> Data | None:
        found = (self.presence or {}).get("swap")
        return found if found and found["open"] else None

    @property
    def redirect(self) -> Data | None:
        found = (self.presence or {}).get("redirect")
        return found if found and (found["exists"] or found["noted"]) else None

    @property
    def retired(self) -> bool:
        return bool((self.presence or {}).get("retired", {}).get("retired"))

    @property
    def deployed(self) -> bool | None:
        if self.presence is None:
            return None
        record = self.presence["record"]
        return bool(record["exists"]) if record["known"] else None

    def unsettled(self) -> list[Data]:
        """Deposits of this creator that are still out."""
        return [
            row
            for row in self.rows
            if row["on_chain"] and not row["settled"] and not row["foreign"]
        ]


def judge(scene: Scene) -> StatusVerdict:
    """Everything that is to be said about one host, the worst first."""
    models = tuple(_model(scene, model) for model in scene.wish.models if model.count > 0)
    clients = _clients(scene, models)
    rules = (
        _unknown_parts,
        _host,
        _disks,
        _swap,
        _containers,
        _edge,
        _escrows,
        _dangers,
        _money,
        _network,
    )
    found = [item for rule in rules for item in rule(scene)]
    if scene.deployed is not False and not scene.retired:
        found += _clients_finding(scene, clients)
        found += [item for model in models for item in model["findings"]]
        found += [*_access(scene), *_rotation(scene)]
    found.sort(key=lambda item: ORDER.index(item.severity))
    return StatusVerdict(
        findings=tuple(dict.fromkeys(found)),
        clients=clients,
        models=tuple({k: v for k, v in model.items() if k != "findings"} for model in models),
        rotation=_rotation_state(scene),
        escrows=scene.rows,
        slot=scene.serving,
    )


# parts that did not answer

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


def _unknown_parts(scene: Scene) -> Iterator[Finding]:
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
        ids, why = _ids([row["id"] for row in lost]), lost[0]["chain_error"]
        yield unknown("escrows", f"the chain did not answer for escrow(s) {ids}: {why}")
    if scene.deployed is False or scene.retired:
        return
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


# what is on the host


def _remains(scene: Scene) -> list[str]:
    """What speaks against 'nothing is here' where the deploy record is missing."""
    presence = scene.presence or {}
    found = [presence[name]["text"] for name in ("container", "temp") if presence[name]["exists"]]
    found += [other["text"] for other in presence["others"]]
    found += [
        f"{what} {presence[name]['path']}"
        for name, what in (
            ("keyring", "the key"),
            ("ledger", "the ledger"),
            ("storage", "the database"),
        )
        if presence[name]["exists"]
    ]
    found += [f"another ledger {path}" for path in presence["other_ledgers"]]
    if unsettled := scene.unsettled():
        found.append(f"unsettled escrows {_ids(row['id'] for row in unsettled)} of the creator")
    return found


def _host(scene: Scene) -> Iterator[Finding]:
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
            f"another ledger lies in {_ids(presence['other_ledgers'])}; with two of them a deposit"
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
            f" made by hand: take it over with {SITE} -e gateway_adopt_directory=true",
        )
    if not presence["others_known"]:
        return unknown("host", f"{here}; whether another gateway runs is not known")
    return danger("host", f"{here}, and clients are not served", SITE)


def _after_retirement(scene: Scene) -> Iterator[Finding]:
    unsettled = scene.unsettled()
    if unsettled:
        yield danger(
            "host",
            f"this host is retired, and its creator still has unsettled escrows"
            f" {_ids(row['id'] for row in unsettled)}",
            _settle(*(row["id"] for row in unsettled)),
        )
    if remains := [other["text"] for other in (scene.presence or {})["others"]]:
        yield warning("host", f"this host is retired, and it runs {'; '.join(remains)}")


FULL_MB: t.Final = 64
"""Below this a gateway is about to fail: its databases and their journals grow with each request."""


def _disks(scene: Scene) -> Iterator[Finding]:
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


def _swap(scene: Scene) -> Iterator[Finding]:
    if scene.presence is None:
        return
    found = scene.presence["swap"]
    if not found["known"]:
        yield unknown("swap", f"whether a swap is open is not known: {found['error']}")
    if scene.swap is None:
        return
    kind = "a rollback" if found["rolling_back"] else "a swap"
    since = f" since {found['since']}" if found["since"] else ""
    step = f" at step {found['step']}" if found["step"] else ""
    ways = swap_ways(
        asked=found["asked"],
        mode=found["mode"],
        slot=found["slot"],
        rolling_back=found["rolling_back"],
    )
    finish, *back = (" ".join(f"-e {word}" for word in way) for way in ways)
    yield danger(
        "swap",
        f"{kind} from {found['origin_asked']} to {found['asked']} is open{since}{step}; slot"
        f" {scene.serving or 'not known'} is in service",
        f"{HOT_SWAP} {'; back with '.join((finish, *back))}",
    )


def _containers(scene: Scene) -> Iterator[Finding]:
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


def _edge(scene: Scene) -> Iterator[Finding]:
    """The state of nginx matters by itself only while the route does not tell."""
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


# clients


def _clients(scene: Scene, models: Sequence[Data]) -> dict[str, t.Any]:
    """Whether a client is served, and why not."""
    state, why, to = _reached(scene)
    if state != "served":
        return {"state": state, "why": why, "to": to}
    served = [model["id"] for model in models if model["served"]]
    if len(served) == len(models):
        return {"state": "served", "why": "", "to": None}
    unsure = [model["id"] for model in models if model["served"] is None]
    if unsure:
        return {
            "state": "not known",
            "why": f"whether the escrows for {_ids(unsure)} can be used is not known",
            "to": None,
        }
    if served:
        return {"state": "partly", "why": f"only {_ids(served)} served", "to": None}
    return {"state": "turned away", "why": "no wanted model is served", "to": None}


def _reached(scene: Scene) -> tuple[str, str, str | None]:
    """How far a client comes: to a gateway that answers, elsewhere, or nowhere."""
    if scene.seen is None:
        return "not known", scene.seen_error, None
    route = scene.route
    if route is None:
        why = scene.part("route") or "the public route was not asked"
        nginx = scene.seen["nginx"]
        if nginx not in (None, "active", "running") and not scene.direct:
            return "nobody", f"nginx is {nginx}", None
        gone = "refused" in why or "within the" in why or "certificate" in why
        return ("nobody" if gone else "not known"), why, None
    if 300 <= route["status"] < 400:
        return _sent(scene, route)
    if route["status"] in (502, 503, 504):
        return "nobody", f"the edge answers {route['status']}: no gateway behind it answers", None
    if route["status"] != 200:
        return "nobody", f"{route['url']} answers {route['status']}: {route['message']}", None
    if route["slot"] is None and not scene.direct:
        why = f"{route['url']} does not name the slot, so it is not known which gateway answers"
        return "not known", why, None
    if route["chat"] in (404, 405) or route["chat"] >= 500 or 300 <= route["chat"] < 400:
        return "nobody", f"the path for chats answers {route['chat']}", None
    return "served", "", None


def _sent(scene: Scene, route: Data) -> tuple[str, str, str | None]:
    target = route["target"]
    if target and target == route["url"].replace("http://", "https://", 1):
        why = f"the edge sends HTTP to {target}: set devshard_client_base_url to it"
        return "not known", why, None
    return "redirected", "", target or "no address"


def _clients_finding(scene: Scene, clients: Data) -> Iterator[Finding]:
    state, why = clients["state"], clients["why"]
    meant = scene.redirect
    if state == "redirected":
        if meant is None:
            yield danger(
                "clients",
                f"clients are sent to {clients['to']} by a disabled state that the playbook"
                " redirect did not set",
                f"{REDIRECT} -e redirect_enabled=false",
            )
        elif not meant["exists"]:
            yield warning("clients", f"clients are sent to {clients['to']} by the gateway alone")
        else:
            yield Finding(
                severity=Severity.OK,
                about="clients",
                text=f"clients are redirected to {clients['to']} by the playbook redirect",
            )
        return
    if meant is not None:
        yield danger(
            "clients",
            f"a redirect to {meant['base_url']} is set up, but clients are not sent there",
            f"{REDIRECT} -e redirect_enabled=true -e redirect_base_url={meant['base_url']}",
        )
    if state == "not known":
        # the parts and the models say it too; the verdict must not depend on that
        yield unknown("clients", f"whether clients are served is not known: {why}")
    elif state == "nobody":
        yield danger("clients", f"no client is served: {why}", SITE)
    elif scene.route is not None and scene.route["chat"] == 429:
        yield warning("clients", "the gateway is at its limit and refuses some requests (429)")


# models


def _model(scene: Scene, model: Model) -> dict[str, t.Any]:
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
        *_no_hosts(scene, model, hosts),
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
    """Nothing but the silence of the chain speaks against it."""
    return not row["usable"] and row["why_not"] == ["not known on the chain"]


def _none_usable(
    model: Model, usable: Sequence[int], maybe: Sequence[int], foreign: Sequence[int]
) -> Iterator[Finding]:
    if usable or maybe:
        return
    if foreign:
        text = f"only escrow(s) {_ids(foreign)} of another account serve {model.id}"
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


def _no_hosts(scene: Scene, model: Model, hosts: Data) -> Iterator[Finding]:
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
    if len(usable) <= model.count or scene.swap is not None or _rotates(scene):
        return
    order = {row["id"]: (row["deadline"] or {}).get("height", 0) for row in rows}
    surplus = sorted(usable, key=lambda number: (order[number], number))
    surplus = sorted(surplus[: len(usable) - model.count])
    yield warning(
        "models",
        f"{len(usable)} usable escrows for {model.id}, {model.count} wanted; a deposit is locked for"
        f" each of {_ids(surplus)}",
        _settle(*surplus),
    )


def _access(scene: Scene) -> Iterator[Finding]:
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


# rotation


def _rotates(scene: Scene) -> bool:
    gateway = scene.gateway(scene.wish.slot)
    return bool(gateway and gateway["rotation"]["settings"].get("enabled"))


def _rotation_state(scene: Scene) -> str:
    gateway = scene.gateway(scene.wish.slot)
    if gateway is None:
        return "not known"
    if any(_rotation_failures(gateway)):
        return "failing"
    return "on" if _rotates(scene) else "off"


def _rotation_failures(gateway: Data) -> Iterator[str]:
    """What went wrong in the newest pass of each model and stage; only while it is on."""
    rotation = gateway["rotation"]
    if not rotation["settings"].get("enabled"):
        return
    newest: dict[tuple[object, object], Data] = {}
    for entry in rotation["latest"]:
        newest.setdefault((entry.get("model_id"), entry.get("stage")), entry)
    last = max((entry.get("epoch") or 0 for entry in newest.values()), default=0)
    for (model, stage), entry in newest.items():
        if (entry.get("epoch") or 0) < last:
            continue
        if entry.get("create_error"):
            yield f"{stage} of {model} in epoch {entry.get('epoch')}: {entry['create_error']}"
        if entry.get("settle_failed_count"):
            number = entry["settle_failed_count"]
            yield f"{stage} of {model}: {number} escrow(s) could not be settled"


def _rotation(scene: Scene) -> Iterator[Finding]:
    gateway = scene.gateway(scene.wish.slot)
    if gateway is None:
        return
    for text in _rotation_failures(gateway):
        yield danger("rotation", f"the rotation fails: {text}", ROTATION)
    on = _rotates(scene)
    if on and not gateway["rotation"]["settings"].get("settlement_enabled"):
        yield warning(
            "rotation",
            "the rotation retires escrows without settling them (rotation_settlement_enabled)",
            ROTATION,
        )
    if scene.wish.rotation is not None and scene.wish.rotation != on and scene.swap is None:
        wanted, is_ = ("on", "off") if scene.wish.rotation else ("off", "on")
        yield warning(
            "rotation", f"the rotation is {is_}, the inventory wants it {wanted}", ROTATION
        )


# money


def _escrows(scene: Scene) -> Iterator[Finding]:
    """Deposits in danger, one finding for all that are so for the same reason."""
    near = [row for row in scene.rows if any(d["kind"] == "deadline" for d in row["dangers"])]
    for row in near:
        (found,) = [danger for danger in row["dangers"] if danger["kind"] == "deadline"]
        text = f"escrow {row['id']} ({coins(row['amount'])}): {time_left(row['deadline'])} left"
        if row["recorded"] is None:
            yield danger("escrows", f"{text}, and its gateway does not answer", SITE)
        elif row["may_settle"] is False:
            yield danger("escrows", f"{text}. {found['advice']}")
        else:
            yield danger("escrows", f"{text} to settle it", _settle(row["id"]))
    grouped: dict[tuple[str, str], list[Data]] = {}
    for row in scene.rows:
        for found in row["dangers"]:
            if found["kind"] != "deadline":
                grouped.setdefault((found["reason"], found["advice"]), []).append(row)
    for (reason, advice), rows in grouped.items():
        total = coins(sum(row["amount"] or 0 for row in rows))
        yield danger(
            "escrows", f"escrow {_ids(r['id'] for r in rows)} ({total}): {reason}. {advice}"
        )
    for row in scene.unsettled():
        if row["recorded"] is False and scene.deployed and not scene.retired:
            yield warning(
                "escrows",
                f"escrow {row['id']} ({coins(row['amount'])}) is paid for, and the gateway has no"
                " record of it: another gateway of this creator has it, or the playbook escrow"
                " takes it in",
                ESCROW,
            )


def time_left(deadline: Data) -> str:
    """Blocks, and roughly how long they take where the chain's pace is known."""
    blocks, seconds = deadline["blocks_left"], deadline.get("seconds_left")
    if seconds is None:
        return f"{blocks} blocks"
    minutes = int(seconds) // 60
    return f"{blocks} blocks, {minutes // 60} h {minutes % 60:02d} min"


def _dangers(scene: Scene) -> Iterator[Finding]:
    """Why the chain would refuse the next escrow; what is open is named one by one."""
    params = (scene.seen or {}).get("params")
    if params is None or scene.seen is None or scene.deployed is False or scene.retired:
        return
    if scene.seen["creator"]["membership"] == "not_listed":
        yield danger(
            "creator",
            f"{scene.creator} is not on the chain's list of creators, so it can create no escrow;"
            " only a governance vote changes that",
        )
    approved, tag = params["approved_versions"], scene.wish.settlement_tag
    if approved and tag and tag not in approved:
        yield danger(
            "creator",
            f'version "{tag}" of this gateway\'s settlements is not approved on the chain'
            f" ({', '.join(sorted(approved))}): a new escrow could not be settled",
        )


def _money(scene: Scene) -> Iterator[Finding]:
    if scene.seen is None:
        return
    for intent in scene.seen["transactions"]:
        yield warning("transactions", _transaction(intent), _finish(intent))
    balance = scene.seen["creator"]["balance"]
    unsettled, settling = scene.unsettled(), scene.wish.settle_fee
    if balance is not None and unsettled and balance < settling:
        yield danger(
            "wallet",
            f"the wallet {scene.creator} has {coins(balance)}, and to settle escrow(s)"
            f" {_ids(row['id'] for row in unsettled)} it pays a fee of {coins(settling)}"
            f" (settlement_fee_amount). Send {coins(settling - balance)} to it",
        )
    needs = [model.amount + scene.wish.fee for model in scene.wish.models if model.count > 0]
    if balance is None or not needs or scene.deployed is False or scene.retired:
        return
    if balance < max(needs):
        make = danger if _rotates(scene) else warning
        yield make(
            "wallet",
            f"the wallet {scene.creator} has {coins(balance)}, another escrow needs"
            f" {coins(max(needs))}",
        )


def _transaction(intent: Data) -> str:
    amount = f" of {coins(intent['amount'])}" if intent["amount"] else ""
    model = f" for {intent['model']}" if intent["model"] else ""
    escrow = f" of escrow {intent['escrow_id']}" if intent["escrow_id"] else ""
    until = f", decided by {intent['timeout_at']} at the latest" if intent["timeout_at"] else ""
    return (
        f"{intent['kind']}{escrow}{amount}{model} is not finished ({intent['state']} since"
        f" {intent['updated_at']}{until})"
    )


def _finish(intent: Data) -> str:
    if intent["kind"] == "settle" and intent["escrow_id"]:
        return _settle(intent["escrow_id"])
    return ESCROW if intent["kind"] == "create" else ""


def _network(scene: Scene) -> Iterator[Finding]:
    behind = None if scene.seen is None else scene.seen["clock_behind"]
    if behind is not None and (scene.unsettled() or scene.deployed):
        yield danger("host", behind)
    phase = (scene.seen or {}).get("phase")
    if phase is None or scene.deployed is False or scene.retired:
        return
    if phase != "Inference" or (scene.seen or {}).get("confirmation_poc"):
        what = phase if phase != "Inference" else "confirmation of proofs of compute"
        yield warning("network", f"the network is in phase {what}: few hosts serve now")
