# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: an amount in ngonka, for people."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.plugin_utils._lazily import Filter, lazily


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, Filter]:
        return {"gonka": lazily("gonka", "gonka")}
