# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether rotation of escrows works. Pure."""

from __future__ import annotations

import typing as t

from .scene import ROTATION, Data, Finding, Scene, danger, warning

if t.TYPE_CHECKING:
    from collections.abc import Iterator


def rotates(scene: Scene) -> bool:
    gateway = scene.gateway(scene.wish.slot)
    return bool(gateway and gateway["rotation"]["settings"].get("enabled"))


def rotation_state(scene: Scene) -> str:
    gateway = scene.gateway(scene.wish.slot)
    if gateway is None:
        return "not known"
    if any(_rotation_failures(gateway)):
        return "failing"
    return "on" if rotates(scene) else "off"


def _rotation_failures(gateway: Data) -> Iterator[str]:
    """What went wrong in the newest pass of each model and stage; only while it is on."""
    rotation = gateway["rotation"]
    if not rotation["settings"].get("enabled"):
        return
    newest: dict[tuple[object, object], Data] = {}
    for entry in rotation["latest"]:
        newest.setdefault((entry.get("model_id"), entry.get("stage")), entry)
    last = max((entry.get("epoch") or 0 for entry in newest.values()), default=0)
    for (model, stage), entry in newest.items():
        if (entry.get("epoch") or 0) < last:
            continue
        if entry.get("create_error"):
            yield f"{stage} of {model} in epoch {entry.get('epoch')}: {entry['create_error']}"
        number = (entry.get("settle_failed_count") or 0) - _queued(gateway, model)
        if number > 0:
            yield f"{stage} of {model}: {number} escrow(s) could not be settled"


def _queued(gateway: Data, model: object) -> int:
    """Escrows that were busy when the rotation came, and that the gateway settles by itself."""
    return sum(
        1 for row in gateway["devshards"] if row["model"] == model and row.get("settle_queued")
    )


def rotation_findings(scene: Scene) -> Iterator[Finding]:
    gateway = scene.gateway(scene.wish.slot)
    if gateway is None:
        return
    for text in _rotation_failures(gateway):
        yield danger("rotation", f"the rotation fails: {text}", ROTATION)
    on = rotates(scene)
    if on and not gateway["rotation"]["settings"].get("settlement_enabled"):
        yield warning(
            "rotation",
            "the rotation retires escrows without settling them (rotation_settlement_enabled)",
            ROTATION,
        )
    if scene.wish.rotation is not None and scene.wish.rotation != on and scene.swap is None:
        wanted, is_ = ("on", "off") if scene.wish.rotation else ("off", "on")
        yield warning(
            "rotation", f"the rotation is {is_}, the inventory wants it {wanted}", ROTATION
        )
