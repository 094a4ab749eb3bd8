# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which of a host's gateways one is, and every name that follows from it.

The gateway without a name is the only one of most hosts. Its names are those of versions that knew
no others, so a host that they deployed does not change.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .._core.errors import ConfigurationError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: t.Final = "devshard_instance"
NGINX: t.Final = PurePosixPath("/etc/nginx")
EDGE_FILES: t.Final = "gonka-devshard*.conf"
"""The edges of all gateways of a host, in ``conf.d``."""
_NAME: t.Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: t.Final = 21

DATABASE: t.Final = "gateway.db"
"""Of the gateway itself, in its storage."""
RECORD: t.Final = ".gonka-devshard.json"
RETIRED: t.Final = ".retired.json"
RESTORING: t.Final = ".restoring-"
"""Before the name of a backup: from its restore until its rotation is off."""


def name_fault(name: object) -> str | None:
    """What is wrong with a name; None where nothing is. Without a capital or a dash at the end it
    fits container, project, file and nginx variable alike, and two names stay two in each."""
    if name == "" or (
        isinstance(name, str) and len(name) <= _LONGEST and _NAME.fullmatch(name) is not None
    ):
        return None
    return (
        f"{VARIABLE} must be empty, or start with a lower-case letter and have at most {_LONGEST}"
        f" lower-case letters, digits and single dashes between them, not '{name}'"
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """``name`` is empty for the gateway without a name."""

    name: str = ""

    def __post_init__(self) -> None:
        if fault := name_fault(self.name):
            raise ConfigurationError(fault)

    @property
    def suffix(self) -> str:
        return f"-{self.name}" if self.name else ""

    @property
    def text(self) -> str:
        return f"instance {self.name}" if self.name else "the gateway without an instance name"

    @property
    def container(self) -> str:
        return f"devshardctl-multi{self.suffix}"

    @property
    def temp_container(self) -> str:
        return f"devshardctl-temp{self.suffix}"

    @property
    def project(self) -> str | None:
        """Of Compose. The gateway without a name has that of its directory, as the guide has it."""
        return f"devshard-gateway{self.suffix}" if self.name else None

    @property
    def nginx_prefix(self) -> str:
        """Of upstreams, variables and zones: they are common to all servers of an nginx."""
        return f"devshard_{self.name.replace('-', '_')}" if self.name else "devshard"

    def edge_dir(self, nginx: PurePosixPath = NGINX) -> PurePosixPath:
        return nginx / f"devshard{self.suffix}"

    def edge_file(self, nginx: PurePosixPath = NGINX) -> PurePosixPath:
        return nginx / f"conf.d/gonka-devshard{self.suffix}.conf"

    @property
    def edge_cache(self) -> PurePosixPath:
        """Of nginx, which makes it and gives it to its workers."""
        return PurePosixPath("/var/cache") / f"gonka-devshard-edge{self.suffix}"

    def below(self, directory: PurePosixPath) -> PurePosixPath:
        """Where this gateway has its own files in a directory of all gateways of the host."""
        return directory / self.name

    def state_dir(self, shared: PurePosixPath) -> PurePosixPath:
        """Notes and journals of this gateway. Ledger, lock and keyring are the host's."""
        return shared / "instances" / self.name if self.name else shared

    def to_result(self, state_dir: str) -> dict[str, t.Any]:
        """What the roles use."""
        edge = self.edge_dir()
        places = Places(deploy_dir=Path(), state_dir=Path(state_dir), instance=self)
        return {
            "name": self.name,
            "suffix": self.suffix,
            "container": self.container,
            "temp_container": self.temp_container,
            "project": self.project,
            "deploy_dir": f"/srv/gonka/devshard-gateway{self.suffix}",
            "backup_dir": str(self.below(PurePosixPath("/var/backups/gonka-devshard"))),
            "state_dir": str(places.own_state_dir),
            "redirect_note": str(places.redirect_note),
            "journals": {slot: str(path) for slot, path in places.journals.items()},
            "swap_backups": str(places.swap_backups),
            "nginx_prefix": self.nginx_prefix,
            "edge_dir": str(edge),
            "edge_file": str(self.edge_file()),
            "edge_cache": str(self.edge_cache),
            "edge_flag": str(edge / "temp-in-service"),
            "edge_includes": str(edge / "server.d"),
            "redirect_file": str(edge / "server.d/redirect.conf"),
            "retired_file": str(edge / "server.d/retired.conf"),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where the files of one gateway lie. ``state_dir`` is that of the host."""

    deploy_dir: Path
    state_dir: Path
    instance: Instance = Instance()

    @property
    def own_state_dir(self) -> Path:
        return Path(self.instance.state_dir(PurePosixPath(self.state_dir)))

    @property
    def record(self) -> Path:
        return self.deploy_dir / RECORD

    @property
    def retired(self) -> Path:
        return self.deploy_dir / RETIRED

    @property
    def compose(self) -> Path:
        return self.deploy_dir / "docker-compose.yml"

    @property
    def temp_compose(self) -> Path:
        return self.deploy_dir / "docker-compose.temp.yml"

    @property
    def storage(self) -> Path:
        return self.deploy_dir / ".devshardctl"

    @property
    def redirect_note(self) -> Path:
        """What the gateway's disabled state was before a redirect."""
        return self.own_state_dir / "redirect.json"

    @property
    def journals(self) -> Mapping[str, Path]:
        """Of an open swap, by the slot of the gateway that is replaced."""
        own = self.own_state_dir
        return {"main": own / "swap.json", "temp": own / "swap-temp.json"}

    @property
    def swap_backups(self) -> Path:
        """Copies of the database that swaps make."""
        return self.own_state_dir / "backups"

    @property
    def ledger(self) -> Path:
        """One for all gateways of the host: their creators may be the same."""
        return self.state_dir / "ledger.db"
