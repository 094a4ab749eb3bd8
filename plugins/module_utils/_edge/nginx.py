# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The nginx that runs on this host or in one of its containers."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from .._core.errors import ConfigurationError, DevshardError, TransportError, UnknownStateError
from .._core.exchange import Request
from .._host.processes import PROC, namespace_of, processes

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._core.exchange import Transport
    from .._host.docker import Container
    from .._host.processes import Process


Output = tuple[int, str, str]
"""Status, stdout and stderr of a program."""

_MASTER: t.Final = "nginx: master process"
_WORKER: t.Final = "nginx: worker process"
_LEAVING: t.Final = "is shutting down"
_LOOKS: t.Final = 20
_BETWEEN: t.Final = 0.1
"""Seconds."""


class Nginx:
    """``run`` executes a program where nginx is; ``pid`` is a process of its pid namespace."""

    def __init__(
        self,
        run: Callable[[list[str]], Output],
        *,
        program: str,
        pid: int | None,
        proc: Path = PROC,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._run = run
        self._program = program
        self._pid = pid
        self._proc = proc
        self._sleep = sleep

    def dump(self) -> str:
        """The configuration on the disk, all files. The workers may run a different one."""
        result = self._run([self._program, "-T"])
        if (complaint := _complaint(result)) is not None:
            raise ConfigurationError(f"nginx -T fails: {complaint}")
        return result[1]

    def check(self) -> str | None:
        """The objection of nginx to the configuration on the disk, None if it has none."""
        return _complaint(self._run([self._program, "-t"]))

    def reload(self) -> str | None:
        return _complaint(self._run([self._program, "-s", "reload"]))

    def workers(self) -> Mapping[str, bool]:
        """The workers, and whether each of them takes no more connections."""
        return {item.key: _LEAVING in item.title for item in self._workers()}

    def oldest_worker(self) -> float | None:
        """When the oldest worker that takes connections was started, in seconds of the clock.

        A worker runs the configuration that its master had at that moment. None without a worker.
        """
        boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        ticks = os.sysconf("SC_CLK_TCK")
        started = [item.started for item in self._workers() if _LEAVING not in item.title]
        return boot + min(started) / ticks if started else None

    def _workers(self) -> list[Process]:
        namespace = namespace_of(self._pid, self._proc)
        for again in reversed(range(_LOOKS)):
            ours = [item for item in processes(self._proc) if item.namespace == namespace]
            masters = [item.pid for item in ours if item.title.startswith(_MASTER)]
            # where no nginx runs at all, none is about to get its title
            if len(masters) == 1 or not again or not any(_is_nginx(item.title) for item in ours):
                break
            # for a moment a new worker has its master's title, and a new master that of its command
            self._sleep(_BETWEEN)
        if len(masters) != 1:
            raise UnknownStateError(
                f"{len(masters)} nginx master processes run where one is expected, so its workers"
                " are not known",
                masters=masters,
            )
        return [
            item for item in ours if item.parent == masters[0] and item.title.startswith(_WORKER)
        ]


def _is_nginx(title: str) -> bool:
    """``nginx: worker process`` as well as ``/usr/sbin/nginx -g ...``."""
    program = title.partition(" ")[0].rstrip(":")
    return program.rpartition("/")[2] == "nginx"


def _complaint(result: Output) -> str | None:
    rc, _unused, stderr = result
    if rc == 0:
        return None
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    worst = [line for line in lines if "[emerg]" in line or "[alert]" in line]
    return "; ".join(worst or lines[-1:]) or f"it exited with {rc} and printed nothing"


def host_path(container: Container, path: str) -> Path:
    """Where a path inside a container lies on the host.

    A single file that is mounted keeps its inode, so what is put in its place by a rename is
    never seen inside; and what lies in the container alone is lost with it.
    """
    inside = PurePosixPath(path)
    for parent in inside.parents:
        source = container.mounts.get(str(parent))
        if source is not None:
            return Path(source) / inside.relative_to(parent)
    raise ConfigurationError(
        f"{path} exists only in the container {container.name}: mount its directory (not the file) "
        f"from the host, so that it outlives the container and can be changed by a rename"
    )


@dataclass(frozen=True)
class LoopbackAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask_loopback(url: str, name: str | None, timeout: float) -> LoopbackAnswer:
    """One answer of the nginx on this host, over a connection of its own; no redirect is followed.

    ``name`` is the server that is asked for. Its certificate is not checked: what is proved is
    which configuration runs, and a certificate is judged before it is put in force.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    where = f"GET {url}"
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", port, timeout=timeout)
    try:
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            plain = socket.create_connection((connection.host, port), timeout)
            connection.sock = context.wrap_socket(plain, server_hostname=name)
        headers = {"Connection": "close", **({"Host": name} if name else {})}
        connection.request("GET", parts.path or "/", headers=headers)
        answer = connection.getresponse()
        return LoopbackAnswer(answer.status, dict(answer.headers.items()), answer.read())
    except (OSError, http.client.HTTPException) as exc:
        raise TransportError(f"{where}: {exc}") from exc
    finally:
        connection.close()


def packaged_md5(run: Callable[[list[str]], Output], package: str, path: str) -> str | None:
    """The checksum with which a package of the distribution brought one of its settings files."""
    rc, listing, _unused = run(["dpkg-query", "--show", "--showformat", "${Conffiles}\n", package])
    if rc != 0:
        return None
    found = [line.split() for line in listing.splitlines()]
    return next((words[1] for words in found if len(words) > 1 and words[0] == path), None)


def is_edge_busy(transport: Transport, url: str) -> bool:
    """Raises where the edge does not report it, as a request could be cut then."""
    try:
        status = transport.send(Request(method="GET", url=url, retry=False)).status
        answer = f"answered {status}, not 204 or 503"
    except DevshardError as exc:
        status, answer = 0, f"does not answer ({exc})"
    if status not in (204, 503):
        raise UnknownStateError(
            f"{url} {answer}, so the edge does not report requests whose body is still coming in,"
            " and one could be cut. Bring the edge up to date with the playbook"
            " gonka.devshard.site, or, for an nginx that cannot report them, accept that with"
            " hot_swap_edge_counts=false"
        )
    return status == 503
