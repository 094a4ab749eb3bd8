# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What differs between gateway generations, as data: one file per generation.

Everything that contract generations.md §8 lists as differing is read from here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from ..._core.errors import ConfigurationError

DEFAULT_PROFILE: t.Final = "v2"
"""The generation of the operator guide."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One generation. Names of environment variables, paths of the API, limits and rules."""

    name: str
    settlement_tag: str
    """``version`` in its settlements; must be in the chain's approved_versions if those exist."""
    can_open_stores_of: tuple[str, ...]

    # environment
    chain_address_variable: str
    tx_query_variable: str | None
    chain_id_variable: str
    public_api_variable: str
    chain_address_format: t.Literal["url", "host_port"]
    chain_address_persisted: bool
    """Whether the settings API holds the chain's address after the first start."""
    bootstrap_variables: tuple[str, ...]
    """Read only at the first start; later only the settings API changes what they stand for."""
    unread_variables: tuple[str, ...]
    """In the guide's file for ``source`` and Compose; the gateway itself reads none of them."""

    start_defaults: t.Mapping[str, str]
    """Read at each start; what the gateway takes when they are not set."""
    asked_variables: tuple[str, ...]
    """Read at each start; the gateway asks the chain for them when they are not set."""
    switch_variables: tuple[str, ...]
    """Of these the gateway reads only whether they are on or off."""

    # container
    container_port: int
    storage_dir: str
    health_command: tuple[str, ...]
    default_image: str

    # admin API
    activate_path: str
    """Path of the call that activates a record; ``{id}`` is filled in."""
    activate_with_id_in_body: bool
    deactivate_idempotent: bool
    deactivate_unloads: bool
    settle_unloaded: bool
    loads_inactive_at_start: bool
    absolute_storage_path: bool

    # limits of a session that the gateway itself applies
    nonce_limit: int
    """Pooled chat is no longer routed to a session at this nonce."""
    min_balance: int
    """Below this, in ngonka, a session counts as depleted."""

    longest_request: int
    """Seconds for which a request stays active at most, also when its client is gone."""

    # host protocol, for the newest nonce that hosts know
    host_session_prefix: str

    # what tells a gateway of another generation, since none says which it is
    foreign_paths: tuple[str, ...]
    """Admin paths that answer 200 in other generations only."""
    foreign_settings: tuple[str, ...]
    """Settings that only other generations have."""

    def to_result(self) -> dict[str, t.Any]:
        """For roles: plain data."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


def profile(name: str) -> Profile:
    """The profile of a generation; an unknown name is refused with those that exist."""
    from .v2 import PROFILE as V2

    known = {V2.name: V2}
    if name not in known:
        raise ConfigurationError(
            f"there is no gateway profile '{name}'; this version of the collection knows:"
            f" {', '.join(sorted(known))}. Each generation needs a deploy directory of its own"
        )
    return known[name]
