# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``gateway_drift_info``."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import _argspec
from .._core.errors import ConfigurationError
from .._gateway.drift import Drift, Wanted, find_drift
from .._host import docker

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._adapter import Context

OPTIONS: t.Final[_argspec.Options] = {
    "container_name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "env_file": {"type": "path", "required": True},
    "storage": {"type": "path", "required": True},
    "port": {"type": "int", "required": True},
    "accounting_port": {"type": "int"},
}
SPEC = _argspec.ArgumentSpec(options=OPTIONS).merge(_argspec.generation())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    container_name: str
    image: str
    storage: str
    port: int
    accounting_port: int | None


def drift_from(context: Context, environment: Callable[[], Mapping[str, str] | None]) -> Drift:
    """How the container differs from the options and from what the environment file holds."""
    options = context.read(Options)
    if not 0 < options.port < 65536:
        raise ConfigurationError(f"port must be from 1 to 65535, got {options.port}")
    context.need_docker()
    wanted = Wanted(
        image=options.image,
        environment=environment(),
        storage=options.storage,
        address=f"127.0.0.1:{options.port}",
        accounting_port=options.accounting_port,
    )
    return find_drift(docker.inspect(options.container_name), wanted, context.profile)
