# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What differs between gateway generations, as data: one file per generation.

Everything that contract generations.md §8 lists as differing is read from here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from dataclasses import dataclass

from ..._core.errors import ConfigurationError

DEFAULT_PROFILE: t.Final = "v2"
"""The generation of the operator guide."""
PROTOCOL: t.Final = "devshard_protocol"
_NAME: t.Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ProbeNames:
    """Where it shows what a running gateway has, since none says which release it is."""

    memory_statistics: str = "/v1/debug/memstats"
    profiler: str = "/debug/pprof/"
    grpc_setting: str = "chain_grpc"
    batch_settle: str = "/v1/admin/devshards/settle"
    batch_settle_wants: str = "escrow_ids is required"
    accounting: str = "/api/v1/epochs"


PROBES: t.Final = ProbeNames()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One generation. Names of environment variables, paths of the API, limits and rules."""

    name: str
    protocol_chosen: bool
    """Whether the operator names the protocol, since no image says for which one it was built."""
    settlement_tag: str
    """``version`` in its settlements; must be in the chain's approved_versions if those exist.
    Empty until the protocol is known, where it is chosen."""
    route: str
    """Where hosts serve the protocol, for the life of an escrow; empty where it follows from the
    generation alone."""
    can_open_stores_of: tuple[str, ...]

    # environment
    chain_address_variable: str
    chain_address_fallback: str | None
    """Read where the one above is not set."""
    tx_query_variable: str | None
    chain_rpc_variable: str | None
    """Where the chain is asked while its first address cannot be reached; it ends with a slash."""
    chain_rpc_fallback: str | None
    """Read where the one above is not set."""
    chain_tls_variable: str | None
    """Whether the connection by gRPC is encrypted."""
    chain_id_variable: str
    public_api_variable: str
    route_variable: str | None
    storage_variable: str
    accounting_variable: str | None
    """Opens the port with the accounting, which has no key and listens on all addresses."""
    accounting_port: int | None
    """The port in the container."""
    chain_address_format: t.Literal["url", "host_port"]
    chain_address_persisted: bool
    """Whether the settings API holds the chain's address after the first start."""
    chain_address_optional: bool
    """Whether ``none`` may stand in its place, since the chain is asked elsewhere too."""
    public_api_optional: bool
    """Whether ``none`` may stand in its place. The word in the environment is then taken at every
    start and kept, so a URL that follows it takes effect only by the settings API."""
    locked_variables: t.Mapping[str, str]
    """Escrows live by these, so they are not changed on a used directory; each with the reason."""
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
    settle_awaits_inclusion: bool
    """Whether the answer to a settle comes after its transaction, and a failed one is an error."""
    busy_settle_is_kept: bool
    """Whether a settle refused as busy takes the escrow out of service and is made up for later."""
    loads_inactive_at_start: bool
    deactivates_at_start: bool
    """Whether a record that cannot be loaded is taken out of service, and the start goes on."""
    absolute_storage_path: bool
    escrow_prefix_field: str | None
    """In create, add and import: where hosts serve this escrow; a record without it takes the
    environment's of each start."""
    warms_up: bool
    """Whether a new session gets a request of the gateway's own, which spends and takes time."""
    create_pause: int
    """Seconds from one create to the next, where its guide keeps them apart."""
    create_window: int
    """Blocks that are left to the next proof of compute when an escrow is created; 0: any moment."""

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
    own_paths: tuple[str, ...]
    """Admin paths that answer 200 in this generation and not in each other one."""
    own_settings: tuple[str, ...]
    """Settings that this generation has and not each other one."""
    rotates_since: tuple[int, ...] | None
    """The first release whose rotation does not empty the wallet; None where all do well."""
    probed: bool
    """Whether its releases differ in what only a running gateway shows."""

    def bound(self, protocol: str | None) -> Profile:
        """The same for one protocol: its tag, and where hosts serve it."""
        if (fault := protocol_fault(self, protocol)) is not None:
            raise ConfigurationError(fault)
        if not self.protocol_chosen or protocol is None:
            return self
        prefix = f"/devshard/{protocol}"
        return dataclasses.replace(
            self, settlement_tag=protocol, route=prefix, host_session_prefix=prefix
        )

    def to_result(self) -> dict[str, t.Any]:
        """For roles: plain data."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


def protocol_fault(generation: Profile, protocol: str | None) -> str | None:
    """What is wrong with the protocol that is named for a generation; None where nothing is."""
    given = protocol or ""
    if not generation.protocol_chosen:
        if given in ("", generation.settlement_tag):
            return None
        return (
            f"{PROTOCOL} is {given}, but a gateway of generation {generation.name} knows the protocol"
            f" {generation.settlement_tag} alone. Remove {PROTOCOL}, or set devshard_profile to the"
            " generation that you mean"
        )
    if not given:
        return (
            f"{PROTOCOL} is not set, and generation {generation.name} needs it: the name in the"
            " chain's approved_versions for which the escrows are to be made. It has no default,"
            " since an escrow of a protocol that is not approved cannot be settled. The module"
            " gonka.devshard.creator_info returns the approved names"
        )
    if _NAME.fullmatch(given) is None:
        return (
            f"{PROTOCOL} must be a name of the chain's approved_versions, such as v4.1, without a"
            f" slash, not '{given}'"
        )
    return None


def known() -> dict[str, Profile]:
    """All generations, from the oldest to the newest."""
    from .v2 import PROFILE as V2
    from .v3 import PROFILE as V3
    from .v4 import PROFILE as V4
    from .v4_1 import PROFILE as V4_1

    return {one.name: one for one in (V2, V3, V4, V4_1)}


def generation(name: str) -> Profile:
    """What is common to all protocols of a generation. An unknown name is refused."""
    found = known()
    if name not in found:
        raise ConfigurationError(
            f"there is no gateway profile '{name}' (devshard_profile); this version of the"
            f" collection knows: {', '.join(found)}. Each generation needs a deploy directory of its own"
        )
    return found[name]


def profile(name: str, protocol: str | None = None) -> Profile:
    """The profile of a generation for the protocol that its escrows are made for."""
    return generation(name).bound(protocol)
