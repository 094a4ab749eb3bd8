# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the role ``gateway`` would do on a host, and what it refuses: judged before it writes.

Pure: :mod:`_presence.gateway` looks at the host.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from .._host.image import digest_of
from .drift import PROJECT, Wanted, find_drift

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._host.docker import Container
    from .drift import Drift
    from .profiles import Profile
    from .record import DeployRecord

Relation = t.Literal["same", "inside", "around", "unknown"]
SERVICE: t.Final = "com.docker.compose.service"
OWN_SERVICE: t.Final = "devshardctl"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that may be the storage. ``says`` is who names it, in words."""

    path: str
    says: str
    identity: tuple[int, int] | None = None
    database: bool = False
    """Whether a ``gateway.db`` lies in it."""
    volume: str | None = None
    """Its name, for a volume of the engine."""

    @property
    def key(self) -> object:
        return self.identity or self.path

    @property
    def text(self) -> str:
        volume = f" (volume {self.volume})" if self.volume else ""
        return f"{self.path}{volume}, {self.says}"


@dataclass(frozen=True, kw_only=True)
class Use:
    """A folder of the host that another running container has, and how it lies to the storage."""

    container: str
    folder: str
    relation: Relation
    writable: bool
    gateway: bool
    """Whether the container has the variables of a gateway."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """The container with the wanted name."""

    container: Container
    inside: str
    """The storage as the gateway in it sees it."""
    storage: Folder | None
    """None when nothing of the host is mounted there."""
    moved: bool = False
    """The path on the host leads to another folder than the one that the container has."""


@dataclass(frozen=True, kw_only=True)
class GatewaySeen:
    """``engine`` is an error when there is an engine that could not be asked."""

    own: Own | None = None
    record: DeployRecord | None = None
    files: tuple[str, ...] = ()
    """Those of a deployment that are there, the record excepted."""
    folders: tuple[Folder, ...] = ()
    """The folders that may be the storage, in the order in which they count."""
    default: Folder
    uses: tuple[Use, ...] = ()
    port_owner: str | None = None
    """Who has the port, when it is not the container."""
    asked_is_running: bool | None = None
    """Whether the image that is asked for is the one of the container; None is not known."""
    engine: str | None = None
    answers: bool = False
    """Whether there is an engine, and it answers."""


@dataclass(frozen=True, kw_only=True)
class GatewayWish:
    deploy_dir: str
    container: str
    image: str
    port: int
    environment: Mapping[str, str] = field(repr=False)
    image_update: bool = False
    allow_recreate: bool = False
    adopt: bool = False


@dataclass(frozen=True, kw_only=True)
class Available:
    """Whether a container can be made from an image. ``there`` is None where that is not known."""

    there: bool | None
    text: str


@dataclass(frozen=True, kw_only=True)
class GatewayPlan:
    refused: tuple[str, ...]
    unknown: str | None
    engine: bool
    drift: Drift
    storage: Folder
    pinned: str | None
    """The image by its digest; None when it is still to be pulled by its tag."""
    adopting: bool
    """The deployment was made by somebody else: owners and modes of its directories are kept."""
    project: str | None
    service: str
    runs_image: str | None
    """The image of the container, as somebody asked for it; None where there is no container."""
    runs_digest: str | None
    image: Available = Available(there=None, text="it was not looked for")

    def with_image(self, image: Available) -> GatewayPlan:
        """What the look for the image adds; one that is not there is refused before a write."""
        refused = (f"{image.text} (gateway_image)",) if image.there is False else ()
        return replace(self, image=image, refused=(*self.refused, *refused))

    def to_result(self) -> dict[str, t.Any]:
        return {
            "refused": [text[0].upper() + text[1:] for text in self.refused],
            "known": self.unknown is None,
            "unknown": self.unknown,
            "engine": self.engine,
            **self.drift.to_result(),
            "storage": self.storage.path,
            "volume": self.storage.volume,
            "pinned": self.pinned or "",
            "image": {"there": self.image.there, "text": self.image.text},
            "adopting": self.adopting,
            "project": self.project,
            "service": self.service,
            "runs_image": self.runs_image,
            "runs_digest": self.runs_digest,
        }


def make(wish: GatewayWish, seen: GatewaySeen, profile: Profile) -> GatewayPlan:
    """All that would be refused is named at once, so that nothing has been written by then."""
    refused = [*_directory(wish, seen), *_generation(wish, seen, profile)]
    own = seen.own
    storage, why = _storage(wish, seen)
    refused += why
    refused += _rivals(storage, seen.uses)
    if own is None and not storage.database:
        refused += _first_limits(wish)
    pinned, why = _image(wish, seen)
    refused += why
    if own is None or own.container.state != "running":
        refused += _port(wish, seen)
    wanted = Wanted(
        image=pinned or wish.image,
        environment=wish.environment,
        storage=storage.path,
        address=f"127.0.0.1:{wish.port}",
    )
    drift = find_drift(None if own is None else own.container, wanted, profile)
    if own is not None and not refused:
        refused += _recreate(wish, own, drift, profile)
    labels: Mapping[str, str] = {} if own is None else own.container.labels
    return GatewayPlan(
        refused=tuple(refused),
        unknown=seen.engine,
        engine=seen.answers,
        drift=drift,
        storage=storage,
        pinned=pinned,
        adopting=(seen.record is None and bool(seen.files or own))
        or (seen.record is not None and seen.record.adopted),
        project=labels.get(PROJECT) or (seen.record.project if seen.record else None),
        service=labels.get(SERVICE)
        or (seen.record.service if seen.record else None)
        or OWN_SERVICE,
        runs_image=None if own is None else running_tag(own.container, seen.record),
        runs_digest=None if own is None else running_digest(own.container, wish.image),
    )


def _directory(wish: GatewayWish, seen: GatewaySeen) -> list[str]:
    if seen.record is not None or wish.adopt or not seen.files:
        return []
    return [
        (
            f"{wish.deploy_dir} holds a deployment that this collection did not make"
            f" ({', '.join(seen.files)}). To take it over with its secrets and its storage set"
            " gateway_adopt_directory: true, or set devshard_deploy_dir to another directory"
        )
    ]


def _generation(wish: GatewayWish, seen: GatewaySeen, profile: Profile) -> list[str]:
    there = None if seen.record is None else seen.record.profile
    if there is None or there == profile.name:
        return []
    return [
        (
            f"{wish.deploy_dir} belongs to a gateway of generation {there}, and {profile.name} is"
            " asked for (devshard_profile). An escrow belongs to one generation for life, so this would"
            " strand its deposit. Deploy the other generation side by side, in a directory and on ports"
            " of its own, and settle the old escrows here"
        )
    ]


# storage


RECORDED: t.Final = "which the deploy record names"
SETTING: t.Final = "which gateway_storage_dir names"
SIBLING: t.Final = "which lies in the deploy directory"


def _storage(wish: GatewayWish, seen: GatewaySeen) -> tuple[Folder, list[str]]:
    """What the container has is the gateway's storage, whatever a file says."""
    if seen.own is not None and seen.own.storage is not None:
        chosen = seen.own.storage
        if seen.own.moved:
            return chosen, [
                (
                    f"the container {wish.container} has another folder as its storage than the one that"
                    f" {chosen.path} leads to by now. Let that path lead to the folder that the container"
                    " has, or a new container would begin without its sessions"
                )
            ]
        given = next((folder for folder in seen.folders if folder.says == SETTING), None)
        if given is not None and given.key != chosen.key:
            return chosen, [
                (
                    f"gateway_storage_dir is {given.path}, but the container {wish.container} has its"
                    f" storage in {chosen.path}. Leave gateway_storage_dir out to keep that one"
                )
            ]
        others = _holding(seen.folders, chosen)
        # one that runs on its own storage starts nothing
        empty = not chosen.database and seen.own.container.state != "running"
        return chosen, _lost(wish, chosen, others) if empty and others else []
    named = [folder for folder in seen.folders if folder.says != SIBLING]
    recorded = [folder for folder in named if folder.says in (SETTING, RECORDED)]
    holding = _holding(named)
    if recorded:
        chosen = recorded[0]
    elif len(holding) == 1:
        chosen = holding[0]
    else:
        chosen = next(iter(named), seen.default)
    others = _holding(seen.folders, chosen)
    if len(holding) > 1 and not recorded:
        return chosen, [_several(wish, holding)]
    if not chosen.database and others:
        return chosen, _lost(wish, chosen, others)
    return chosen, []


def _holding(folders: Sequence[Folder], other_than: Folder | None = None) -> list[Folder]:
    """Those with a database, each once."""
    found: dict[object, Folder] = {}
    for folder in folders:
        if folder.database and (other_than is None or folder.key != other_than.key):
            found.setdefault(folder.key, folder)
    return list(found.values())


def _lost(wish: GatewayWish, chosen: Folder, others: Sequence[Folder]) -> list[str]:
    return [
        (
            f"the gateway would start on {chosen.text}, which holds no gateway.db, but"
            f" {'; '.join(folder.text for folder in others)}, holds one. Its escrows would not be"
            f" served and could not be settled. Set gateway_storage_dir to the folder that is meant,"
            f" or move the other one out of {wish.deploy_dir}"
        )
    ]


def _several(wish: GatewayWish, holding: Sequence[Folder]) -> str:
    return (
        "several folders hold a gateway.db, and it is not known which one is the storage of the"
        f" gateway in {wish.deploy_dir}: {'; '.join(folder.text for folder in holding)}. Set"
        " gateway_storage_dir to the one that is meant"
    )


def _first_limits(wish: GatewayWish) -> list[str]:
    """A gateway takes any at its first start, and then refuses every change of its settings."""
    limits = [
        wish.environment.get(f"GATEWAY_{name}", "")
        for name in ("DEFAULT_MAX_TOKENS", "MAX_TOKENS_CAP")
    ]
    if not all(value.isdecimal() for value in limits) or int(limits[0]) <= int(limits[1]):
        return []
    return [
        (
            f"gateway_default_max_tokens is {limits[0]}, more than gateway_max_tokens_cap, which is"
            f" {limits[1]}. Set gateway_max_tokens_cap to at least {limits[0]}"
        )
    ]


def _rivals(storage: Folder, uses: Sequence[Use]) -> list[str]:
    """Two gateways on one storage write the same sessions: the hosts see a fork."""
    refused = []
    for use in uses:
        if not use.writable or (use.relation == "around" and not use.gateway):
            # a monitor that has the whole host, say, serves nothing
            continue
        how = {
            "same": "is already served by",
            "inside": f"holds {use.folder}, which is used by",
            "around": f"lies in {use.folder}, which is used by",
            "unknown": "may be what is used by",
        }[use.relation]
        refused.append(
            f"{storage.path} {how} the container {use.container}. Two gateways on one storage write"
            " the same sessions, and the deposits of their escrows are lost. If it is this gateway,"
            " give its name as gateway_container_name; else set devshard_deploy_dir to another"
            " directory"
        )
    return refused


def _port(wish: GatewayWish, seen: GatewaySeen) -> list[str]:
    if seen.port_owner is None or seen.engine is not None:
        # its owner may be the very container, when the engine could not be asked
        return []
    return [
        (
            f"port {wish.port} on 127.0.0.1 is taken by {seen.port_owner}, which is not the container"
            f" {wish.container}. If it is this gateway, give its name as gateway_container_name; else"
            " set devshard_gateway_url to a port that is free"
        )
    ]


# image


def repository(reference: str) -> str:
    """An image reference without tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def running_digest(container: Container, asked: str) -> str:
    """The container's image, by digest: under the asked name where the engine knows it so."""
    own = repository(asked)
    fitting = [item for item in container.digests if repository(item) == own]
    if fitting:
        return fitting[0]
    if digest_of(container.image) is not None:
        return container.image
    return next(iter(container.digests), container.image)


def _is_running(wish: GatewayWish, seen: GatewaySeen, container: Container) -> bool:
    """Whether what is asked for is what the container was made from."""
    digests = {digest_of(item) for item in (container.image, *container.digests)} - {None}
    if (asked := digest_of(wish.image)) is not None:
        return asked in digests
    if wish.image_update:
        return seen.asked_is_running is True
    if wish.image == container.image:
        return True
    record = seen.record
    if (
        record is not None
        and record.image == wish.image
        and record.digest is not None
        and (digest_of(record.digest) in digests or record.digest == container.image_id)
    ):
        return True
    return seen.asked_is_running is True


def running_tag(container: Container, record: DeployRecord | None) -> str:
    """The name of what runs, as a user gave it; the reference itself where nobody knows one."""
    digests = {digest_of(item) for item in (container.image, *container.digests)} - {None}
    if record is not None:
        for image, digest in (
            (record.image, record.digest),
            (record.previous_image, record.previous_digest),
        ):
            if image is not None and digest is not None and digest_of(digest) in digests:
                return image
    return container.image


def _image(wish: GatewayWish, seen: GatewaySeen) -> tuple[str | None, list[str]]:
    if seen.own is None:
        return _image_anew(wish, seen.record)
    container = seen.own.container
    if _is_running(wish, seen, container):
        return running_digest(container, wish.image), []
    target = wish.image if digest_of(wish.image) is not None else None
    if wish.allow_recreate:
        return target, []
    tag = running_tag(container, seen.record)
    digest = running_digest(container, tag)
    shown = tag if digest == tag else f"{tag} ({digest})"
    return target, [
        (
            f"the gateway runs {shown}, and"
            f" {'what its tag means now' if wish.image == tag else wish.image} is asked for. To keep what"
            f" runs set gateway_image to {tag}{_update(wish)}. To change it run the playbook"
            " gonka.devshard.hot_swap, which cuts no stream, or set gateway_allow_recreate: true to"
            " replace it in place"
        )
    ]


def _update(wish: GatewayWish) -> str:
    return " and gateway_image_update to false" if wish.image_update else ""


def _image_anew(wish: GatewayWish, record: DeployRecord | None) -> tuple[str | None, list[str]]:
    """There is no container: only the record knows what wrote the storage."""
    asked = wish.image if digest_of(wish.image) is not None else None
    if record is None or record.image is None or record.digest is None:
        return asked, []
    same = record.image == wish.image or (
        asked is not None and digest_of(asked) == digest_of(record.digest)
    )
    if same and not wish.image_update:
        return record.digest, []
    if wish.allow_recreate:
        return asked, []
    return asked, [
        (
            f"the gateway in {wish.deploy_dir} was last started from {record.image} ({record.digest}),"
            f" and {'what its tag means now' if same else wish.image} is asked for. To start it as it"
            f" was set gateway_image to {record.image}{_update(wish)}, and change it then with the"
            " playbook gonka.devshard.hot_swap; or set gateway_allow_recreate: true to start the other"
            " image on its storage"
        )
    ]


# container


def _recreate(wish: GatewayWish, own: Own, drift: Drift, profile: Profile) -> list[str]:
    if not drift.reasons:
        return []
    why = "; ".join(drift.reasons)
    if own.storage is None:
        return [
            (
                f"the container {wish.container} keeps its storage in itself ({own.inside} is not mounted"
                f" from the host), and it would have to be recreated, since {why}. Its sessions would be"
                " deleted with it. Stop it, copy the folder out with 'docker cp', and start it with the"
                " copy mounted there"
            )
        ]
    if own.inside != profile.storage_dir:
        return [
            (
                f"the container {wish.container} has its storage at {own.inside}, and the collection has"
                f" it at {profile.storage_dir}. Its records hold paths below {own.inside}, so a recreated"
                f" gateway would not find its sessions. It would have to be recreated, since {why}"
            )
        ]
    if wish.allow_recreate:
        return []
    return [
        (
            f"the container {wish.container} would have to be recreated, which cuts every stream it"
            f" serves, since {why}. Use the playbook gonka.devshard.hot_swap, which cuts no stream, or set"
            " gateway_allow_recreate: true to recreate it in place"
        )
    ]
