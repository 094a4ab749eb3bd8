# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The part of a gateway's settings that is about rotation."""

from __future__ import annotations

import typing as t

from .._core.reader import Reader

if t.TYPE_CHECKING:
    from collections.abc import Mapping

Settings = dict[str, t.Any]


def rotation_of(settings: Mapping[str, t.Any]) -> Settings:
    """The rotation part of the gateway's settings in one shape, whatever it left out."""
    found = Reader(dict(settings), "settings").child("escrow_rotation")
    models = found.children("models", [])
    return {
        "enabled": found.flag("enabled"),
        "settlement_enabled": found.flag("settlement_enabled"),
        "pre_poc_blocks": found.whole("pre_poc_blocks"),
        "models": [
            model.raw() for model in sorted(models, key=lambda model: model.text("model_id"))
        ],
    }


def patch_for(current: Settings, wanted: Settings) -> Settings:
    """Only what differs; the gateway replaces the list of models whole, so it is sent whole."""
    return {key: value for key, value in wanted.items() if current[key] != value}
