# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""One project: a network with the simulator, an image registry and hosts.

All containers, the network and the volumes carry the project's name, so several projects live
side by side and each is removed as a whole.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shlex
import time
import typing as t
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from testhosts.engine import docker
from testhosts.images import PREFIX, Catalogue, Image, stand_ins
from testhosts.shell import HostsError, cache_dir, exclusive, say, step

_LABEL = "gonka-devshard.project"
_READY_SECONDS = 90.0
_POLL_SECONDS = 0.3

# Names need a dot: the engine inside a host asks its own network only for those without one.
_DOMAIN = "gonka.test"
NET = f"net.{_DOMAIN}"
# The services of the simulated network and their ports.
NET_PORTS: t.Mapping[str, int] = {
    "chain_rest": 1317,
    "chain_rpc": 26657,
    "public_api": 9000,
    "release": 8080,
    "faults": 9100,
}
# Has no scheme, and only gateways ask there.
GRPC = f"{NET}:9090"
_REGISTRY_PORT = 5000
REGISTRY = f"registry.{_DOMAIN}:{_REGISTRY_PORT}"
_EDGE_PORT = 80


@dataclass(frozen=True)
class Container:
    name: str
    image_id: str
    running: bool


@dataclass(frozen=True)
class Project:
    name: str

    @property
    def directory(self) -> Path:
        return cache_dir() / "projects" / self.name

    def container(self, role: str) -> str:
        return f"{self.name}-{role}"

    # -- what is there ---------------------------------------------------------------------

    def containers(self) -> dict[str, Container]:
        ids = docker("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={self.name}").split()
        if not ids:
            return {}
        seen = json.loads(docker("inspect", *ids))
        found = {}
        for entry in seen:
            name = str(entry["Name"]).lstrip("/")
            found[name.removeprefix(f"{self.name}-")] = Container(
                name, entry["Image"], entry["State"]["Running"]
            )
        return found

    def hosts(self) -> list[str]:
        return sorted(set(self.containers()) - {"net", "registry"})

    def published(self, role: str, port: int) -> str:
        """Address on this machine of a port in one of the containers."""
        lines = docker("port", self.container(role), str(port)).split()
        if not lines:
            raise HostsError(f"{self.container(role)} does not publish its port {port}")
        return f"http://{lines[0]}"

    # -- up --------------------------------------------------------------------------------

    def up(
        self,
        wanted: Catalogue,
        names: t.Sequence[str],
        net_args: t.Sequence[str],
        *,
        fresh: bool = False,
    ) -> None:
        with exclusive(f"project-{self.name}"):
            self._remove_outdated(wanted)
            if fresh:
                self._remove_hosts(names)
            with step(f"Starting {', '.join(['the simulated network', 'the registry', *names])}"):
                self._start(wanted, names, net_args)

    def _start(self, wanted: Catalogue, names: t.Sequence[str], net_args: t.Sequence[str]) -> None:
        if not docker("network", "ls", "--quiet", "--filter", f"name=^{self.name}$").strip():
            docker("network", "create", "--label", f"{_LABEL}={self.name}", self.name)
        there = self.containers()
        self._start_one("net", wanted.simnet, there, _net_run(net_args), _net_command(net_args))
        self._start_one("registry", wanted.registry, there, ["--publish", _publish(_REGISTRY_PORT)])
        for name in names:
            self._start_one(name, wanted.host, there, self._host_run(name))
        self._until_answers("net", NET_PORTS["faults"], "/chain")
        self._until_answers("registry", _REGISTRY_PORT, "/v2/")
        with ThreadPoolExecutor() as pool:
            waits = [pool.submit(self._until_booted, name) for name in names]
            given = stand_ins()
            pushed = self._pushed(wanted, given)
            if "registry" not in there or not pushed.exists():
                self._push(wanted, given)
                pushed.touch()
            for wait in waits:
                wait.result()

    def _start_one(
        self,
        role: str,
        image: Image,
        there: t.Mapping[str, Container],
        options: t.Sequence[str],
        command: t.Sequence[str] = (),
    ) -> None:
        name = self.container(role)
        if role in there:
            if not there[role].running:
                docker("start", name)
            return
        common = ["--name", name, "--hostname", role, "--label", f"{_LABEL}={self.name}"]
        common += ["--network", self.name, "--network-alias", f"{role}.{_DOMAIN}"]
        docker("run", "--detach", *common, *options, image.reference, *command)

    def _host_run(self, role: str) -> list[str]:
        volume = self._docker_volume(role)
        docker("volume", "create", "--label", f"{_LABEL}={self.name}", volume)
        options = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--stop-signal", "SIGRTMIN+3"]
        for part in ("seccomp=unconfined", "systempaths=unconfined", "apparmor=unconfined"):
            options += ["--security-opt", part]
        if docker("info", "--format", "{{.CgroupVersion}}").strip() == "2":
            options += ["--cgroupns", "private"]
        for folder in ("/run", "/run/lock", "/tmp"):
            options += ["--tmpfs", f"{folder}:exec"]
        options += ["--env", f"TEST_HOST_ID={self.container(role)}", "--env", "container=docker"]
        options += ["--volume", f"{volume}:/var/lib/docker", "--publish", _publish(_EDGE_PORT)]
        return options

    def _until_answers(self, role: str, port: int, path: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                fetch(self.published(role, port) + path)
                return
            except (HostsError, OSError) as error:
                if not self.containers()[role].running or time.monotonic() > deadline:
                    raise HostsError(
                        f"{self.container(role)} does not come up ({error}):\n{self._logs(role)}"
                    ) from error
            time.sleep(_POLL_SECONDS)

    def _until_booted(self, role: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        said = ""
        while said not in ("running", "degraded"):
            if said and time.monotonic() > deadline:
                raise HostsError(f"{role} does not boot ({said}):\n{self._logs(role)}")
            # The status is 1 for all but "running".
            script = "systemctl is-system-running 2>&1 || true"
            said = docker("exec", self.container(role), "sh", "-c", script).strip() or "unknown"
            time.sleep(_POLL_SECONDS)

    def _logs(self, role: str) -> str:
        return docker("logs", "--tail", "20", self.container(role))

    def _pushed(self, wanted: Catalogue, given: t.Mapping[str, str]) -> Path:
        """A file that is there when the registry has exactly these images."""
        digest = hashlib.sha256()
        for image in wanted.gateways:
            digest.update(image.hash.encode())
        for name, own in sorted(given.items()):
            found = docker("image", "inspect", "--format", "{{.Id}}", own).strip()
            digest.update(f"{name}={found}".encode())
        return self.directory / f"pushed-{digest.hexdigest()[:16]}"

    def _push(self, wanted: Catalogue, given: t.Mapping[str, str]) -> None:
        """The engine takes a registry on its own loopback without TLS."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for mark in self.directory.glob("pushed-*"):
            mark.unlink()
        address = self.published("registry", _REGISTRY_PORT).removeprefix("http://")
        log = cache_dir() / "logs" / f"push-{self.name}.log"
        there = {image.name: f"{address}/{image.name}" for image in wanted.gateways}
        for image in wanted.gateways:
            docker("tag", given.get(image.name, image.reference), there[image.name])
        for repository in sorted({reference.rpartition(":")[0] for reference in there.values()}):
            docker("push", "--all-tags", repository, log=log)
        docker("rmi", *there.values(), log=log)

    def _remove_outdated(self, wanted: Catalogue) -> None:
        images = {"net": wanted.simnet, "registry": wanted.registry}
        ids: dict[str, str] = {}
        for role, container in self.containers().items():
            image = images.get(role, wanted.host)
            if image.reference not in ids:
                found = docker("image", "inspect", "--format", "{{.Id}}", image.reference)
                ids[image.reference] = found.strip()
            if container.image_id != ids[image.reference]:
                say(f"{container.name} runs an older image: starting afresh")
                self._remove()
                return

    # -- down ------------------------------------------------------------------------------

    def down(self) -> None:
        with exclusive(f"project-{self.name}"), step(f"Removing all of {self.name}"):
            self._remove()

    def _remove_hosts(self, names: t.Sequence[str]) -> None:
        for role in set(names) & set(self.containers()):
            docker("rm", "--force", "--volumes", self.container(role))
            docker("volume", "rm", self._docker_volume(role))

    def _docker_volume(self, role: str) -> str:
        return f"{self.container(role)}-docker"

    def _remove(self) -> None:
        names = [container.name for container in self.containers().values()]
        if names:
            docker("rm", "--force", "--volumes", *names)
        for kind in ("volume", "network"):
            ours = docker(kind, "ls", "--quiet", "--filter", f"label={_LABEL}={self.name}").split()
            if ours:
                docker(kind, "rm", *ours)
        for mark in self.directory.glob("pushed-*"):
            mark.unlink()

    # -- what others need to know ----------------------------------------------------------

    def ready_line(self) -> dict[str, t.Any]:
        """What the simulator printed when it was ready."""
        for line in docker("logs", self.container("net")).splitlines():
            if line.startswith("{"):
                return dict(json.loads(line))
        raise HostsError(f"{self.container('net')} has not said that it is ready")

    def state(self) -> dict[str, t.Any]:
        """Addresses as seen from this machine, and the state of the containers."""
        there = self.containers()
        hosts = {
            role: {
                "container": there[role].name,
                "running": there[role].running,
                "edge": self.published(role, _EDGE_PORT) if there[role].running else None,
            }
            for role in sorted(set(there) - {"net", "registry"})
        }
        net = there.get("net")
        urls = {}
        if net is not None and net.running:
            urls = {name: self.published("net", port) for name, port in NET_PORTS.items()}
        return {
            "project": self.name,
            "docker_host": os.environ.get("DOCKER_HOST", ""),
            "urls": urls,
            "hosts": hosts,
        }


def _publish(port: int) -> str:
    # Any free port of this machine, reached from this machine only.
    return f"127.0.0.1::{port}"


def _net_run(net_args: t.Sequence[str]) -> list[str]:
    options = ["--init", "--label", f"{PREFIX}.net-args={shlex.join(net_args)}"]
    for port in NET_PORTS.values():
        options += ["--publish", _publish(port)]
    return options


def _net_command(net_args: t.Sequence[str]) -> list[str]:
    command = ["python3", "-m", "simnet", "net", "--dir", "/var/lib/simnet", "--host", "0.0.0.0"]
    command += ["--advertise", f"http://{NET}:{NET_PORTS['public_api']}"]
    for name, port in NET_PORTS.items():
        command += [f"--{name.replace('_', '-')}-port", str(port)]
    return [*command, "--chain-grpc-port", GRPC.rpartition(":")[2], *net_args]


def fetch(url: str) -> t.Any:
    """GET and decode JSON; a proxy has no business here."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as response:
            return json.load(response)
    except (urllib.error.URLError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise HostsError(f"GET {url}: {error}") from error
