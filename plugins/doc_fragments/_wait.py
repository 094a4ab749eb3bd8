# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait_timeout:
    description:
      - Maximum time to wait, in seconds, more than 0. After that the module fails and reports the last state that it
        saw; running it again continues.
    type: int
    default: 300
  wait_interval:
    description:
      - Time between two checks, in seconds, more than 0.
    type: float
    default: 2
"""
