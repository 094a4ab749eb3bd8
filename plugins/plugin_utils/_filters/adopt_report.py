# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: a gateway that was made by hand, as lines for the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._escrows.funding import gnk

LIMITS: t.Final = (
    "default_request_max_tokens",
    "request_max_tokens_cap",
    "max_concurrent_requests",
    "max_input_tokens_in_flight",
    "max_concurrent_requests_per_10000_weight",
)
HIDDEN: t.Final = "(secret)"


def adopt_report(adopt: object, host: object) -> list[str]:
    """Returns the lines: container, settings, escrows, nginx and what else runs there."""
    if not isinstance(adopt, Mapping) or not isinstance(adopt.get("container"), Mapping):
        raise AnsibleFilterError("adopt_report: the result of adopt_info is needed")
    return [
        *_container(adopt["container"], adopt.get("generation"), host),
        *_settings(adopt.get("settings") or {}),
        *_escrows(adopt),
        *_front(adopt.get("front") or {}),
        *[f"- another gateway of this host, which is left alone: {one}" for one in _list(adopt)],
    ]


def _list(adopt: Mapping[str, t.Any]) -> list[str]:
    return list(adopt.get("others") or ())


def _container(found: Mapping[str, t.Any], generation: object, host: object) -> list[str]:
    made = (
        f"made by Compose (project {found['project']}, service {found['service']},"
        f" directory {found['working_dir']})"
        if found.get("project")
        else "not made by Compose"
    )
    where = found.get("storage") or "in the container itself"
    volume = f" (volume {found['volume']})" if found.get("volume") else ""
    ports = [f"{inside} on {', '.join(bound)}" for inside, bound in found["ports"].items() if bound]
    variables = found["variables"]
    secrets = [name for name, value in variables.items() if value == HIDDEN]
    lines = [
        f"{host}: the container {found['name']} is a gateway of generation {generation or 'unknown'}",
        f"- container: {found['state']}, restart policy {found['restart_policy']}, {made}",
        f"- image: {found['image']} ({found['digest'] or 'no digest'})",
        f"- storage: {where}{volume}, mounted on {found['inside']}",
        f"- ports: {'; '.join(ports) or 'none is published'}",
        f"- variables: {len(variables)}, of which are secret: {', '.join(secrets) or 'none'}",
    ]
    if found.get("record"):
        lines.append(f"- the collection has it already, by the record {found['record']}")
    return lines


def _settings(settings: Mapping[str, t.Any]) -> list[str]:
    if not settings:
        return []
    limits = [f"{name} {settings[name]}" for name in LIMITS if name in settings]
    rotation = settings.get("escrow_rotation") or {}
    models = [
        f"{one['model_id']} ({one.get('access_mode') or 'admin_only'})"
        for one in settings.get("model_limits") or ()
    ]
    state = "off"
    if rotation.get("enabled"):
        settles = "settles" if rotation.get("settlement_enabled") else "does not settle"
        state = f"on, {settles}, {rotation.get('pre_poc_blocks')} blocks before the epoch"
    return [
        f"- limits: {', '.join(limits)}",
        f"- access: {', '.join(models) or 'no model is opened to clients'}",
        f"- rotation: {state}",
    ]


def _escrows(adopt: Mapping[str, t.Any]) -> list[str]:
    lines = []
    for one in adopt.get("escrows") or ():
        if one["settled"]:
            money = "settled"
        elif one["pruned"]:
            money = (
                "pruned by the chain, and no settle event of the chain proves that it was settled"
            )
        elif one["settled"] is None:
            money = "its deposit is unknown"
        else:
            money = f"{gnk(one['amount'])} of {one['creator']}"
        key = f"key by the name {one['key']}" if one["key"] else "key in its record"
        state = "active" if one["active"] else "inactive"
        lines.append(f"- escrow {one['id']}: {one['model']}, {state}, {money}, {key}")
    if adopt.get("chain_error"):
        lines.append(f"- the chain could not be asked for the escrows: {adopt['chain_error']}")
    return lines


def _front(front: Mapping[str, t.Any]) -> list[str]:
    if not front.get("installed"):
        return ["- nginx: not installed"]
    if front.get("error"):
        return [f"- nginx: it could not be read: {front['error']}"]
    listens = [f"{port} ({', '.join(files)})" for port, files in front["listens"].items()]
    lines = [f"- nginx: listens on {'; '.join(listens) or 'no port by a file of the owner'}"]
    if front["leads"]:
        lines.append(f"- nginx leads to the gateway in {', '.join(front['leads'])}")
    return lines
