# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which Python libraries this host has, found without importing them: that takes longer than asking
a gateway.
"""

from __future__ import annotations

import importlib.util


def why_missing(name: str) -> ImportError | None:
    """None for a library that is here."""
    if importlib.util.find_spec(name) is not None:
        return None
    return ImportError(f"No module named '{name}'")
