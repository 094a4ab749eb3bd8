# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Makes `.tree`, the checkout as a collection path with its dependencies, and prints its path."""

from __future__ import annotations

from _gates import link_tree

print(link_tree())
