# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One file of nginx's configuration: written, tested, in effect and proved, or restored.

The running configuration is compared, not only the file: a correct file says nothing about workers
that were started before it. ``nginx -s reload`` returns 0 even when nginx keeps its previous
configuration, so each reload is proved by new workers and by their answers.
"""

from __future__ import annotations

import enum
import hashlib
import shutil
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .._core.errors import (
    ConfigurationError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from . import nginx_conf
from .reload import NginxControl, reload_and_prove

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._core.timer import WaitBudget
    from .nginx import LoopbackAnswer

PLACEHOLDER: t.Final = "@GENERATION@"
# file times and start times of processes come from clocks of different grain
_GRAIN: t.Final = 0.1


class RunningNginx(NginxControl, t.Protocol):
    """The nginx of this host, which also says when its workers were started."""

    def oldest_worker(self) -> float | None: ...


class DefaultSite(enum.Enum):
    """The content of ``sites-enabled/default``."""

    ABSENT = "absent"
    PACKAGED = "packaged"
    OWNERS = "owners"


@dataclass(frozen=True, kw_only=True)
class EdgeSeen:
    """The observed state of the host. ``live`` is whether nginx answers as the wanted file makes
    it."""

    text: str | None
    live: bool
    older: bool
    default_site: DefaultSite


@dataclass(frozen=True, kw_only=True)
class Plan:
    write: bool
    remove_default: bool
    reasons: tuple[str, ...]

    @property
    def reload(self) -> bool:
        return bool(self.reasons)


def stamped(content: str) -> tuple[str, str]:
    """The file with its generation in place of the placeholder, and that generation."""
    generation = hashlib.sha256(content.encode()).hexdigest()[:16]
    return content.replace(PLACEHOLDER, generation), generation


def plan(seen: EdgeSeen, wanted: str | None) -> Plan:
    """The differences, and why nginx must be reloaded."""
    write = seen.text != wanted
    remove = seen.default_site is DefaultSite.PACKAGED
    reasons = []
    if write:
        reasons.append("the file differs" if seen.text is not None else "there was no file")
    if remove:
        reasons.append("the distribution's example site is enabled")
    if not write and not seen.live:
        reasons.append("nginx does not answer as the file on the disk makes it")
    if not write and seen.older:
        reasons.append("the file on the disk is newer than what nginx runs")
    return Plan(write=write, remove_default=remove, reasons=tuple(reasons))


def is_older(changes: Sequence[float], oldest_worker: float | None, now: float) -> bool:
    """Whether a file was changed after the workers were started, so that they run an earlier one.

    A time that has not come yet says that the clock was set back, and proves nothing.
    """
    past = [moment for moment in changes if moment <= now]
    return oldest_worker is not None and any(m > oldest_worker + _GRAIN for m in past)


def changes_of(paths: Sequence[Path]) -> list[float]:
    """When each of the files was last changed; of a directory, what nginx includes from it too."""
    found = []
    for path in paths:
        files = [path, *path.glob("*.conf")] if path.is_dir() else [path]
        found += [file.stat().st_ctime for file in files if file.exists()]
    return found


def judge_default_site(link: Path, example: Path, packaged_md5: str | None) -> DefaultSite:
    """Only the distribution's own link to its unchanged example may be removed."""
    if not link.is_symlink():
        return DefaultSite.OWNERS if link.exists() else DefaultSite.ABSENT
    if link.resolve() != example.resolve() or not example.exists():
        return DefaultSite.OWNERS
    digest = hashlib.md5(example.read_bytes(), usedforsecurity=False).hexdigest()
    return DefaultSite.PACKAGED if digest == packaged_md5 else DefaultSite.OWNERS


def refuse_two_defaults(wanted: str, site: str, path: str, *, owners: bool) -> None:
    """Refuse a configuration that nginx would refuse: two default servers of one port."""
    try:
        ours = nginx_conf.default_server_ports(nginx_conf.parse(wanted))
        theirs = nginx_conf.default_server_ports(nginx_conf.parse(site))
    except nginx_conf.NginxSyntaxError:
        # nginx itself says it better
        return
    both = sorted(ours & theirs)
    if not both:
        return
    ports = ", ".join(str(port) for port in both)
    if owners:
        raise ConfigurationError(
            f"{path} is a site of your own, not the distribution's link to its unchanged example,"
            f" so it is kept. It is the default server of port {ports}, which the edge would be"
            " too. Remove default_server from its listen lines, or set edge_default_server: false"
            " and edge_server_name to the name that clients use. The configuration of nginx was "
            "not changed",
            path=path,
            ports=both,
        )
    raise ConfigurationError(
        f"{path}, the distribution's example site, is the default server of port {ports}, which the"
        " edge would be too. Set edge_disable_default_site: true, or edge_default_server: false and"
        " edge_server_name. The configuration of nginx was not changed",
        path=path,
        ports=both,
    )


def refuse_cutting_reload(dump: str) -> None:
    """Refuse a reload after which old workers cut the streams that they still serve."""
    try:
        timeout = nginx_conf.worker_shutdown_timeout(nginx_conf.parse(dump))
    except nginx_conf.NginxSyntaxError as exc:
        raise UnknownStateError(f"nginx -T: {exc}") from exc
    if timeout is not None:
        raise UnsafeError(
            f"worker_shutdown_timeout is {timeout:g} s, so a reload would cut the streams that"
            " outlive it. Remove it and reload once while no stream is open, or set"
            " edge_allow_shutdown_timeout: true"
        )


def errors_of(log: Path, start: int) -> list[str]:
    """What nginx wrote to its error log since then, worst lines only, each once."""
    if not log.exists():
        return []
    with log.open("rb") as handle:
        # a log that was rotated begins anew
        handle.seek(start if log.stat().st_size >= start else 0)
        text = handle.read().decode("utf-8", "replace")
    worst = ("[emerg]", "[alert]", "[crit]")
    return list(dict.fromkeys(line for line in text.splitlines() if any(w in line for w in worst)))


@dataclass(frozen=True, kw_only=True)
class Change:
    written: bool
    reasons: tuple[str, ...]
    backup_file: str | None
    workers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Applying:
    """How the file takes effect, and what proves it."""

    nginx: RunningNginx
    path: Path
    ask: Callable[[], LoopbackAnswer]
    is_live: Callable[[LoopbackAnswer], bool]
    watched: Sequence[Path]
    error_log: Path
    allow_shutdown_timeout: bool
    keep_backup: bool
    confirmations: int
    deadline: WaitBudget
    interval: float
    default_site: Path | None = None
    example_site: Path = Path("/etc/nginx/sites-available/default")
    packaged_md5: str | None = None
    remove_default: bool = False

    def look(self) -> EdgeSeen:
        site = DefaultSite.ABSENT
        if self.default_site is not None:
            site = judge_default_site(self.default_site, self.example_site, self.packaged_md5)
        try:
            live = self.is_live(self.ask())
        except TransportError:
            live = False
        return EdgeSeen(
            text=self.path.read_text(encoding="utf-8") if self.path.exists() else None,
            live=live,
            older=is_older(
                changes_of([self.path, *self.watched]), self.nginx.oldest_worker(), time.time()
            ),
            default_site=site if self.remove_default else DefaultSite.ABSENT,
        )

    def refuse(self, wanted: str | None) -> None:
        """Everything that can be refused before the first change."""
        if self.default_site is None or wanted is None or not self.default_site.exists():
            return
        site = judge_default_site(self.default_site, self.example_site, self.packaged_md5)
        if site is DefaultSite.OWNERS or not self.remove_default:
            refuse_two_defaults(
                wanted,
                self.default_site.read_text(encoding="utf-8", errors="replace"),
                str(self.default_site),
                owners=site is DefaultSite.OWNERS,
            )

    def refuse_reload(self) -> None:
        if not self.allow_shutdown_timeout:
            refuse_cutting_reload(self.nginx.dump())

    def apply(self, wanted: str | None, planned: Plan) -> Change:
        """Carry out the plan; whatever goes wrong, the previous state is restored."""
        before = self.path.read_text(encoding="utf-8") if self.path.exists() else None
        linked = (
            self.default_site.readlink() if self.default_site and planned.remove_default else None
        )
        backup = self._back_up() if planned.write and before is not None else None
        proved = reloaded = False
        workers: tuple[str, ...] = ()
        try:
            if planned.write:
                self._write(wanted)
            if self.default_site and linked is not None:
                self.default_site.unlink()
            complaint = self.nginx.check()
            if complaint is not None:
                raise ConfigurationError(f"nginx -t refuses the configuration: {complaint}")
            self.refuse_reload()
            reloaded = True
            workers = self._reload()
            self._prove()
            proved = True
        except DevshardError as exc:
            # nginx did not even take the signal
            reloaded = reloaded and not isinstance(exc, ConfigurationError)
            exc.details["rolled_back"] = planned.write or planned.remove_default
            raise
        finally:
            # also after an interrupt
            if not proved and (planned.write or linked is not None):
                if planned.write:
                    self._write(before)
                if self.default_site and linked is not None:
                    self.default_site.symlink_to(linked)
                if reloaded:
                    self.nginx.reload()
        return Change(
            written=planned.write, reasons=planned.reasons, backup_file=backup, workers=workers
        )

    def _back_up(self) -> str | None:
        if not self.keep_backup:
            return None
        stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
        target = self.path.with_name(f"{self.path.name}.{stamp}~")
        shutil.copy2(self.path, target)
        return str(target)

    def _write(self, text: str | None) -> None:
        if text is None:
            self.path.unlink(missing_ok=True)
            return
        # not *.conf, which nginx would include
        candidate = self.path.with_name(f".{self.path.name}.candidate")
        candidate.write_text(text, encoding="utf-8")
        candidate.chmod(0o644)
        candidate.replace(self.path)

    def _reload(self) -> tuple[str, ...]:
        size = self.error_log.stat().st_size if self.error_log.exists() else 0
        try:
            return reload_and_prove(self.nginx, deadline=self.deadline, interval=self.interval)
        except UnknownStateError as exc:
            said = "; ".join(errors_of(self.error_log, size))
            if said:
                exc.args = (f"{exc}. It says: {said}",)
            raise

    def _prove(self) -> None:
        """Old workers stop listening one by one; several answers in a row leave none."""
        row = 0
        while row < self.confirmations:
            try:
                row = row + 1 if self.is_live(self.ask()) else 0
            except TransportError:
                row = 0
            if row == 0 and not self.deadline.pause(self.interval):
                raise UnknownStateError(
                    f"nginx was reloaded, but it does not answer as {self.path} makes it. Another "
                    f"server of its configuration may answer in its place: check server_name and "
                    f"default_server in nginx -T"
                )
