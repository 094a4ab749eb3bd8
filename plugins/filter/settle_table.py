# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the result for each chosen escrow, as lines for the terminal."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.plugin_utils._lazily import Filter, lazily


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, Filter]:
        return {
            "settle_table": lazily("settle_table", "settle_table"),
            "settle_problems": lazily("settle_table", "settle_problems"),
        }
