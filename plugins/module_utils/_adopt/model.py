# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is found of a gateway that was made by hand. Pure; no object shows a secret."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from .._core.keys import SECRETS, is_secret
from .._gateway.beyond import Beyond
from .._host.options import Options

if t.TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN: t.Final = "(secret)"
_OTHERWISE: t.Final = ("variables", "peers")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandMade:
    """A container that has the variables of a gateway."""

    name: str
    state: str
    image: str
    digest: str | None
    restart_policy: str
    ports: Mapping[str, tuple[str, ...]]
    """Port in the container, such as 8080/tcp, to address:port on the host."""
    storage: str | None
    """On the host; None when it lies in the container itself."""
    inside: str
    """The storage as the gateway sees it."""
    volume: str | None = None
    project: str | None = None
    service: str | None = None
    working_dir: str | None = None
    """Of its Compose project; None when Compose did not make it."""
    compose_files: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    """Other services of its Compose project, which the same file describes."""
    beside: tuple[str, ...] = ()
    """Containers of other projects that share a network of the engine with it."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Names that only such a network resolves, in small letters, and the container that each means."""
    record: str | None = None
    """The deploy record that lies beside it: of a gateway that the collection has already."""
    beyond: Beyond = Beyond()
    options: Options = Options()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those that its image does not set."""

    @property
    def text(self) -> str:
        """For a message that lists several."""
        where = f", storage {self.storage}" if self.storage else ""
        return f"{self.name} ({self.image}, {self.state}{where})"

    def addresses(self, port: str) -> tuple[str, ...]:
        """Where a port of the container is published, the loopback of the host first."""
        found = self.ports.get(f"{port}/tcp", ())
        return tuple(sorted(found, key=lambda one: not one.startswith("127.0.0.1:")))

    def to_result(self) -> dict[str, t.Any]:
        shown = {name: _shown(name, value) for name, value in sorted(self.variables.items())}
        return {
            **{name: value for name, value in asdict(self).items() if name not in _OTHERWISE},
            "ports": {name: list(bound) for name, bound in self.ports.items()},
            "compose_files": list(self.compose_files),
            "neighbours": list(self.neighbours),
            "beside": list(self.beside),
            "beyond": {name: list(found) for name, found in asdict(self.beyond).items()},
            "options": list(self.options.named),
            "variables": shown,
        }


def _shown(name: str, value: str) -> str:
    return HIDDEN if name in SECRETS or is_secret(name) else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Deposit:
    """An escrow of the gateway. ``settled`` and the two after it are None where that is unknown.

    The chain has no deposit of one that it has ``pruned``, whether it was settled or not.
    """

    id: str
    model: str | None
    active: bool
    loaded: bool
    key: str
    """By which name it has its key; empty for one whose key stands in its record."""
    protocol: str | None
    role: str | None
    settled: bool | None = None
    creator: str | None = None
    amount: int | None = None
    pruned: bool = False

    @property
    def over(self) -> bool:
        """Whether no deposit of it is out."""
        return self.pruned or self.settled is True

    def to_result(self) -> dict[str, t.Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the gateway says. ``error`` is why it says nothing."""

    settings: Mapping[str, t.Any] = field(default_factory=dict)
    deposits: tuple[Deposit, ...] = ()
    generation: str | None = None
    error: str | None = None
    chain_error: str | None = None
    """Why the chain did not show the escrows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """The nginx of the host."""

    installed: bool
    error: str | None = None
    listens: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Ports, and the files of the owner that name them."""
    leads: tuple[str, ...] = ()
    """Files of the owner that lead to the port of the gateway."""
    ours: tuple[int, ...] = ()
    """Ports of an edge of the collection, where there is one."""

    def to_result(self) -> dict[str, t.Any]:
        return {
            "installed": self.installed,
            "error": self.error,
            "listens": {str(port): list(files) for port, files in sorted(self.listens.items())},
            "leads": list(self.leads),
            "ours": list(self.ours),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the inventory says of the network; what it leaves out is taken from the gateway."""

    chain_id: str | None = None
    chain_rest: str | None = None
    chain_rpc: str | None = None
    grpc: str | None = None
    public_api: str | None = None
    gateway_public_api: str | None = None
    protocol: str | None = None
    models: tuple[Mapping[str, t.Any], ...] = ()
    """For a gateway that does not show them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvFile:
    """The environment file that counts for the next container; no path: there is none yet."""

    path: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    fault: str | None = None
    """Why it cannot be used, or why it is unknown which one it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Everything that the inventory is made of."""

    gateway: HandMade
    answers: Answers
    front: Front
    file: EnvFile = EnvFile()
    temp_port: int
    """One that no program has."""
    edge_port: int
