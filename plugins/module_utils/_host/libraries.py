# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which Python libraries this host has, by what the modules of this run could import themselves."""

from __future__ import annotations

from .._core.over_requests import REQUESTS_IMPORT_ERROR
from .docker import DOCKER_IMPORT_ERROR


def libraries() -> dict[str, bool]:
    return {"requests": REQUESTS_IMPORT_ERROR is None, "docker": DOCKER_IMPORT_ERROR is None}
