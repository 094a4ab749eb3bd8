# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What forbids the takeover of a gateway as it is, one sentence each. Pure."""

from __future__ import annotations

import contextlib
import re
import typing as t
from urllib.parse import urlsplit

from .._core.keys import PRIVATE_KEY, is_secret
from .._gateway.beyond import beyond_faults
from .._gateway.profiles import known
from .places import deploy_dir, missing, network, port_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Given, HandMade, Seen

_PATH: t.Final = re.compile(r"/[A-Za-z0-9._/-]+")
_REACHED: t.Final = "an address that every container of the host reaches"
ADDRESSES: t.Final = (
    *("devshard_chain_rest", "devshard_chain_rpc", "devshard_chain_grpc"),
    *("devshard_public_api", "gateway_public_api"),
)
"""Variables of the inventory by which a gateway asks the network."""


def faults(seen: Seen, given: Given) -> list[str]:
    """The host first, then the deposits, then what another container would lose."""
    return [
        *_unasked_gateway(seen),
        *_storage(seen.gateway),
        *_owners(seen),
        *_unknown_escrows(seen, given),
        *beyond_faults(seen.gateway.name, seen.gateway.beyond),
        *_file(seen),
    ]


def _unasked_gateway(seen: Seen) -> list[str]:
    gateway, answers = seen.gateway, seen.answers
    if gateway.state != "running":
        return [
            (
                f"the container {gateway.name} does not run ({gateway.state}), so it cannot be asked what"
                " it is. Start it"
            )
        ]
    if answers.error is not None:
        return [f"the gateway could not be asked: {answers.error}"]
    if port_of(gateway) is None:
        return [f"the port of the container {gateway.name} is not published on the host"]
    if answers.generation is None:
        return [
            (
                "the gateway shows the signs of no generation that this version of the collection knows"
                f" ({', '.join(known())})"
            )
        ]
    return []


def _storage(gateway: HandMade) -> list[str]:
    found = []
    if gateway.storage is None:
        found.append(
            f"the container {gateway.name} keeps its storage in itself ({gateway.inside} is not"
            " mounted from the host), so its sessions would be deleted with it. Stop it, copy the"
            " folder out with 'docker cp', and start it with the copy mounted there"
        )
    for variable, path in (
        ("devshard_deploy_dir", deploy_dir(gateway)),
        ("gateway_storage_dir", gateway.storage or "/"),
    ):
        if path != "/" and _PATH.fullmatch(path) is None:
            found.append(
                f"{path} ({variable}) has other signs than letters, digits and ._-, which the"
                " collection cannot use. Move the gateway to another folder"
            )
    return found


# deposits


def owners(seen: Seen) -> list[str]:
    """The accounts whose coins are in the escrows that are not settled."""
    open_ones = [one for one in seen.answers.deposits if one.settled is False]
    return sorted({one.creator for one in open_ones if one.creator})


def _owners(seen: Seen) -> list[str]:
    found = owners(seen)
    if len(found) < 2:
        return []
    return [
        (
            f"the escrows of the gateway belong to several accounts ({', '.join(found)}). The"
            " collection settles those of one key. Settle the others by hand first"
        )
    ]


def unknown_escrows(seen: Seen) -> list[str]:
    """Those of which it is unknown whether they hold a deposit: never the same as none."""
    return [one.id for one in seen.answers.deposits if one.settled is None and not one.over]


def _unknown_escrows(seen: Seen, given: Given) -> list[str]:
    unknown, error = unknown_escrows(seen), seen.answers.chain_error
    if not unknown and error is None:
        return []
    names = missing(network(seen.gateway, given))
    if error is not None:
        why = f"the chain could not be asked: {error}"
        action = "Run this again, or set devshard_chain_rest to another node"
    else:
        why = "the chain was not asked"
        action = f"Set {' and '.join(names)}, and run this again" if names else "Run this again"
    head = (
        f"it is unknown whose escrow {', '.join(unknown)} is and what it holds: " if unknown else ""
    )
    return [f"{head}{why}. {action}"]


# what another container would not have


def docker_names(
    found: Mapping[str, t.Any], own: Mapping[str, str], peers: Mapping[str, str]
) -> list[str]:
    """Hosts that only a network of the engine resolves.

    ``found`` is the inventory, ``own`` what the owner set besides, and ``peers`` are the names on his
    networks. An address of ``found`` without a dot is one of them in any case. What else a variable of
    the owner names is unknown, and may be a secret.
    """
    addresses = {name: str(found.get(name) or "") for name in ADDRESSES}
    return [
        *_unresolved(addresses, peers, f"Set in the inventory {_REACHED}"),
        *_unresolved(
            # host:port without a scheme may be anything else
            {
                name: value
                for name, value in own.items()
                if "://" in value and _host(value) in peers
            },
            peers,
            f"Write {_REACHED} into the environment file, or into your compose file and make the"
            " container again, which cuts its streams once",
        ),
    ]


def _unresolved(addresses: Mapping[str, str], peers: Mapping[str, str], action: str) -> list[str]:
    hosts = {name: _host(value) for name, value in addresses.items()}
    short = [_named(name, host) for name, host in hosts.items() if host and _is_short(host)]
    known = [
        _named(name, f"{host}, of the container {peers[host]}")
        for name, host in hosts.items()
        if host and not _is_short(host) and host in peers
    ]
    why = (
        "names a host without a dot. Only the network of your own containers resolves it",
        "names another container. Only a Docker network that you made resolves it",
    )
    return [
        (
            f"{', '.join(names)} {reason}, and the temporary gateway of a swap is not on that one."
            f" {action}"
        )
        for names, reason in zip((short, known), why, strict=True)
        if names
    ]


def _host(address: str) -> str | None:
    """The host of an address, in small letters; ``none`` is not an address."""
    host = None
    with contextlib.suppress(ValueError):
        if ":" in address:
            host = urlsplit(address if "//" in address else f"//{address}").hostname
    return host.rstrip(".") if host else None


def _named(name: str, where: str) -> str:
    return name if is_secret(name) else f"{name} ({where})"


def _is_short(host: str) -> bool:
    return host != "localhost" and not {".", ":"} & set(host)


# the environment file


def _file(seen: Seen) -> list[str]:
    """What clients use today is what the running container has, whatever a file says."""
    if seen.file.fault is not None:
        return [seen.file.fault]
    if seen.gateway.record is not None:
        # in a file of the collection a new key may wait for its container
        return []
    running = seen.gateway.variables
    names = [
        name
        for name, value in sorted(seen.file.variables.items())
        if is_secret(name) and name in running and not _same_secret(name, value, running[name])
    ]
    if not names:
        return []
    return [
        (
            f"{', '.join(names)} in {seen.file.path} is not what the container {seen.gateway.name} runs"
            " with, and the next container would have that of the file. Write into the file what the"
            " container has (docker container inspect shows it), and run this again"
        )
    ]


def _same_secret(name: str, one: str, other: str) -> bool:
    return one == other or (name == PRIVATE_KEY and one.lower() == other.lower())
