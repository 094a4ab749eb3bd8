# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: which gateways of a host may be sent the admin key."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.plugin_utils._lazily import Filter, lazily


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, Filter]:
        return {"slots_to_ask": lazily("slots_to_ask", "slots_to_ask")}
