# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether the moment suits a swap."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True)
class Window:
    """What decides whether a swap may begin now. None means unknown, which refuses."""

    phase: str | None
    confirmation_poc_phase: str | None
    blocks_to_epoch_switch: int | None
    blocks_until_next_rotation: int | None
    rotation_enabled: bool | None
    phases: Mapping[str, str] = field(default_factory=dict)
    active_without_runtime: tuple[str, ...] = ()


def _rotation_refusals(window: Window, min_blocks: int) -> list[str]:
    if window.rotation_enabled is None:
        return ["it is unknown whether rotation is enabled"]
    if not window.rotation_enabled:
        return []
    left = window.blocks_until_next_rotation
    if left is None:
        return ["the distance to the next rotation is unknown"]
    if left >= min_blocks:
        return []
    return [
        (
            f"{left} blocks are left to the next rotation, a swap needs {min_blocks}"
            " (hot_swap_min_blocks)"
        )
    ]


def window_refusals(window: Window, *, min_blocks: int) -> list[str]:
    """Reasons why a swap must not begin now, empty when it may; they pass with time."""
    reasons: list[str] = []
    if not window.phase:
        reasons.append("the chain's phase is unknown to the gateway")
    elif window.phase != "Inference":
        reasons.append(f"the chain is in phase {window.phase}, a swap needs Inference")
    if window.confirmation_poc_phase is None:
        reasons.append("it is unknown whether a confirmation PoC runs")
    elif window.confirmation_poc_phase not in ("", "CONFIRMATION_POC_INACTIVE"):
        reasons.append(f"a confirmation PoC is under way ({window.confirmation_poc_phase})")
    if window.blocks_to_epoch_switch is None:
        reasons.append("the distance to the epoch switch is unknown")
    elif window.blocks_to_epoch_switch < min_blocks:
        reasons.append(
            f"{window.blocks_to_epoch_switch} blocks are left to the epoch switch, a swap needs"
            f" {min_blocks} (hot_swap_min_blocks)"
        )
    reasons += _rotation_refusals(window, min_blocks)
    reasons += [
        f"escrow {escrow} is in phase {phase}: a finalize is running or was interrupted"
        for escrow, phase in sorted(window.phases.items())
        if phase == "finalizing"
    ]
    reasons += [
        f"escrow {escrow} is recorded as active but not loaded"
        for escrow in window.active_without_runtime
    ]
    return reasons


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelsWish:
    """``served`` get an escrow of the temporary gateway; ``asked`` are asked for a reply later."""

    served: tuple[str, ...]
    asked: tuple[str, ...]


def model_refusals(
    wish: ModelsWish, *, loaded: Collection[str], active: Collection[str]
) -> list[str]:
    """Reasons why clients of some model would find no gateway, or the swap could not check it.

    ``loaded`` are the models of escrows that the gateway serves, ``active`` those of escrows in
    use: an image that does not load its sessions may be why there is a swap.
    """
    reasons = []
    if unserved := sorted(set(loaded) - set(wish.served)):
        reasons.append(
            f"the gateway serves {', '.join(unserved)}, of which devshard_models wants no escrow,"
            " so the temporary gateway would not serve it. Name it in devshard_models with a count"
            " of 1 or more, or settle its escrows first"
        )
    if unchecked := sorted(set(wish.asked) - set(active)):
        reasons.append(
            f"the gateway has no escrow in use for {', '.join(unchecked)}, so it serves no client,"
            " and the swap would stop when it asks the new container for a reply. Create the escrow"
            " first with the playbook gonka.devshard.escrow, or set the model's count to 0 in"
            " devshard_models"
        )
    return reasons


def disk_refusals(disks: Iterable[Mapping[str, t.Any]], *, min_free_mb: int) -> list[str]:
    """Reasons why sessions, copies of the state or the new image could not be written."""
    return [
        f"the disk of {disk['path']} is nearly full: {disk['free_mb']} MiB are left, and a swap"
        f" needs {min_free_mb} (hot_swap_min_free_mb), since sessions, copies of the state and the"
        " new image are written there"
        for disk in disks
        if disk["free_mb"] < min_free_mb
    ]
