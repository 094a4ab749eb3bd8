# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One object with the state of a gateway, without any secret."""

from __future__ import annotations

import typing as t

from .._core.reader import Reader

if t.TYPE_CHECKING:
    from .._host.docker import Container
    from .models import Devshard, GatewayState, RotationStatus


def _row(item: Devshard) -> dict[str, t.Any]:
    runtime = item.runtime
    return {
        "id": item.id,
        "model": item.model,
        "active": item.active,
        "loaded": runtime is not None,
        "phase": runtime.phase if runtime else None,
        "nonce": runtime.nonce if runtime else None,
        "balance": runtime.balance if runtime else None,
        "active_requests": runtime.active_requests if runtime else None,
        "background": runtime.background if runtime else None,
        "protocol": runtime.protocol if runtime else None,
        "settle_queued": item.settle_queued,
        "held_since": item.held_since,
        "route": item.route,
        "requests_blocked": runtime.requests_blocked if runtime else None,
        "block_reason": runtime.block_reason if runtime else None,
        "storage_path": item.storage_path,
        "private_key_env": item.private_key_env,
        "plain_key": item.has_plain_key,
        "rotation_role": item.rotation_role,
    }


def report(
    url: str, state: GatewayState, rotation: RotationStatus, container: Container | None
) -> dict[str, t.Any]:
    settings = Reader(dict(state.settings), "state.settings")
    return {
        "url": url,
        "disabled": settings.child("disabled").flag("enabled"),
        "active_requests": state.active_requests,
        "in_flight_requests": state.in_flight_requests,
        "devshards": [_row(item) for item in state.devshards],
        "settings": dict(state.settings),
        "rotation": {
            "polled": rotation.polled,
            "phase": rotation.phase,
            "confirmation_poc_phase": rotation.confirmation_poc_phase,
            "epoch_index": rotation.epoch_index,
            "block_height": rotation.block_height,
            "blocks_to_epoch_switch": rotation.blocks_to_epoch_switch,
            "blocks_until_next_rotation": rotation.blocks_until_next_rotation,
            "settings": dict(rotation.settings),
            "latest": [dict(item) for item in rotation.latest],
        },
        "container": None if container is None else container.to_result(),
    }
