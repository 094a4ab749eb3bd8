# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Where a gateway lies on its host, where it listens, and where it reaches the network. Pure."""

from __future__ import annotations

import typing as t
from pathlib import PurePosixPath

from .._gateway.drift import NO_API, port_inside
from .._gateway.profiles import Profile, known

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Given, HandMade

Network = dict[str, t.Any]

LOOPBACK: t.Final = "127.0.0.1"
ASKED: t.Final = ("devshard_chain_id", "devshard_chain_rest", "devshard_public_api")
"""Without one of these the chain is not asked."""
_ENV_FILE: t.Final = "config.devshard.env"
_OWN: t.Final = "devshard-gateway"
_DEPLOY: t.Final = "/srv/gonka/devshard-gateway"
_PORT: t.Final = 8080
"""In the container; the same in each generation."""


def whole(url: str | None) -> str | None:
    """An address as the inventory has it: without a slash at the end."""
    return url.rstrip("/") if url else None


def deploy_dir(gateway: HandMade) -> str:
    """The folder of its Compose project, else one with its name.

    A file that describes other services too is left to the owner, so the gateway gets a folder in
    that one.
    """
    if gateway.working_dir is not None:
        whole_project = PurePosixPath(gateway.working_dir)
        return str(whole_project / _OWN if gateway.neighbours else whole_project)
    return str(PurePosixPath(_DEPLOY).with_name(gateway.name.lower()))


def own_env_file(gateway: HandMade) -> str:
    """The environment file of the collection for it."""
    return str(PurePosixPath(deploy_dir(gateway)) / _ENV_FILE)


def addresses_of(gateway: HandMade) -> tuple[str, ...]:
    """Where its port is published on the host, the loopback first."""
    inside = port_inside(gateway.variables, _PORT)
    return gateway.addresses(inside)


def port_of(gateway: HandMade) -> int | None:
    """Its port on the host; None when it is not published."""
    return _number(addresses_of(gateway))


def accounting_of(gateway: HandMade, profile: Profile) -> int | None:
    """The port of its accounting on the host; None when it is not published."""
    inside = profile.accounting_port
    return None if inside is None else _number(gateway.addresses(str(inside)))


def closed_addresses(gateway: HandMade, profile: Profile) -> tuple[str, ...]:
    """Where the container is published and the next one is not: that one has its own port and that of
    its accounting, on the loopback."""
    kept = {
        (port_inside(gateway.variables, _PORT), port_of(gateway)),
        (str(profile.accounting_port), accounting_of(gateway, profile)),
    }
    mine = {(f"{inside}/tcp", f"{LOOPBACK}:{port}") for inside, port in kept}
    return tuple(
        f"{_shown(address)} (port {inside} in the container)"
        for inside, bound in sorted(gateway.ports.items())
        for address in bound
        if (inside, address) not in mine
    )


def _shown(address: str) -> str:
    host, _colon, port = address.rpartition(":")
    return address if host not in ("", "0.0.0.0", "::", "[::]") else f"{port} on all addresses"


def _number(addresses: Iterable[str]) -> int | None:
    port = next(iter(addresses), "").rpartition(":")[2]
    return int(port) if port.isdecimal() else None


def missing(found: Network) -> list[str]:
    """What is not known of the network, and keeps the chain from being asked."""
    return [name for name in ASKED if not found[name]]


def network(gateway: HandMade, given: Given, profile: Profile | None = None) -> Network:
    """The inventory's own word counts, then what the gateway was started with; None: neither says it.

    Without a generation the variables of all of them count.
    """
    variables = gateway.variables
    profiles = list(known().values()) if profile is None else [profile]

    def first(*names: str | None) -> str | None:
        return next((variables[name] for name in names if name and variables.get(name)), None)

    by_rest = [one for one in profiles if one.chain_address_format == "url"]
    api = whole(first(*(one.public_api_variable for one in profiles)))
    return {
        "devshard_chain_id": given.chain_id
        or first(*(one.chain_id_variable for one in profiles), "CHAIN_ID"),
        "devshard_chain_rest": whole(
            given.chain_rest
            or first(*(one.chain_address_variable for one in by_rest), "NODE_CHAIN_API")
        ),
        "devshard_chain_rpc": whole(
            given.chain_rpc
            or first(
                *(one.chain_rpc_variable for one in profiles),
                *(one.chain_rpc_fallback for one in profiles),
                "NODE_RPC",
            )
        ),
        "devshard_public_api": whole(given.public_api)
        or (api if api not in NO_API else None)
        or whole(first("NODE_BASE")),
    }
