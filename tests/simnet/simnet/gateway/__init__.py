# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The simulated gateway, configured by its environment as the real one."""

from simnet.gateway.process import main

__all__ = ["main"]
