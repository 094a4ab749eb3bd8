# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs the module of the same name once and shows on the terminal that it waits.

It writes when the gateway answers, in the same call.
"""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.plugin_utils._slices import WholeAction


class ActionModule(WholeAction):
    """See the documentation of module gonka.devshard.swap_settings."""

    MODULE = "gonka.devshard.swap_settings"
    NUMBERS: t.ClassVar[dict[str, float]] = {"wait_timeout": 300}
    WHAT: t.ClassVar[str] = "waits until the gateway answers"
