# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  gateway_profile:
    description:
      - Generation of the gateway. It determines the names of environment variables, paths and limits.
    type: str
    default: v2
  gateway_protocol:
    description:
      - Protocol that the escrows of this gateway are made for, by its name in the chain's approved versions, such as
        V(v4.1).
      - Required from generation V(v3) on. A gateway of generation V(v2) has a protocol of its own.
    type: str
    version_added: 0.4.0
notes:
  - The generation can be set once for all modules that have it, in C(module_defaults) with the action group
    C(group/gonka.devshard.generation).
"""
