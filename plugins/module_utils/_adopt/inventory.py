# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The inventory with which the collection has a gateway as its owner made it. Pure.

No secret is in it: those of the gateway stay on the host, in its environment file.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import PurePosixPath

from .._core.keys import SECRETS, is_secret
from .._gateway.drift import NO_API
from .._gateway.profiles import Profile, generation, known

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Deposit, Given, HandMade, Seen

Inventory = dict[str, t.Any]

_PATH: t.Final = re.compile(r"/[A-Za-z0-9._/-]+")
_LOOPBACK: t.Final = "127.0.0.1"
_ENV_FILE: t.Final = "config.devshard.env"
_OWN: t.Final = "devshard-gateway"
_DEPLOY: t.Final = "/srv/gonka/devshard-gateway"
_MANAGED: t.Final = frozenset(
    {
        "DEVSHARD_CAPACITY_AWARE_LIMITS",
        "DEVSHARD_POC_REQUEST_MODE",
        "DEVSHARD_PORT",
        "DEVSHARD_TX_GAS_LIMIT",
    }
)
"""Names that the roles set or keep in the environment file in any case."""


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


def env_file(seen: Seen) -> str:
    return seen.env_file or str(PurePosixPath(deploy_dir(seen.gateway)) / _ENV_FILE)


def make(seen: Seen, given: Given) -> tuple[Inventory, list[str]]:
    """The variables, and what is missing or in the way, one sentence each."""
    gateway, answers = seen.gateway, seen.answers
    problems = _faults(seen)
    if answers.generation is None:
        return {}, problems
    profile = generation(answers.generation)
    port = _port(gateway, profile.container_port)
    protocol, why = _protocol(seen, given, profile)
    problems += why
    chain, why = _chain(gateway, given, profile)
    problems += why
    found: Inventory = {"devshard_profile": profile.name}
    if protocol is not None:
        found["devshard_protocol"] = protocol
    found |= chain
    found |= {
        "devshard_deploy_dir": deploy_dir(gateway),
        "devshard_env_file": env_file(seen),
        "gateway_container_name": gateway.name,
        "gateway_image": gateway.image,
        "devshard_gateway_url": f"http://{_LOOPBACK}:{port}",
        "devshard_temp_url": f"http://{_LOOPBACK}:{seen.temp_port}",
        "edge_http_port": seen.edge_port,
    }
    if gateway.storage is not None and gateway.volume is None:
        found["gateway_storage_dir"] = gateway.storage
    if (accounting := _accounting(gateway, profile)) is not None:
        found["gateway_accounting_port"] = accounting
    models = _models(seen)
    found["devshard_models"] = models
    if not models:
        problems.append(
            "the gateway has neither an escrow nor a limit of a model, so devshard_models cannot be"
            " said. Create the first escrow by hand, or set devshard_models yourself"
        )
    found |= _rotation(answers.settings, models)
    if extra := _extra({**gateway.variables, **_own(seen.in_file)}, profile):
        found["gateway_env_extra"] = extra
    if len(owners := _owners(seen)) == 1:
        found["creator_address"] = owners[0]
    return found, problems


def _faults(seen: Seen) -> list[str]:
    gateway, answers = seen.gateway, seen.answers
    found = []
    if gateway.state != "running":
        found.append(
            f"the container {gateway.name} does not run ({gateway.state}), so it cannot be asked what"
            " it is. Start it"
        )
    elif answers.error is not None:
        found.append(f"the gateway could not be asked: {answers.error}")
    elif answers.generation is None:
        found.append(
            "the gateway shows the signs of no generation that this version of the collection knows"
            f" ({', '.join(known())})"
        )
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
    owners = _owners(seen)
    if len(owners) > 1:
        found.append(
            f"the escrows of the gateway belong to several accounts ({', '.join(owners)}). The"
            " collection settles those of one key. Settle the others by hand first"
        )
    return found


def _owners(seen: Seen) -> list[str]:
    """The accounts whose coins are in the escrows that are not settled."""
    open_ones = [one for one in seen.answers.deposits if one.settled is False]
    return sorted({one.creator for one in open_ones if one.creator})


def _port(gateway: HandMade, inside: int) -> int:
    address = gateway.address(inside)
    port = "" if address is None else address.rpartition(":")[2]
    return int(port) if port.isdecimal() else inside


def address_of(gateway: HandMade) -> str | None:
    """Where it is published on the host; None when it is not."""
    inside = gateway.variables.get("DEVSHARD_PORT") or "8080"
    return gateway.address(int(inside)) if inside.isdecimal() else None


def port_of(gateway: HandMade) -> int | None:
    """Its port on the host; None when it is not published."""
    address = address_of(gateway)
    port = "" if address is None else address.rpartition(":")[2]
    return int(port) if port.isdecimal() else None


def _accounting(gateway: HandMade, profile: Profile) -> int | None:
    if profile.accounting_port is None:
        return None
    address = gateway.address(profile.accounting_port)
    port = "" if address is None else address.rpartition(":")[2]
    return int(port) if port.isdecimal() else None


def _protocol(seen: Seen, given: Given, profile: Profile) -> tuple[str | None, list[str]]:
    """What its sessions are bound to, else what its environment names for new ones."""
    if not profile.protocol_chosen:
        return None, []
    route = seen.gateway.variables.get(profile.route_variable or "") or ""
    named = route.rstrip("/").rpartition("/")[2] or None
    bound = {one.protocol for one in seen.answers.deposits if one.protocol and not one.settled}
    if given.protocol or named:
        return given.protocol or named, []
    if len(bound) == 1:
        return next(iter(bound)), []
    shown = ", ".join(sorted(bound)) or "there is none"
    return None, [
        (
            f"the gateway has no {profile.route_variable}, and its sessions do not show one protocol"
            f" ({shown}). Set devshard_protocol to the protocol that its escrows are made for"
        )
    ]


def network(gateway: HandMade, given: Given, profile: Profile | None = None) -> Inventory:
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


def _chain(gateway: HandMade, given: Given, profile: Profile) -> tuple[Inventory, list[str]]:
    variables = gateway.variables
    found = network(gateway, given, profile)
    missing = [
        f"{name} is not set, and the gateway does not know it either. Set it in the inventory"
        for name, value in found.items()
        if not value
    ]
    found = {name: value for name, value in found.items() if value}
    api = whole(variables.get(profile.public_api_variable))
    if api is not None and api != found.get("devshard_public_api"):
        found["gateway_public_api"] = api
    if profile.chain_address_format != "url":
        found["devshard_chain_grpc"] = (
            variables.get(profile.chain_address_variable)
            or variables.get(profile.chain_address_fallback or "")
            or "none"
        )
        if _on(variables.get(profile.chain_tls_variable or "")):
            found["devshard_chain_grpc_tls"] = True
    return found, missing


def _on(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "yes", "on")


def _usable(deposit: Deposit) -> bool:
    return deposit.active and deposit.settled is not True


def _models(seen: Seen) -> list[Inventory]:
    """Each model as it is: whose clients may use it, and how many escrows serve it."""
    settings = seen.answers.settings
    modes = {
        str(item["model_id"]): str(item.get("access_mode") or "admin_only")
        for item in settings.get("model_limits") or ()
    }
    rotation = settings.get("escrow_rotation") or {}
    rotated = {str(item["model_id"]): item for item in rotation.get("models") or ()}
    first = str(settings.get("default_model") or "")
    used = [one.model for one in seen.answers.deposits if one.model and one.settled is not True]
    names = dict.fromkeys([*([first] if first else []), *used, *rotated, *modes])
    found: list[Inventory] = []
    for name in names:
        own = [one for one in seen.answers.deposits if one.model == name]
        amounts = [one.amount for one in own if one.amount is not None and one.settled is not True]
        plan = rotated.get(name, {})
        amount = amounts[-1] if amounts else plan.get("amount")
        count = sum(_usable(one) for one in own)
        if rotation.get("enabled") and plan:
            count = int(plan.get("target_count") or count)
        if amount is None:
            # nothing is paid for it, so the amount does not count yet
            others = [one.amount for one in seen.answers.deposits if one.amount is not None]
            amount = others[-1] if others else None
        if amount is None:
            continue
        found.append(
            {
                "id": name,
                "amount": int(amount),
                "count": count,
                "access_mode": modes.get(name, "admin_only"),
            }
        )
    return found


def _rotation(settings: Mapping[str, t.Any], models: list[Inventory]) -> Inventory:
    """Only where it is on: an inventory that says nothing leaves it as it is."""
    rotation = settings.get("escrow_rotation") or {}
    if not rotation.get("enabled") or not models:
        return {}
    found: Inventory = {
        "rotation_enabled": True,
        "rotation_settlement_enabled": bool(rotation.get("settlement_enabled")),
    }
    if rotation.get("pre_poc_blocks"):
        found["rotation_pre_poc_blocks"] = int(rotation["pre_poc_blocks"])
    found["rotation_models"] = [
        {
            "model_id": str(item["model_id"]),
            "amount": int(item.get("amount") or 0),
            "temp_count": int(item.get("temp_count") or 0),
            "target_count": int(item.get("target_count") or 0),
        }
        for item in rotation.get("models") or ()
    ]
    return found


def _own(in_file: Mapping[str, str]) -> dict[str, str]:
    """What the shell would expand is not what the gateway gets."""
    return {name: value for name, value in in_file.items() if not set("$`\\") & set(value)}


def _extra(variables: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """The owner's own variables. Those that hold a secret stay in the environment file alone."""
    managed = {
        *_MANAGED,
        *SECRETS,
        *profile.bootstrap_variables,
        *profile.unread_variables,
        *profile.locked_variables,
        profile.storage_variable,
        profile.chain_address_variable,
        profile.chain_id_variable,
        profile.public_api_variable,
        profile.tx_query_variable,
        profile.chain_address_fallback,
        profile.chain_rpc_variable,
        profile.chain_rpc_fallback,
        profile.chain_tls_variable,
        profile.route_variable,
        profile.accounting_variable,
    }
    return {
        name: value
        for name, value in sorted(variables.items())
        if name not in managed and not is_secret(name) and "{{" not in value and "{%" not in value
    }
