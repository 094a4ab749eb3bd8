# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""What is wrong with the settings of the roles. Pure: values in, sentences out."""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.gonka.devshard.plugins.module_utils._core import keys, urls
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import accounting_fault
from ansible_collections.gonka.devshard.plugins.plugin_utils import _proxy
from ansible_collections.gonka.devshard.plugins.plugin_utils._setting_forms import form_faults

Values = t.Mapping[str, t.Any]

URLS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "devshard": (
        *("devshard_chain_rest", "devshard_chain_rpc", "devshard_public_api"),
        *("devshard_gateway_url", "devshard_temp_url", "devshard_client_base_url"),
    ),
    "docker_engine": ("docker_engine_repo_url",),
    "inferenced": ("inferenced_release_url",),
}
"""The settings that are URLs, which may hold a password."""

READS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "edge": ("gateway_accounting_port",),
    "hot_swap": ("gateway_image",),
}
"""The settings of other roles that a role uses."""

_HOST_PORT: t.Final = re.compile(
    r"(dns:///)?[A-Za-z0-9.-]+:[1-9][0-9]{0,4}|(dns:///)?\[[0-9A-Fa-f:]+\]:[1-9][0-9]{0,4}"
)
_LOOPBACK: t.Final = re.compile(r"http://127[.]0[.]0[.]1:[1-9][0-9]*/?")


def faults_of(
    role: str,
    values: Values,
    options: t.Mapping[str, t.Any],
    generation: profiles.Profile | None = None,
) -> list[str]:
    """What is wrong with what is set for a role, whose argument spec has ``options``.

    ``generation`` is None where it is not known, which is a fault of its own.
    """
    faults = urls.url_faults({name: values[name] for name in URLS.get(role, ()) if name in values})
    if role in _BESIDE and not faults:
        faults += _BESIDE[role](values)
    if generation is not None and role in _OF_GENERATION:
        faults += _OF_GENERATION[role](values, generation)
    faults += form_faults(role, values)
    refused = {name for name in values for fault in faults if fault.startswith(name)}
    rest = {
        name: value for name, value in values.items() if name in options and name not in refused
    }
    spec = {name: option for name, option in options.items() if name not in refused}
    validator = ArgumentSpecValidator(spec)
    wrong = list(validator.validate(rest, validate_role_argument_spec=True).error_messages)
    faults += wrong
    if role == "devshard" and not wrong:
        faults += model_faults(values["devshard_models"])
    return faults


def generation_of(values: Values) -> tuple[profiles.Profile | None, str | None]:
    """The generation that the shared settings name, or what is wrong with it or its protocol."""
    name, protocol = values.get("devshard_profile"), values.get(profiles.PROTOCOL)
    if name is None:
        return None, None
    try:
        return profiles.profile(str(name), None if protocol is None else str(protocol)), None
    except ConfigurationError as exc:
        return None, str(exc)


def chain_faults(values: Values, generation: profiles.Profile) -> list[str]:
    """What is wrong with the address at which the gateway itself asks the chain."""
    if generation.chain_address_format != "host_port":
        return []
    address = str(values.get("devshard_chain_grpc") or "")
    none = (
        ", or none to leave it to devshard_chain_rpc" if generation.chain_address_optional else ""
    )
    wanted = (
        "HOST:PORT of the chain's gRPC interface as the gateway reaches it from its container, without"
        f" a scheme and a path{none}"
    )
    if not address:
        return [
            f"devshard_chain_grpc is not set, and generation {generation.name} needs it: {wanted}"
        ]
    if address == "none":
        if generation.chain_address_optional:
            return []
        return [
            (
                f"devshard_chain_grpc must not be none: a gateway of generation {generation.name} asks"
                " the chain by gRPC alone"
            )
        ]
    if _HOST_PORT.fullmatch(address) is None:
        return [f"devshard_chain_grpc must be {wanted}, not '{address}'"]
    return []


def gateway_faults(values: Values, generation: profiles.Profile) -> list[str]:
    """What this generation of the gateway does not have or needs."""
    faults = []
    if "gateway_image" in values and values["gateway_image"] in ("", None):
        faults.append(
            "gateway_image is empty. Remove it to use the default image, or name an image"
            if generation.default_image
            else f"gateway_image is not set, and generation {generation.name} has no default image. Set it to"
            " the image that you have checked, if possible by its digest (NAME@sha256:DIGEST)"
        )
    port = values.get("gateway_accounting_port")
    if port is not None:
        fault = accounting_fault(int(port) if str(port).isdecimal() else 0, 0, generation)
        faults += [] if fault is None else [fault]
    api = values.get("gateway_public_api")
    if api == "none":
        if not generation.public_api_optional:
            faults.append(
                f"gateway_public_api must not be none: a gateway of generation {generation.name} reads"
                " the epoch from the public API alone"
            )
    elif api is not None:
        faults += urls.url_faults({"gateway_public_api": api})
    return faults


_ACCOUNTING: t.Final = "/api/v1/accounting"


def edge_faults(values: Values, generation: profiles.Profile) -> list[str]:
    """What is wrong with an accounting that is to be public."""
    if not boolean(values.get("edge_accounting", False), strict=False):
        return []
    if generation.accounting_port is None:
        return [
            (
                f"edge_accounting is true, but a gateway of generation {generation.name} has no"
                " accounting. Set edge_accounting: false"
            )
        ]
    faults = []
    if values.get("gateway_accounting_port") is None:
        faults.append(
            "edge_accounting is true, but gateway_accounting_port is not set, so the gateway does not"
            f" open its accounting. Set it, usually to {generation.accounting_port}"
        )
    if inside := [
        path
        for path in _public_paths(values)
        if str(path) == _ACCOUNTING or str(path).startswith(f"{_ACCOUNTING}/")
    ]:
        faults.append(
            f"edge_public_paths names {', '.join(inside)}, which would lead to the gateway's own port."
            " Remove it; edge_accounting publishes the accounting by itself"
        )
    return faults


def shared_faults(values: Values) -> list[str]:
    """What is wrong with the addresses of a gateway's slots and with the proxies."""
    found = [
        f"{name}: {values[name]}"
        for name in ("devshard_gateway_url", "devshard_temp_url")
        if name in values and _LOOPBACK.fullmatch(str(values[name])) is None
    ]
    faults = []
    if found:
        faults.append(
            f"{' and '.join(found)} must be http://127.0.0.1:PORT: a gateway listens on the loopback"
            " of its host alone, and clients reach it through the edge"
        )
    if _proxy.NAME in values:
        faults += _proxy.proxy_faults(values[_proxy.NAME])
    return faults


def secret_and_limit_faults(values: Values) -> list[str]:
    """What is wrong with a gateway's keys and with its limits of tokens."""
    # before the types, since a list of keys would become text
    faults = keys.key_faults({name: values.get(name) for name in keys.SETTINGS})
    usual, cap = (
        str(values.get(name)) for name in ("gateway_default_max_tokens", "gateway_max_tokens_cap")
    )
    if usual.isdecimal() and cap.isdecimal() and int(usual) > int(cap):
        faults.append(
            f"gateway_default_max_tokens ({usual}) must not be more than gateway_max_tokens_cap ({cap}):"
            " the gateway would refuse every change of its settings"
        )
    return faults


def public_faults(values: Values) -> list[str]:
    """A certificate without its key or the other way round, and paths that must stay closed."""
    faults = []
    # as the roles take them, for which one that is null is set
    given = [name for name in _TLS if name in values]
    empty = [name for name in given if values[name] is None]
    if len(given) == 1:
        (lacking,) = set(_TLS) - set(given)
        faults.append(f"{given[0]} is set and {lacking} is not: set both, or neither")
    elif empty:
        faults.append(
            f"{' and '.join(empty)} is empty. Set both {' and '.join(_TLS)}, or remove both"
        )
    # a template would take a text by its characters
    if "edge_public_paths" in values and not isinstance(values["edge_public_paths"], (list, tuple)):
        faults.append("edge_public_paths must be a list, also where it has one path")
    if refused := [
        str(path)
        for path in _public_paths(values)
        if _PLAIN.fullmatch(str(path)) is None or _CLOSED.match(str(path)) is not None
    ]:
        faults.append(
            f"edge_public_paths names {', '.join(refused)}. Each must be a plain path, and the paths of"
            " the operator (admin, debug, metrics, finalize, state) stay closed"
        )
    return faults


def _public_paths(values: Values) -> t.Sequence[t.Any]:
    """The paths, or none where another type is given, which has a sentence of its own."""
    paths = values.get("edge_public_paths")
    return paths if isinstance(paths, (list, tuple)) else ()


_TLS: t.Final = ("edge_tls_certificate", "edge_tls_key")
_PLAIN: t.Final = re.compile(r"/[A-Za-z0-9._~/-]*")
# the start of the paths that are the operator's alone
_CLOSED: t.Final = re.compile(r"/(v1/(admin|debug|finalize|state)|metrics|devshard|debug|-)(/|$)")


def swap_faults(values: Values) -> list[str]:
    """Settings of a swap that do not go together."""
    mode = values.get("hot_swap_mode", "temp")
    faults = []
    if (
        not boolean(values.get("hot_swap_rollback", False), strict=False)
        and not values.get("hot_swap_image")
        and not values.get("gateway_image")
    ):
        faults.append(
            "hot_swap_image is not set, and neither is gateway_image: name the image to swap to, or set"
            " hot_swap_rollback: true for the one before"
        )
    if values.get("hot_swap_slot") == "temp" and mode != "pool":
        faults.append("hot_swap_slot is temp, which needs hot_swap_mode: pool")
    if values.get("hot_swap_temp_escrows") == "settle" and mode == "generation":
        faults.append(
            "hot_swap_temp_escrows must be import for a move to another generation, whose new gateway"
            " keeps its escrows"
        )
    if values.get("hot_swap_via") == "reload" and values.get("hot_swap_alias_path") is None:
        faults.append("hot_swap_alias_path is not set, and hot_swap_via: reload needs it")
    if values.get("hot_swap_create_via") == "gateway" and values.get("hot_swap_creator") is None:
        faults.append("hot_swap_creator is not set, and hot_swap_create_via: gateway needs it")
    return faults


def notify_faults(values: Values) -> list[str]:
    """No receiver, or a webhook that is not a URL. The URL may hold a token, and is not shown."""
    webhook = values.get("notify_webhook_url")
    if not webhook and not values.get("notify_mail_to"):
        return ["notify_webhook_url and notify_mail_to are not set: name a receiver of the alarms"]
    if webhook and re.fullmatch(r"https?://[^/\s]+\S*", str(webhook)) is None:
        return ["notify_webhook_url must be an http or https URL"]
    return []


def schedule_faults(values: Values) -> list[str]:
    """A job without an inventory."""
    if values.get("schedule_state", "present") == "present" and not values.get(
        "schedule_inventory"
    ):
        return ["schedule_inventory is not set: name the inventory that the job reads"]
    return []


def model_faults(models: t.Sequence[Values]) -> list[str]:
    """What is wrong with the list of models and with the amounts and counts in it."""
    ids = [str(model["id"]) for model in models]
    faults = []
    if not ids:
        faults.append("devshard_models names no model")
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        faults.append(f"devshard_models names {', '.join(twice)} more than once")
    faults += [
        f"devshard_models: an id must not be empty or hold white space, as '{name}' does"
        for name in ids
        if re.fullmatch(r"\S+", name) is None
    ]
    for model in models:
        amount, count = model["amount"], model.get("count", 1)
        where = f"devshard_models, {model['id']}"
        if re.fullmatch(r"[1-9][0-9]*", str(amount)) is None:
            faults.append(
                f"{where}: amount must be a whole number of ngonka greater than 0, not {amount}"
            )
        if re.fullmatch(r"[0-9]+", str(count)) is None:
            faults.append(f"{where}: count must be a whole number, not {count}")
    return faults


_BESIDE: t.Final[t.Mapping[str, t.Callable[[Values], list[str]]]] = {
    "devshard": shared_faults,
    "gateway": secret_and_limit_faults,
    "edge": public_faults,
    "hot_swap": swap_faults,
    "notify": notify_faults,
    "schedule": schedule_faults,
}
"""What settings of a role must be beside each other, whatever the generation is."""

_OF_GENERATION: t.Final[t.Mapping[str, t.Callable[[Values, profiles.Profile], list[str]]]] = {
    "devshard": chain_faults,
    "gateway": gateway_faults,
    "edge": edge_faults,
}
"""What a generation of the gateway does not have or needs."""
