# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``gateway_plan_info``."""

from __future__ import annotations

from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._gateway import env, staged_keys
from .._gateway import plan as _gateway_plan
from .._gateway.drift import check_accounting
from .._gateway.instance import Instance, Places
from .._gateway.plan_model import GatewayWish
from .._presence import (
    gateway as _gateway_look,
)
from .._presence.asked import Asked, Host

SPEC = _argspec.ArgumentSpec(
    options={
        "deploy_dir": {"type": "path", "required": True},
        "state_dir": {"type": "path", "default": _argspec.STATE_DIR},
        "instance": {"type": "str", "default": ""},
        "env_file": {"type": "path"},
        "storage_dir": {"type": "path"},
        "container_name": {"type": "str", "default": "devshardctl-multi"},
        "image": {"type": "str", "required": True},
        "image_update": {"type": "bool", "default": False},
        "allow_recreate": {"type": "bool", "default": False},
        "adopt": {"type": "bool", "default": False},
        "recreate_later": {"type": "bool", "default": False},
        "port": {"type": "int", "required": True},
        "accounting_port": {"type": "int"},
    },
).merge(_argspec.generation(), _argspec.environment())


def work(context: Context) -> Outcome:
    params = context.params
    if not 0 < params["port"] < 65536:
        raise ConfigurationError(f"port must be from 1 to 65535, got {params['port']}")
    check_accounting(params["accounting_port"], params["port"], context.profile)
    places = Places(
        deploy_dir=Path(params["deploy_dir"]),
        state_dir=Path(params["state_dir"]),
        instance=Instance(params["instance"]),
    )
    file = Path(params["env_file"] or places.deploy_dir / "config.devshard.env")
    wish = env.wish(params, staged_keys.read(file).staged, context.hide_secrets)
    _text, present = env.present(file, wish, context.hide_secrets)
    seen, running = _gateway_look.see(
        _gateway_look.Subject(
            asked=Asked(
                deploy_dir=places.deploy_dir,
                state_dir=places.state_dir,
                instance=places.instance,
                env_file=file,
                keyring=places.state_dir / "keyring",
                ledger=places.ledger,
                container=params["container_name"],
                temp_container="",
                storage_dir=context.profile.storage_dir,
                ports=tuple(
                    (name, port)
                    for name, port in (
                        ("gateway", params["port"]),
                        ("accounting", params["accounting_port"]),
                    )
                    if port is not None
                ),
            ),
            image=params["image"],
            image_update=params["image_update"],
            storage_dir=params["storage_dir"],
            in_file=present or {},
        ),
        Host(run=context.try_program),
    )
    context.hide_secrets(running)
    planned = env.plan(wish, present, running, str(file), adopting=seen.record is None)
    context.hide_secrets(planned.variables)
    plan = _gateway_plan.make(
        GatewayWish(
            deploy_dir=str(places.deploy_dir),
            container=params["container_name"],
            image=params["image"],
            port=params["port"],
            environment=planned.variables,
            image_update=params["image_update"],
            allow_recreate=params["allow_recreate"],
            adopt=params["adopt"],
            recreate_later=params["recreate_later"],
            accounting_port=params["accounting_port"],
        ),
        seen,
        context.profile,
    )
    plan = plan.with_image(_gateway_look.available(params["image"], plan, context.try_program))
    owned = [path for path in (places.compose, file) if seen.record is None and path.is_file()]
    return Outcome(
        changed=False,
        values={
            "plan": {
                **plan.to_result(),
                "recorded": seen.record is not None,
                "record": {} if seen.record is None else dict(seen.record.held),
                "left": seen.left.to_result(),
                "differing": sorted({*planned.added, *planned.changed, *planned.removed}),
                "owned_files": [str(path) for path in owned],
            }
        },
    )
