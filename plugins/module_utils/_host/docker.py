# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The Docker Engine of the host: what a container is, and a program run inside one."""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ConfigurationError, DevshardError, TransportError
from .image import digest_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker import DockerClient


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """``environment`` holds secrets: it is for comparing, never for results."""

    id: str
    name: str
    image: str
    image_id: str
    digests: tuple[str, ...]
    state: str
    health: str | None
    health_command: tuple[str, ...]
    """What the engine runs in the container from time to time; empty for one without a check."""
    restart_count: int
    exit_code: int | None
    """Of an exited container; None while it runs or when it never ran."""
    out_of_memory: bool
    pid: int
    """Its first process, in the host's numbering; 0 when it does not run."""
    started_at: str
    restart_policy: str
    environment: Mapping[str, str] = field(repr=False)
    mounts: Mapping[str, str]
    """Target in the container to source on the host."""
    ports: Mapping[str, tuple[str, ...]]
    """Port in the container, such as 8080/tcp, to address:port on the host."""
    labels: Mapping[str, str]

    def to_result(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "image": self.image,
            "image_id": self.image_id,
            "digests": list(self.digests),
            "state": self.state,
            "health": self.health,
            "restart_count": self.restart_count,
            "started_at": self.started_at,
            "restart_policy": self.restart_policy,
        }


def _health_command(test: list[str] | None) -> tuple[str, ...]:
    """The words of a health check behind the one that says how they are meant."""
    how, *words = test or ["NONE"]
    if how == "CMD-SHELL":
        return ("/bin/sh", "-c", *words)
    return tuple(words) if how == "CMD" else ()


def _ports(raw: Mapping[str, t.Any] | None) -> dict[str, tuple[str, ...]]:
    return {
        port: tuple(f"{item.get('HostIp', '')}:{item.get('HostPort', '')}" for item in bound or ())
        for port, bound in (raw or {}).items()
    }


def from_inspect(attrs: Mapping[str, t.Any], digests: tuple[str, ...]) -> Container:
    """The answer of the engine's inspect call."""
    config, state, host = attrs["Config"], attrs["State"], attrs["HostConfig"]
    environment = dict(item.split("=", 1) for item in config.get("Env") or () if "=" in item)
    return Container(
        id=str(attrs.get("Id", "")),
        name=str(attrs["Name"]).lstrip("/"),
        image=str(config["Image"]),
        image_id=str(attrs["Image"]),
        digests=digests,
        state=str(state["Status"]),
        health=(state.get("Health") or {}).get("Status"),
        health_command=_health_command((config.get("Healthcheck") or {}).get("Test")),
        restart_count=int(attrs.get("RestartCount", 0)),
        exit_code=None if state.get("Running") else state.get("ExitCode"),
        out_of_memory=bool(state.get("OOMKilled")),
        pid=int(state.get("Pid") or 0),
        started_at=str(state.get("StartedAt", "")),
        restart_policy=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        environment=environment,
        mounts={item["Destination"]: item["Source"] for item in attrs.get("Mounts") or ()},
        ports=_ports(host.get("PortBindings")),
        labels=dict(config.get("Labels") or {}),
    )


@contextlib.contextmanager
def _engine(timeout: int, failed: Callable[[Exception], Exception]) -> Iterator[DockerClient]:
    """The engine, with its failures as ``failed`` words them.

    The library is imported here, since that takes longer than most modules' work, and not every
    run asks the engine. A missing one is reported before, see ``_core.libraries``.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with contextlib.closing(docker.from_env(timeout=timeout)) as client:
            yield client
    except (DockerException, RequestException) as exc:
        raise failed(exc) from exc


def inspect(name: str) -> Container | None:
    """A container by its name; None when the engine has none of that name."""

    def failed(exc: Exception) -> Exception:
        return TransportError(f"the Docker Engine of this host does not answer: {reason_of(exc)}")

    with _engine(30, failed) as client:
        attrs = _found(lambda: client.api.inspect_container(name))
        if attrs is None:
            return None
        image = _found(lambda: client.api.inspect_image(attrs["Image"])) or {}
        return from_inspect(attrs, tuple(image.get("RepoDigests") or ()))


def _found(ask: Callable[[], dict[str, t.Any]]) -> dict[str, t.Any] | None:
    """What the engine describes; None when it has no such thing."""
    from docker.errors import NotFound

    try:
        return ask()
    except NotFound:
        return None


def log(name: str, lines: int, since: int | None = None) -> str:
    """The end of a container's log, what it wrote to stdout and stderr; ``since`` in seconds of
    Unix time."""

    def failed(exc: Exception) -> Exception:
        return TransportError(f"the log of container {name} cannot be read: {reason_of(exc)}")

    with _engine(30, failed) as client:
        raw = client.api.logs(name, tail=lines, since=since)
    return bytes(raw).decode("utf-8", "replace")


def execute(name: str, argv: Sequence[str], timeout: int = 120) -> tuple[int, str, str]:
    """Run a program inside a running container: its status, stdout and stderr."""

    def failed(exc: Exception) -> Exception:
        return TransportError(f"{argv[0]} could not be run in container {name}: {reason_of(exc)}")

    with _engine(timeout, failed) as client:
        rc, (stdout, stderr) = client.containers.get(name).exec_run(list(argv), demux=True)
    return (
        int(rc),
        (stdout or b"").decode("utf-8", "replace"),
        (stderr or b"").decode("utf-8", "replace"),
    )


def resolve(image: str) -> str:
    """An image by its digest, which the engine gets from its registry; nothing is pulled.

    The registry is not asked for an image by digest that the host already has.
    """
    by_digest = digest_of(image) is not None
    name, tag = ("", "") if by_digest else split_tag(image)
    with _engine(60, lambda exc: _unresolved(image, exc)) as client:
        if by_digest and _found(lambda: client.api.inspect_image(image)) is not None:
            return image
        found = client.api.inspect_distribution(image if by_digest else f"{name}:{tag}")
    return image if by_digest else f"{name}@{found['Descriptor']['digest']}"


# what was requested, which a user never wrote: Get "https://…": reason, 404 … for http+docker://…: reason
_REQUESTED: t.Final = re.compile(
    r'(?:\b(?:Get|Head|Post|Put) "?https?://\S+?"?: )|(?:\b\d{3} (?:Client|Server) Error for \S+: )'
)


def reason_of(exc: Exception) -> str:
    """Why the engine or a registry failed, on one line and without the addresses of its API."""
    said = getattr(exc, "explanation", None)
    cause: BaseException | None = exc
    while not said and cause is not None:
        said = cause.strerror if isinstance(cause, OSError) else None
        cause = cause.__cause__ or cause.__context__
    return _REQUESTED.sub("", " ".join(str(said or exc).split()))


def _unresolved(image: str, exc: Exception) -> DevshardError:
    said = reason_of(exc)
    if re.search(r"manifest unknown|not found|no such manifest", said, re.IGNORECASE):
        return ConfigurationError(
            f"the registry has no image {image}; correct its name, its tag or its digest", said=said
        )
    return TransportError(f"the registry does not describe {image}: {said}", said=said)


def split_tag(image: str) -> tuple[str, str]:
    """Name and tag; a colon before a slash belongs to the registry's port."""
    head, colon, tail = image.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (image, "latest")
