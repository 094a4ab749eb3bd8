#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_rotation
short_description: Freeze a gateway's escrow rotation for a hot swap, and restore it exactly
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - During a swap no gateway may create or settle escrows by itself. This module switches the rotation off and returns
    its previous settings, or restores them field by field.
  - It checks no funding, because it only restores the previous settings. To set a rotation use
    M(gonka.devshard.escrow_rotation).
options:
  state:
    description:
      - What to do. With V(frozen), the gateway answers only after a running pass of the rotation has ended, which can
        take minutes.
    type: str
    required: true
    choices: [frozen, restored]
  rotation:
    description:
      - RV(rotation.before) from the time when it was frozen. Required with O(state=restored).
    type: dict
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._http
attributes:
  action_group:
    description: The options of its connection can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.admin
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow_rotation
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
- name: Get the rotation before it is frozen
  gonka.devshard.swap_rotation:
    state: frozen
  check_mode: true
  register: found

- name: Freeze the rotation
  gonka.devshard.swap_rotation:
    state: frozen

- name: Restore the rotation
  gonka.devshard.swap_rotation:
    state: restored
    rotation: "{{ found.rotation.before }}"
"""

RETURN = r"""
rotation:
  description: The settings of the rotation.
  returned: success
  type: dict
  contains:
    before:
      description: Before this run.
      type: dict
      sample:
        enabled: true
        settlement_enabled: true
        pre_poc_blocks: 300
        models: []
    after:
      description: After this run.
      type: dict
      sample:
        enabled: false
        settlement_enabled: true
        pre_poc_blocks: 300
        models: []
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    restore_rotation,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {"type": "str", "required": True, "choices": ["frozen", "restored"]},
        "rotation": {"type": "dict"},
    },
    required_if=(("state", "restored", ("rotation",)),),
).merge(_argspec.admin(), _argspec.http())


def work(context: Context) -> Outcome:
    gateway = context.gateway
    if context.params["state"] == "frozen":
        found = freeze_rotation(gateway, check_mode=context.check_mode)
    else:
        saved = context.params["rotation"]
        found = restore_rotation(gateway, saved, check_mode=context.check_mode)
    before, after = found["before"], found["after"]
    return Outcome(
        changed=found["changed"],
        values={"rotation": {"before": before, "after": after}},
        before=before,
        after=after,
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
