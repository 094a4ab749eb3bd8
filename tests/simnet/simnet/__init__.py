# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A simulated Gonka network: chain, hosts, gateway, CLI and release server."""

from __future__ import annotations

__version__ = "0.1.0"
