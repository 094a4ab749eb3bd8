# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Swaps on a test host, with clients that stream and with everything that can go wrong."""
