# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  container_name:
    description:
      - Name of the gateway's container.
    type: str
    required: true
  timeout_variable:
    description:
      - Variable by which the user sets O(wait_timeout), for the message.
    type: str
    default: wait_timeout
requirements:
  - docker (Python SDK) on the managed host
"""
