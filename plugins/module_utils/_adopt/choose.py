# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which gateway of a host is meant, and which generation it is. Pure."""

from __future__ import annotations

import typing as t

from .._core.errors import ConfigurationError
from .._gateway.profiles import PROBES, known

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .._gateway.profiles import Profile
    from .model import HandMade

PATHS: t.Final = (PROBES.memory_statistics, PROBES.profiler)
"""By these a running gateway shows its generation."""


def choose(gateways: Sequence[HandMade], named: str | None) -> HandMade:
    """The one that is named, else the only one that the collection does not have yet."""
    if named is not None:
        found = next((one for one in gateways if one.name == named), None)
        if found is not None:
            return found
        raise ConfigurationError(
            f"the container {named} (gateway_container_name) is not a gateway, or it does not exist."
            f" {_there(gateways)}"
        )
    foreign = [one for one in gateways if one.record is None]
    meant = foreign or list(gateways)
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise ConfigurationError(_there(gateways))
    raise ConfigurationError(
        "this host has several gateways, and it is not known which one is meant. Set"
        f" gateway_container_name to one of them: {'; '.join(one.text for one in meant)}"
    )


def _there(gateways: Sequence[HandMade]) -> str:
    if not gateways:
        return "No container of this host has the variables of a gateway (DEVSHARD_...)"
    return f"The gateways of this host are: {'; '.join(one.text for one in gateways)}"


def generation_of(paths: Mapping[str, bool | None], settings: Collection[str]) -> str | None:
    """The newest generation whose signs a running gateway shows; None where one is unknown.

    ``paths`` are those of ``PATHS``, with whether the gateway has them.
    """
    if any(paths.get(path) is None for path in PATHS):
        return None
    fitting = [name for name, profile in known().items() if _fits(profile, paths, settings)]
    return fitting[-1] if fitting else None


def _fits(profile: Profile, paths: Mapping[str, bool | None], settings: Collection[str]) -> bool:
    return (
        all(paths.get(path) for path in profile.own_paths)
        and not any(paths.get(path) for path in profile.foreign_paths)
        and all(name in settings for name in profile.own_settings)
        and not any(name in settings for name in profile.foreign_settings)
    )
