# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Rotation off before a swap, and back after it."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    UnknownStateError,
)
from .._escrows.rotation import patch_for, rotation_of
from .._gateway.settings import send

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._gateway.api import GatewayApi

# settings


def freeze_rotation(gateway: GatewayApi, *, check_mode: bool) -> dict[str, t.Any]:
    """Switches rotation off and tells what it was. The answer comes after a running pass ended."""
    before = rotation_of(gateway.settings())
    wanted = {**before, "enabled": False}
    changed = before != wanted
    if changed and not check_mode:
        patch = {"escrow_rotation": {"enabled": False}}
        lost = send(gateway, patch)
        if rotation_of(gateway.settings())["enabled"]:
            raise lost or UnknownStateError(
                "the gateway accepted the settings but still rotates escrows"
            )
        if lost is not None:
            # It is off, and only an answer proves that no pass runs any more. Sent again it changes
            # nothing.
            gateway.post_settings(patch)
    return {"changed": changed, "before": before, "after": wanted}


def restore_rotation(
    gateway: GatewayApi, saved: Mapping[str, t.Any], *, check_mode: bool
) -> dict[str, t.Any]:
    """Puts back exactly what was there before, field by field."""
    wanted = rotation_of({"escrow_rotation": dict(saved)})
    before = rotation_of(gateway.settings())
    patch = patch_for(before, wanted)
    if patch and not check_mode:
        lost = send(gateway, {"escrow_rotation": patch})
        found = rotation_of(gateway.settings())
        if differs := patch_for(found, wanted):
            raise lost or UnknownStateError(
                "the gateway accepted the rotation settings but shows others:"
                f" {', '.join(sorted(differs))}",
                wanted=wanted,
                found=found,
            )
    return {"changed": bool(patch), "before": before, "after": wanted}


# sessions
