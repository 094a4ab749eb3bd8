# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  inferenced_path:
    description:
      - The program C(inferenced) on the managed host.
    type: path
    default: /usr/local/bin/inferenced
  inferenced_home:
    description:
      - Its home directory.
    type: path
    default: /var/lib/gonka-devshard/inferenced
  keyring_dir:
    description:
      - Directory of the keyring (backend C(test), which is not encrypted; only root may enter it).
    type: path
    default: /var/lib/gonka-devshard/inferenced/keyring-devshard
  key_name:
    description:
      - Name of the creator's key in the keyring. It is a local label.
    type: str
    default: devshard-create
notes:
  - The options of C(inferenced) can be set once for all modules that have them, in C(module_defaults) with the
    action group C(group/gonka.devshard.inferenced).
"""
