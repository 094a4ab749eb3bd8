# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Test hosts and the simulated network they live in; see README.md."""

from __future__ import annotations

import sys

from testhosts.cli import main

sys.exit(main(sys.argv[1:]))
