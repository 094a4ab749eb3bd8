# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a container must be recreated to match what is wanted. That cuts every stream."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ConfigurationError
from .._host.image import is_image

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._host.docker import Container
    from .profiles import Profile


PROJECT: t.Final = "com.docker.compose.project"
PORT: t.Final = "the address of its port"
ACCOUNTING: t.Final = "the address of its accounting"
NO_API: t.Final = ("none", "disabled")
_ON: t.Final = frozenset({"1", "true", "on", "yes"})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    image: str
    environment: Mapping[str, str] | None
    """None when there is no file with it."""
    storage: str
    address: str
    """address:port on the host."""
    accounting_port: int | None = None
    """On the loopback of the host; None when the accounting is closed."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """``bootstrap`` names variables that differ but that only the settings API changes.

    ``variables`` names what only a new container has, variables and addresses of its ports;
    ``moved`` are the reasons that no container on the same storage and port would take away.
    """

    exists: bool
    running: bool
    reasons: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    project: str | None = None
    """That the container has for Compose; None when Compose did not make it."""

    def with_variables(self, names: Iterable[str]) -> Drift:
        """With variables that the environment file does not have yet."""
        return replace(self, variables=tuple(sorted({*self.variables, *names})))

    def to_result(self) -> dict[str, t.Any]:
        return {
            "exists": self.exists,
            "running": self.running,
            "recreate": bool(self.reasons),
            "reasons": list(self.reasons),
            "variables": list(self.variables),
            "bootstrap": list(self.bootstrap),
            "project": self.project,
            "composed": not self.exists or self.project is not None,
        }


def check_accounting(port: int | None, gateway_port: int, profile: Profile) -> None:
    """Refuse a port for the accounting that cannot be."""
    if (fault := accounting_fault(port, gateway_port, profile)) is not None:
        raise ConfigurationError(fault)


def accounting_fault(port: int | None, gateway_port: int, profile: Profile) -> str | None:
    """What is wrong with the port for the accounting; None where nothing is."""
    if port is None:
        return None
    if profile.accounting_port is None:
        return (
            f"gateway_accounting_port is {port}, but a gateway of generation {profile.name} has no"
            " accounting. Remove gateway_accounting_port"
        )
    if not 0 < port < 65536 or port == gateway_port:
        return f"gateway_accounting_port must be from 1 to 65535 and not the gateway's own port, got {port}"
    return None


def accounting_addresses(wanted: Wanted) -> tuple[str, ...]:
    """Never another one than the loopback: it answers without a key."""
    return () if wanted.accounting_port is None else (f"127.0.0.1:{wanted.accounting_port}",)


def same_value(name: str, wanted: str, found: str | None, profile: Profile) -> bool:
    """Whether the gateway takes both for the same: unset and empty is its own default."""
    if wanted == (found or ""):
        return True
    if not found and name in profile.asked_variables:
        # that the chain's answer is the wanted one is checked wherever the chain is asked
        return True
    default = profile.start_defaults.get(name, "")
    one, other = wanted or default, found or default
    if name in profile.switch_variables:
        return (one.lower() in _ON) == (other.lower() in _ON)
    return one == other


def _read_at_start(name: str, wanted: str, found: str, profile: Profile) -> bool:
    """The word that stands for no public API is taken at each start, and outlives a URL."""
    optional = profile.public_api_optional and name == profile.public_api_variable
    return optional and (wanted in NO_API) is not (found in NO_API)


def port_inside(environment: Mapping[str, str], usual: int) -> str:
    """The port in its container at which a gateway with these variables listens."""
    return environment.get("DEVSHARD_PORT") or str(usual)


def _same_port(published: Iterable[str], wanted: str) -> bool:
    """Whether a new container would only listen on another address of the host."""
    return wanted.rpartition(":")[2] in {address.rpartition(":")[2] for address in published}


def find_drift(container: Container | None, wanted: Wanted, profile: Profile) -> Drift:
    """Pure. Returns names of variables, never their values."""
    if container is None:
        return Drift(exists=False, running=False)
    reasons = []
    if not is_image(wanted.image, container.image, container.digests):
        reasons.append(f"its image is {container.image}, wanted is {wanted.image}")
    if wanted.environment is None:
        reasons.append("there is no environment file to compare it with")
    # what the image itself or compose sets is not in the file and does not count
    differs = sorted(
        name
        for name, value in (wanted.environment or {}).items()
        if not same_value(name, value, container.environment.get(name), profile)
    )
    late = {
        name
        for name in differs
        if _read_at_start(
            name, (wanted.environment or {})[name], container.environment.get(name) or "", profile
        )
    }
    bootstrap = tuple(
        name for name in differs if name in profile.bootstrap_variables and name not in late
    )
    harmless = {*bootstrap, *profile.unread_variables}
    others = [name for name in differs if name not in harmless]
    if others:
        reasons.append(f"the gateway reads {', '.join(others)} only when it starts, and it differs")
    moved, addresses = [], []
    mounted = container.mounts.get(profile.storage_dir)
    if mounted != wanted.storage:
        moved.append(f"its storage is {mounted}, wanted is {wanted.storage}")
    inside = port_inside(container.environment, profile.container_port)
    port = container.ports.get(f"{inside}/tcp", ())
    if wanted.address not in port:
        shown = ", ".join(port) or "no port of the host"
        why = f"it is published on {shown}, wanted is {wanted.address}"
        if _same_port(port, wanted.address):
            addresses.append(PORT)
            reasons.append(why)
        else:
            moved.append(why)
    if profile.accounting_port is not None:
        open_on = container.ports.get(f"{profile.accounting_port}/tcp", ())
        if set(open_on) != set(accounting_addresses(wanted)):
            addresses.append(ACCOUNTING)
            reasons.append(
                f"its accounting is published on {', '.join(open_on) or 'no port of the host'}, wanted is"
                f" {', '.join(accounting_addresses(wanted)) or 'no port of the host'}"
            )
    return Drift(
        exists=True,
        running=container.state == "running",
        reasons=(*reasons, *moved),
        variables=(*others, *addresses),
        moved=tuple(moved),
        bootstrap=bootstrap,
        project=container.labels.get(PROJECT),
    )
