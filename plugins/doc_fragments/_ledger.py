# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ledger_path:
    description:
      - The ledger on the managed host, the durable record of everything that moves money. Only one run at a
        time may write to it.
    type: path
    default: /var/lib/gonka-devshard/ledger.db
notes:
  - The options of the ledger can be set once for all modules that have them, in C(module_defaults) with the
    action group C(group/gonka.devshard.ledger).
"""
