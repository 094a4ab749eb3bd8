# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  journal:
    description:
      - The journal of the open swap. With it the module notes that O(step) begins before it does anything, with what
        must outlive it, and what came of it afterwards. Those of finished swaps lie beside it, under their id.
    type: path
  run:
    description:
      - A word that distinguishes this run of the play from others. A run whose swap another one has taken over fails at
        its next step. Required with O(journal).
    type: str
  step:
    description:
      - The step of the swap that the module works for. Required where O(journal) is written.
    type: str
    choices:
      - preflight
      - freeze_rotation
      - start_temp
      - seed_temp
      - check_temp
      - switch_to_temp
      - drain_main
      - settle_main
      - retire_main
      - replace_main
      - seed_main
      - check_main
      - switch_back
      - drain_temp
      - settle_temp
      - stop_temp
      - import_escrows
      - activate
      - restore_rotation
      - done
  finished:
    description:
      - The step before, one of those that O(step) can be. The write that notes the beginning of O(step) notes as well
        that this one is done.
    type: str
notes:
  - The options of the journal can be set once for all modules that have them, in C(module_defaults) with the
    action group C(group/gonka.devshard.swap).
"""
