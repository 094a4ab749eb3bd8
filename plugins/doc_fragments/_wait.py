# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait_timeout:
    description:
      - Most time to wait, in seconds, more than 0. When it is over the module fails and tells what it saw
        last; running it again continues.
    type: int
    default: 300
  wait_interval:
    description:
      - Time between two looks, in seconds, more than 0.
    type: int
    default: 2
"""
