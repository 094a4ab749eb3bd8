# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``presence_info``."""

from __future__ import annotations

import typing as t
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._gateway.instance import Instance, Places
from .._presence.asked import Asked, Host
from .._presence.look import OWN_PATHS, look
from .._presence.model import PLAYS
from .._presence.rules import notes, refuse
from .._swap.notes import Kind

SPEC = _argspec.ArgumentSpec(
    options={
        "deploy_dir": {"type": "path", "required": True},
        "instance": {"type": "str", "default": ""},
        "state_dir": {"type": "path", "default": _argspec.STATE_DIR},
        "env_file": {"type": "path"},
        # a file's name
        "keyring": {"type": "path"},
        "ledger_path": {"type": "path"},
        "container_name": {"type": "str", "default": "devshardctl-multi"},
        "temp_container_name": {"type": "str", "default": "devshardctl-temp"},
        "gateway_port": {"type": "int", "default": 18080},
        "temp_port": {"type": "int", "default": 18081},
        "edge_ports": {"type": "list", "elements": "int", "default": [80]},
        "paths": {"type": "dict", "default": {}},
        "play": {"type": "str", "choices": list(PLAYS)},
        "unretire": {"type": "bool", "default": False},
        "adopt": {"type": "bool", "default": False},
    },
).merge(_argspec.generation())
KEY = "inferenced/keyring-devshard/keyring-test/devshard-create.info"


def asked(context: Context) -> Asked:
    params = context.params
    places = Places(
        deploy_dir=Path(params["deploy_dir"]),
        state_dir=Path(params["state_dir"]),
        instance=Instance(params["instance"]),
    )
    context.positive("gateway_port", "temp_port")
    taken = sorted(set(params["paths"]) & set(OWN_PATHS))
    if taken:
        raise ConfigurationError(
            f"paths must not have the name {taken[0]}, by which the result has a path of the gateway"
        )
    return Asked(
        deploy_dir=places.deploy_dir,
        state_dir=places.state_dir,
        instance=places.instance,
        env_file=Path(params["env_file"] or places.deploy_dir / "config.devshard.env"),
        keyring=Path(params["keyring"] or places.state_dir / KEY),
        ledger=Path(params["ledger_path"] or places.ledger),
        container=params["container_name"],
        temp_container=params["temp_container_name"],
        storage_dir=context.profile.storage_dir,
        ports=(
            ("gateway", params["gateway_port"]),
            ("temp", params["temp_port"]),
            *(("edge", port) for port in params["edge_ports"]),
        ),
        paths={name: Path(str(path)) for name, path in params["paths"].items()},
        adopt=params["adopt"],
    )


def work(context: Context) -> Outcome:
    play, presence = context.params["play"], look(asked(context), Host(run=context.try_program))
    values: dict[str, t.Any] = {"presence": presence.to_result()}
    if play is not None:
        wanted = Kind.of(context.profile)
        values["refusal"] = refuse(
            play, presence, unretire=context.params["unretire"], wanted=wanted
        )
        values["notes"] = notes(play, presence, wanted=wanted)
    return Outcome(changed=False, values=values)
