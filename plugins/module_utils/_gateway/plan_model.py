# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the plan for a gateway is made from, and the plan. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field, replace

from .beyond import Beyond

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._host.docker import Container
    from .drift import Drift
    from .record import DeployRecord


Relation = t.Literal["same", "inside", "around", "unknown"]


SERVICE: t.Final = "com.docker.compose.service"


OWN_SERVICE: t.Final = "devshardctl"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that may be the storage. ``says`` names its source, in words."""

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
    beyond: Beyond = Beyond()


@dataclass(frozen=True, kw_only=True)
class Left:
    """What earlier runs left on the host, as the tasks of the role ask."""

    directory: bool = False
    compose: bool = False
    retired: bool = False
    """Whether a retirement is recorded."""
    redirected: bool = False
    """Whether a redirect keeps the state of the gateway from before it."""
    docker_library: bool = False
    """Whether modules can import the Docker SDK for Python."""

    def to_result(self) -> dict[str, bool]:
        return asdict(self)


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
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the gateway has been started with, by its container, else by its file."""
    port_owner: str | None = None
    """The program on the port, when it is not the container."""
    accounting_owner: str | None = None
    """The same for the port of the accounting."""
    asked_is_running: bool | None = None
    """Whether the wanted image is the one of the container; None means unknown."""
    engine: str | None = None
    answers: bool = False
    """Whether there is an engine, and it answers."""
    left: Left = Left()


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
    recreate_later: bool = False
    """A swap follows, which makes the other container."""
    accounting_port: int | None = None


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
    """Made by another tool or by hand: owners and modes of its directories are kept."""
    project: str | None
    service: str
    runs_image: str | None
    """The image of the container, by the name that was given; None where there is no container."""
    runs_digest: str | None
    image: Available = Available(there=None, text="it was not searched")

    def with_image(self, image: Available) -> GatewayPlan:
        """The result of the search for the image; a missing one is refused before a write."""
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
            "storage_exists": self.storage.identity is not None,
            "volume": self.storage.volume,
            "pinned": self.pinned or "",
            "image": {"there": self.image.there, "text": self.image.text},
            "adopting": self.adopting,
            "project": self.project,
            "service": self.service,
            "runs_image": self.runs_image,
            "runs_digest": self.runs_digest,
        }


RECORDED: t.Final = "which the deploy record names"


SETTING: t.Final = "which gateway_storage_dir names"


SIBLING: t.Final = "which lies in the deploy directory"
