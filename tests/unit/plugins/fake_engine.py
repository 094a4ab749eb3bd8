# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A Docker Engine with its HTTP interface: as much of it as the roles ask about containers."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Seen,
    json_answer,
    running,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT: t.Final = "com.docker.compose.project"
IMAGE: t.Final = "sha256:" + "a" * 64
RUNNING: t.Final = ("running", "paused", "restarting")
Reply = tuple[int, t.Any]


@dataclass(kw_only=True)
class FakeContainer:
    name: str
    state: str = "running"
    project: str | None = None
    networks: tuple[str, ...] = ("bridge",)
    stuck: bool = False
    """It is running again as soon as it was stopped or removed."""

    @property
    def id(self) -> str:
        return self.name.encode().hex().ljust(64, "0")[:64]

    @property
    def labels(self) -> dict[str, str]:
        return {} if self.project is None else {PROJECT: self.project}

    @property
    def _networks(self) -> dict[str, t.Any]:
        return {"Networks": {name: {"NetworkID": name} for name in self.networks}}

    def inspected(self) -> dict[str, t.Any]:
        running = self.state in RUNNING
        state = {"Status": self.state, "Running": running, "Pid": 1000 if running else 0}
        state |= {"Paused": self.state == "paused", "Restarting": self.state == "restarting"}
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Image": IMAGE,
            "State": state,
            "Config": {"Image": "gateway:1", "Labels": self.labels, "Env": []},
            "HostConfig": {"NetworkMode": self.networks[0]},
            "NetworkSettings": self._networks,
            "Mounts": [],
        }

    def listed(self) -> dict[str, t.Any]:
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "State": self.state,
            "Labels": self.labels,
            "NetworkSettings": self._networks,
        }


@dataclass
class FakeEngine:
    """``done`` are the calls that changed something, in their order."""

    containers: list[FakeContainer] = field(default_factory=list)
    networks: dict[str, str] = field(default_factory=dict)
    """By name, the Compose project that made each."""
    done: list[str] = field(default_factory=list)
    _patience: str = ""
    """Seconds that a call gives the container, where it says any."""
    on_start: Callable[[FakeContainer], object] | None = None
    """Called for a container that was started or restarted."""
    on_end: Callable[[FakeContainer], object] | None = None
    """Called for a container that was stopped or removed."""

    def named(self, name: str) -> FakeContainer | None:
        return next((one for one in self.containers if name in (one.name, one.id)), None)

    def answer(self, method: str, path: str, query: dict[str, list[str]]) -> Reply:
        routes: tuple[tuple[str, Callable[..., Reply]], ...] = (
            (r"GET /version", lambda: (200, {"ApiVersion": "1.47", "Version": "27.5.1"})),
            (r"GET /info", lambda: (200, {"Name": "fake"})),
            (r"GET /containers/json", self._list),
            (r"GET /containers/([^/]+)/json", self._inspect),
            (r"POST /containers/([^/]+)/(stop|start|restart|kill)", self._act),
            (r"DELETE /containers/([^/]+)", self._remove),
            (r"GET /images/([^/]+)/json", lambda _name: (200, {"Id": IMAGE, "Config": {}})),
            (r"GET /networks", lambda: self._list_networks(query)),
            (r"GET /networks/([^/]+)", self._network),
            (r"DELETE /networks/([^/]+)", self._remove_network),
        )
        asked = f"{method} {re.sub(r'^/v[0-9.]+', '', path)}"
        for pattern, handle in routes:
            if match := re.fullmatch(pattern, asked):
                self._patience = query.get("t", [""])[0]
                return handle(*map(unquote, match.groups()))
        return 404, {"message": f"not known: {asked}"}

    def _list(self) -> Reply:
        return 200, [one.listed() for one in self.containers]

    def _inspect(self, name: str) -> Reply:
        found = self.named(name)
        return _missing(name) if found is None else (200, found.inspected())

    def _act(self, name: str, verb: str) -> Reply:
        found = self.named(name)
        if found is None:
            return _missing(name)
        within = f" within {self._patience} s" if self._patience else ""
        self.done.append(f"{verb} {found.name}{within}")
        found.state = "running" if verb in ("start", "restart") or found.stuck else "exited"
        called = self.on_end if found.state == "exited" else self.on_start
        if called is not None:
            called(found)
        return 204, None

    def _remove(self, name: str) -> Reply:
        found = self.named(name)
        if found is None:
            return _missing(name)
        self.done.append(f"remove {found.name}")
        if not found.stuck:
            self.containers.remove(found)
            if self.on_end is not None:
                self.on_end(found)
        return 204, None

    def _list_networks(self, query: dict[str, list[str]]) -> Reply:
        labels = json.loads(query.get("filters", ["{}"])[0]).get("label", [])
        found = [
            {"Name": name, "Id": name, "Labels": {PROJECT: project}}
            for name, project in self.networks.items()
            if all(label == f"{PROJECT}={project}" for label in labels)
        ]
        return 200, found

    def _network(self, name: str) -> Reply:
        if name not in self.networks:
            return _missing(name)
        return 200, {"Name": name, "Id": name, "Containers": {}, "Scope": "local"}

    def _remove_network(self, name: str) -> Reply:
        self.done.append(f"remove network {name}")
        del self.networks[name]
        return 204, None


def _missing(name: str) -> Reply:
    return 404, {"message": f"No such container: {name}"}


@contextlib.contextmanager
def serving(engine: FakeEngine) -> Iterator[str]:
    """What DOCKER_HOST has to be."""

    def reply(seen: Seen) -> Answer:
        parts = urlsplit(seen.path)
        status, body = engine.answer(seen.method, parts.path, parse_qs(parts.query))
        return json_answer(body, status) if body is not None else Answer(status, b"")

    with running() as server:
        server.reply = reply
        yield f"tcp://127.0.0.1:{server.port}"
