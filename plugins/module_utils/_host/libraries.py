# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which of the Python libraries that modules use this host has."""

from __future__ import annotations

from .._core.libraries import why_missing


def libraries() -> dict[str, bool]:
    return {name: why_missing(name) is None for name in ("requests", "docker")}
