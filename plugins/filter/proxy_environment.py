# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the proxies of a host as the environment of tasks."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.plugin_utils._lazily import Filter, lazily


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, Filter]:
        return {"proxy_environment": lazily("proxy_environment", "proxy_environment")}
