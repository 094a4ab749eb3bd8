# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The settings of one gateway, copied to another."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    ProtocolError,
    UnknownStateError,
    UnsafeError,
)
from .._gateway import settings as _settings
from .._gateway.rotation_settings import rotation_of
from .._gateway.settings import Settings, SettingsWish, send

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .._gateway.api import GatewayApi
    from .._gateway.profiles import Profile


_OWN: t.Final = ("disabled", "escrow_rotation", "model_limits")


def settings_wish(source: Mapping[str, t.Any], left: Collection[str] = ()) -> SettingsWish:
    """Everything of one gateway that another one needs to serve the same clients.

    Not its rotation, since two rotators on one wallet pay twice, and not its redirect, nor what is
    ``left``.
    """
    plain: Settings = {}
    for name, value in source.items():
        if name in _OWN or name in left:
            continue
        plain[name] = (
            {
                part: held
                for part, held in value.items()
                if (name, part) not in _settings.NOT_SETTABLE
            }
            if isinstance(value, dict)
            else value
        )
    return SettingsWish(
        settings=plain,
        model_limits=source.get("model_limits") or [],
        purge_model_limits=True,
        disabled={"enabled": False},
    )


def of_generation(
    source: Mapping[str, t.Any], target: Mapping[str, t.Any], profile: Profile
) -> set[str]:
    """What a gateway of another generation keeps of its own.

    Settings that only one of the two has, the address of the chain where its environment has it,
    and groups such as ``redundancy``, which each generation is tuned by.
    """
    own = {name for name, value in source.items() if name not in target or isinstance(value, dict)}
    return own if profile.chain_address_persisted else {*own, "chain_rest"}


def copy_settings(
    source: GatewayApi,
    target: GatewayApi,
    *,
    moves_to: Profile | None = None,
    check_mode: bool,
) -> dict[str, t.Any]:
    """Make the target's settings those of the source; compare first, read back after.

    ``moves_to`` is the generation of the target where the source is of another one.
    """
    held = source.settings()
    current = target.settings()
    wish = settings_wish(held, of_generation(held, current, moves_to) if moves_to else ())
    plan = _settings.plan(current, wish)
    patch = dict(plan.patch)
    if rotation_of(current)["enabled"]:
        patch["escrow_rotation"] = {"enabled": False}
    if patch and not check_mode:
        lost = send(target, patch)
        held = target.settings()
        try:
            _settings.check_applied(held, wish)
        except ProtocolError as exc:
            raise (lost or exc) from exc
        if rotation_of(held)["enabled"]:
            raise lost or UnknownStateError(
                "the gateway accepted the settings but still rotates escrows"
            )
    return {
        "changed": bool(patch),
        "set": sorted(patch),
        "before": plan.before,
        "after": plan.after,
    }


def refuse_foreign(gateway: GatewayApi, profile: Profile) -> None:
    """Refuse a gateway that behaves like another generation; no answer says which it is."""
    signs = [path for path in profile.foreign_paths if gateway.has(path)]
    held = gateway.settings()
    signs += [f"the setting {name}" for name in profile.foreign_settings if name in held]
    signs += [f"no {path}" for path in profile.own_paths if not gateway.has(path)]
    signs += [f"no setting {name}" for name in profile.own_settings if name not in held]
    if signs:
        raise UnsafeError(
            f"the gateway at {gateway.url} is of another generation than {profile.name}: it has"
            f" {', '.join(signs)}. It could not open the sessions of this directory, and the"
            " deposits of their escrows would be stranded. To move to another generation, set"
            " devshard_profile to it and run the playbook gonka.devshard.generation_upgrade",
            signs=signs,
        )
