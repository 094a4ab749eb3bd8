# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The inventory with which the collection has a gateway as its owner made it. Pure.

No secret is in it: those of the gateway stay on the host, in its environment file.
"""

from __future__ import annotations

import typing as t

from .._core.keys import SECRETS, is_secret
from .._gateway.drift import same_value
from .._gateway.profiles import Profile, generation
from .faults import docker_names, faults, owners, unknown_escrows
from .places import (
    LOOPBACK,
    accounting_of,
    closed_addresses,
    deploy_dir,
    network,
    own_env_file,
    port_of,
    whole,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Deposit, Given, HandMade, Seen

Inventory = dict[str, t.Any]

_KEPT: t.Final = frozenset({"DEVSHARD_CAPACITY_AWARE_LIMITS", "DEVSHARD_POC_REQUEST_MODE"})
"""Names that stay in the environment file as they are there, and are read at each start."""
_MANAGED: t.Final = frozenset({*_KEPT, "DEVSHARD_PORT", "DEVSHARD_TX_GAS_LIMIT"})
"""Names that the roles set or keep in the environment file in any case."""


def make(seen: Seen, given: Given) -> tuple[Inventory, list[str]]:
    """The variables, and what is missing or in the way, one sentence each."""
    gateway, answers = seen.gateway, seen.answers
    problems = faults(seen, given)
    if answers.generation is None:
        return {}, problems
    profile = generation(answers.generation)
    protocol, why = _protocol(seen, given, profile)
    problems += why
    chain, why = _chain(gateway, given, profile)
    variables = {**gateway.variables, **_own(seen.file.variables)}
    problems += [*why, *docker_names(chain, _others(variables, profile), gateway.peers)]
    port = port_of(gateway)
    found: Inventory = {"devshard_profile": profile.name}
    if protocol is not None:
        found["devshard_protocol"] = protocol
    found |= chain
    found |= {
        "devshard_deploy_dir": deploy_dir(gateway),
        "devshard_env_file": seen.file.path or own_env_file(gateway),
        "gateway_container_name": gateway.name,
        "gateway_image": gateway.image,
        **({} if port is None else {"devshard_gateway_url": f"http://{LOOPBACK}:{port}"}),
        "devshard_temp_url": f"http://{LOOPBACK}:{seen.temp_port}",
        "edge_http_port": seen.edge_port,
    }
    if gateway.storage is not None and gateway.volume is None:
        found["gateway_storage_dir"] = gateway.storage
    if (accounting := accounting_of(gateway, profile)) is not None:
        found["gateway_accounting_port"] = accounting
    models, why = _said_models(seen, given)
    problems += why
    if models:
        found["devshard_models"] = models
    found |= _rotation(answers.settings, models)
    found |= _kept_options(gateway)
    if extra := _extra(variables, profile):
        found["gateway_env_extra"] = extra
    if len(accounts := owners(seen)) == 1 and not unknown_escrows(seen):
        found["creator_address"] = accounts[0]
    return found, problems


def overridden(seen: Seen) -> list[str]:
    """Variables of which the file has another value than the running container: the file counts."""
    if seen.answers.generation is None:
        return []
    profile = generation(seen.answers.generation)
    in_file, running = _own(seen.file.variables), seen.gateway.variables
    return [
        name
        for name in sorted({*_extra(in_file, profile), *(_KEPT & in_file.keys())})
        if name in running and not same_value(name, in_file[name], running[name], profile)
    ]


def closed(seen: Seen) -> list[str]:
    """Addresses of the host at which the next container does not answer."""
    if seen.answers.generation is None:
        return []
    return list(closed_addresses(seen.gateway, generation(seen.answers.generation)))


def _kept_options(gateway: HandMade) -> Inventory:
    """Options of the container that are options of the role too."""
    found, options = Inventory(), gateway.options
    if options.stop_seconds is not None:
        found["gateway_stop_grace_period"] = f"{options.stop_seconds}s"
    if options.log_size is not None:
        found["gateway_log_max_size"] = options.log_size
    if options.log_files is not None:
        found["gateway_log_max_files"] = options.log_files
    return found


def _protocol(seen: Seen, given: Given, profile: Profile) -> tuple[str | None, list[str]]:
    """What its sessions are bound to, else what its environment names for new ones."""
    if not profile.protocol_chosen:
        return None, []
    route = seen.gateway.variables.get(profile.route_variable or "") or ""
    named = route.rstrip("/").rpartition("/")[2] or None
    bound = {one.protocol for one in seen.answers.deposits if one.protocol and not one.over}
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


def _chain(gateway: HandMade, given: Given, profile: Profile) -> tuple[Inventory, list[str]]:
    variables = gateway.variables
    found = network(gateway, given, profile)
    missing = [
        f"{name} is not set, and the gateway does not know it either. Set it in the inventory"
        for name, value in found.items()
        if not value
    ]
    found = {name: value for name, value in found.items() if value}
    api = whole(given.gateway_public_api or variables.get(profile.public_api_variable))
    if api is not None and api != found.get("devshard_public_api"):
        found["gateway_public_api"] = api
    if profile.chain_address_format != "url":
        found["devshard_chain_grpc"] = (
            given.grpc
            or variables.get(profile.chain_address_variable)
            or variables.get(profile.chain_address_fallback or "")
            or "none"
        )
        if _on(variables.get(profile.chain_tls_variable or "")):
            found["devshard_chain_grpc_tls"] = True
    return found, missing


def _on(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "yes", "on")


def _usable(deposit: Deposit) -> bool:
    return deposit.active and not deposit.over


def _said_models(seen: Seen, given: Given) -> tuple[list[Inventory], list[str]]:
    """None while the deposit of an escrow is unknown: each amount is what the next escrow costs."""
    if unknown_escrows(seen):
        return [], []
    if found := _models(seen):
        return found, []
    if given.models:
        return [dict(one) for one in given.models], []
    if seen.answers.deposits or seen.answers.settings.get("model_limits"):
        return [], [
            (
                "no escrow of the gateway shows the amount of a deposit, so devshard_models cannot be said."
                " Set devshard_models yourself"
            )
        ]
    return [], [
        (
            "the gateway has neither an escrow nor a limit of a model, so devshard_models cannot be"
            " said. Create the first escrow by hand, or set devshard_models yourself"
        )
    ]


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
    used = [one.model for one in seen.answers.deposits if one.model and not one.over]
    names = dict.fromkeys([*([first] if first else []), *used, *rotated, *modes])
    found: list[Inventory] = []
    for name in names:
        own = [one for one in seen.answers.deposits if one.model == name]
        amounts = [one.amount for one in own if one.amount is not None and not one.over]
        plan = rotated.get(name, {})
        amount = amounts[-1] if amounts else plan.get("amount")
        count = sum(_usable(one) for one in own)
        if rotation.get("enabled") and plan:
            count = int(plan.get("target_count") or count)
        if amount is None and not count:
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
    return {
        name: value
        for name, value in _others(variables, profile).items()
        if not is_secret(name) and "{{" not in value and "{%" not in value
    }


def _others(variables: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """Those that no setting of the collection stands for."""
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
    return {name: value for name, value in sorted(variables.items()) if name not in managed}
