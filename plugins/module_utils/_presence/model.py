# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What of the collection, and of others, is on a host; and which playbook may run there.

Pure: :mod:`_presence.look` does the looking. Each part has three answers, ``None`` is "not known".
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._gateway.record import DeployRecord

Play = t.Literal[
    "site",
    "preflight",
    "escrow",
    "rotation",
    "hot_swap",
    "rotate_keys",
    "generation_upgrade",
    "settle",
    "redirect",
    "retire",
    "status",
    "monitoring",
    "backup",
    "restore",
]
PLAYS: t.Final[tuple[Play, ...]] = t.get_args(Play)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """``exists`` is None where the path may not be looked at."""

    path: str
    exists: bool | None

    def to_result(self) -> dict[str, t.Any]:
        return {"path": self.path, "known": self.exists is not None, "exists": bool(self.exists)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Place(File):
    """A path that a role asks about; a link counts as what it leads to."""

    directory: bool = False

    def to_result(self) -> dict[str, t.Any]:
        return {**File.to_result(self), "directory": self.directory}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retirement(File):
    """The record of a retirement."""

    unchanged: bool | None = None
    """Whether the database is the one that was archived then, or was removed since."""
    archived: bool | None = None
    """False when everything was settled, and the archive was not made yet."""

    def to_result(self) -> dict[str, t.Any]:
        return {
            **File.to_result(self),
            "unchanged": self.unchanged,
            "archived": self.archived,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRecord:
    """``error`` says why a record that is there cannot be read."""

    path: str
    exists: bool | None
    content: DeployRecord | None = None
    error: str | None = None

    def to_result(self) -> dict[str, t.Any]:
        content = {} if self.content is None else self.content.to_result()
        return {
            "path": self.path,
            "known": self.exists is not None and self.error is None,
            "exists": bool(self.exists),
            "error": self.error,
            **content,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """An unfinished swap. ``touched`` is False for one that got no further than its preflight."""

    path: str
    slot: str
    id: str
    run: str | None
    mode: str
    temp_escrows: str
    target: str
    asked: str
    origin: str
    origin_asked: str
    started: tuple[str, ...]
    done: tuple[str, ...]
    step: str | None
    since: str | None
    rolling_back: bool
    touched: bool
    only_forward: bool
    moves_to: str | None
    """The storage of the generation that it leads to; None where it is the same generation."""
    temp_escrow_ids: tuple[str, ...]

    @property
    def place(self) -> str:
        """Which swap, in words."""
        kind = "move" if self.mode == "generation" else "swap"
        what = "the rollback" if self.rolling_back else f"the {kind}"
        since = f" since {self.since}" if self.since else ""
        step = f", at step {self.step}" if self.step else ""
        return f"{what} to {self.asked} is open{since}{step}"


def swap_options(mode: str, slot: str) -> tuple[str, ...]:
    """What a swap that is continued needs besides its image, where the inventory may not say it."""
    return (
        # the playbook for a move to another generation says so itself
        *(() if mode in ("temp", "generation") else (f"hot_swap_mode={mode}",)),
        *(() if slot == "main" else (f"hot_swap_slot={slot}",)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Swaps:
    """``error`` says why a journal that is there cannot be read."""

    found: tuple[Swap, ...] = ()
    error: str | None = None

    @property
    def binding(self) -> Swap | None:
        """The one that has begun to change something."""
        return next((swap for swap in self.found if swap.touched), None)

    def to_result(self) -> dict[str, t.Any]:
        first = self.binding or next(iter(self.found), None)
        return {
            "known": self.error is None,
            "error": self.error,
            # of a journal that cannot be read nobody knows; it never counts as none
            "open": self.binding is not None,
            **({} if first is None else _plain(asdict(first))),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A container. ``storage`` is the folder on the host that it really has as its storage."""

    id: str
    name: str
    image: str
    image_id: str
    digest: str | None
    digests: tuple[str, ...]
    generation: str | None
    state: str
    health: str | None
    exit_code: int
    pid: int
    started_at: str
    restart_count: int
    restart_policy: str
    project: str | None
    working_dir: str | None
    swap_id: str | None
    published: tuple[int, ...]
    mounts: tuple[tuple[str, str], ...]
    storage: str | None
    storage_target: str | None
    """The same folder as the container sees it."""
    storage_holds_database: bool | None
    record_path: str | None
    """The deploy record that lies beside the storage, or in the folder of its compose project."""
    instance: str | None = None
    """The name in that record; empty for a gateway without one, None without a record."""
    has_variables: bool = False
    """Whether it has the variables of a gateway."""

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def text(self) -> str:
        """Its name, state and storage, for a message."""
        state = self.state if self.running else f"{self.state}, exit code {self.exit_code}"
        storage = f", storage {self.storage}" if self.storage else ""
        return f"container {self.name} ({state}{storage})"

    def to_result(self) -> dict[str, t.Any]:
        return {**_plain(asdict(self)), "running": self.running, "text": self.text}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """The container of a slot, by its name.

    ``ours`` is True only when it is proved: the storage that it mounts is the one of the deploy
    record, or, for the temporary gateway, lies inside of it.
    """

    name: str
    known: bool
    container: Found | None = None
    ours: bool | None = None

    def to_result(self) -> dict[str, t.Any]:
        found = self.container
        return {
            "name": self.name,
            "known": self.known,
            "exists": found is not None,
            "running": found is not None and found.running,
            "ours": self.ours,
            **({} if found is None else found.to_result()),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who has a port."""

    kind: t.Literal["container", "nginx", "process", "unknown"]
    name: str
    pid: int | None = None
    container: Found | None = None
    nginx: t.Literal["collection", "another", "debian", "owner"] | None = None

    @property
    def text(self) -> str:
        if self.container is not None:
            storage = self.container.storage
            return f"container {self.name}" + (f" (storage {storage})" if storage else "")
        process = f" (process {self.pid})" if self.pid is not None else ""
        if self.kind == "nginx":
            whose = {
                "collection": "the edge",
                "another": "the edge of another gateway",
                "debian": "Debian's default site",
            }
            return f"nginx with {whose.get(self.nginx or '', 'a site of its own')}{process}"
        if self.kind == "unknown":
            return f"a process that cannot be identified{process}"
        return f"process {self.name}{process}"

    def to_result(self) -> dict[str, t.Any]:
        found = self.container
        return {
            "kind": self.kind,
            "name": self.name,
            "pid": self.pid,
            "nginx": self.nginx,
            "container_id": None if found is None else found.id,
            "storage": None if found is None else found.storage,
            "record_path": None if found is None else found.record_path,
            "text": self.text,
        }


PortState = t.Literal["free", "ours", "foreign", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    name: str
    port: int
    state: PortState
    owner: Owner | None = None

    @property
    def text(self) -> str:
        """One line for a table of findings."""
        if self.owner is None:
            return "free" if self.state == "free" else "not known"
        if self.state == "ours":
            return f"ours, {self.owner.text}"
        if self.state == "unknown":
            return f"taken, not known whether by us: {self.owner.text}"
        return f"taken by {self.owner.text}"

    def to_result(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "port": self.port,
            "known": self.state != "unknown",
            "state": self.state,
            "text": self.text,
            "owner": None if self.owner is None else self.owner.to_result(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """``answers`` is False when there is no engine here, None when it could not be asked."""

    program: str | None
    answers: bool | None
    error: str | None = None

    def to_result(self) -> dict[str, t.Any]:
        return {
            "program": self.program,
            "known": self.answers is not None,
            "exists": bool(self.answers),
            "error": self.error,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Redirect:
    """``edge``: the edge sends clients elsewhere. ``noted``: what was there before is kept."""

    edge: bool | None
    noted: bool | None
    base_url: str | None
    path: str

    def to_result(self) -> dict[str, t.Any]:
        return {
            "known": self.edge is not None,
            "exists": bool(self.edge),
            "base_url": self.base_url,
            "noted": self.noted,
            "path": self.path,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingKeys:
    """Secrets of which the container has the earlier value. Names of variables, never a key."""

    names: tuple[str, ...] = ()
    error: str | None = None

    def to_result(self) -> dict[str, t.Any]:
        return {"known": self.error is None, "error": self.error, "names": list(self.names)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    deploy_dir: str
    state_dir: str
    record: FoundRecord
    retired: Retirement
    redirect: Redirect
    swaps: Swaps
    container: Slot
    temp: Slot
    others: tuple[Found, ...] | None
    """Gateways that are neither of the two."""
    ports: tuple[Port, ...]
    keyring: File
    ledger: File
    env_file: File
    storage: File
    """The database of the gateway."""
    other_ledgers: tuple[str, ...]
    """Of earlier runs on this host, when the configured one is not among them."""
    engine: Engine
    waiting_keys: WaitingKeys = WaitingKeys()
    restoring: tuple[str, ...] = ()
    """Backups whose restore was interrupted: the gateway may have the rotation of the backup."""
    instance: str = ""
    other_edges: tuple[tuple[str, int], ...] = ()
    """Files of edges of the host's other gateways that listen on a port of this edge, which port."""
    paths: Mapping[str, Place] = field(default_factory=dict)
    """Those that a play asks about, and a few of every gateway, by name."""
    libraries: Mapping[str, bool] = field(default_factory=dict)
    """Whether the modules of the collection can import what they need."""

    def port(self, name: str) -> Port | None:
        return next((port for port in self.ports if port.name == name), None)

    @property
    def gateway_proved(self) -> bool:
        """Whether what listens on the gateway's port is proved to be this gateway.

        No secret may be shown to anything else.
        """
        port = self.port("gateway")
        return port is not None and port.state == "ours"

    @property
    def is_retired(self) -> bool:
        """A note beside a container that runs is left from an interrupted site run."""
        return bool(self.retired.exists) and (
            self.container.container is None or not self.container.container.running
        )

    def to_result(self) -> dict[str, t.Any]:
        return {
            "instance": self.instance,
            "deploy_dir": self.deploy_dir,
            "state_dir": self.state_dir,
            "record": self.record.to_result(),
            "retired": {**self.retired.to_result(), "retired": self.is_retired},
            "redirect": self.redirect.to_result(),
            "swap": self.swaps.to_result(),
            "container": self.container.to_result(),
            "temp": self.temp.to_result(),
            "others": [found.to_result() for found in self.others or ()],
            "others_known": self.others is not None,
            "ports": [port.to_result() for port in self.ports],
            "keyring": self.keyring.to_result(),
            "ledger": self.ledger.to_result(),
            "env_file": self.env_file.to_result(),
            "waiting_keys": self.waiting_keys.to_result(),
            "restoring": list(self.restoring),
            "storage": self.storage.to_result(),
            "other_ledgers": list(self.other_ledgers),
            "engine": self.engine.to_result(),
            "other_edges": [{"path": path, "port": port} for path, port in self.other_edges],
            "paths": {name: place.to_result() for name, place in self.paths.items()},
            "libraries": dict(self.libraries),
            "gateway_proved": self.gateway_proved,
        }


def _plain(value: t.Any) -> t.Any:
    """Convert tuples to lists, because results are JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
