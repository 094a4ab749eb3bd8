# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  variables:
    description:
      - The variables of the environment file besides the secrets. Values are strings without single quotes and line
        breaks, and no backslash at the end.
    type: dict
    required: true
  defaults:
    description:
      - Variables with their default values. A value that the file or the container already has is kept.
    type: dict
    default: {}
  private_key:
    description:
      - The creator's private key, 64 hexadecimal digits without C(0x).
    type: str
  api_keys:
    description:
      - Keys of the clients, separated by commas, each at least 16 characters.
    type: str
  admin_api_key:
    description:
      - Key of the admin API, at least 16 characters.
    type: str
"""
