# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which of the Python libraries that modules use this host has."""

from __future__ import annotations

from .._core import libraries as _libraries


def libraries() -> dict[str, bool]:
    return {name: _libraries.why_missing(name) is None for name in ("requests", "docker")}
