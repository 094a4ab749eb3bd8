# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""The nginx that runs on this host or in one of its containers."""

from __future__ import annotations

import typing as t
from pathlib import Path, PurePosixPath

from ._errors import ConfigurationError, UnknownStateError
from ._processes import PROC, namespace_of, processes

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._docker import Container


Output = tuple[int, str, str]
"""Status, stdout and stderr of a program."""

_MASTER: t.Final = "nginx: master process"
_WORKER: t.Final = "nginx: worker process"
_LEAVING: t.Final = "is shutting down"


class Nginx:
    """``run`` executes a program where nginx is; ``pid`` is a process of its pid namespace."""

    def __init__(
        self,
        run: Callable[[list[str]], Output],
        *,
        program: str,
        pid: int | None,
        proc: Path = PROC,
    ) -> None:
        self._run = run
        self._program = program
        self._pid = pid
        self._proc = proc

    def dump(self) -> str:
        """The configuration on the disk, all files. What the workers run may be another one."""
        result = self._run([self._program, "-T"])
        if (complaint := _complaint(result)) is not None:
            raise ConfigurationError(f"nginx -T fails: {complaint}")
        return result[1]

    def check(self) -> str | None:
        """What nginx has against the configuration on the disk, None for nothing."""
        return _complaint(self._run([self._program, "-t"]))

    def reload(self) -> str | None:
        return _complaint(self._run([self._program, "-s", "reload"]))

    def workers(self) -> Mapping[str, bool]:
        """The workers, and whether each of them takes no more connections."""
        namespace = namespace_of(self._pid, self._proc)
        ours = [item for item in processes(self._proc) if item.namespace == namespace]
        masters = [item.pid for item in ours if item.title.startswith(_MASTER)]
        if len(masters) != 1:
            raise UnknownStateError(
                f"{len(masters)} nginx master processes run where one is expected, so its workers"
                " cannot be told",
                masters=masters,
            )
        return {
            item.key: _LEAVING in item.title
            for item in ours
            if item.parent == masters[0] and item.title.startswith(_WORKER)
        }


def _complaint(result: Output) -> str | None:
    rc, _unused, stderr = result
    if rc == 0:
        return None
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    worst = [line for line in lines if "[emerg]" in line or "[alert]" in line]
    return "; ".join(worst or lines[-1:]) or f"it ended with {rc} and said nothing"


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
        f"{path} lies in the container {container.name} alone: mount its directory (not the file)"
        " from the host, so that it outlives the container and can be changed by a rename"
    )
