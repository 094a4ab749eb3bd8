# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What holds for a node of the chain where nothing else is set."""

from __future__ import annotations

import typing as t

MAX_BLOCK_AGE: t.Final = 120
"""Seconds after which the newest block of a node is too old, where nothing else is set."""
