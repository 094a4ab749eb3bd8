# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""A fleet, from one file of gateways: which hosts and groups there are, with which variables."""

from __future__ import annotations

import difflib
import functools
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._core import address, keys, urls
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import instance, profiles
from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    ALLOW,
    LOADER,
    known_variables,
    unknown_variables,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._role_scope import ROLES
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import model_faults

Variables = dict[str, t.Any]
Content = Mapping[str, t.Any]

GATEWAYS: t.Final = "devshard_gateways"
"""The group that the playbooks work on."""
CREATOR: t.Final = "creator_"
GENERATION: t.Final = "generation_"
KEY: t.Final = "gateway_private_key"

CHAIN: t.Final[Mapping[str, str]] = {
    "id": "devshard_chain_id",
    "rest": "devshard_chain_rest",
    "rpc": "devshard_chain_rpc",
    "grpc": "devshard_chain_grpc",
    "grpc_tls": "devshard_chain_grpc_tls",
    "public_api": "devshard_public_api",
}
_URLS: t.Final = ("rest", "rpc", "public_api")

COMMON: t.Final[Mapping[str, str]] = {
    "profile": "devshard_profile",
    "protocol": "devshard_protocol",
    "image": "gateway_image",
    "inferenced_version": "inferenced_version",
    "user": "ansible_user",
}
"""The fields of a gateway, and of the defaults, that are one variable each."""

PORTS: t.Final[Mapping[str, tuple[str, str]]] = {
    "port": ("devshard_gateway_url", "http://127.0.0.1:18080"),
    "temp_port": ("devshard_temp_url", "http://127.0.0.1:18081"),
    "http_port": ("edge_http_port", "80"),
    "https_port": ("edge_https_port", ""),
    "accounting_port": ("gateway_accounting_port", ""),
}
"""Each with its variable, and with what that is where nothing sets it."""
_LOCAL: t.Final = ("port", "temp_port")
"""The gateway listens there on the loopback of its host, so the variable is a URL."""

_SHARED: t.Final = (*COMMON, "models", "chain", "creator", "vars")
_OWN: t.Final = ("name", "address", "instance", "counts", "groups", *PORTS)
_CREATOR: t.Final = ("address", "key", "keyring_name")
_PLACES: t.Final = ("FILE", "PATH", "NAME", "DIR", "SRC")
_HOST: t.Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME: t.Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY: t.Final = re.compile(r"(0[xX])?[0-9a-fA-F]{64}")


class FleetFault(Exception):
    """What is wrong with the file: which entry, which field, and what to do."""


@dataclass(kw_only=True, slots=True)
class Gateway:
    """One host of the inventory."""

    name: str
    groups: list[str]
    variables: Variables
    where: str = field(repr=False)


@dataclass(kw_only=True, slots=True)
class Fleet:
    """``groups`` holds the variables of each group."""

    groups: dict[str, Variables]
    gateways: list[Gateway]


class _Entry:
    """One mapping of the file, with the words by which a message names it."""

    def __init__(self, where: str, given: object, fields: t.Sequence[str]) -> None:
        self.where = where
        if not isinstance(given, Mapping):
            raise FleetFault(f"{where} must be a mapping with the fields {', '.join(fields)}")
        self.given: Content = given
        for name in given:
            if name not in fields:
                raise FleetFault(f"{where}, field {name}: {_unknown(str(name), fields)}")

    def fault(self, name: str, problem: str) -> FleetFault:
        return FleetFault(f"{self.where}, field {name}: {problem}")

    def has(self, name: str) -> bool:
        return self.given.get(name) is not None

    def text(self, name: str) -> str | None:
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise self.fault(name, "must be text that is not empty; put it in quotes")
        return value

    def port(self, name: str) -> int | None:
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
            raise self.fault(name, "must be a port, a whole number from 1 to 65535")
        return value

    def mapping(self, name: str) -> Content:
        value = self.given.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.fault(name, "must be a mapping")
        return value

    def names(self, name: str) -> list[str]:
        value = self.given.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or any(
            not isinstance(one, str) or _NAME.fullmatch(one) is None for one in value
        ):
            raise self.fault(name, "must be a list of names of letters, digits and underscores")
        return value


def _unknown(name: str, known: t.Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known) or 'none'}"
    return f"this name is unknown; {hint}"


def refuse_unknown(given: t.Iterable[str], known: t.Collection[str]) -> None:
    """Refuse a key of the file itself that nothing reads."""
    for name in given:
        if name not in known:
            raise FleetFault(f"key {name}: {_unknown(str(name), sorted(known))}")


def read_fleet(defaults: object, creators: object, gateways: object) -> Fleet:
    """The fleet that the file describes. The first thing that is wrong with it is a fault."""
    common = _Entry("defaults", {} if defaults is None else defaults, _SHARED)
    accounts = _creators(creators)
    _generation(common, common)
    shared, _models_of_all = _shared(common, accounts)
    groups: dict[str, Variables] = {GATEWAYS: shared}
    if not isinstance(gateways, list) or not gateways:
        raise FleetFault("gateways must be a list with at least one gateway, each with a name")
    found: list[Gateway] = []
    for number, given in enumerate(gateways, 1):
        one = _gateway(number, given, common, accounts)
        if any(one.name == other.name for other in found):
            raise FleetFault(f"{one.where}, field name: another gateway has this name too")
        if one.name in {*groups, *one.groups}:
            raise FleetFault(f"{one.where}, field name: a group has this name too")
        groups |= {group: {} for group in one.groups if group not in groups}
        found.append(one)
    for name, account in accounts.items():
        if f"{CREATOR}{name}" in groups:
            groups[f"{CREATOR}{name}"] = account
    _neighbours(found, groups)
    return Fleet(groups=groups, gateways=found)


def _creators(creators: object) -> dict[str, Variables]:
    if creators is None:
        return {}
    if not isinstance(creators, Mapping):
        raise FleetFault("creators must be a mapping from a name to the account")
    return {str(name): _creator(str(name), given) for name, given in creators.items()}


def _creator(name: str, given: object) -> Variables:
    entry = _Entry(f"creators, {name}", given or {}, _CREATOR)
    if _NAME.fullmatch(name) is None:
        raise FleetFault(
            f"{entry.where}: the name must consist of letters, digits and underscores; the group"
            f" {CREATOR}NAME follows from it"
        )
    found: Variables = {}
    if (account := entry.text("address")) is not None:
        if (fault := address.refuse_address(account, "this")) is not None:
            raise entry.fault("address", fault)
        found["creator_address"] = account
    if entry.has("key"):
        variable = entry.given["key"]
        # a key may look like a name, and no message shows it
        if (
            not isinstance(variable, str)
            or _KEY.fullmatch(variable)
            or _NAME.fullmatch(variable) is None
        ):
            raise entry.fault(
                "key",
                "must be the name of a variable that holds the private key, never the key itself."
                f" Put the key in a file that ansible-vault encrypts, for example"
                f" group_vars/{CREATOR}{name}/vault.yml, as the variable vault_{name}_private_key,"
                f" and write key: vault_{name}_private_key. If the key itself stood here, it is"
                " disclosed to everyone who has read the file",
            )
        found[KEY] = f"{{{{ {variable} }}}}"
    if (name_of_key := entry.text("keyring_name")) is not None:
        found["devshard_key_name"] = name_of_key
    return found


def _shared(entry: _Entry, creators: Mapping[str, Variables]) -> tuple[Variables, list[t.Any]]:
    """The variables of the fields that defaults and gateways have in common, and the models."""
    found: Variables = {}
    for name, variable in COMMON.items():
        if (value := entry.text(name)) is not None:
            found[variable] = value
    models = _models(entry)
    if models:
        found["devshard_models"] = models
    found |= _chain(entry)
    if (creator := entry.text("creator")) is not None and creator not in creators:
        raise entry.fault("creator", f"{creator}: {_unknown(creator, creators)} (creators)")
    return _with_vars(entry, found), models


def _generation(entry: _Entry, common: _Entry) -> None:
    """Refuse a generation that is unknown, and a protocol that it does not have."""
    name = entry.text("profile") or common.text("profile")
    protocol = entry.text("protocol") or common.text("protocol")
    if name is None:
        return
    try:
        profile = profiles.generation(name)
    except ConfigurationError as exc:
        raise entry.fault("profile", str(exc)) from None
    # one that is not named here may stand in group_vars
    fault = None if protocol is None else profiles.protocol_fault(profile, protocol)
    if fault is not None:
        raise entry.fault("protocol" if entry.has("protocol") else "profile", fault)


def _chain(entry: _Entry) -> Variables:
    given = entry.mapping("chain")
    chain = _Entry(f"{entry.where}, field chain", given, tuple(CHAIN))
    wrong = urls.url_faults({name: given[name] for name in _URLS if chain.has(name)})
    if wrong:
        raise FleetFault(f"{chain.where}: {wrong[0]}")
    return {CHAIN[name]: value for name, value in given.items() if value is not None}


def _models(entry: _Entry) -> list[t.Any]:
    models = entry.given.get("models")
    if models is None:
        return []
    if not isinstance(models, list):
        raise entry.fault("models", "must be a list of models, each with id and amount")
    options = _model_options()
    for number, model in enumerate(models, 1):
        one = _Entry(f"{entry.where}, field models, entry {number}", model, tuple(options))
        for name, option in options.items():
            if option.get("required") and not one.has(name):
                raise FleetFault(f"{one.where}, field {name}: it is missing")
            choices = option.get("choices")
            if choices and one.has(name) and one.given[name] not in choices:
                raise one.fault(name, f"must be one of {', '.join(choices)}")
    if faults := model_faults(models):
        raise entry.fault("models", faults[0].removeprefix("devshard_models").lstrip(", "))
    return models


def _model_options() -> Variables:
    path = ROLES / "devshard/meta/argument_specs.yml"
    specs = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["argument_specs"]
    options: Variables = specs["main"]["options"]["devshard_models"]["options"]
    return options


def _counted(entry: _Entry, models: list[t.Any]) -> list[t.Any]:
    """The models with the numbers of escrows that one gateway wants of its own."""
    counts = entry.mapping("counts")
    for name, count in counts.items():
        ids = [str(model["id"]) for model in models]
        if name not in ids:
            raise entry.fault("counts", f"{name}: {_unknown(str(name), ids)}")
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise entry.fault("counts", f"{name}: must be a whole number, 0 or more")
    return [
        {**model, "count": counts[model["id"]]} if model["id"] in counts else model
        for model in models
    ]


def _with_vars(entry: _Entry, found: Variables) -> Variables:
    """The variables of the fields, and those that are named themselves."""
    given = entry.mapping("vars")
    for name, value in given.items():
        if name in found:
            raise entry.fault("vars", f"{name} is set by a field of this entry too")
        if holds_secret(str(name), value):
            raise entry.fault(
                "vars",
                f"{name}: a secret must not stand in this file. Put it in a file that ansible-vault"
                f" encrypts, for example group_vars/{GATEWAYS}/vault.yml, as the variable"
                f' vault_{name}, and write "{{{{ vault_{name} }}}}" here. The secret is disclosed to'
                " everyone who has read the file",
            )
    foreign = given.get(ALLOW)
    patterns = [str(one) for one in foreign] if isinstance(foreign, list) else str(foreign or "")
    names = [str(name) for name in given]
    for name, close in unknown_variables(names, _settings(), patterns):
        hint = f"did you mean {close}?" if close else f"name it in {ALLOW} if it is your own"
        raise entry.fault("vars", f"{name}: no role reads it; {hint}")
    return found | dict(given)


@functools.cache
def _settings() -> frozenset[str]:
    """The variables that the roles read."""
    return frozenset(known_variables(ROLES))


def holds_secret(name: str, value: object) -> bool:
    """Whether a secret stands in a value itself, and not only its place in a vault."""
    if isinstance(value, Mapping):
        return any(holds_secret(str(inner), one) for inner, one in value.items())
    if isinstance(value, list):
        return any(holds_secret(name, one) for one in value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        # one that is encrypted in its place is of a type of its own
        return False
    text = str(value)
    if not _names_secret(name) or not text:
        return False
    return "{{" not in text or _KEY.search(text) is not None


def _names_secret(name: str) -> bool:
    if name in keys.SETTINGS:
        return True
    ours = name in _settings()
    return not ours and keys.is_secret(name) and name.upper().split("_")[-1] not in _PLACES


def _gateway(
    number: int, given: object, common: _Entry, creators: Mapping[str, Variables]
) -> Gateway:
    called = given.get("name") if isinstance(given, Mapping) else None
    where = f"gateways, entry {number}" + (f" ({called})" if isinstance(called, str) else "")
    entry = _Entry(where, given, (*_OWN, *_SHARED))
    name = entry.text("name")
    if name is None:
        raise entry.fault("name", "it is missing; each gateway is a host of the inventory")
    if _HOST.fullmatch(name) is None:
        raise entry.fault("name", "must consist of letters, digits, dots, dashes and underscores")
    found, models = _shared(entry, creators)
    _generation(entry, common)
    own = _own(entry)
    if entry.has("counts"):
        own["devshard_models"] = _counted(entry, models or _models(common))
    for variable in own:
        if variable in entry.mapping("vars"):
            raise entry.fault("vars", f"{variable} is set by a field of this entry too")
    groups = [GATEWAYS]
    if profile := entry.text("profile") or common.text("profile"):
        groups.append(GENERATION + profile.replace(".", "_"))
    if creator := entry.text("creator") or common.text("creator"):
        groups.append(CREATOR + creator)
    for group in entry.names("groups"):
        if group.startswith((CREATOR, GENERATION)):
            raise entry.fault(
                "groups", f"{group}: this group follows from the field creator or profile"
            )
        groups.append(group)
    return Gateway(name=name, groups=groups, variables=found | own, where=entry.where)


def _own(entry: _Entry) -> Variables:
    """The variables of the fields that a gateway alone has."""
    found: Variables = {}
    if (host := entry.text("address")) is not None:
        found["ansible_host"] = host
    if (name := entry.given.get("instance")) is not None:
        if (fault := instance.name_fault(name)) is not None:
            raise entry.fault("instance", fault)
        found[instance.VARIABLE] = name
    for name, (variable, _default) in PORTS.items():
        if (port := entry.port(name)) is not None:
            found[variable] = f"http://127.0.0.1:{port}" if name in _LOCAL else port
    return found


def _neighbours(gateways: list[Gateway], groups: Mapping[str, Variables]) -> None:
    """Refuse what two gateways of one machine cannot share."""
    taken: dict[tuple[str, str], tuple[Gateway, str]] = {}
    for one in gateways:
        own = groups[GATEWAYS] | one.variables
        machine = str(own.get("ansible_host", one.name))
        name = own.get(instance.VARIABLE, "")
        _take(taken, machine, f"the instance {name or '(none)'}", one, "instance")
        for port, (variable, default) in PORTS.items():
            value = str(own.get(variable, default)).rstrip("/").rpartition(":")[2]
            if value and "{{" not in value:
                _take(taken, machine, f"port {value}", one, port)
        creator = next((group for group in one.groups if group.startswith(CREATOR)), None)
        if creator is not None:
            key = (groups[GATEWAYS] | groups[creator] | one.variables).get("devshard_key_name", "")
            other, _field = taken.setdefault((machine, f"the key {key}"), (one, "creator"))
            if creator not in other.groups:
                raise FleetFault(
                    f"{one.where}, field creator: {other.name} has another creator on {machine}"
                    " under the same key name. Set keyring_name of creators,"
                    f" {creator.removeprefix(CREATOR)}"
                )


def _take(
    taken: dict[tuple[str, str], tuple[Gateway, str]],
    machine: str,
    what: str,
    one: Gateway,
    name: str,
) -> None:
    other, by = taken.setdefault((machine, what), (one, name))
    if other is one and by != name:
        raise FleetFault(f"{one.where}, field {name}: {what} is that of the field {by} too")
    if other is not one:
        raise FleetFault(
            f"{one.where}, field {name}: {other.name} has {what} on {machine} too. Each gateway of a"
            " machine needs an instance and ports of its own"
        )
