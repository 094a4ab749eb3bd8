# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Test: a text is the address of an account."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.plugin_utils._lazily import Filter, lazily


class TestModule:
    """See the side-car documentation."""

    def tests(self) -> dict[str, Filter]:
        return {"creator_address": lazily("tests", "creator_address")}
